"""CSV and TSV files, plain or gzip: an image a line, a label and then its pixels, or before it.

The first line may name the columns. The label's column is the first or the last: the one that is
named so, or that holds text, or, without a header, the one of the two whose values change: in the
corner of a picture nearly all images have the same value.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cnn_mnist.data.formats import emnist
from cnn_mnist.data.formats.parts import MAX_BYTES, MAX_VALUES, Part, Parts
from cnn_mnist.data.places import File, Place, natural
from cnn_mnist.data.sources import MAX_EXAMPLES, PIECE, READ_ERRORS, Array, DatasetError, Source
from cnn_mnist.utils.errors import reason

NAME = re.compile(r".*\.(csv|tsv)(\.gz)?", re.IGNORECASE)
SPLITS = {
    "validation": re.compile(r"(^|[-_. ])(val|valid|validation|dev)([-_. 0-9]|$)", re.IGNORECASE),
    "test": re.compile(r"(^|[-_. ]|mnist)(test|testing|t10k)([-_. 0-9]|$)", re.IGNORECASE),
    "train": re.compile(r"(^|[-_. ]|mnist)(train|training)([-_. 0-9]|$)", re.IGNORECASE),
}
LABELS = ("label", "labels", "class", "classes", "y", "target")  # names of a label's column
SEPARATORS = (",", "\t", ";")
LEAST_COLUMNS = 1 + 4 * 4  # of a table of pictures
MAX_LINE = 4 << 20  # bytes
AT_ONCE = 512  # lines parsed at once
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.0*)?")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
SAME = 0.95  # share of images that have the same value in a corner


class Layout(NamedTuple):
    """What the lines of a file are like."""

    separator: str
    columns: int
    header: bool
    label: int | None  # column of the label: 0 or -1; None: the values must tell
    labelled: bool = True  # False: the header names no label, and every column is a pixel


@dataclass
class Table:
    """What is read of a file."""

    source: Source
    first_line: int
    pixels: np.ndarray  # uint8 or float32 [N, P]
    labels: list[str] | np.ndarray  # [N]

    @property
    def columns(self) -> int:
        """How many columns it has, with the label's."""
        return self.pixels.shape[1] + 1

    def item(self, index: int) -> str:
        """The line of an image."""
        return f"line {self.first_line + index}"


def claims(place: Place) -> list[File]:
    """The files named .csv or .tsv, also .gz, whose first line has as many fields as a picture.

    If there is one, also those that are named as a split: one of these may be damaged.
    """
    files = [file for file in place.files if NAME.fullmatch(file.base)]
    wide = [file for file in files if is_wide(file)]
    return [file for file in files if file in wide or (wide and _split_of(file))]


