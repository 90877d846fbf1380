"""Tests of cnn_mnist.data.idx, on real files."""

import gzip
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from mnist_files import FILES, TRAIN_X, failure, idx, make_arrays, patched, peak_of, write_idx

from cnn_mnist.data.dataset import load, read_idx


def test_gzip_of_several_members(tmp_path):
    content = idx(make_arrays()["x_train"])
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(content[:11]) + gzip.compress(content[11:]) + b"\0" * 5)
    np.testing.assert_array_equal(read_idx(path), make_arrays()["x_train"])


def test_read_idx_gives_any_size_of_image(tmp_path):
    array = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    path = tmp_path / "images"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(read_idx(path), array)
    assert not read_idx(path).flags.writeable
    path.write_bytes(idx(array[0, 0]))
    np.testing.assert_array_equal(read_idx(str(path)), array[0, 0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "labels")
    assert "expected a regular file" in failure(read_idx, tmp_path / "labels")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux")
def test_input_output_error():
    message = failure(read_idx, "/proc/self/mem")  # address 0 is never mapped
    assert re.search(r"mem: byte offset 0: .* found OSError \(Input/output error\)", message)


IMAGES = "magic number 0x00000803 (uint8, 3-D) or magic number 0x00000804 (uint8, 4-D)"
GAP = "an image of every class from 0 to 10, the highest label"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("key", "offset", "value", "at", "expected", "found"),
    [
        ("x_train", 0, b"\x01", 0, IMAGES, "0x01000803"),
        ("x_train", 1, b"\x01", 0, IMAGES, "0x00010803"),
        ("x_train", 2, b"\x0d", 0, IMAGES, "0x00000d03"),
        ("x_test", 3, b"\x01", 0, IMAGES, "0x00000801"),
        ("y_test", 3, b"\x03", 0, "magic number 0x00000801 (uint8, 1-D)", "0x00000803"),
        ("y_train", 2, b"\x09", 0, "magic number 0x00000801 (uint8, 1-D)", "0x00000901"),
        ("x_train", 4, bytes(4), 4, "a size of at least 1 for dimension 0", "0"),
        ("y_test", 4, bytes(4), 4, "a size of at least 1 for dimension 0", "0"),
        ("x_test", 8, bytes(4), 8, "a size of at least 1 for dimension 1", "0"),
        ("x_train", 11, b"\x07", 8, "images with sides of 8 to 256 pixels", "a side of 7"),
        ("x_train", 14, b"\x01", 12, "images with sides of 8 to 256 pixels", "a side of 284"),
        ("x_test", 11, b"\x1b", 8, "images of 28 x 28 pixels", "a side of 27"),
        ("x_test", 15, b"\x1d", 12, "images of 28 x 28 pixels", "a side of 29"),
        ("y_train", 8 + 5, b"\x0a", 13, GAP, "none of class 3"),
        ("y_test", 8 + 1, b"\x0a", 9, "a label from 0 to 9", "10 (label number 1)"),
        ("y_test", 8 + 2, b"\xff", 10, "a label from 0 to 9", "255 (label number 2)"),
    ],
)
def test_bad_idx(tmp_path, pack, key, offset, value, at, expected, found):
    path = write_idx(tmp_path, pack=pack) / FILES[key]
    path.write_bytes(pack(patched(make_arrays()[key], offset, value)))
    unit = "" if pack is bytes else " of the uncompressed content"
    message = failure(load, tmp_path, 2)
    start = f"{path}: byte offset {at}{unit}: expected {expected}, found {found}; "
    assert message.startswith(start)


def test_read_idx_refuses_other_dimensions(tmp_path):
    path = tmp_path / "pairs"
    path.write_bytes(idx(np.zeros((3, 2), np.uint8)))
    assert failure(read_idx, path).startswith(
        f"{path}: byte offset 0: expected {IMAGES} "
        "or magic number 0x00000801 (uint8, 1-D), found 0x00000802; "
    )


@pytest.mark.parametrize("key", ["train", "test"])
def test_images_and_labels_differ_in_number(tmp_path, key):
    arrays = make_arrays()
    arrays[f"y_{key}"] = arrays[f"y_{key}"][:-1]
    images, labels = (tmp_path / FILES[f"{kind}_{key}"] for kind in "xy")
    count = len(arrays[f"x_{key}"])
    message = failure(load, write_idx(tmp_path, arrays), 2)
    assert message.startswith(
        f"{labels}: byte offset 4: expected {count} labels, one for each image in {images}, "
        f"found {count - 1}; "
    )


def test_every_truncation_of_a_plain_file(tmp_path):
    path = tmp_path / "images"
    content = idx(make_arrays()["x_test"])
    for size in range(len(content)):
        path.write_bytes(content[:size])
        wanted = "magic number" if size < 4 else "a header of 16" if size < 16 else "2368 bytes"
        message = failure(read_idx, path)
        assert message.startswith(f"{path}: byte offset {size}: expected {wanted}")
        assert ", found the end of the content; " in message
    path.write_bytes(content)
    assert read_idx(path).shape == (3, 28, 28)


