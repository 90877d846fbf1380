"""Tests of cnn_mnist.dataset, on real files; 7 training and 3 test images where size is free."""

import errno
import gzip
import io
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from cnn_mnist import dataset
from cnn_mnist.dataset import DatasetError, load, read_idx

TRAIN_X, TRAIN_Y = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_X, TEST_Y = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = {"x_train": TRAIN_X, "y_train": TRAIN_Y, "x_test": TEST_X, "y_test": TEST_Y}


def make_arrays():
    """Seven training and three test images, at random; every label from 0 to 9."""
    rng = np.random.default_rng(3)
    return {
        "x_train": rng.integers(0, 256, (7, 28, 28), dtype=np.uint8),
        "y_train": np.array([5, 0, 9, 1, 2, 3, 4], np.uint8),
        "x_test": rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        "y_test": np.array([6, 7, 8], np.uint8),
    }


def idx(array):
    """The IDX file of an array, uncompressed."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, arrays=None, pack=bytes, suffix=""):
    for key, array in (arrays or make_arrays()).items():
        (folder / (FILES[key] + suffix)).write_bytes(pack(idx(array)))
    return folder


def write_npz(folder, save=np.savez, **changed):
    arrays = {**make_arrays(), **changed}
    save(folder / "mnist.npz", **{key: a for key, a in arrays.items() if a is not None})
    return folder


def npy(header, values=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


def write_member(folder, key, content, compression=zipfile.ZIP_STORED):
    """mnist.npz with one member given as bytes."""
    with zipfile.ZipFile(folder / "mnist.npz", "w") as archive:
        for name, array in make_arrays().items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            data = content if name == key else buffer.getvalue()
            archive.writestr(f"{name}.npy", data, compression if name == key else None)
    return folder


def failure(call, *args, **kwargs):
    """The message of the DatasetError that the call must raise: one line."""
    with pytest.raises(DatasetError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert "expected" in message and "found" in message and "; " in message
    return message


def assert_equal_to_made(data, validation_size):
    made = make_arrays()
    for split, images, labels in (
        (data.validation, made["x_train"][:validation_size], made["y_train"][:validation_size]),
        (data.train, made["x_train"][validation_size:], made["y_train"][validation_size:]),
        (data.test, made["x_test"], made["y_test"]),
    ):
        np.testing.assert_array_equal(split.images, images)
        np.testing.assert_array_equal(split.labels, labels)
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
        assert split.images.flags.c_contiguous
        assert not split.images.flags.writeable and not split.labels.flags.writeable
        assert len(split) == len(labels)


# The embedded set


@pytest.fixture(scope="module")
def mnist():
    return load()


def test_embedded_values(mnist):
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (55_000, 5_000, 10_000)
    train_counts = np.bincount(mnist.train.labels) + np.bincount(mnist.validation.labels)
    assert train_counts.tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ]
    assert np.bincount(mnist.test.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ]
    splits = (mnist.train, mnist.validation, mnist.test)
    assert [int(s.images.sum(dtype=np.int64)) for s in splits] == [
        *(1_437_128_264, 130_170_281, 264_923_200),
    ]
    assert mnist.validation.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert mnist.validation.images[0, 5, 12:16].tolist() == [3, 18, 18, 18]  # row 5, not column 5


def test_embedded_splits_are_read_only_views(mnist):
    assert mnist.train.images.base is not None
    assert mnist.train.images.ctypes.data - mnist.validation.images.ctypes.data == 5_000 * 784
    for split in (mnist.train, mnist.validation, mnist.test):
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int32
        with pytest.raises(ValueError):
            split.images[0, 0, 0] = 1
        with pytest.raises(ValueError):
            split.labels[0] = 1


def test_embedded_checksum(tmp_path, monkeypatch):
    shutil.copytree(dataset._EMBEDDED_DIR, tmp_path / "data")
    path = tmp_path / "data" / f"{TEST_Y}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[8 + 4321] ^= 1  # still a digit
    path.write_bytes(gzip.compress(bytes(content)))
    assert len(load(tmp_path / "data").test) == 10_000  # as a folder of the user's: no checksum
    monkeypatch.setattr(dataset, "_EMBEDDED_DIR", tmp_path / "data")
    message = failure(load)
    assert message.startswith(f"{path}: byte offset 0 of the uncompressed content: expected ")
    assert f"sha256 {dataset._SHA256['y_test']}, found " in message
    assert message.endswith("reinstall the package")


def test_import_does_not_load_tensorflow():
    code = "import sys, cnn_mnist.dataset; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Forms and splits


@pytest.mark.parametrize("validation_size", [0, 1, 2, 6])
def test_plain_gzip_and_npz_agree(tmp_path, validation_size):
    for number, write in enumerate(
        (
            lambda folder: write_idx(folder),
            lambda folder: write_idx(folder, pack=gzip.compress, suffix=".gz"),
            lambda folder: write_idx(folder, pack=gzip.compress),  # the name does not decide
            lambda folder: write_idx(folder, suffix=".gz"),
            write_npz,
            lambda folder: write_npz(folder, np.savez_compressed),
            lambda folder: write_npz(folder, y_train=make_arrays()["y_train"].astype(">i8")),
            lambda folder: write_npz(folder, x_train=np.asfortranarray(make_arrays()["x_train"])),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert_equal_to_made(load(write(folder), validation_size), validation_size)
        assert_equal_to_made(load(str(folder), validation_size), validation_size)


def test_variant_names_and_mixed_compression(tmp_path):
    arrays = make_arrays()
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(arrays["x_train"]))
    (tmp_path / "train-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx(arrays["y_train"])))
    (tmp_path / TEST_X).write_bytes(idx(arrays["x_test"]))
    (tmp_path / f"{TEST_Y}.gz").write_bytes(gzip.compress(idx(arrays["y_test"])))
    (tmp_path / "notes.txt").write_text("not looked at")
    assert_equal_to_made(load(tmp_path, 2), 2)


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


@pytest.mark.parametrize("size", [-1, 7, 5000])
def test_validation_size_out_of_range(tmp_path, size):
    message = failure(load, write_idx(tmp_path), size)
    assert message.startswith("--validation_size: expected 0 to 6, ")
    assert f"{tmp_path / TRAIN_X} holds 7 training images, found {size};" in message


# The folder


def test_folder_missing_or_not_a_folder(tmp_path):
    for folder, reason in (
        (tmp_path / "none", "FileNotFoundError"),
        (write_npz(tmp_path) / "mnist.npz", "NotADirectoryError"),
        ("nul\0l", "ValueError"),
        ("two\nlines", "FileNotFoundError"),
    ):
        shown = str(folder) if str(folder).isprintable() else repr(str(folder))
        message = failure(load, folder)
        assert message.startswith(f"{shown}: expected a folder that can be listed, found {reason} ")
        assert "--data_dir" in message
    assert failure(load, "").startswith("--data_dir: expected the name of a folder, found ''")


def test_files_missing(tmp_path):
    message = failure(load, tmp_path)
    names = f"{TRAIN_X}, {TRAIN_Y}, {TEST_X}, {TEST_Y}"
    assert f"expected the four IDX files or mnist.npz, found no {names} (plain" in message
    for name in FILES.values():
        write_idx(tmp_path)
        (tmp_path / name).unlink()
        message = failure(load, tmp_path)
        assert message.startswith(f"{tmp_path}: expected the four IDX files, found no {name} (")


def test_both_forms_or_a_file_twice(tmp_path):
    write_idx(tmp_path)
    twin = tmp_path / f"{TEST_Y}.gz"
    twin.write_bytes(gzip.compress(idx(make_arrays()["y_test"])))
    message = failure(load, tmp_path)
    assert f"expected one of {TEST_Y}, {TEST_Y}.gz, found 2; keep one" in message
    twin.rename(tmp_path / "t10k-labels.idx1-ubyte")
    assert f"one of {TEST_Y}, t10k-labels.idx1-ubyte, found 2" in failure(load, tmp_path)
    (tmp_path / "t10k-labels.idx1-ubyte").unlink()
    write_npz(tmp_path)
    message = failure(load, tmp_path)
    assert "found both; remove mnist.npz or remove " + ", ".join(FILES.values()) in message


@pytest.mark.parametrize("name", [TRAIN_X, TEST_Y, "mnist.npz"])
def test_unreadable_file(tmp_path, monkeypatch, name):
    write = write_npz if name == "mnist.npz" else write_idx
    path = write(tmp_path) / name
    real_open = Path.open

    def refusing_open(self, *args, **kwargs):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing_open)
    message = failure(load, tmp_path, 2)
    start = f"{path}: byte offset 0: expected a readable file, found "
    assert message.startswith(f"{start}PermissionError (Permission denied); ")
    path.unlink()
    path.symlink_to("nowhere")
    assert failure(load, tmp_path, 2).startswith(f"{start}FileNotFoundError ")
    path.unlink()
    path.mkdir()
    message = failure(load, tmp_path, 2)
    assert message.startswith(f"{path}: byte offset 0: expected a regular file, found a folder, ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "labels")
    assert "expected a regular file" in failure(read_idx, tmp_path / "labels")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux")
def test_input_output_error():
    message = failure(read_idx, "/proc/self/mem")  # address 0 is never mapped
    assert re.search(r"mem: byte offset 0: .* found OSError \(Input/output error\)", message)


# IDX


def patched(array, offset, value):
    content = bytearray(idx(array))
    content[offset : offset + len(value)] = value
    return bytes(content)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("key", "offset", "value", "at", "expected", "found"),
    [
        ("x_train", 0, b"\x01", 0, "magic number 0x00000803 (uint8, 3-D)", "0x01000803"),
        ("x_train", 1, b"\x01", 0, "magic number 0x00000803 (uint8, 3-D)", "0x00010803"),
        ("x_train", 2, b"\x0d", 0, "magic number 0x00000803 (uint8, 3-D)", "0x00000d03"),
        ("x_test", 3, b"\x01", 0, "magic number 0x00000803 (uint8, 3-D)", "0x00000801"),
        ("y_test", 3, b"\x03", 0, "magic number 0x00000801 (uint8, 1-D)", "0x00000803"),
        ("y_train", 2, b"\x09", 0, "magic number 0x00000801 (uint8, 1-D)", "0x00000901"),
        ("x_train", 4, bytes(4), 4, "a size of at least 1 for dimension 0", "0"),
        ("y_test", 4, bytes(4), 4, "a size of at least 1 for dimension 0", "0"),
        ("x_test", 8, bytes(4), 8, "a size of at least 1 for dimension 1", "0"),
        ("x_train", 11, b"\x1b", 8, "images of 28 x 28 pixels", "a side of 27"),
        ("x_train", 15, b"\x1d", 12, "images of 28 x 28 pixels", "a side of 29"),
        (
            *("x_train", 7, b"\x08", 16 + 7 * 784),
            *("6288 bytes (16 of header, 8 x 28 x 28 of values)", "the end of the content"),
        ),
        ("x_train", 7, b"\x06", 16 + 6 * 784, "the end of the content", "more bytes"),
        ("y_train", 8 + 5, b"\x0a", 13, "a label from 0 to 9", "10 (label number 5)"),
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
        f"{path}: byte offset 0: expected magic number 0x00000803 (uint8, 3-D) "
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


# npz


def test_npz_refuses_other_arrays(tmp_path):
    made = make_arrays()
    images = "uint8 images of shape [N, 28, 28], N at least 1"
    labels = "integer labels of shape [N], N at least 1"
    for key, array, expected, found in (
        ("x_train", made["x_train"].astype(np.float32), images, "float32 [7, 28, 28]"),
        ("x_test", made["x_test"].astype(np.int8), images, "int8 [3, 28, 28]"),
        ("x_train", made["x_train"].reshape(7, 784), images, "uint8 [7, 784]"),
        ("x_train", made["x_train"][:, :27], images, "uint8 [7, 27, 28]"),
        ("x_train", made["x_train"][:0], images, "uint8 [0, 28, 28]"),
        ("x_train", np.uint8(1), images, "uint8 []"),
        ("x_train", made["x_train"].astype(object), images, "object [7, 28, 28]"),
        ("y_train", made["y_train"].astype(np.float64), labels, "float64 [7]"),
        ("y_train", made["y_train"].astype(bool), labels, "bool [7]"),
        ("y_test", made["y_test"].astype(str), labels, "<U3 [3]"),
        ("y_test", made["y_test"][:, None], labels, "uint8 [3, 1]"),
        ("y_test", made["y_test"].astype(object), labels, "object [3]"),
    ):
        message = failure(load, write_npz(tmp_path, **{key: array}), 2)
        start = f"{tmp_path / 'mnist.npz'}, {key}.npy: byte offset 10 of the uncompressed content: "
        assert message.startswith(f"{start}expected {expected}, found {found}; ")


def test_npz_missing_or_double_array(tmp_path):
    for key in FILES:
        message = failure(load, write_npz(tmp_path, **{key: None}), 2)
        assert (
            f"mnist.npz, {key}.npy: " in message and "one array of this name, found 0;" in message
        )
    write_npz(tmp_path)
    with zipfile.ZipFile(tmp_path / "mnist.npz", "a") as archive, pytest.warns(UserWarning):
        archive.writestr("x_test.npy", b"again")
    assert "x_test.npy: byte offset 0 of" in failure(load, tmp_path, 2)
    assert "one array of this name, found 2;" in failure(load, tmp_path, 2)


def test_npz_labels_out_of_range_and_count(tmp_path):
    start = f"{tmp_path / 'mnist.npz'}, y_train.npy: byte offset "
    wrong = np.array([0, 1, 2, -3, 4, 5, 6], np.int64)
    message = failure(load, write_npz(tmp_path, y_train=wrong), 2)
    assert message.startswith(f"{start}{128 + 3 * 8} of the uncompressed content: expected a label")
    assert "found -3 (label number 3);" in message
    message = failure(load, write_npz(tmp_path, y_train=np.zeros(6, np.int64)), 2)
    assert message.startswith(f"{start}10 of the uncompressed content: expected 7 labels, ")
    assert "mnist.npz, x_train.npy, found 6;" in message


def test_pickled_npz_is_refused_without_executing(tmp_path):
    class Payload:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    payload = np.empty((7,), object)
    payload[:] = [Payload() for _ in range(7)]
    write_npz(tmp_path, y_train=payload)
    assert "y_train.npy: byte offset 10 of" in failure(load, tmp_path, 2)
    write_member(tmp_path, "x_train", pickle.dumps(Payload()))  # as numpy.load would unpickle
    assert "x_train.npy: byte offset 0 of" in failure(load, tmp_path, 2)
    (tmp_path / "mnist.npz").write_bytes(pickle.dumps(Payload()))
    message = failure(load, tmp_path, 2)
    assert "mnist.npz: byte offset 0: expected a zip archive (npz), found BadZipFile" in message
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("(" * 3000, ""),
        ("-" * 3000 + "1", ""),
        ("no header", "ValueError"),
        ("[1]", "ValueError"),
        ("{'descr': 'nonsense', 'fortran_order': False, 'shape': (7, 28, 28)}", "ValueError"),
        (" " * 20_000, "ValueError"),
        ("9" * 4000, "ValueError"),
    ],
)
def test_npy_header_damaged(tmp_path, header, found):
    message = failure(load, write_member(tmp_path, "x_train", npy(header)), 2)
    assert "x_train.npy: byte offset 10 of the uncompressed content: expected a valid" in message
    assert f"found {found}" in message
    assert len(message) < len(str(tmp_path)) + 400


def test_npy_truncated_or_too_long(tmp_path):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (7, 28, 28)}"
    good = npy(header, bytes(7 * 784))
    for data, at, expected in (
        (good[:5], 5, "10 bytes of .npy magic and header size"),
        (b"\x93NUMPY\x02" + good[7:], 0, r".npy magic b'\x93NUMPY\x01\x00'"),
        (good[:40], 40, f"a .npy header of {len(npy(header))} bytes"),
        (good[:-1], len(good) - 1, f"{len(good)} bytes (shape [7, 28, 28], uint8)"),
        (good + b"\0", len(good), "the end of the content, found more bytes"),
    ):
        message = failure(load, write_member(tmp_path, "x_train", data), 2)
        where = f"mnist.npz, x_train.npy: byte offset {at} of the uncompressed content: "
        assert f"{where}expected {expected}" in message


def test_zip_damaged(tmp_path):
    path = write_npz(tmp_path) / "mnist.npz"
    good = path.read_bytes()
    for size in (0, 1, 100, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        message = failure(load, tmp_path, 2)
        assert message.startswith(f"{path}: byte offset 0: expected a zip archive (npz), found ")
    image = make_arrays()["x_test"].tobytes()
    path.write_bytes(good.replace(image, bytes([image[0] ^ 1]) + image[1:]))
    message = failure(load, tmp_path, 2)
    assert re.search(r"x_test\.npy: byte offset \d+ of .* found BadZipFile \(Bad CRC-32", message)
    encrypted = bytearray(good)
    encrypted[good.index(b"PK\1\2") + 8] |= 1  # the flag in the central directory
    path.write_bytes(bytes(encrypted))
    assert "expected a stored or deflated array, found an encrypted array" in failure(
        load, tmp_path
    )
    directory = good.index(b"PK\1\2")
    for offset, value, reason in (
        (6, b"\xff", "NotImplementedError"),  # the zip version needed
        (9, b"\x08\xff", "BadZipFile|UnicodeDecodeError"),  # name in UTF-8, which it is not
    ):
        damaged = bytearray(good)
        damaged[directory + offset] = value[0]
        damaged[directory + 46 : directory + 46 + len(value[1:])] = value[1:]
        path.write_bytes(bytes(damaged))
        message = failure(load, tmp_path)
        assert re.search(rf": byte offset 0: expected a zip archive .* found ({reason}) ", message)
    write_member(tmp_path, "y_test", b"any", zipfile.ZIP_BZIP2)
    assert "y_test.npy: byte offset 0 of" in failure(load, tmp_path)
    assert "found another compression;" in failure(load, tmp_path)


# Memory


def peak_of(call, *args):
    """Bytes allocated at the worst moment of a call that must fail."""
    tracemalloc.start()
    try:
        message = failure(call, *args)
        return tracemalloc.get_traced_memory()[1], message
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lying_idx_header_allocates_nothing(tmp_path, pack):
    path = write_idx(tmp_path, pack=pack) / TRAIN_X
    path.write_bytes(pack(patched(make_arrays()["x_train"], 4, b"\xff" * 4)))
    peak, message = peak_of(load, tmp_path)
    assert peak < 2e6
    assert "byte offset 5504" in message
    assert f"expected {16 + (2**32 - 1) * 784} bytes" in message


def test_content_past_the_promise_is_not_read(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(idx(make_arrays()["x_train"]) + bytes(30_000_000)))
    peak, message = peak_of(read_idx, path)
    assert peak < 2e6
    assert "byte offset 5504 of the uncompressed content: expected the end" in message


@pytest.mark.parametrize("count", [2**32, 10**15])
def test_lying_npy_header_allocates_nothing(tmp_path, count):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 28, 28)}}"
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write_member(tmp_path, "x_train", npy(header, bytes(784)), compression)
        peak, message = peak_of(load, tmp_path)
        assert peak < 2e6
        assert f"(shape [{count}, 28, 28], uint8), found the end of the content;" in message
