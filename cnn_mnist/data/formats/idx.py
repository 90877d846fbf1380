"""IDX files, plain or gzip: images of any size, labels from any base.

An IDX file is a header and then the values, row by row. The header is the magic number (two zero
bytes, the element type, the number of dimensions) and one big-endian uint32 per dimension.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".

A data set is four files whose names tell what they are: MNIST, Fashion-MNIST and KMNIST have the
same, EMNIST's and QMNIST's begin with the name of the set. QMNIST's labels are rows of eight
numbers, of which the first is the class. Source: C. Yadav, L. Bottou, "Cold Case: The Lost MNIST
Digits".
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnn_mnist.data.formats import emnist
from cnn_mnist.data.formats.parts import MAX_VALUES, Part, Parts
from cnn_mnist.data.places import File, Place, file_on_disk
from cnn_mnist.data.sources import Array, Source, check_count

NAME = re.compile(
    r"(?P<set>.*?)(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[0-9]-(?:ubyte|int)"
    r"(?P<gzip>\.gz)?"
)
FILES = {  # array -> the file that holds it, as MNIST's are named
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
QMNIST_COLUMNS = 8
# Third and fourth byte of a magic number -> what it says; for images and for labels.
IMAGES = {0x803: "(uint8, 3-D)", 0x804: "(uint8, 4-D)"}
LABELS = {0x801: "(uint8, 1-D)", 0xC01: "(int32, 1-D)", 0xC02: "(int32, 2-D)"}
TYPES: dict[int, np.dtype] = {0x8: np.dtype(np.uint8), 0xC: np.dtype(">i4")}


def claims(place: Place) -> list[File]:
    """The files with the names of IDX files."""
    return [file for file in place.files if NAME.fullmatch(file.base)]


def read(place: Place) -> Parts:
    """Reads the four files of a data set.

    Raises:
      DatasetError: a file is missing, or is no such file, or there are several data sets.
    """
    found = _one_set(place)
    arrays: dict[str, Array] = {}
    for key in ("y_train", "x_train", "y_test", "x_test"):  # images after their labels
        first, *others = found[key]
        labels = arrays.get(f"y{key[1:]}")
        kinds = IMAGES if key.startswith("x") else LABELS
        arrays[key] = read_array(first, kinds, labels)
        for other in others:
            copy = read_array(other, kinds, labels)
            if not np.array_equal(copy.values, arrays[key].values):
                expected = f"the same content in {other.name} and {first.name}"
                remedy = "keep the right one and remove the other"
                raise place.error(expected, "another", remedy)
    splits = {
        split: Part(arrays[f"x_{split}"], _labels(arrays[f"y_{split}"]))
        for split in ("train", "test")
    }
    told = []
    if arrays["y_train"].values.ndim == 2:
        told.append("the labels are rows of eight numbers, as QMNIST's: the first is the class")
    name = emnist.of(found["x_train"][0])
    if name:
        told.append(emnist.TOLD)
    return Parts(splits, emnist.names(place, name) if name else None, bool(name), told)


def _one_set(place: Place) -> dict[str, list[File]]:
    """The files of each array; of a set whose names or folders are its own."""
    sets: dict[tuple[str, str], dict[str, list[File]]] = {}
    for file in claims(place):
        match = NAME.fullmatch(file.base)
        assert match
        key = f"{'x' if match['kind'] == 'images' else 'y'}_"
        key += "train" if match["split"] == "train" else "test"
        files = sets.setdefault((_folder_of(file), match["set"]), {key: [] for key in FILES})
        files[key].append(file)
    whole = [name for name, files in sets.items() if all(files.values())]
    if len(whole) > 1:
        names = ", ".join("/".join(filter(None, name)) or "the files in it" for name in whole)
        remedy = f"give one of them: --data_dir={place.path}/..., as its names begin"
        raise place.error("one data set", f"{len(whole)}: {names}", remedy)
    if whole:
        return sets[whole[0]]
    (_, name), files = max(sets.items(), key=lambda entry: sum(map(bool, entry[1].values())))
    missing = ", ".join(_named(name, key) for key in FILES if not files[key])
    raise place.error(
        "the four IDX files",
        f"no {missing} (plain or .gz)",
        "add what is missing or give --data_dir another folder",
    )


def _folder_of(file: File) -> str:
    """The folder, without one that has the file's own name, as some archives unpack."""
    above, _, last = file.folder.rpartition("/")
    match = NAME.fullmatch(last)
    return (
        above
        if match and last.replace(".idx", "-idx") in file.base.replace(".idx", "-idx")
        else file.folder
    )