def is_wide(file: File) -> bool:
    """Whether the first line may be that of a table of pictures."""
    line = file.start(MAX_LINE // 4).partition(b"\n")[0]
    return max(line.count(s.encode()) for s in SEPARATORS) >= LEAST_COLUMNS - 1


def read(place: Place) -> Parts:
    """Reads a file for training and, if there is one, files for testing and validation.

    Raises:
      DatasetError: a line with other columns, a value that is no number, files that are unclear.
    """
    told: list[str] = []
    tables: dict[str, Table] = {}
    files = _by_split(place)
    for split, file in files.items():
        table = _read_table(file)
        if isinstance(table, int) and (
            "train" not in tables or table != tables["train"].columns - 1
        ):
            expected = f"a column named {', '.join(LABELS[:3])} first or last"
            remedy = "add the labels, or rename their column"
            raise file.source().error_at("line 1", expected, "none of them", remedy)
        if isinstance(table, int):
            told.append(f"{file.name} has no labels: it is left out")
        else:
            tables[split] = table
    names, numbers = _labels(tables)
    splits = {
        split: Part(
            Array(table.pixels, table.source, item=table.item),
            Array(numbers[split], table.source, item=table.item),
        )
        for split, table in tables.items()
    }
    for split, part in splits.items():
        _check_square(part.images, files[split])
    name = emnist.of(files["train"])
    if name:
        told.append(emnist.TOLD)
        names = emnist.names(place, name)
    return Parts(splits, names, bool(name), told)


def _check_square(images: Array, file: File) -> None:
    columns = images.values.shape[1]
    if math.isqrt(columns) ** 2 != columns:
        expected = "a label and as many pixels as a square picture has, such as 1 + 784"
        found = f"{columns + 1} columns, of which {columns} would be pixels"
        raise file.source().error_at(
            "line 1", expected, found, "save square pictures of one channel"
        )


def _split_of(file: File) -> str:
    """The split that a file's name tells; empty: none."""
    stem = re.sub(NAME.pattern[2:], "", file.base, flags=re.IGNORECASE)
    return next((name for name, pattern in SPLITS.items() if pattern.search(stem)), "")


def _by_split(place: Place) -> dict[str, File]:
    files = claims(place)
    found: dict[str, list[File]] = {}
    for file in files:
        found.setdefault(_split_of(file) or "train", []).append(file)
    for split, several in found.items():
        if len(several) > 1:
            names = ", ".join(file.name for file in several[:5])
            remedy = "leave one there, or give --data_dir the file itself"
            raise place.error(f"one file of {split} images", f"{len(several)}: {names}", remedy)
    if "train" not in found:
        names = ", ".join(file.name for file in files[:5])
        raise place.error("a file of training images", names, "add it, or rename the file")
    return {split: found[split][0] for split in ("train", "validation", "test") if split in found}


# Lines


def _lines(file: File) -> Iterator[tuple[Source, str]]:
    """The lines of a file, and where they come from."""
    with file.unpacked("readable text") as (source, stream):
        rest, number = b"", 0
        while True:
            piece = _piece(source, stream, number + 1)
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for line in lines if piece else [*lines, rest][: len(lines) + bool(rest)]:
                number += 1
                yield source, _text(source, line, number)
            if not piece:
                return
            if len(rest) > MAX_LINE:
                place = f"line {number + 1}"
                raise source.error_at(place, f"at most {MAX_LINE} bytes", "more")


def _piece(source: Source, stream: io.BufferedIOBase, line: int) -> bytes:
    try:
        return stream.read1(PIECE)
    except READ_ERRORS as error:
        raise source.error_at(f"from line {line} on", "readable text", reason(error)) from error


def _text(source: Source, line: bytes, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{line[error.start]:02x} at character {error.start}"
        raise source.error_at(f"line {number}", "text in UTF-8", found) from None
    return text.removesuffix("\r")


def _fields(text: str, separator: str) -> list[str]:
    return [_bare(field) for field in text.split(separator)]


def _bare(field: str) -> str:
    field = field.strip()
    return field[1:-1].strip() if len(field) > 1 and field[0] == field[-1] == '"' else field


def _layout(source: Source, first: str, second: str) -> Layout:
    """What the first two lines tell; `second` is empty if there is none."""
    separator = max(SEPARATORS, key=first.count)
    fields = _fields(first, separator)
    columns = len(fields)
    if columns < LEAST_COLUMNS:
        expected = f"at least {LEAST_COLUMNS} columns, a label and pixels"
        raise source.error_at("line 1", expected, columns)
    numbers = [NUMBER.fullmatch(field) is not None for field in fields]
    ends = {0: fields[0].lower(), -1: fields[-1].lower()}
    named = [column for column, name in ends.items() if name in LABELS]
    if named or not any(numbers[1:-1]):
        if len(named) > 1:
            raise source.error_at("line 1", "one column of labels", f"{ends[0]} and {ends[-1]}")
        if fields[0] == "":
            remedy = "save it without the numbers of its rows (pandas: index=False)"
            raise source.error_at("line 1", "a name for each column", "none first", remedy)
        return Layout(separator, columns, True, named[0] if named else None, bool(named))
    text = [column for column in (0, -1) if not numbers[column]]
    if len(text) > 1:
        found = f"{fields[0]!r} and {fields[-1]!r}"
        raise source.error_at("line 1", "numbers, and text in one column at most", found)
    return Layout(separator, columns, False, text[0] if text else None)


def _read_table(file: File) -> Table | int:
    """Reads a file; if its header names no label, only how many columns it has."""
    lines = _lines(file)
    source, first = next(lines, (file.source(), ""))
    layout = _layout(source, first, "")
    if layout.header and not layout.labelled:
        for number, (_, line) in enumerate(lines, start=2):  # is it so in the lines, too?
            if line.strip() and line.count(layout.separator) != layout.columns - 1:
                raise _wrong_line(source, [line], number, layout)
        return layout.columns
    width = layout.columns - 1
    blocks: list[np.ndarray] = []
    labels: list[str] = []
    size = 0
    number = first_line = 1 + layout.header
    block: list[str] = [] if layout.header else [first]
    for _, line in lines:
        block.append(line)
        if len(block) == AT_ONCE:
            number = _parse(source, block, number, layout, blocks, labels)
            size += blocks[-1].nbytes
            rows = number - first_line
            if rows > MAX_EXAMPLES or rows * width > MAX_VALUES or size > MAX_BYTES:
                expected = f"at most {MAX_EXAMPLES} lines, {MAX_VALUES} values, {MAX_BYTES} bytes"
                raise source.error_at(f"line {number}", expected, "more", "take fewer")
            block = []
    while block and not block[-1].strip():  # empty lines at the end
        block.pop()
    if block:
        number = _parse(source, block, number, layout, blocks, labels)
    if number == first_line:
        raise source.error_at(f"line {first_line}", "an image", "the end of the content")
    kind = np.result_type(*{b.dtype for b in blocks})
    values = np.concatenate(blocks, dtype=kind)
    if layout.label is not None:
        return Table(source, first_line, values, labels)
    column = _changing_column(source, values)
    pixels = values[:, 1:] if column == 0 else values[:, :-1]
    return Table(source, first_line, np.ascontiguousarray(pixels), values[:, column])


def _parse(
    source: Source,
    lines: list[str],
    number: int,
    layout: Layout,
    blocks: list[np.ndarray],
    labels: list[str],
) -> int:
    """Adds the pixels and labels of some lines, of which the first has that number.

    Returns the number of the line that follows.
    """
    texts = lines
    if layout.label == 0:
        cut = [line.partition(layout.separator) for line in lines]
        labels += [_bare(label) for label, _, _ in cut]
        texts = [rest for _, _, rest in cut]
    elif layout.label == -1:
        cut = [line.rpartition(layout.separator) for line in lines]
        labels += [_bare(label) for _, _, label in cut]
        texts = [rest for rest, _, _ in cut]
    columns = layout.columns - (layout.label is not None)
    if not any(map(str.strip, texts)):  # of which NumPy would warn
        raise _wrong_line(source, lines, number, layout)
    try:
        values = np.loadtxt(texts, np.float32, comments=None, delimiter=layout.separator, ndmin=2)
        right = values.shape == (len(lines), columns)
    except ValueError:
        right = False
    if not right:
        raise _wrong_line(source, lines, number, layout)
    whole = values.astype(np.uint8) if (values >= 0).all() and (values <= 255).all() else values
    blocks.append(whole if np.array_equal(whole, values) else values)
    return number + len(lines)


def _wrong_line(source: Source, lines: Sequence[str], number: int, layout: Layout) -> DatasetError:
    """What is wrong with the first line of some that is not as the others."""
    for index, line in enumerate(lines, start=number):
        fields = line.split(layout.separator)
        if len(fields) != layout.columns:
            found = f"{len(fields)}" if line.strip() else "an empty line"
            return source.error_at(f"line {index}", f"{layout.columns} columns, as before", found)
        label = None if layout.label is None else layout.label % layout.columns
        for column, field in enumerate(fields):
            if column != label and not NUMBER.fullmatch(field.strip()):
                place = f"line {index}, column {column + 1}"
                return source.error_at(place, "a number", repr(field[:40]))
    return source.error_at(f"line {number}", "numbers", "others in the next lines")


def _changing_column(source: Source, values: np.ndarray) -> int:
    """The first or the last column: that which is no corner of a picture, but a label."""
    changes = []
    for column in (0, -1):
        numbers, counts = np.unique(values[:, column], return_counts=True)
        whole = bool((numbers == np.floor(numbers)).all())
        changes.append(whole and counts.max() < SAME * len(values))
    if sum(changes) != 1:
        found = "both" if all(changes) else "neither"
        raise source.error_at(
            "",
            "either the first or the last column to change like a label",
            found,
            "add a first line that names the column 'label'",
        )
    return 0 if changes[0] else -1


# Labels


def _labels(tables: dict[str, Table]) -> tuple[dict[int, str] | None, dict[str, np.ndarray]]:
    """The labels of each split as int64, and the classes' names if the labels are text."""
    train = tables["train"].labels
    numeric = isinstance(train, np.ndarray) or WHOLE_NUMBER.fullmatch(train[0]) is not None
    for table in tables.values():
        for index, label in enumerate(table.labels if isinstance(table.labels, list) else []):
            if numeric and not WHOLE_NUMBER.fullmatch(label):
                expected = "a whole number as label, as in the first line"
                raise table.source.error_at(table.item(index), expected, repr(label[:40]))
            if not label or not label.isprintable() or len(label) > 100:
                raise table.source.error_at(table.item(index), "a label", repr(label[:40]))
        if isinstance(table.labels, np.ndarray) and not numeric:
            raise table.source.error_at(
                table.item(0), f"a label such as {train[0]!r}", table.labels[0]
            )
    if numeric:
        return None, {
            split: np.array([int(float(v)) for v in table.labels], np.int64)
            for split, table in tables.items()
        }
    names = sorted({str(v) for table in tables.values() for v in table.labels}, key=natural)
    numbers = {name: number for number, name in enumerate(names)}
    return dict(enumerate(names)), {
        split: np.array([numbers[str(v)] for v in table.labels], np.int64)
        for split, table in tables.items()
    }
