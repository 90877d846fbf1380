"""The format: what TensorFlow and this package write, each reads of the other."""

import os
import re
import struct

import numpy as np
import pytest
import tensorflow as tf
from mnist_files import failure, peak_of
from shard_files import flip, numbered

from cnn_mnist.data import limits, shard_list, tfrecord
from cnn_mnist.data.dataset import DatasetError
from cnn_mnist.data.shard_list import Shard

RECORD = 838  # bytes, in files that are written here


def bytes_feature(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def ints(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**features):
    whole = tf.train.Example(features=tf.train.Features(feature=features))
    return whole.SerializeToString(deterministic=True)


def examples_of(images, labels):
    return [
        example(image=bytes_feature(image.tobytes()), label=ints(int(label)))
        for image, label in zip(images, labels, strict=True)
    ]


def write_records(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def read_all(path, count):
    parts = [records.decode(slice(None)) for records in tfrecord.read(path, count)]
    images, labels = (np.concatenate(values) for values in zip(*parts, strict=True))
    return images, labels


def refused(path, count=1):
    return failure(read_all, path, count)


@pytest.fixture
def file(tmp_path):
    """Three records."""
    path = tmp_path / "some.tfrecord"
    path.write_bytes(tfrecord.encode(*numbered([7, 301, 65])).tobytes())
    return path


def test_files_are_byte_for_byte_those_of_tensorflow(mnist, tmp_path):
    images, labels = mnist.test.images[:300], mnist.test.labels[:300]
    path = write_records(tmp_path / "theirs", examples_of(images, labels))
    assert tfrecord.encode(images, labels).tobytes() == path.read_bytes()
    assert path.stat().st_size == 300 * RECORD


def test_real_values_come_back(mnist, tmp_path):
    images, labels = mnist.validation.images, mnist.validation.labels
    path = tmp_path / "ours"
    path.write_bytes(tfrecord.encode(images, labels).tobytes())
    again, labels_again = read_all(path, len(labels))
    np.testing.assert_array_equal(again, images)
    np.testing.assert_array_equal(labels_again, labels)
    assert (again.dtype, labels_again.dtype) == (np.uint8, np.int32)


def test_examples_of_other_programs_are_read(tmp_path):
    images, labels = numbered(range(40, 52))
    records = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        features = {"image": bytes_feature(image.tobytes()), "label": ints(label)}
        more = {"a name": bytes_feature(b"n" * number), "weights": tf.train.Feature()}
        more["weights"].float_list.value.extend([0.5] * number)
        if number % 3 == 0:
            features |= more
        if number % 3 == 1:  # in the other order: protobuf joins messages that follow each other
            records.append(example(label=features["label"]) + example(image=features["image"]))
        else:
            records.append(example(**features))
    assert len(set(map(len, records))) > 4
    # A label that is not packed, as old programs write it.
    unpacked = b"\x08\x05"
    entry = b"\x0a\x05label\x12" + bytes([2 + len(unpacked), 0x1A, len(unpacked)]) + unpacked
    entry = b"\x0a" + bytes([len(entry)]) + entry
    records.append(example(image=bytes_feature(bytes(784))) + b"\x0a" + bytes([len(entry)]) + entry)
    path = write_records(tmp_path / "theirs", records)
    again, labels_again = read_all(path, 13)
    np.testing.assert_array_equal(again[:12], images)
    assert labels_again.tolist() == [*labels, 5]
    theirs = tf.io.parse_example(records, {"label": tf.io.FixedLenFeature([], tf.int64)})
    assert theirs["label"].numpy().tolist() == labels_again.tolist()


def test_any_records_are_decoded_in_any_order(file):
    (records,) = tfrecord.read(file, 3)
    images, labels = records.decode(np.array([2, 0, 2]))
    np.testing.assert_array_equal(images, numbered([65, 7, 65])[0])
    assert labels.tolist() == [5, 7, 5]


def test_pieces_follow_each_other(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(tfrecord.encode(*numbered(range(50))).tobytes())
    pieces = list(tfrecord.read(path, 47, at_once=5 * RECORD))
    assert [len(piece.starts) for piece in pieces] == [5] * 9 + [2]
    assert [piece.offset for piece in pieces] == [5 * i * RECORD for i in range(10)]
    assert read_all(path, 47)[1].tolist() == [n % 10 for n in range(47)]


@pytest.mark.parametrize("place", [*range(13), 40, 500, 833, 834, 837, 838 + 5, 3 * 838 - 1])
def test_every_damaged_byte_is_found(file, place):
    flip(file, place)
    message = refused(file, 3)
    offset = int(re.search(r"byte offset (\d+): ", message)[1])
    assert message.startswith(f"{file}: ") and "checksum" in message
    assert place - RECORD < offset <= place


@pytest.mark.parametrize("size", [0, 1, 11, 12, 500, 837, 838, 1000, 2 * 838, 3 * 838 - 1])
def test_a_shorter_file_is_refused(file, size):
    os.truncate(file, size)
    assert refused(file, 3).startswith(f"{file}: byte offset {size}: expected ")


def test_a_longer_file_is_refused(file):
    message = failure(shard_list.check, Shard(file, 2, 3 * RECORD, "0" * 64))
    assert "expected the end of the file, after 2 records, found 838 more" in message


GOOD = {"image": bytes_feature(bytes(784)), "label": ints(3)}


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (example(image=GOOD["image"]), 'none with a feature "label"'),
        (example(label=GOOD["label"]), 'none with a feature "image"'),
        (example(**GOOD | {"label": ints(10)}), "[10] as its label"),
        (example(**GOOD | {"label": ints(-1)}), "[-1] as its label"),
        (example(**GOOD | {"label": ints(1, 2)}), "[1, 2] as its label"),
        (example(**GOOD | {"label": ints()}), "[] as its label"),
        (example(**GOOD | {"label": bytes_feature(b"3")}), "[] as its label"),
        (example(**GOOD | {"image": bytes_feature(bytes(783))}), "values of [783] bytes"),
        (example(**GOOD | {"image": bytes_feature(bytes(784), b"")}), "values of [784, 0]"),
        (example(**GOOD | {"image": ints(1)}), "values of [] bytes as its image"),
        (b"", 'none with a feature "image"'),
        (b"\xff" * 30, "one that cannot be decoded"),
        (b"\x0a\x7f", "one that cannot be decoded"),
        (b"\x0b", "one that cannot be decoded"),
        (example(**GOOD)[:-1], "one that cannot be decoded"),
    ],
)
def test_a_record_of_another_kind_is_refused(tmp_path, record, found):
    path = write_records(tmp_path / "theirs", [example(**GOOD), record])
    message = refused(path, 2)
    assert 'expected an Example with an "image" of 784 bytes' in message
    assert f"byte offset {RECORD + 12}: " in message and f"found {found}" in message


def test_a_length_that_is_a_claim_takes_no_memory(tmp_path):
    header = struct.pack("<Q", 1 << 40)
    crc = tfrecord.masked_crcs(np.frombuffer(header, np.uint8), np.array([0]), np.array([8]))
    path = tmp_path / "bomb"
    path.write_bytes(header + struct.pack("<I", crc[0]))
    peak, message = peak_of(read_all, path, 1)
    assert "expected a record of at most 262144 bytes" in message
    assert peak < 1 << 20


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "a regular file" in refused(tmp_path / "pipe")
    assert "a regular file" in refused(tmp_path)
    assert "FileNotFoundError" in refused(tmp_path / "nothing")


@pytest.mark.parametrize(("size", "classes"), [((9, 13), 128), ((9, 13, 3), 129), ((11, 8), 1000)])
def test_records_of_other_forms_come_back_and_are_those_of_tensorflow(tmp_path, size, classes):
    form = limits.numbered(*(*size, 1)[:3], classes)
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (7, *size), dtype=np.uint8)
    labels = np.array([0, classes - 1, 5, 127, 126, classes // 2, 1], np.int32)
    path = tmp_path / "ours"
    path.write_bytes(tfrecord.encode(images, labels, form).tobytes())
    (records,) = tfrecord.read(path, 7)
    for found, expected in zip(records.decode(slice(None), form), (images, labels), strict=True):
        np.testing.assert_array_equal(found, expected)
    features = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    assert [f.features.feature["label"].int64_list.value[0] for f in features] == labels.tolist()
    (theirs,) = tfrecord.read(write_records(tmp_path / "theirs", examples_of(images, labels)), 7)
    for found, expected in zip(theirs.decode(slice(None), form), (images, labels), strict=True):
        np.testing.assert_array_equal(found, expected)
    fewer = limits.numbered(*(*size, 1)[:3], classes - 1)
    with pytest.raises(
        DatasetError, match=f'"label" from 0 to {classes - 2}, found .*{classes - 1}'
    ):
        records.decode(slice(None), fewer)
