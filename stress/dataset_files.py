"""Data sets as files, and a simple reader that tells what is right."""

import functools
import gzip
import hashlib
import io
import struct
import zipfile
import zlib

import numpy as np

NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
KEYS = tuple(NAMES)
NPZ = "mnist.npz"
VALIDATION_SIZE = 37

Arrays = dict[str, np.ndarray]


def digest(arrays: Arrays) -> str:
    """Tells data sets apart, whatever integer type their labels have."""
    total = hashlib.sha256()
    for key in KEYS:
        kind = np.uint8 if key.startswith("x_") else np.int32
        total.update(repr(arrays[key].shape).encode() + arrays[key].astype(kind).tobytes())
    return total.hexdigest()


def idx_file(array: np.ndarray) -> bytes:
    """The IDX file of an array."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def plain_reading(contents: dict[str, bytes]) -> str | None:
    """A reader of uncompressed IDX files, as strict as it is simple; None: they are not good."""
    arrays = {}
    for key in KEYS:
        content = contents[key]
        rank = 3 if key.startswith("x_") else 1
        if len(content) < 4 + 4 * rank:
            return None
        magic, *shape = struct.unpack_from(f">{1 + rank}I", content)
        size = int(np.prod([int(side) for side in shape], dtype=object))
        if magic != 0x800 + rank or shape[1:] != [28, 28][: rank - 1] or shape[0] < 1:
            return None
        if len(content) != 4 + 4 * rank + size:
            return None
        arrays[key] = np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    for split in ("train", "test"):
        labels = arrays[f"y_{split}"]
        if len(arrays[f"x_{split}"]) != len(labels) or labels.max() > 9:
            return None
    if len(arrays["y_train"]) <= VALIDATION_SIZE:
        return None
    return digest(arrays)


def zip_of(members: dict[str, bytes], method: int) -> bytes:
    """A zip archive of named members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


@functools.cache
def zeros_gzip() -> bytes:
    """64 MiB of zeros as a gzip member; members can be strung together."""
    return gzip.compress(bytes(64 << 20), 6, mtime=0)


@functools.cache
def zeros_deflated() -> bytes:
    """64 MiB of zeros, deflated; such pieces can be strung together."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(bytes(64 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
