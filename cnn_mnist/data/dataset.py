"""MNIST as numpy arrays: finds IDX files (plain or gzip) or `mnist.npz`, checks and splits them.

Axes: N examples, H = W = 28 pixels. Images are uint8 [N, 28, 28], 0 (background) to 255 (ink);
labels are int32 [N], 0 to 9. Any drop-in set of the same form works (Fashion-MNIST, KMNIST).

Of a set in TFRecord shards (`shards.py`), only the validation and test images become arrays.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_mnist.data import idx, npz, shard_list
from cnn_mnist.data.idx import read_idx as read_idx
from cnn_mnist.data.sharded import ShardedSplit
from cnn_mnist.data.sources import IMAGE_SHAPE as IMAGE_SHAPE
from cnn_mnist.data.sources import ITEM_SHAPES, NUM_CLASSES, Array, DatasetError
from cnn_mnist.data.splits import Examples, Split
from cnn_mnist.utils.errors import reason, shown

DIGITS = tuple("0123456789")  # the names of the embedded data's classes
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


@dataclass(frozen=True, eq=False)
class Dataset:
    """The three splits; train and validation are views of the same training images."""

    train: Examples
    validation: Split
    test: Split


def load(
    data_dir: str | os.PathLike | None = None, validation_size: int = 5000, train_size: int = 0
) -> Dataset:
    """Reads, checks and splits a data set.

    Args:
      data_dir: folder with the four IDX files, each plain or gzip, or with `mnist.npz` (arrays
        x_train, y_train, x_test, y_test), or with `shards.json`. None: the embedded MNIST, whose
        sha256 is checked too.
      validation_size: how many training images, from the first on, become the validation split.
      train_size: how many of the next ones become the training split; 0 for all of them.

    Raises:
      DatasetError: the folder, a file or a size is not as described here.
    """
    if data_dir == "":  # to pathlib this is the current folder
        raise DatasetError("--data_dir: expected the name of a folder, found ''; give one")
    folder = Path(_EMBEDDED_DIR if data_dir is None else data_dir)
    paths = _find_files(folder)
    if shard_list.FILE in paths:
        return _load_shards(folder, validation_size, train_size)
    if paths["x_train"].name == _NPZ:
        arrays = npz.read_arrays(paths["x_train"])
    else:
        arrays = {}
        for key, item_shape in ITEM_SHAPES.items():
            labels = arrays.get(f"y{key[1:]}")
            sha256 = _SHA256[key] if data_dir is None else None
            arrays[key] = idx.read_array(paths[key], item_shape, labels, sha256)
    train = _split(arrays["x_train"], arrays["y_train"])
    test = _split(arrays["x_test"], arrays["y_test"])
    end = _end_of_training(len(train), str(arrays["x_train"].source), validation_size, train_size)
    return Dataset(
        train=Split(train.images[validation_size:end], train.labels[validation_size:end]),
        validation=Split(train.images[:validation_size], train.labels[:validation_size]),
        test=test,
    )


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


def _end_of_training(count: int, source: str, validation_size: int, train_size: int) -> int:
    """How many of the `count` images of the training file are for validation or training."""
    if not 0 <= validation_size < count:
        raise DatasetError(
            f"--validation_size: expected 0 to {count - 1}, as {source} "
            f"holds {count} training images, found {validation_size}; give a value in between"
        )
    rest = count - validation_size
    if not 0 <= train_size <= rest:
        raise DatasetError(
            f"--train_size: expected 0 to {rest}, as that many training images are left beside "
            f"{validation_size} for validation, found {train_size}; give a value in between"
        )
    return validation_size + (train_size or rest)


def _load_shards(folder: Path, validation_size: int, train_size: int) -> Dataset:
    shards = shard_list.read(folder)
    count = sum(shard.records for shard in shards.train)
    end = _end_of_training(count, shown(folder), validation_size, train_size)
    return Dataset(
        train=ShardedSplit(shards.train, validation_size, end),
        validation=shard_list.first_images(shards.train, validation_size),
        test=shard_list.first_images(shards.test, sum(shard.records for shard in shards.test)),
    )


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


def _split(images: Array, labels: Array) -> Split:
    """Joins images and labels, of which there are as many, after checking the labels' values."""
    wrong = np.flatnonzero((labels.values < 0) | (labels.values >= NUM_CLASSES))
    if wrong.size:
        index = int(wrong[0])
        offset = labels.values_offset + index * labels.values.itemsize
        found = f"{labels.values[index]} (label number {index})"
        raise labels.source.error(offset, f"a label from 0 to {NUM_CLASSES - 1}", found)
    values = labels.values.astype(np.int32)
    values.setflags(write=False)
    return Split(images.values, values)
