"""`shards.json`: which TFRecord files hold the images of a data set.

    {"form": {"height": 28, "width": 28, "channels": 1, "class_names": ["0", "1", ...]},
     "train": [{"file": "train-00000-of-00016.tfrecord", "records": 3750, "bytes": 3142500,
                "sha256": "..."}, ...],
     "test": [...]}

"form" is what the images are; a list without it is of images of MNIST's form. "file" is a path
relative to the folder of `shards.json`, or an absolute one. What a shard holds is
described in `tfrecord.py`.

The order of all images of a list is a dealer's: the first records of all shards, then the second
ones, and so on; a shard that has no more is passed over.
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_mnist.data import limits, tfrecord
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.sources import (
    MAX_EXAMPLES,
    READ_ERRORS,
    DatasetError,
    Source,
    first_bytes,
)
from cnn_mnist.data.splits import Split
from cnn_mnist.utils.errors import reason, shown
from cnn_mnist.utils.files import write_files

FILE = "shards.json"
MAX_SHARDS = 99_999  # of a list: what five digits of a file's name can tell apart
MAX_LIST = 64 << 20  # bytes of `shards.json`


@dataclass(frozen=True)
class Shard:
    """A TFRecord file of images."""

    path: Path
    records: int  # how many images it holds
    size: int  # in bytes
    sha256: str  # of the file


@dataclass(frozen=True)
class ShardList:
    """The shards of the training images and of the test images, and what these are."""

    train: tuple[Shard, ...]
    test: tuple[Shard, ...]
    form: Form = MNIST


def read(folder: Path) -> ShardList:
    """Reads `shards.json` in a folder, and checks that the files are there, in the right size.

    Raises DatasetError if the list is wrong, or a shard is missing or has another size.
    """
    shards = read_list(folder)
    seen: dict[tuple[int, int], Shard] = {}
    for shard in (*shards.train, *shards.test):
        status = check_size(shard)
        other = seen.setdefault((status.st_dev, status.st_ino), shard)
        if other is not shard:
            raise DatasetError(
                f"{shown(shard.path)}: expected another file for each shard, found that of "
                f"{shown(other.path)}; mend {FILE} or the link"
            )
    return shards


def read_list(folder: Path) -> ShardList:
    """Reads `shards.json`, but no shards; raises DatasetError, which names the wrong field."""
    path = folder / FILE
    first_bytes(path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_LIST + 1)
        if len(text) > MAX_LIST:
            raise ValueError(f"more than {MAX_LIST} bytes")
        content = json.loads(text)
    except (*READ_ERRORS, RecursionError, MemoryError) as error:
        raise _wrong(path, "", "a readable JSON object", reason(error)) from None
    if not isinstance(content, dict):
        raise _wrong(path, "", "a JSON object", type(content).__name__)
    try:
        form = limits.from_json(content["form"]) if "form" in content else MNIST
    except ValueError as error:
        raise _wrong(path, '"form"', limits.EXPECTED, error) from None
    train, test = (_shards(path, name, content.get(name), form) for name in ("train", "test"))
    if (count := sum(shard.records for shard in test)) > MAX_EXAMPLES:  # they are read into memory
        raise _wrong(path, '"test"', f"at most {MAX_EXAMPLES} records in all", count)
    return ShardList(train, test, form)


def _shards(path: Path, name: str, entries: Any, form: Form) -> tuple[Shard, ...]:
    place = f'"{name}"'
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_SHARDS:
        found = f"{len(entries)}" if isinstance(entries, list) else type(entries).__name__
        raise _wrong(path, place, f"a list of 1 to {MAX_SHARDS} shards", found)
    return tuple(_shard(path, f"{place}[{i}]", entry, form) for i, entry in enumerate(entries))


def _shard(path: Path, place: str, entry: Any, form: Form) -> Shard:
    if not isinstance(entry, dict):
        raise _wrong(path, place, f"an object with {', '.join(_FIELDS)}", type(entry).__name__)
    for field, (expected, is_right) in _FIELDS.items():
        if field not in entry:
            raise _wrong(path, f'{place}."{field}"', expected, "nothing")
        if not is_right(entry[field]):
            raise _wrong(path, f'{place}."{field}"', expected, json.dumps(entry[field]))
    file, records, size, sha256 = (entry[field] for field in _FIELDS)
    image = math.prod(form.image_shape) + 1  # bytes, of an Example with an image
    least = records * (tfrecord.HEADER + image + tfrecord.FOOTER)
    if size < least:
        raise _wrong(path, f'{place}."bytes"', f"at least {least} for {records} records", size)
    return Shard(path.parent / file, records, size, sha256)


def _is_file_name(value: Any) -> bool:
    if not isinstance(value, str) or value in ("", ".", ".."):
        return False
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


# Field of a shard -> what is expected there, and whether a value is that.
_FIELDS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "file": ("the path of a file", _is_file_name),
    "records": (
        f"an integer from 1 to {MAX_EXAMPLES}",
        lambda value: type(value) is int and 1 <= value <= MAX_EXAMPLES,
    ),
    "bytes": ("an integer of at least 1", lambda value: type(value) is int and value >= 1),
    "sha256": (
        "64 digits from 0 to f",
        lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value),
    ),
}


def _wrong(path: Path, place: str, expected: str, found: object) -> DatasetError:
    where = f"{shown(path)}: {place}: " if place else f"{shown(path)}: "
    message = f"{where}expected {expected}, found {found!s:.200}; mend it or write the shards anew"
    return DatasetError(" ".join(message.split()))


def write(folder: Path, train: Sequence[Shard], test: Sequence[Shard], form: Form = MNIST) -> None:
    """Writes `shards.json` into a folder of shards, which it names by their relative paths."""

    def entry(shard: Shard) -> dict[str, Any]:
        file = str(shard.path.relative_to(folder))
        return dict(zip(_FIELDS, (file, shard.records, shard.size, shard.sha256), strict=True))

    content = {
        "form": dataclasses.asdict(form),
        "train": [*map(entry, train)],
        "test": [*map(entry, test)],
    }
    write_files(folder, {FILE: (json.dumps(content, indent=1) + "\n").encode()})


def check_size(shard: Shard) -> os.stat_result:
    """Checks that a shard is there, a regular file, of the size that is noted."""
    name = shown(shard.path)
    remedy = f"put it there, or mend {FILE}"
    try:
        status = shard.path.stat()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{name}: expected a shard, found {reason(error)}; {remedy}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DatasetError(f"{name}: expected a regular file, found none; {remedy}")
    if status.st_size != shard.size:
        sizes = f"expected {shard.size} bytes, found {status.st_size}"
        raise DatasetError(f"{name}: {sizes}; replace it by a good copy")
    return status


def check(shard: Shard, form: Form = MNIST) -> None:
    """Raises DatasetError if size, checksums, content, form or sha256 of a shard are wrong."""
    check_size(shard)
    source, digest, end = Source(shard.path), hashlib.sha256(), 0
    for records in tfrecord.read(shard.path, shard.records):
        records.decode(slice(None), form)
        digest.update(records.content.data)
        end += len(records.content)
    if end != shard.size:
        expected = f"the end of the file, after {shard.records} records"
        raise source.error(end, expected, f"{shard.size - end} more bytes")
    if digest.hexdigest() != shard.sha256:
        raise DatasetError(
            f"{source}: expected content with sha256 {shard.sha256}, "
            f"found {digest.hexdigest()}; replace it by a good copy"
        )


def prefixes(counts: Sequence[int], total: int) -> np.ndarray:
    """How many records of each shard are among the first `total` of all: `int64 [shards]`.

    `counts` are the records of each shard; `total` is at most their sum.
    """
    records = np.asarray(counts, np.int64)
    rounds = range(int(records.max()) + 1)  # of the dealer
    full = bisect.bisect_right(rounds, total, key=lambda r: int(np.minimum(records, r).sum())) - 1
    dealt = np.minimum(records, full)
    dealt[np.flatnonzero(records > full)[: total - int(dealt.sum())]] += 1
    return dealt


def first_images(shards: Sequence[Shard], count: int, form: Form = MNIST) -> Split:
    """Reads the first `count` images of all, in their order; DatasetError for a damaged shard."""
    images = np.empty([count, *form.image_shape], np.uint8)
    labels = np.empty(count, np.int32)
    parts = prefixes([shard.records for shard in shards], count)
    rounds = np.concatenate([np.arange(part) for part in parts])
    places = np.empty(count, np.int64)
    places[np.argsort(rounds, kind="stable")] = np.arange(count)
    start = 0
    for shard, part in zip(shards, parts.tolist(), strict=True):
        for records in tfrecord.read(shard.path, part):
            end = start + len(records.starts)
            here = places[start:end]
            images[here], labels[here] = records.decode(slice(None), form)
            start = end
    images.setflags(write=False)
    labels.setflags(write=False)
    return Split(images, labels)
