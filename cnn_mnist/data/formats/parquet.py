"""Parquet files with a column of pictures and a column of labels, as Hugging Face has them.

A picture is a struct with the field `bytes`, or bytes: a PNG, JPEG or BMP file. Labels are
integers. The classes' names are in the file's metadata, if Hugging Face wrote it. Needs `pyarrow`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_mnist.data import pictures
from cnn_mnist.data.formats.parts import MAX_CLASSES, Part, Parts
from cnn_mnist.data.places import File, Place
from cnn_mnist.data.sources import MAX_EXAMPLES, Array, DatasetError, Source
from cnn_mnist.utils.errors import reason

IMAGES = ("image", "img", "picture")  # names of the pictures' column
LABELS = ("label", "labels", "fine_label", "class", "target")
SPLIT = re.compile(r"(?:^|[-_./])(train|test|valid|validation|val|dev)(?=[-_.])")
SPLITS = {"train": "train", "test": "test"}  # all others are validation
ROWS_AT_ONCE = 256
MAX_BYTES = 2 << 30  # of all pictures' files of a split
MAX_DEEP = 64 << 10  # bytes of metadata that name the classes
EXTRA = "install it: pip install 'cnn_mnist[parquet]'"


def claims(place: Place) -> list[File]:
    """The files named .parquet."""
    return [file for file in place.files if file.base.lower().endswith(".parquet")]


@dataclass(frozen=True)
class _Cell:
    """A picture in a row of a table."""

    file: File
    row: int
    content: bytes

    def source(self) -> Source:
        return self.file.source(f"row {self.row}")

    def whole(self, most: int) -> bytes:
        if len(self.content) > most:
            raise self.source().error_at("", f"at most {most} bytes", len(self.content))
        return self.content


def read(place: Place) -> Parts:
    """Reads all files of a data set, the parts of a split in the order of their names.

    Raises:
      DatasetError: pyarrow is missing, a file is damaged, or has no such columns.
    """
    files = claims(place)
    try:
        import pyarrow  # noqa: F401 - an extra of the package
    except ImportError:
        raise place.error("pyarrow, which reads parquet", "none installed", EXTRA) from None
    found: dict[str, list[File]] = {}
    for file in files:
        match = SPLIT.search(file.base) or SPLIT.search(file.name)
        word = match[1] if match else "train"
        found.setdefault(SPLITS.get(word, "validation"), []).append(file)
    if "train" not in found:
        others = ", ".join(file.name for file in files[:5])
        raise place.error("a file of training images", others, "add it, or rename the file")
    names: dict[int, str] | None = None
    cells: dict[str, list[_Cell]] = {}
    labels: dict[str, list[int]] = {}
    for split in ("train", "validation", "test"):
        for file in found.get(split, []):
            named = _read_file(file, cells.setdefault(split, []), labels.setdefault(split, []))
            names = names or named
    images, told = pictures.stack([cell for several in cells.values() for cell in several])
    splits: dict[str, Part] = {}
    start = 0
    for split, several in cells.items():
        end = start + len(several)
        splits[split] = Part(
            Array(images[start:end], several[0].source()),
            Array(np.array(labels[split], np.int64), found[split][0].source(), item=_item(several)),
        )
        start = end
    return Parts(splits, names, told=told)


def _item(cells: list[_Cell]) -> Any:
    return lambda index: f"row {cells[index].row}"


def _read_file(file: File, cells: list[_Cell], labels: list[int]) -> dict[int, str] | None:
    """Adds the rows of a file; returns the classes' names, if it tells them."""
    import pyarrow
    from pyarrow import parquet

    source = file.source()
    try:
        raw = io.BytesIO(file.whole())
        with parquet.ParquetFile(raw, page_checksum_verification=True) as table:
            if not 1 <= table.metadata.num_rows <= MAX_EXAMPLES:
                expected = f"1 to {MAX_EXAMPLES} rows"
                raise source.error_at("", expected, table.metadata.num_rows, "take fewer")
            image, label = _columns(source, table.schema_arrow)
            before = len(cells)
            for row, content, number in _rows(table, image, label):
                place = f"row {row}"
                if not isinstance(content, bytes):
                    raise source.error_at(place, f"a picture in column {image}", "nothing")
                if type(number) is not int or not -(2**31) <= number < 2**31:
                    raise source.error_at(place, f"an integer in column {label}", number)
                cells.append(_Cell(file, row, content))
                labels.append(number)
                if len(cells) > MAX_EXAMPLES or len(content) > pictures.MAX_FILE:
                    raise source.error_at(place, f"at most {MAX_EXAMPLES} rows", "more")
            if len(cells) - before != table.metadata.num_rows:
                found = len(cells) - before
                raise source.error_at("", f"{table.metadata.num_rows} rows", found)
            return _names(table.schema_arrow, label)
    except DatasetError:
        raise
    # Of damaged files pyarrow raises its own errors, OSError, and others.
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, MemoryError) as error:
        raise source.error_at("", "a readable parquet file", reason(error)) from error


def _columns(source: Source, schema: Any) -> tuple[str, str]:
    """The names of the columns of pictures and of labels."""
    from pyarrow import types

    def is_picture(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(f.name == "bytes" and types.is_binary(f.type) for f in kind)
        return types.is_binary(kind)

    images = [f.name for f in schema if f.name in IMAGES and is_picture(f.type)]
    labels = [f.name for f in schema if f.name in LABELS and types.is_integer(f.type)]
    if len(images) != 1 or len(labels) != 1:
        columns = ", ".join(f"{f.name} ({f.type})" for f in schema)
        expected = f"a column {IMAGES[0]} of bytes and a column {LABELS[0]} of integers"
        raise source.error_at("", expected, columns, "rename the columns")
    return images[0], labels[0]


def _rows(table: Any, image: str, label: str) -> Iterator[tuple[int, Any, Any]]:
    """Number, picture and label of each row."""
    row, size = 0, 0
    for batch in table.iter_batches(ROWS_AT_ONCE, columns=[image, label]):
        column = batch.column(batch.schema.get_field_index(image))
        if hasattr(column, "field"):
            column = column.field("bytes")
        size += column.nbytes
        if size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes of pictures")
        numbers = batch.column(batch.schema.get_field_index(label)).to_pylist()
        for content, number in zip(column.to_pylist(), numbers, strict=True):
            yield row, content, number
            row += 1


def _names(schema: Any, label: str) -> dict[int, str] | None:
    """The classes' names as Hugging Face notes them; None if there are none."""
    text = (schema.metadata or {}).get(b"huggingface", b"")
    try:
        names = json.loads(text[:MAX_DEEP])["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    right = isinstance(names, list) and 2 <= len(names) <= MAX_CLASSES
    if not right or len({str(name) for name in names}) < len(names):
        return None
    return {number: str(name) for number, name in enumerate(names)}
