"""Tests of cnn_mnist.data.npz, on real files."""

import pickle
import re
import struct
import zipfile

import numpy as np
import pytest
from mnist_files import FILES, failure, make_arrays, npy, peak_of, write_member, write_npz

from cnn_mnist.data.dataset import load

SIDES, MNIST = "images with sides of 8 to 256 pixels", "images of 28 x 28 pixels"


def wide(images, channels):
    return np.repeat(images[..., None], channels, axis=3)


def test_npz_refuses_other_arrays(tmp_path):
    made = make_arrays()
    images = "uint8 images of shape [N, H, W] or [N, H, W, C], N at least 1"
    labels = "integer labels of shape [N], N at least 1"
    for key, array, expected, found in (
        ("x_train", made["x_train"].astype(np.float32), images, "float32 [7, 28, 28]"),
        ("x_test", made["x_test"].astype(np.int8), images, "int8 [3, 28, 28]"),
        ("x_train", made["x_train"].reshape(7, 784), images, "uint8 [7, 784]"),
        ("x_train", made["x_train"][:, :7], SIDES, "a side of 7 in [7, 7, 28]"),
        ("x_test", made["x_test"][:, :27], MNIST, "a side of 27 in [3, 27, 28]"),
        ("x_train", wide(made["x_train"], 2), "images of 1 or 3 channels", "2 in [7, 28, 28, 2]"),
        ("x_test", wide(made["x_test"], 3), "images of 1 channels", "3 in [3, 28, 28, 3]"),
        ("x_train", made["x_train"][:0], images, "uint8 [0, 28, 28]"),
        ("x_train", np.uint8(1), images, "uint8 []"),
        ("x_train", made["x_train"].astype(object), images, "object [7, 28, 28]"),
        ("x_test", made["x_test"].astype(complex), images, "complex128 [3, 28, 28]"),
        ("x_test", made["x_test"].astype(str), images, "<U3 [3, 28, 28]"),
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
        ("-" * 9000 + "1", "one nested too deeply;"),
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


@pytest.mark.parametrize("count", [2**32, 10**15])
def test_lying_npy_header_allocates_nothing(tmp_path, count):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 28, 28)}}"
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write_member(tmp_path, "x_train", npy(header, bytes(784)), compression)
        peak, message = peak_of(load, tmp_path)
        assert peak < 2e6
        assert f"expected at most 1000000 examples, found {count};" in message


def test_a_bomb_is_not_unpacked(tmp_path):
    for key, count in (("x_train", 10**5), ("y_train", 10**8)):
        shape = make_arrays()[key].shape[1:]
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {(count, *shape)}}}"
        content = npy(header, bytes(100_000_000))
        write_member(tmp_path, key, content, zipfile.ZIP_DEFLATED)
        peak, message = peak_of(load, tmp_path, 2)
        assert peak < 2e6
        assert f"{key}.npy" in message


def test_a_list_of_members_is_not_read_at_any_size(tmp_path):
    path = tmp_path / "mnist.npz"
    size = 3 << 30
    with path.open("wb") as file:
        file.seek(size)  # a hole, which takes no room
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 4, 4, size, 0, 0))
    peak, message = peak_of(load, tmp_path)
    assert peak < 2e6
    assert f"{path}: byte offset 0: expected a zip archive (npz), found BadZipFile (" in message
