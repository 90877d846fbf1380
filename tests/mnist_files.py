"""Data sets as files, for the tests that read them: 7 training and 3 test images."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from cnn_mnist.data.dataset import DatasetError

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


def patched(array, offset, value):
    content = bytearray(idx(array))
    content[offset : offset + len(value)] = value
    return bytes(content)


def peak_of(call, *args):
    """Bytes allocated at the worst moment of a call that must fail."""
    tracemalloc.start()
    try:
        message = failure(call, *args)
        return tracemalloc.get_traced_memory()[1], message
    finally:
        tracemalloc.stop()
