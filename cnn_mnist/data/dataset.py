"""A data set as numpy arrays: finds IDX files (plain or gzip) or `mnist.npz`, checks, splits them.

Axes: N examples, H height, W width, K classes. Images are uint8 [N, H, W] (grey; of MNIST 0 is the
background and 255 is ink) or uint8 [N, H, W, 3] (red, green, blue); labels are int32 [N], 0 to
K - 1. Height, width, channels and classes are those that the training images have: the `Form`.

Of a set in TFRecord shards (`shards.py`), only the validation and test images become arrays.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_mnist.data import idx, limits, npz, shard_list
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.idx import read_idx as read_idx
from cnn_mnist.data.sharded import ShardedSplit
from cnn_mnist.data.sources import ARRAYS, Array, DatasetError
from cnn_mnist.data.splits import Examples, Split
from cnn_mnist.utils.errors import reason, shown

_EMBEDDED_DIR = Path(__file__).with_name("mnist")
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


SPLIT_SIZES = ("validation_size", "train_size")
USUAL_VALIDATION = 5_000  # images, as the layers tutorial sets aside
LARGEST_SHARE = 5  # more than one in so many training images is too much for a default
USUAL_SHARE = 10  # one in so many is then set aside


@dataclass(frozen=True, eq=False)
class Dataset:
    """The three splits, and what they are of; train and validation are views of the same images.

    Raises:
      DatasetError: a split in memory is not of the form.
    """

    train: Examples
    validation: Split
    test: Split
    form: Form = MNIST

    def __post_init__(self) -> None:
        for name, split in self.splits().items():
            _require_form(name, split, self.form)

    def splits(self) -> dict[str, Examples]:
        """The splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def load(
    data_dir: str | os.PathLike | None = None,
    validation_size: int | None = None,
    train_size: int = 0,
    *,
    fixed: Sequence[str] = SPLIT_SIZES,
) -> Dataset:
    """Reads, checks and splits a data set.

    Args:
      data_dir: folder with the four IDX files, each plain or gzip, or with `mnist.npz` (arrays
        x_train, y_train, x_test, y_test), or with `shards.json`. None: the embedded MNIST, whose
        sha256 is checked too.
      validation_size: how many training images, from the first on, become the validation split;
        None for 5,000, as a default.
      train_size: how many of the next ones become the training split; 0 for all of them.
      fixed: which of the two sizes the caller means exactly. The other ones are defaults, which
        give way: a validation split that would take more than a fifth of the training images takes
        a tenth, or as many more, up to a fifth, as it needs to have every class; a training split
        takes what there is.

    Raises:
      DatasetError: the folder, a file or a size is not as described here.
    """
    if data_dir == "":  # to pathlib this is the current folder
        raise DatasetError("--data_dir: expected the name of a folder, found ''; give one")
    if validation_size is None:
        validation_size, fixed = USUAL_VALIDATION, [name for name in fixed if "train" in name]
    folder = Path(_EMBEDDED_DIR if data_dir is None else data_dir)
    paths = _find_files(folder)
    if shard_list.FILE in paths:
        return _load_shards(folder, validation_size, train_size, fixed)
    if paths["x_train"].name == _NPZ:
        arrays = npz.read_arrays(paths["x_train"])
    else:
        arrays = _read_idx_files(paths, None if data_dir is not None else _SHA256)
    form = _form(arrays["x_train"], arrays["y_train"])
    train = _split(arrays["x_train"], arrays["y_train"], form)
    test = _split(arrays["x_test"], arrays["y_test"], form)
    if "validation_size" not in fixed:
        validation_size = _fitting(validation_size, len(train), train.labels)
    source = str(arrays["x_train"].source)
    end = _end_of_training(len(train), source, validation_size, train_size, fixed)
    return Dataset(
        train=Split(train.images[validation_size:end], train.labels[validation_size:end]),
        validation=Split(train.images[:validation_size], train.labels[:validation_size]),
        test=test,
        form=form,
    )


def with_names(data: Dataset, class_names: Sequence[str] | None) -> Dataset:
    """The data set with other names for its classes; None leaves them.

    Raises:
      InputError: there are not as many names as classes.
    """
    if class_names is None:
        return data
    return dataclasses.replace(data, form=limits.named(data.form, class_names))


def digest(data: Dataset) -> str:
    """The sha256 of all images and labels for training and validation.

    Of shards, whose images are not all read, that of their sha256 in `shards.json`.
    """
    return data.train.digest(data.validation)


def in_memory(split: Examples) -> Split:
    """The split itself, for what needs its arrays; DatasetError if it is in shards."""
    if isinstance(split, Split):
        return split
    raise DatasetError(
        "--data_dir: expected training images in IDX files or mnist.npz, found shards; "
        "give the folder that they were written from"
    )


def _fitting(size: int, count: int, labels: np.ndarray | None) -> int:
    """How many of `count` training images are for validation where `size` is a mere default.

    Labels are those of the training images, or None if they are not in memory.
    """
    most = count // LARGEST_SHARE
    if size <= most:
        return size
    usual = count // USUAL_SHARE
    if labels is None:
        return usual
    _, firsts = np.unique(labels, return_index=True)  # of each class
    return min(max(usual, int(firsts.max()) + 1), most)


def _end_of_training(
    count: int, source: str, validation_size: int, train_size: int, fixed: Sequence[str]
) -> int:
    """How many of the `count` images of the training file are for validation or training."""
    if not 0 <= validation_size < count:
        raise DatasetError(
            f"--validation_size: expected 0 to {count - 1}, as {source} "
            f"holds {count} training images, found {validation_size}; give a value in between"
        )
    rest = count - validation_size
    if "train_size" not in fixed:
        train_size = min(train_size, rest)
    if not 0 <= train_size <= rest:
        raise DatasetError(
            f"--train_size: expected 0 to {rest}, as that many training images are left beside "
            f"{validation_size} for validation, found {train_size}; give a value in between"
        )
    return validation_size + (train_size or rest)