def _named(name: str, key: str) -> str:
    if not name:
        return FILES[key]
    return name + FILES[key].replace("t10k", "test")


def _labels(labels: Array) -> Array:
    """The first column of QMNIST's labels, or the labels as they are."""
    if labels.values.ndim == 1:
        return labels
    columns, start = labels.values.shape[1], labels.values_offset
    return Array(
        labels.values[:, 0],
        labels.source,
        labels.shape_offset,
        start,
        lambda index: labels.source.offset(start + index * columns * labels.values.itemsize),
    )


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Reads one IDX file, plain or gzip (told by its first two bytes, not by its name).

    Returns:
      Read-only uint8 [N, H, W] (magic number 0x00000803), uint8 [N, H, W, C] (0x00000804), uint8
      [N] (0x00000801), int32 [N] (0x00000c01) or int32 [N, 8] (0x00000c02); no size is 0.

    Raises:
      DatasetError: the file cannot be read or is not such a file.
    """
    return read_array(file_on_disk("", Path(path)), IMAGES | LABELS).values


def read_array(
    file: File,
    kinds: Mapping[int, str],
    labels: Array | None = None,
    sha256: str | None = None,
) -> Array:
    """Reads an IDX file of one of some kinds, `IMAGES` or `LABELS`.

    `labels` are those of its images, if it holds images; `sha256` is what the uncompressed content
    must have, None for any.
    """
    with file.unpacked("readable IDX content") as (source, stream):
        content = source.content
        dtype, shape = _read_header(source, stream, kinds)
        check_count(shape[0], 4, source, labels)
        if math.prod(shape) > MAX_VALUES:
            raise source.error(4, f"at most {MAX_VALUES} values", f"the shape {list(shape)}")
        offset = len(content)
        total = offset + math.prod(shape) * dtype.itemsize
        items = f"{total} bytes ({offset} of header, {' x '.join(map(str, shape))} of values)"
        source.extend_to_end(stream, total, items)
    if sha256 and (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise source.error(0, f"content with sha256 {sha256}", digest, "reinstall the package")
    values = np.ndarray(shape, dtype, content, offset)
    values = values.astype(dtype.newbyteorder("="), copy=False)
    values.setflags(write=False)
    return Array(values, source, shape_offset=4, values_offset=offset)


def _read_header(
    source: Source, stream: io.BufferedIOBase, kinds: Mapping[int, str]
) -> tuple[np.dtype, tuple[int, ...]]:
    content = source.content
    magic = " or ".join(f"magic number 0x{kind:08x} {name}" for kind, name in kinds.items())
    source.extend(stream, 4, magic)
    kind = int.from_bytes(content, "big")
    if kind not in kinds:
        raise source.error(0, magic, f"0x{content.hex()}", "put an IDX file of this kind there")
    rank = kind & 0xFF
    size = 4 + 4 * rank
    source.extend(stream, size, f"a header of {size} bytes")
    shape = struct.unpack_from(f">{rank}I", content, 4)
    for axis, found in enumerate(shape):
        if found == 0:
            raise source.error(4 + 4 * axis, f"a size of at least 1 for dimension {axis}", found)
    if kind == 0xC02 and shape[1] != QMNIST_COLUMNS:
        raise source.error(8, f"{QMNIST_COLUMNS} numbers for each image, as QMNIST has", shape[1])
    if kind == 0x804 and shape[3] not in (1, 3):
        raise source.error(16, "images of 1 or 3 channels", shape[3])
    return TYPES[kind >> 8], shape
