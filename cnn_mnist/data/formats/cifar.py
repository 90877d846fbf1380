"""CIFAR-10 and CIFAR-100 in their binary form: records of labels and 3 x 32 x 32 bytes.

A record of CIFAR-10 begins with one label, that of CIFAR-100 with two, of which the second, the
fine one, is the class. Red, green and blue come one after another.
Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" and its web page.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnn_mnist.data.formats.parts import Part, Parts
from cnn_mnist.data.places import File, Place
from cnn_mnist.data.sources import MAX_EXAMPLES, PIECE, Array, DatasetError

SIDE, CHANNELS = 32, 3
PIXELS = CHANNELS * SIDE * SIDE
MAX_NAMES = 1 << 16  # bytes of the list of the classes' names


class Kind(NamedTuple):
    """One of the two data sets."""

    train: tuple[str, ...]  # its files
    test: tuple[str, ...]
    labels: int  # of a record; the last one is the class
    classes: int
    names: str  # the file that names the classes, one a line


KINDS = (
    Kind(
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        ("test_batch.bin",),
        1,
        10,
        "batches.meta.txt",
    ),
    Kind(("train.bin",), ("test.bin",), 2, 100, "fine_label_names.txt"),
)


def claims(place: Place) -> list[File]:
    """The files of CIFAR-10 or CIFAR-100, by their names; of the latter both must be there."""
    for kind in KINDS:
        files = [file for file in place.files if file.base in (*kind.train, *kind.test)]
        if len({file.base for file in files}) > 1 or kind is KINDS[0] and files:
            return files
    return []


def read(place: Place) -> Parts:
    """Reads the records of all files.

    Raises:
      DatasetError: a file is missing, twice there, cut off, or has a label out of range.
    """
    files = claims(place)
    kind = next(kind for kind in KINDS if files[0].base in (*kind.train, *kind.test))
    found: dict[str, File] = {}
    for file in files:
        if file.base in found:
            names = f"{found[file.base].name} and {file.name}"
            raise place.error("each file once", names, "give --data_dir one of the folders")
        found[file.base] = file
    if missing := [name for name in (*kind.train, *kind.test) if name not in found]:
        expected = f"the files of CIFAR-{kind.classes} in binary form"
        raise place.error(expected, f"no {', '.join(missing)}", "add what is missing")
    splits = {
        split: _part([found[name] for name in names], kind)
        for split, names in (("train", kind.train), ("test", kind.test))
    }
    named = [file for file in place.files if file.base == kind.names]
    return Parts(splits, _names(named[0], kind) if named else _by_number(kind))


def _part(files: list[File], kind: Kind) -> Part:
    size = kind.labels + PIXELS
    starts, rows = [0], []
    for file in files:
        rows.append(_records(file, kind, size))
        starts.append(starts[-1] + len(rows[-1]))
    every = np.concatenate(rows)
    images = every[:, kind.labels :].reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
    source = files[0].source()

    def place(index: int) -> str:
        return f"record {index} of the files"

    return Part(
        Array(np.ascontiguousarray(images), source, item=place),
        Array(every[:, kind.labels - 1], source, item=place),
    )


def _records(file: File, kind: Kind, size: int) -> np.ndarray:
    """The records of a file, uint8 [N, size], labels checked."""
    source = file.source()
    with source.reading("readable records"), file.open() as stream:
        while piece := stream.read1(PIECE):
            source.content.extend(piece)
            if len(source.content) > MAX_EXAMPLES // 5 * size:
                raise source.error(len(source.content), "fewer records", "more bytes")
    count, rest = divmod(len(source.content), size)
    if rest or not count:
        expected = f"records of {size} bytes ({kind.labels} of labels, {PIXELS} of pixels)"
        found = f"the end of the content, {rest} bytes after {count} records"
        raise source.error(len(source.content), expected, found)
    records = np.frombuffer(source.content, np.uint8).reshape(count, size)
    labels = records[:, kind.labels - 1]
    if wrong := np.flatnonzero(labels >= kind.classes).tolist():
        index = wrong[0]
        offset = index * size + kind.labels - 1
        expected = f"a label from 0 to {kind.classes - 1}"
        raise source.error(offset, expected, f"{labels[index]} (record number {index})")
    return records


def _by_number(kind: Kind) -> dict[int, str]:
    return {label: str(label) for label in range(kind.classes)}


def _names(file: File, kind: Kind) -> dict[int, str]:
    text = bytes(file.whole(MAX_NAMES)).decode("utf-8", "replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(names) != kind.classes or len(set(names)) != len(names):
        raise _wrong_names(file, kind, names)
    return dict(enumerate(names))


def _wrong_names(file: File, kind: Kind, names: list[str]) -> DatasetError:
    expected = f"{kind.classes} different names, one a line"
    return file.source().error_at("", expected, f"{len(set(names))}")
