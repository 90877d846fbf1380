"""A data set as numpy arrays: finds its files, whatever their format is, checks and splits them.

Axes: N examples, H height, W width, K classes. Images are uint8 [N, H, W] (grey; of MNIST 0 is the
background and 255 is ink) or uint8 [N, H, W, 3] (red, green, blue); labels are int32 [N], 0 to
K - 1. Height, width, channels and classes are those that the images have: the `Form`. The formats
are in `formats/`.

Of a set in TFRecord shards (`shards.py`), only the validation and test images become arrays.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_mnist.data import limits, shard_list
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.formats import idx, table
from cnn_mnist.data.formats.idx import read_idx as read_idx
from cnn_mnist.data.formats.parts import Reading
from cnn_mnist.data.places import file_on_disk, open_place
from cnn_mnist.data.sharded import ShardedSplit
from cnn_mnist.data.sources import Array, DatasetError
from cnn_mnist.data.splits import Examples, Split, UnreadSplit
from cnn_mnist.utils.errors import shown

_EMBEDDED_DIR = Path(__file__).with_name("mnist")
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

    The training images of the embedded MNIST are read when they are first asked for.

    Attributes:
      form: the size of the images and the classes.
      format: in which form it came, in words.
      told: what there is to say of it, one line each.

    Raises:
      DatasetError: a split in memory is not of the form.
    """

    train: Examples
    validation: Split
    test: Split
    form: Form = MNIST
    format: str = ""
    told: tuple[str, ...] = ()

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
      data_dir: folder, file or archive of a data set in one of the formats, or folder of
        `shards.json`. None: the embedded MNIST, whose sha256 is checked too.
      validation_size: how many training images, from the first on, become the validation split, if
        the data set has none of its own; None for 5,000, as a default.
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
    told: tuple[str, ...] = ()
    if data_dir is None:
        reading, format = _embedded(), "the embedded MNIST"
    elif os.path.lexists(os.path.join(data_dir, shard_list.FILE)):  # noqa: PTH118 - "nul\0l"
        return _load_shards(Path(data_dir), validation_size, train_size, fixed)
    else:
        data = table.read(data_dir)
        reading, format, told = data.reading, data.format, data.told
        _require_limits(reading)
    train, own = reading.splits["train"], reading.splits.get("validation")
    if own:
        first = 0
        told += (f"the {len(own):,} validation images are the data set's own",)
    elif "validation_size" in fixed:
        first = validation_size
    else:
        first = _fitting(validation_size, len(train), train.labels)
    end = _end_of_training(len(train), reading.source, first, train_size, fixed)
    return Dataset(
        train=train.between(first, end),
        validation=own or train.between(0, first),
        test=reading.splits["test"],
        form=reading.form,
        format=format,
        told=told,
    )


def with_names(data: Dataset, class_names: Sequence[str] | None) -> Dataset:
    """The data set with other names for its classes; None leaves them.

    Raises:
      InputError: there are not as many names as classes.
    """
    if class_names is None:
        return data
    return dataclasses.replace(data, form=limits.named(data.form, class_names))


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
    for name, split in data.splits().items():
        counts = ""
        if isinstance(split, Split) and len(split):
            each = np.bincount(split.labels, minlength=form.num_classes)
            counts = f", {each.min():,} to {each.max():,} of a class"
        lines.append(f"{'training' if name == 'train' else name:<14}{len(split):,} images{counts}")
    return lines


def _embedded() -> Reading:
    """MNIST. Its training images are read when they are first asked for: a test needs none."""

    def place(key: str) -> Path:
        return _EMBEDDED_DIR / f"{idx.FILES[key]}.gz"

    def array(key: str, labels: Array | None = None) -> Array:
        path = place(key)
        kinds = idx.LABELS if labels is None else idx.IMAGES
        return idx.read_array(file_on_disk(path.name, path), kinds, labels, _SHA256[key])

    def classes(labels: Array) -> np.ndarray:
        values = labels.values.astype(np.int32)
        values.setflags(write=False)
        return values

    train, test = array("y_train"), array("y_test")
    splits = {
        "train": UnreadSplit.of(
            lambda: array("x_train", train).values, classes(train), MNIST.image_shape
        ),
        "test": Split(array("x_test", test).values, classes(test)),
    }
    return Reading(splits, MNIST, (), shown(place("x_train")))


def _require_limits(reading: Reading) -> None:
    """Checks that the networks can take images of that size."""
    form = reading.form
    if form.height not in limits.SIDES or form.width not in limits.SIDES:
        raise DatasetError(
            f"{reading.source}: expected images with sides of {limits.SIDES_TEXT} pixels, found "
            f"{form.height} x {form.width}; scale them"
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
    place = open_place(folder)
    if others := ", ".join(file.name for form in table.FORMATS for file in form.claims(place)):
        found = f"{shard_list.FILE} and {others}"
        raise place.error("shards or other files", found, "remove the one or the others")
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
        format="TFRecord shards",
    )


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
