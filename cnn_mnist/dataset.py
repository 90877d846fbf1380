"""MNIST as numpy arrays: reads IDX files (plain or gzip) or `mnist.npz`, checks them, splits them.

Axes: N examples, H = W = 28 pixels. Images are uint8 [N, 28, 28], 0 (background) to 255 (ink);
labels are int32 [N], 0 to 9. Any drop-in set of the same form works (Fashion-MNIST, KMNIST).

An IDX file is a header and then the values, row by row. The header is the magic number (two zero
bytes, the element type, the number of dimensions) and one big-endian uint32 per dimension.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".

Files are read in pieces, and never further than one byte past what their header promises, so
memory follows the content that is really there and not what a header claims.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from cnn_mnist.errors import InputError

IMAGE_SHAPE = (28, 28)
NUM_CLASSES = 10

_EMBEDDED_DIR = Path(__file__).with_name("data")
_NPZ = "mnist.npz"
_IDX = {  # array in mnist.npz -> the IDX file that holds the same
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
_SHA256 = {  # of the uncompressed embedded files
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_SAVE = "save it anew with numpy.savez"
_PIECE = 1 << 16  # bytes a read; fits the cache: larger and smaller pieces unpack more slowly
# what files, gzip, zlib and zipfile raise on content that cannot be read
_READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


class DatasetError(InputError):
    """One line: the file, the byte offset, what was expected, what was found, what to do."""


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in a fixed order; both arrays are read-only."""

    images: np.ndarray  # uint8 [N, 28, 28]
    labels: np.ndarray  # int32 [N], 0 to 9

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The three splits; train and validation are views of the same training images."""

    train: Split
    validation: Split
    test: Split


def load(
    data_dir: str | os.PathLike | None = None, validation_size: int = 5000, train_size: int = 0
) -> Dataset:
    """Reads, checks and splits a data set.

    Args:
      data_dir: folder with the four IDX files, each plain or gzip, or with `mnist.npz` (arrays
        x_train, y_train, x_test, y_test). None: the embedded MNIST, whose sha256 is checked too.
      validation_size: how many training images, from the first on, become the validation split.
      train_size: how many of the next ones become the training split; 0 for all of them.

    Raises:
      DatasetError: the folder, a file or a size is not as described here.
    """
    embedded = data_dir is None
    if data_dir == "":  # to pathlib this is the current folder
        raise DatasetError("--data_dir: expected the name of a folder, found ''; give one")
    paths = _find_files(Path(_EMBEDDED_DIR if data_dir is None else data_dir))
    if paths["x_train"].name == _NPZ:
        arrays = _read_npz(paths["x_train"])
    else:
        arrays = {
            key: _read_idx(path, _item_shape(key), _SHA256[key] if embedded else None)
            for key, path in paths.items()
        }
    train = _pair(arrays["x_train"], arrays["y_train"])
    test = _pair(arrays["x_test"], arrays["y_test"])
    if not 0 <= validation_size < len(train):
        raise DatasetError(
            f"--validation_size: expected 0 to {len(train) - 1}, as {arrays['x_train'].source} "
            f"holds {len(train)} training images, found {validation_size}; give a value in between"
        )
    rest = len(train) - validation_size
    if not 0 <= train_size <= rest:
        raise DatasetError(
            f"--train_size: expected 0 to {rest}, as that many training images are left beside "
            f"{validation_size} for validation, found {train_size}; give a value in between"
        )
    end = validation_size + (train_size or rest)
    return Dataset(
        train=Split(train.images[validation_size:end], train.labels[validation_size:end]),
        validation=Split(train.images[:validation_size], train.labels[:validation_size]),
        test=test,
    )


def digest(data: Dataset) -> str:
    """The sha256 of what a training run reads: images and labels, for training and validation."""
    content = hashlib.sha256()
    for split in (data.train, data.validation):
        content.update(f"{len(split)}:".encode())
        for values in (split.images, split.labels.astype("<i4")):
            content.update(np.ascontiguousarray(values).data)
    return content.hexdigest()


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Reads one IDX file, plain or gzip (told by its first two bytes, not by its name).

    Returns:
      Read-only uint8 [N, H, W] (magic number 0x00000803) or uint8 [N] (0x00000801); no size is 0.

    Raises:
      DatasetError: the file cannot be read or is not such a file.
    """
    return _read_idx(Path(path)).values