def test_every_truncation_of_a_gzip_file(tmp_path):
    path = tmp_path / "images"
    packed = gzip.compress(idx(make_arrays()["x_test"] // 64))
    for size in range(len(packed)):
        path.write_bytes(packed[:size])
        message = failure(read_idx, path)
        if size < 2:  # not yet known as gzip
            assert message.startswith(f"{path}: byte offset {size}: expected magic number")
            continue
        body = packed[10:size]  # 10: the gzip header without optional fields
        at = len(zlib.decompressobj(-15).decompress(body))
        assert message.startswith(f"{path}: byte offset {at} of the uncompressed content: ")
        assert "found EOFError (" in message
    path.write_bytes(packed)
    assert read_idx(path).shape == (3, 28, 28)


def test_damaged_gzip(tmp_path):
    path = tmp_path / "labels"
    content = idx(make_arrays()["y_train"])
    packed = bytearray(gzip.compress(content))

    def message_of(data):
        path.write_bytes(bytes(data))
        return failure(read_idx, path).removeprefix(f"{path}: byte offset ")

    unit = "of the uncompressed content: expected readable IDX content, found"
    bad_crc = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    assert message_of(bad_crc).startswith(f"15 {unit} BadGzipFile (CRC check failed")
    bad_size = packed[:-1] + b"\x01"
    assert message_of(bad_size).startswith(f"15 {unit} BadGzipFile (Incorrect length")
    assert message_of(packed + b"junk").startswith(f"15 {unit} BadGzipFile (Not a gzipped file")
    assert message_of(packed[:10] + b"\xff" * 20).startswith(f"0 {unit} error (Error -3 ")
    assert message_of(packed[:2] + b"\x07" + packed[3:]).startswith(
        f"0 {unit} BadGzipFile (Unknown"
    )
    assert message_of(packed + gzip.compress(b"\0")).startswith(
        "15 of the uncompressed content: expected the end of the content, found more bytes; "
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lying_idx_header_allocates_nothing(tmp_path, pack):
    path = write_idx(tmp_path, pack=pack) / TRAIN_X
    path.write_bytes(pack(patched(make_arrays()["x_train"], 4, b"\xff" * 4)))
    peak, message = peak_of(load, tmp_path)
    assert peak < 2e6
    assert "byte offset 4" in message
    assert f"expected at most 1000000 examples, found {2**32 - 1};" in message
    path.write_bytes(pack(patched(make_arrays()["x_train"], 4, (10**6).to_bytes(4, "big"))))
    peak, message = peak_of(read_idx, path)
    assert peak < 2e6
    assert "byte offset 5504" in message
    assert f"expected {16 + 10**6 * 784} bytes" in message
    path.write_bytes(pack(patched(make_arrays()["x_train"], 8, b"\xff" * 8)))
    peak, message = peak_of(read_idx, path)
    assert peak < 2e6
    assert "expected at most 784000000 values, found the shape [7, 4294967295, " in message


@pytest.mark.parametrize("key", ["x_train", "y_train", "x_test", "y_test"])
def test_a_bomb_is_not_unpacked(tmp_path, key):
    """Gigabytes of zeros in a gzip file of megabytes, all of them claimed."""
    array = make_arrays()[key]
    path = write_idx(tmp_path) / FILES[key]
    zeros = gzip.compress(bytes(64 << 20))
    for count in (10**6, 4 * 10**6):
        header = patched(array[:1], 4, count.to_bytes(4, "big"))[: 4 + 4 * array.ndim]
        path.write_bytes(gzip.compress(header) + 64 * zeros)
        peak, message = peak_of(load, tmp_path, 2)
        assert peak < 4e6
        assert str(path) in message


def test_images_that_are_not_as_many_as_their_labels_are_not_read(tmp_path):
    """A header with the wrong number is told before the values are looked at."""
    images, labels = (write_idx(tmp_path) / FILES[key] for key in ("x_train", "y_train"))
    for count in (6, 8):
        images.write_bytes(patched(make_arrays()["x_train"], 7, bytes([count])))
        assert failure(load, tmp_path, 2).startswith(
            f"{labels}: byte offset 4: expected {count} labels, one for each image in {images}, "
            "found 7; "
        )


@pytest.mark.parametrize("size", [8, 100, 16 + 7 * 784])
def test_a_hole_behind_gzip_content_is_not_read_to_its_end(tmp_path, size):
    path = tmp_path / "images"
    packed = gzip.compress(idx(make_arrays()["x_train"])[:size])
    path.write_bytes(packed + bytes(60_000))
    if size > 100:
        np.testing.assert_array_equal(read_idx(path), make_arrays()["x_train"])
    os.truncate(path, 1 << 40)  # zeros, which take no room
    message = failure(read_idx, path)
    assert message.startswith(f"{path}: byte offset {size} of the uncompressed content: ")
    assert "found BadGzipFile (more than 65536 bytes of names and padding);" in message


def test_content_past_the_promise_is_not_read(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(idx(make_arrays()["x_train"]) + bytes(30_000_000)))
    peak, message = peak_of(read_idx, path)
    assert peak < 2e6
    assert "byte offset 5504 of the uncompressed content: expected the end" in message
