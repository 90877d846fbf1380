"""All formats, and which of them a folder has.

To add one, write a module with `claims` and `read` (see the room's `__init__`) and list it here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cnn_mnist.data import pictures
from cnn_mnist.data.formats import cifar, class_folders, delimited, idx, npz, parquet, suspicions
from cnn_mnist.data.formats.parts import Parts, Reading, arranged
from cnn_mnist.data.places import File, Place, archive_kind, open_archive, open_place
from cnn_mnist.data.sources import DatasetError
from cnn_mnist.data.splits import Split

PICKLE = b"\x80"  # the first byte of what Python's pickle writes
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


class Format(NamedTuple):
    """A form in which data sets come."""

    name: str
    claims: Callable[[Place], list[File]]
    read: Callable[[Place], Parts]


FORMATS = (
    Format("IDX files", idx.claims, idx.read),
    Format("an .npz file", npz.claims, npz.read),
    Format("CSV or TSV files", delimited.claims, delimited.read),
    Format("a folder of pictures for each class", class_folders.claims, class_folders.read),
    Format("CIFAR's binary files", cifar.claims, cifar.read),
    Format("parquet files", parquet.claims, parquet.read),
)


class DataSet(NamedTuple):
    """A data set, read.

    Attributes:
      format: which one, in words.
      reading: arrays, form, and what to tell.
      suspicions: what looks wrong, one line each.
    """

    format: str
    reading: Reading
    suspicions: tuple[str, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """All that is to be said of it, one line each."""
        return (*self.reading.told, *(f"suspicious: {line}" for line in self.suspicions))

    @property
    def splits(self) -> dict[str, Split]:
        """The arrays."""
        return self.reading.splits


def read(path: str | os.PathLike) -> DataSet:
    """Reads the data set of a folder, a file or an archive, whatever its format is.

    Raises:
      DatasetError: there is none, or several, or one that is not as its format wants it.
    """
    place = open_place(path)
    try:
        return read_place(place)
    except MemoryError:
        raise place.error("data that fit into memory", "more", "take fewer images") from None


def read_place(place: Place) -> DataSet:
    """Reads the data set of an open place; as `read`."""
    found = [(form, claimed) for form in FORMATS if (claimed := form.claims(place))]
    if len(found) > 1:
        raise _several(place, found)
    if found:
        form = found[0][0]
        reading = arranged(form.read(place))
        name = form.name + (f" in a {place.archive} archive" if place.archive else "")
        return DataSet(name, reading, tuple(suspicions.suspicions(reading.splits, reading.form)))
    archives = [(file, kind) for file in place.files if (kind := archive_kind(file))]
    if len(archives) == 1 and not place.archive:
        return read_place(open_archive(*archives[0]))
    raise not_understood(place)


def _several(place: Place, found: Sequence[tuple[Format, list[File]]]) -> DatasetError:
    names = " or ".join(form.name for form, _ in found)
    remedies = [f"remove {_few([file.name for file in files])}" for _, files in found]
    amount = "both" if len(found) == 2 else f"all {len(found)}"
    return place.error(names, amount, " or ".join(remedies))


def _few(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def not_understood(place: Place) -> DatasetError:
    """What is there, what is closest to a known form, and what to do."""
    expected = "the four IDX files, an .npz file or another of the forms of docs/data.md"
    if not place.files:
        return place.error(expected, "no file", "give --data_dir another folder")
    kinds = Counter(_kind(file) for file in place.files)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(4))
    counts += " and others" if len(kinds) > 4 else ""
    closest = next(filter(None, (hint(place) for hint in _HINTS)), None)
    return place.error(expected, counts, closest or "see the table of docs/data.md")


def _kind(file: File) -> str:
    base = file.base.lower()
    stem, dot, suffix = base.removesuffix(".gz").rpartition(".")
    ending = (dot + suffix if stem and len(suffix) < 12 else "") + ".gz" * base.endswith(".gz")
    return ending or f"named {file.base[:40]}"


# What is closest, each from a look at the files; None: not this.


def _pickle(place: Place) -> str | None:
    names = ("data_batch_", "cifar-10-python", "cifar-100-python", ".pkl", ".pickle")
    for file in place.files:
        base = file.base.lower()
        suspected = any(name in base for name in names) or base in ("train", "test", "meta")
        if not suspected or base.endswith(".bin"):
            continue
        if file.start(1) == PICKLE or "python.tar" in base:
            if "mnist" in base or ".pkl" in base or ".pickle" in base:
                return (
                    f"{file.name} is a pickle, which could run any program and is not opened; "
                    "save its arrays with numpy.savez as x_train, y_train, x_test, y_test"
                )
            return (
                f"{file.name} is CIFAR as pickles, which could run any program and are not "
                "opened; get its binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz)"
            )
    return None


def _loose_pictures(place: Place) -> str | None:
    files = [f for f in place.files if f.base.lower().endswith(pictures.SUFFIXES)]
    if not files:
        return None
    return (
        f"{len(files):,} pictures, such as {files[0].name}, are not in folders of two classes or "
        "more; put the pictures of each class into a folder of its own, named as the class"
    )


def _other_pictures(place: Place) -> str | None:
    files = [f for f in place.files if f.base.lower().endswith(class_folders.OTHERS)]
    if not files:
        return None
    return f"{files[0].name} is of a kind that is not read here; convert to PNG, or to an .npz file"


def _narrow_table(place: Place) -> str | None:
    files = [f for f in place.files if delimited.NAME.fullmatch(f.base)]
    if not files:
        return None
    return (
        f"{files[0].name}: the first line has fewer than {delimited.LEAST_COLUMNS} columns; a "
        "table of pictures has a label and all pixels in each line"
    )


def _odd_idx(place: Place) -> str | None:
    for file in place.files[:50]:
        start = file.start(4)
        if len(start) == 4 and start[:2] == b"\0\0" and start[2] in (8, 0xC) and start[3] in (1, 3):
            names = ", ".join(idx.FILES.values())
            return f"{file.name} looks like an IDX file; name the four files {names}"
    return None


def _archive_in_archive(place: Place) -> str | None:
    files = [f for f in place.files if f.base.lower().endswith(ARCHIVES)]
    if not files:
        return None
    if len(files) > 1:
        return f"name one of the archives: --data_dir={place.path}/{files[0].name}"
    if place.archive:
        return f"{files[0].name} is an archive in an archive; unpack the outer one"
    return f"{files[0].name} is no zip or tar archive by its content; replace it by a good copy"


def _matlab(place: Place) -> str | None:
    files = [f for f in place.files if f.base.lower().endswith((".mat", ".h5", ".hdf5", ".npy"))]
    return f"save the arrays of {files[0].name} with numpy.savez" if files else None


_HINTS: tuple[Callable[[Place], str | None], ...] = (
    *(_pickle, _odd_idx, _narrow_table, _matlab, _other_pictures, _loose_pictures),
    _archive_in_archive,
)
