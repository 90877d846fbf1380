"""A data set as numpy arrays: finds its files, whatever their format is, checks and splits them.

Axes: N examples, H height, W width. Images are uint8 [N, H, W] or, in colour, [N, H, W, 3]; MNIST's
are 28 x 28, 0 (background) to 255 (ink). Labels are int32 [N], from 0 on. The formats are in
`formats/`.

Of a set in TFRecord shards (`shards.py`), only the validation and test images become arrays.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_mnist.data import shard_list
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.formats import idx, table
from cnn_mnist.data.formats.idx import read_idx as read_idx
from cnn_mnist.data.formats.parts import Reading, arranged
from cnn_mnist.data.places import open_place
from cnn_mnist.data.sharded import ShardedSplit
from cnn_mnist.data.sources import IMAGE_SHAPE as IMAGE_SHAPE
from cnn_mnist.data.sources import NUM_CLASSES as NUM_CLASSES
from cnn_mnist.data.sources import DatasetError
from cnn_mnist.data.splits import Examples, Split
from cnn_mnist.utils.errors import shown

DIGITS = tuple("0123456789")  # the names of the embedded data's classes
_EMBEDDED_DIR = Path(__file__).with_name("mnist")
_SHA256 = {  # of the uncompressed embedded files
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """The three splits; train and validation are views of the same training images.

    Attributes:
      form: the size of the images and the classes.
      format: in which form it came, in words.
      told: what there is to say of it, one line each.
    """

    train: Examples
    validation: Split
    test: Split
    form: Form = MNIST
    format: str = ""
    told: tuple[str, ...] = ()


def load(
    data_dir: str | os.PathLike | None = None, validation_size: int = 5000, train_size: int = 0
) -> Dataset:
    """Reads, checks and splits a data set.

    Args:
      data_dir: folder, file or archive of a data set in one of the formats, or folder of
        `shards.json`. None: the embedded MNIST, whose sha256 is checked too.
      validation_size: how many training images, from the first on, become the validation split, if
        the data set has none of its own.
      train_size: how many of the next ones become the training split; 0 for all of them.

    Raises:
      DatasetError: the folder, a file or a size is not as described here.
    """
    if data_dir == "":  # to pathlib this is the current folder
        raise DatasetError("--data_dir: expected the name of a folder, found ''; give one")
    if data_dir is None:
        reading, name = _embedded(), "the embedded MNIST"
        told: tuple[str, ...] = ()
    elif os.path.lexists(os.path.join(data_dir, shard_list.FILE)):  # noqa: PTH118 - "nul\0l"
        return _load_shards(Path(data_dir), validation_size, train_size)
    else:
        data = table.read(data_dir)
        reading, name, told = data.reading, data.format, data.told
    _check_fits(reading.form, data_dir)
    train, own = reading.splits["train"], reading.splits.get("validation")
    first = 0 if own else validation_size
    end = _end_of_training(len(train), reading.source, first, train_size)
    if own:
        told += (f"the {len(own):,} validation images are the data set's own",)
    return Dataset(
        train=Split(train.images[first:end], train.labels[first:end]),
        validation=own or Split(train.images[:first], train.labels[:first]),
        test=reading.splits["test"],
        form=reading.form,
        format=name,
        told=told,
    )


def _check_fits(form: Form, data_dir: object) -> None:
    """Refuses what the networks do not take: sizes other than MNIST's, other classes."""
    digits = MNIST.class_names[: form.num_classes]
    if form.image_shape != MNIST.image_shape or form.class_names != digits:
        found = f"{' x '.join(map(str, form.image_shape))}, {form.num_classes} classes"
        raise DatasetError(
            f"{shown(data_dir)}: expected images of {MNIST.height} x {MNIST.width} of the classes "
            f"0 to 9, found {found}; the networks take no others"
        )


def described(data: Dataset) -> list[str]:
    """What `data` is, for people: format, size, classes, and how many images each split has."""
    form = data.form
    names = ", ".join(form.class_names[:12]) + (", ..." if form.num_classes > 12 else "")
    channels = "1 channel" if form.channels == 1 else f"{form.channels} channels"
    lines = [
        f"format        {data.format}",
        f"images        {form.height} x {form.width} pixels, {channels}",
        f"classes       {form.num_classes}: {names}",
    ]
    for name, split in (
        ("training", data.train),
        ("validation", data.validation),
        ("test", data.test),
    ):
        counts = ""
        if isinstance(split, Split) and len(split):
            each = np.bincount(split.labels, minlength=form.num_classes)
            counts = f", {each.min():,} to {each.max():,} of a class"
        lines.append(f"{name:<14}{len(split):,} images{counts}")
    return lines


def _embedded() -> Reading:
    return arranged(idx.read(open_place(_EMBEDDED_DIR), _SHA256))


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
    place = open_place(folder)
    if others := ", ".join(file.name for form in table.FORMATS for file in form.claims(place)):
        found = f"{shard_list.FILE} and {others}"
        raise place.error("shards or other files", found, "remove the one or the others")
    shards = shard_list.read(folder)
    count = sum(shard.records for shard in shards.train)
    end = _end_of_training(count, shown(folder), validation_size, train_size)
    return Dataset(
        train=ShardedSplit(shards.train, validation_size, end),
        validation=shard_list.first_images(shards.train, validation_size),
        test=shard_list.first_images(shards.test, sum(shard.records for shard in shards.test)),
        format="TFRecord shards",
    )