@dataclass(frozen=True)
class _Source:
    """Where an array comes from, for messages."""

    path: Path
    member: str = ""  # of an npz
    compressed: bool = False

    def __str__(self) -> str:
        return f"{_shown(self.path)}, {self.member}" if self.member else _shown(self.path)

    def error(
        self, offset: int, expected: str, found: object, remedy: str = "replace it by a good copy"
    ) -> DatasetError:
        place = f"byte offset {offset}" + " of the uncompressed content" * self.compressed
        message = f"{self}: {place}: expected {expected}, found {found!s:.200}; {remedy}"
        return DatasetError(" ".join(message.splitlines()))

    @contextmanager
    def reading(self, content: bytes | bytearray, expected: str) -> Iterator[None]:
        """Turns what goes wrong while `content` grows into a DatasetError at its end.

        That offset is exact, save for damaged compressed data: the piece that could not be
        unpacked begins there, and the damage shows up to 64 KiB further on.
        """
        try:
            yield
        except DatasetError:
            raise
        except _READ_ERRORS as error:
            raise self.error(len(content), expected, _reason(error)) from error


@dataclass(frozen=True, eq=False)
class _Array:
    """An array, and where its parts lie in the (uncompressed) content, in bytes."""

    values: np.ndarray
    source: _Source
    shape_offset: int
    values_offset: int


def _shown(path: Path) -> str:
    """The path as it is, or quoted where it would break the line."""
    return str(path) if str(path).isprintable() else repr(str(path))


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{type(error).__name__} ({text})"


def _item_shape(key: str) -> tuple[int, ...]:
    return IMAGE_SHAPE if key.startswith("x_") else ()


def _find_files(folder: Path) -> dict[str, Path]:
    """Maps x_train, y_train, x_test and y_test to the path of the file that holds each."""
    try:
        names = {path.name for path in folder.iterdir()}
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise DatasetError(
            f"{_shown(folder)}: expected a folder that can be listed, found {_reason(error)}; "
            f"give --data_dir a folder with the four IDX files or {_NPZ}"
        ) from error
    found = {}
    for key, name in _IDX.items():
        spellings = (name, name.replace("-idx", ".idx"))
        found[key] = [file for s in spellings for file in (s, f"{s}.gz") if file in names]
    idx_files = [file for files in found.values() for file in files]
    if _NPZ in names and idx_files:
        raise DatasetError(
            f"{_shown(folder)}: expected IDX files or {_NPZ}, found both; "
            f"remove {_NPZ} or remove {', '.join(idx_files)}"
        )
    if _NPZ in names:
        return dict.fromkeys(_IDX, folder / _NPZ)
    for files in found.values():
        if len(files) > 1:
            raise DatasetError(
                f"{_shown(folder)}: expected one of {', '.join(files)}, found {len(files)}; "
                f"keep one and remove the others"
            )
    missing = [_IDX[key] for key, files in found.items() if not files]
    if missing:
        wanted = "the four IDX files" if idx_files else f"the four IDX files or {_NPZ}"
        raise DatasetError(
            f"{_shown(folder)}: expected {wanted}, found no {', '.join(missing)} (plain or .gz); "
            f"add what is missing or give --data_dir another folder"
        )
    return {key: folder / files[0] for key, files in found.items()}


def _first_bytes(path: Path) -> bytes:
    """The first two bytes of a file that must be regular: opening a pipe waits for a writer."""
    source = _Source(path)
    with source.reading(b"", "a readable file"):
        if not stat.S_ISREG(path.stat().st_mode):
            raise source.error(0, "a regular file", "a folder, a pipe or a device")
        with path.open("rb") as file:
            return file.read(2)


def _extend(
    content: bytearray, stream: io.BufferedIOBase, size: int, source: _Source, expected: str
) -> None:
    """Reads until `content` has `size` bytes."""
    while len(content) < size:
        piece = stream.read1(min(_PIECE, size - len(content)))
        if not piece:
            raise source.error(len(content), expected, "the end of the content")
        content += piece


def _expect_end(content: bytearray, stream: io.BufferedIOBase, source: _Source) -> None:
    """Asks for one byte too many, which also makes gzip and zip compare their checksums."""
    if stream.read1(1):
        raise source.error(len(content), "the end of the content", "more bytes")