def _load_shards(
    folder: Path, validation_size: int, train_size: int, fixed: Sequence[str]
) -> Dataset:
    shards = shard_list.read(folder)
    form, count = shards.form, sum(shard.records for shard in shards.train)
    if "validation_size" not in fixed:
        validation_size = _fitting(validation_size, count, None)
    end = _end_of_training(count, shown(folder), validation_size, train_size, fixed)
    tests = sum(shard.records for shard in shards.test)
    return Dataset(
        train=ShardedSplit(shards.train, validation_size, end, form),
        validation=shard_list.first_images(shards.train, validation_size, form),
        test=shard_list.first_images(shards.test, tests, form),
        form=form,
    )


def _read_idx_files(paths: dict[str, Path], sha256: dict[str, str] | None) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for key in ARRAYS:
        arrays[key] = idx.read_array(
            paths[key],
            idx.IMAGES if key.startswith("x") else idx.LABELS,
            labels=arrays.get(f"y{key[1:]}"),
            like=arrays["x_train"].values.shape[1:] if key == "x_test" else None,
            sha256=sha256[key] if sha256 else None,
        )
    return arrays


def _find_files(folder: Path) -> dict[str, Path]:
    """Maps x_train, y_train, x_test and y_test to their files, or `shards.json` to its path."""

    def wrong(expected: str, found: str, remedy: str) -> DatasetError:
        return DatasetError(f"{shown(folder)}: expected {expected}, found {found}; {remedy}")

    try:
        names = {path.name for path in folder.iterdir()}
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        remedy = f"give --data_dir a folder with the four IDX files, {_NPZ} or {shard_list.FILE}"
        raise wrong("a folder that can be listed", reason(error), remedy) from error
    found = {}
    for key, name in _IDX.items():
        other = name.replace("-idx", ".idx")
        found[key] = [f for f in (name, f"{name}.gz", other, f"{other}.gz") if f in names]
    idx_files = [file for files in found.values() for file in files]
    if shard_list.FILE in names:
        if others := ", ".join([*idx_files, *({_NPZ} & names)]):
            both = f"{shard_list.FILE} and {others}"
            raise wrong("shards or other files", both, "remove the one or the others")
        return {shard_list.FILE: folder / shard_list.FILE}
    if _NPZ in names and idx_files:
        remedy = f"remove {_NPZ} or remove {', '.join(idx_files)}"
        raise wrong(f"IDX files or {_NPZ}", "both", remedy)
    if _NPZ in names:
        return dict.fromkeys(_IDX, folder / _NPZ)
    for files in found.values():
        if len(files) > 1:
            expected = f"one of {', '.join(files)}"
            raise wrong(expected, str(len(files)), "keep one and remove the others")
    if missing := [_IDX[key] for key, files in found.items() if not files]:
        wanted = "the four IDX files" + ("" if idx_files else f", {_NPZ} or {shard_list.FILE}")
        remedy = "add what is missing or give --data_dir another folder"
        raise wrong(wanted, f"no {', '.join(missing)} (plain or .gz)", remedy)
    return {key: folder / files[0] for key, files in found.items()}


def _form(images: Array, labels: Array) -> Form:
    """What the training images and their labels are: classes are numbered from 0 on."""
    _require_labels(labels, limits.CLASSES[-1])
    num_classes = int(labels.values.max()) + 1
    missing = np.setdiff1d(np.arange(num_classes), labels.values)
    # MNIST's own format, with its ten labels, never asked for images of each.
    if num_classes > MNIST.num_classes and missing.size:
        offset = labels.values_offset + int(labels.values.argmax()) * labels.values.itemsize
        raise labels.source.error(
            offset,
            f"an image of every class from 0 to {num_classes - 1}, the highest label",
            f"none of class {missing[0]}",
            "mend the highest label, or number the classes without gaps",
        )
    if num_classes not in limits.CLASSES:
        expected, found = f"{limits.CLASSES_TEXT} classes", "the label 0 alone"
        raise labels.source.error(labels.values_offset, expected, found, "add another class")
    height, width, channels = (*images.values.shape[1:], 1)[:3]
    return limits.numbered(height, width, channels, num_classes)


def _require_labels(labels: Array, num_classes: int) -> None:
    wrong = np.flatnonzero((labels.values < 0) | (labels.values >= num_classes))
    if wrong.size:
        index = int(wrong[0])
        offset = labels.values_offset + index * labels.values.itemsize
        found = f"{labels.values[index]} (label number {index})"
        raise labels.source.error(offset, f"a label from 0 to {num_classes - 1}", found)


def _require_form(name: str, split: Examples, form: Form) -> None:
    """Checks images and labels in memory against the form that they are said to have."""
    expected, found = limits.described(form), ""
    if split.image_shape != form.image_shape:
        found = f"images of the shape {list(split.image_shape)}"
    elif isinstance(split, Split) and len(split):
        lowest, highest = int(split.labels.min()), int(split.labels.max())
        if lowest < 0 or highest >= form.num_classes:
            found = f"labels from {lowest} to {highest}"
    if found:
        raise DatasetError(f"the {name} images: expected {expected}, found {found}; mend the form")


def _split(images: Array, labels: Array, form: Form) -> Split:
    """Joins images and labels, of which there are as many, after checking the labels' values."""
    _require_labels(labels, form.num_classes)
    values = labels.values.astype(np.int32)
    values.setflags(write=False)
    return Split(images.values, values)
