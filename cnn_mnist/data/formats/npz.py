"""NumPy's `.npz`: the arrays of a data set in one zip archive, or KMNIST's four of one array each.

The arrays of a split are told by their names, such as `x_train` and `y_train`, in any case.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from cnn_mnist.data.formats.parts import Part, Parts, check_images, check_labels, plain_labels
from cnn_mnist.data.places import File, Place, check_list, check_member
from cnn_mnist.data.sources import Array, Source, check_count
from cnn_mnist.utils.errors import reason

# How the arrays are named: images and labels of a split, "{}" for its name.
PAIRS = (
    ("x_{}", "y_{}"),
    ("{}_x", "{}_y"),
    ("{}_images", "{}_labels"),
    ("images_{}", "labels_{}"),
    ("{}_data", "{}_labels"),
)
WITHOUT_SPLIT = (("images", "labels"), ("x", "y"), ("data", "labels"), ("images", "target"))
SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
# KMNIST and Kuzushiji-49: four files, each with the array arr_0.
OF_FOUR = re.compile(r"(?P<set>.+?)-(?P<split>train|test)-(?P<kind>imgs|labels)\.npz")
MAX_LIST = 1 << 20  # bytes of the list of members; four take 250
SAVE = "save it anew with numpy.savez"

Check = Callable[[Source, int, Sequence[int], np.dtype], None]


def claims(place: Place) -> list[File]:
    """The files named .npz."""
    return [file for file in place.files if file.base.lower().endswith(".npz")]


def read(place: Place) -> Parts:
    """Reads the arrays of all splits without `numpy.load`, which allocates what a header claims.

    Raises:
      DatasetError: an array is missing or none of a data set, or there are several data sets.
    """
    files = claims(place)
    fours = {file: OF_FOUR.fullmatch(file.base.lower()) for file in files}
    if all(fours.values()):
        return _read_four(place, {file: m for file, m in fours.items() if m})
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:5])
        remedy = f"give one of them: --data_dir={place.path}/{files[0].name}"
        raise place.error("one .npz file", f"{len(files)}: {names}", remedy)
    with _Archive(files[0]) as archive:
        return _read_one(files[0], archive)


def _read_one(file: File, archive: _Archive) -> Parts:
    names = archive.names()
    splits: dict[str, Part] = {}
    for pair, split in _pairs(names):
        images, labels = (names.get(name, name) for name in pair)
        read = archive.array(labels, check_labels)
        splits[split] = Part(archive.array(images, check_images, read), plain_labels(read))
    if "train" not in splits:
        found = ", ".join(sorted(names.values())) or "no array"
        expected = "the arrays x_train, y_train, x_test and y_test, or as docs/data.md names them"
        raise file.source().error_at("", expected, f"{found:.150}", SAVE)
    return Parts(splits)


def _pairs(names: dict[str, str]) -> list[tuple[tuple[str, str], str]]:
    """Which arrays are images and labels of which split; of a pair one may be missing."""
    for images, labels in PAIRS:
        pairs = [
            ((images.format(word), labels.format(word)), split)
            for split, words in SPLITS.items()
            for word in words
            if {images.format(word), labels.format(word)} & names.keys()
        ]
        if pairs:
            return pairs
    return [(pair, "train") for pair in WITHOUT_SPLIT if set(pair) <= names.keys()][:1]


def _read_four(place: Place, files: dict[File, re.Match[str]]) -> Parts:
    sets = {match["set"] for match in files.values()}
    found = {(m["split"], m["kind"]): file for file, m in files.items()}
    missing = [
        f"{min(sets)}-{split}-{kind}.npz"
        for split in ("train", "test")
        for kind in ("imgs", "labels")
        if (split, kind) not in found
    ]
    if len(sets) > 1 or len(found) < len(files):
        names = ", ".join(sorted(file.name for file in files))
        remedy = f"give one of them: --data_dir={place.path}/..., as its names begin"
        raise place.error("the four files of one data set", names, remedy)
    if missing:
        raise place.error("four files", f"no {', '.join(missing)}", "add what is missing")
    splits = {}
    for split in ("train", "test"):
        with _Archive(found[split, "labels"]) as archive:
            labels = archive.array("arr_0", check_labels)
        with _Archive(found[split, "imgs"]) as archive:
            splits[split] = Part(archive.array("arr_0", check_images, labels), plain_labels(labels))
    return Parts(splits)


class _ZipFile(io.BufferedReader):
    """A file of which `zipfile` cannot read the list of members at whatever size it claims."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_LIST:
            raise zipfile.BadZipFile(f"{size} bytes at once, at most {MAX_LIST}")
        return super().read(size)


class _Archive:
    """The arrays of an open npz file."""

    def __init__(self, file: File) -> None:
        self._file = file
        raw: Any = io.BytesIO(file.whole()) if file.member else file.open()
        with file.source().reading("a zip archive (npz)"):
            self._stream = _ZipFile(raw)
            self._zip = zipfile.ZipFile(self._stream)
            check_list(file.source(), self._stream, self._zip)

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def names(self) -> dict[str, str]:
        """The arrays' names, by the same in small letters."""
        members = (info.filename for info in self._zip.infolist())
        return {
            name.lower(): name
            for member in members
            if member.endswith(".npy") and (name := member.removesuffix(".npy"))
        }

    def array(self, key: str, check: Check, labels: Array | None = None) -> Array:
        """Reads an array that a check of its header lets through."""
        source = self._file.source(f"{key}.npy", compressed=True)
        members = [info for info in self._zip.infolist() if info.filename == f"{key}.npy"]
        if len(members) != 1:
            raise source.error(0, "one array of this name", len(members), SAVE)
        check_member(source, members[0], SAVE)
        with source.reading("a readable array"), self._zip.open(members[0]) as file:
            stream = cast(zipfile.ZipExtFile, file)
            shape, fortran_order, dtype = _read_header(source, stream)
            check(source, 10, shape, dtype)
            check_count(shape[0], 10, source, labels)
            offset = len(source.content)
            total = offset + math.prod(shape) * dtype.itemsize
            source.extend_to_end(stream, total, f"{total} bytes (shape {list(shape)}, {dtype})")
        order: Any = "F" if fortran_order else "C"
        values = np.ascontiguousarray(np.ndarray(shape, dtype, source.content, offset, order=order))
        values.setflags(write=False)
        return Array(values, source, shape_offset=10, values_offset=offset)


def _read_header(
    source: Source, stream: io.BufferedIOBase
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads a .npy header, version 1.0: the later versions serve structured arrays only."""
    content, magic = source.content, b"\x93NUMPY\x01\x00"
    source.extend(stream, 10, "10 bytes of .npy magic and header size")
    if content[:8] != magic:
        raise source.error(0, f".npy magic {magic!r}", bytes(content[:8]), SAVE)
    size = 10 + int.from_bytes(content[8:10], "little")
    source.extend(stream, size, f"a .npy header of {size} bytes")
    try:
        shape, order, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(content[8:]))
    except (MemoryError, RecursionError) as error:  # by which Python refuses deeply nested text
        raise source.error(10, "a valid .npy header", "one nested too deeply") from error
    except Exception as error:  # numpy evaluates the text as a literal: nearly anything can come
        raise source.error(10, "a valid .npy header", reason(error)) from error
    return tuple(map(int, shape)), order, dtype  # NumPy lets True pass