def _read_idx(
    path: Path, item_shape: tuple[int, ...] | None = None, sha256: str | None = None
) -> _Array:
    """Reads an IDX file of items of shape (28, 28) or (); None: images of any size, or labels."""
    source = _Source(path, compressed=_first_bytes(path) == b"\x1f\x8b")
    content = bytearray()
    opener = gzip.open if source.compressed else open
    with source.reading(content, "readable IDX content"), opener(path, "rb") as file:
        stream = cast(io.BufferedIOBase, file)
        shape = _read_idx_header(content, stream, source, item_shape)
        offset = len(content)
        total = offset + math.prod(shape)
        items = f"{total} bytes ({offset} of header, {' x '.join(map(str, shape))} of values)"
        _extend(content, stream, total, source, items)
        _expect_end(content, stream, source)
    if sha256 and (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise source.error(0, f"content with sha256 {sha256}", digest, "reinstall the package")
    values = np.ndarray(shape, np.uint8, content, offset)
    values.setflags(write=False)
    return _Array(values, source, shape_offset=4, values_offset=offset)


def _read_idx_header(
    content: bytearray,
    stream: io.BufferedIOBase,
    source: _Source,
    item_shape: tuple[int, ...] | None,
) -> tuple[int, ...]:
    ranks = (3, 1) if item_shape is None else (1 + len(item_shape),)
    magic = " or ".join(f"magic number 0x{0x800 + r:08x} (uint8, {r}-D)" for r in ranks)
    _extend(content, stream, 4, source, magic)
    if content[:3] != b"\x00\x00\x08" or content[3] not in ranks:
        raise source.error(0, magic, f"0x{content.hex()}", "put an IDX file of this kind there")
    size = 4 + 4 * content[3]
    _extend(content, stream, size, source, f"a header of {size} bytes")
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    for axis, found in enumerate(shape):
        if found == 0:
            raise source.error(4 + 4 * axis, f"a size of at least 1 for dimension {axis}", found)
        if axis > 0 and item_shape and found != item_shape[axis - 1]:
            raise source.error(4 + 4 * axis, "images of 28 x 28 pixels", f"a side of {found}")
    return shape


def _read_npz(path: Path) -> dict[str, _Array]:
    """Reads the four arrays without numpy.load, which allocates what a header claims."""
    _first_bytes(path)
    with _Source(path).reading(b"", "a zip archive (npz)"), zipfile.ZipFile(path) as archive:
        return {key: _read_npy(archive, key, path) for key in _IDX}


def _read_npy(archive: zipfile.ZipFile, key: str, path: Path) -> _Array:
    source = _Source(path, f"{key}.npy", compressed=True)
    members = [info for info in archive.infolist() if info.filename == source.member]
    if len(members) != 1:
        raise source.error(0, "one array of this name", len(members), _SAVE)
    # numpy writes no other kinds; bzip2 and LZMA can also grow without bound in a single read
    plain = members[0].compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not plain or members[0].flag_bits & 1:
        found = "an encrypted array" if plain else "another compression"
        raise source.error(0, "a stored or deflated array", found, _SAVE)
    content = bytearray()
    with source.reading(content, "a readable array"), archive.open(members[0]) as file:
        stream = cast(zipfile.ZipExtFile, file)
        shape, fortran_order, dtype = _read_npy_header(content, stream, source, _item_shape(key))
        offset = len(content)
        total = offset + math.prod(shape) * dtype.itemsize
        _extend(content, stream, total, source, f"{total} bytes (shape {list(shape)}, {dtype})")
        _expect_end(content, stream, source)
    values = np.ndarray(shape, dtype, content, offset, order="F" if fortran_order else "C")
    values = np.ascontiguousarray(values)
    values.setflags(write=False)
    return _Array(values, source, shape_offset=10, values_offset=offset)


def _read_npy_header(
    content: bytearray, stream: io.BufferedIOBase, source: _Source, item_shape: tuple[int, ...]
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads a .npy header, version 1.0: the later versions serve structured arrays only."""
    magic = b"\x93NUMPY\x01\x00"
    _extend(content, stream, 10, source, "10 bytes of .npy magic and header size")
    if content[:8] != magic:
        raise source.error(0, f".npy magic {magic!r}", bytes(content[:8]), _SAVE)
    size = 10 + int.from_bytes(content[8:10], "little")
    _extend(content, stream, size, source, f"a .npy header of {size} bytes")
    try:
        header = np.lib.format.read_array_header_1_0(io.BytesIO(content[8:]))
    except Exception as error:  # numpy evaluates the text as a literal: nearly anything can come
        raise source.error(10, "a valid .npy header", _reason(error)) from error
    shape, _, dtype = header
    kind = "uint8 images of shape [N, 28, 28]" if item_shape else "integer labels of shape [N]"
    typed = dtype == np.uint8 if item_shape else dtype.kind in "iu"
    if not typed or shape[1:] != item_shape or shape < (1,):
        raise source.error(10, f"{kind}, N at least 1", f"{dtype} {list(shape)}", _SAVE)
    return header


def _pair(images: _Array, labels: _Array) -> Split:
    """Joins images and labels after checking that they belong together."""
    if len(images.values) != len(labels.values):
        expected = f"{len(images.values)} labels, one for each image in {images.source}"
        raise labels.source.error(
            labels.shape_offset, expected, len(labels.values), "put the matching file there"
        )
    wrong = np.flatnonzero((labels.values < 0) | (labels.values >= NUM_CLASSES))
    if wrong.size:
        index = int(wrong[0])
        offset = labels.values_offset + index * labels.values.itemsize
        found = f"{labels.values[index]} (label number {index})"
        raise labels.source.error(offset, f"a label from 0 to {NUM_CLASSES - 1}", found)
    values = labels.values.astype(np.int32)
    values.setflags(write=False)
    return Split(images.values, values)
