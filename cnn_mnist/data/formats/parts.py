"""What every format hands on, and how it becomes images and labels as a network takes them.

Axes: N images, H height, W width, C channels, P pixels of a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cnn_mnist.data.form import Form
from cnn_mnist.data.sources import MAX_EXAMPLES, Array, Source
from cnn_mnist.data.splits import Split, permutation

MAX_VALUES = 784_000_000  # of all images of an array: a million of MNIST's
MAX_BYTES = 2 << 30  # of the values of an array, before they are made uint8
MAX_CLASSES = 1000
SET_ASIDE = 6  # one image of so many is for testing, where a data set has no test images
SEED = 20  # of the permutation that sets them aside
IMAGES = "images of shape [N, H, W], [N, H, W, 1 or 3] or [N, P], P the square of a side"
LABELS = "integer labels of shape [N] or [N, 1], or one-hot of shape [N, K]"
AT_ONCE = 4096  # images converted at once

FLOATS, BITS = "floats from 0 to 1", "true and false"


class Part(NamedTuple):
    """Images and labels of a split, as many of the one as of the other.

    Images have a shape that `picture_shape` knows; labels are integers [N].
    """

    images: Array
    labels: Array


@dataclass
class Parts:
    """What a format read.

    Attributes:
      splits: "train", and "validation" and "test" if the data set has them.
      names: label -> name of the class; None: a class is named by its label.
      turned: whether the images are stored transposed.
      told: what to say of it, one line each.
    """

    splits: dict[str, Part]
    names: Mapping[int, str] | None = None
    turned: bool = False
    told: list[str] = field(default_factory=list)


class Reading(NamedTuple):
    """A data set: arrays, form, and what is to be told.

    Attributes:
      splits: "train" and "test", and "validation" if the data set has one.
      form: size and classes.
      told: one line each.
      source: the file of the training images, for messages.
    """

    splits: dict[str, Split]
    form: Form
    told: tuple[str, ...]
    source: str


def picture_shape(shape: Sequence[int]) -> tuple[int, int, int] | None:
    """Height, width and channels of the images of an array; None if it can hold none."""
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        return None
    if len(shape) == 2:
        side = math.isqrt(shape[1])
        return (side, side, 1) if side * side == shape[1] else None
    if len(shape) == 3:
        return (shape[1], shape[2], 1)
    if shape[3] in (1, 3):
        return (shape[1], shape[2], shape[3])
    return (shape[2], shape[3], shape[1]) if shape[1] in (1, 3) else None


def check_images(source: Source, offset: int, shape: Sequence[int], dtype: np.dtype) -> None:
    """Checks what a header says of images, before memory is taken for them."""
    found = f"{dtype} {list(shape)}"
    if dtype.kind not in "uifb" or picture_shape(shape) is None:
        expected = f"integer or float {IMAGES}, N at least 1"
        raise source.error(offset, expected, found, "save the images so")
    if shape[0] > MAX_EXAMPLES:
        raise source.error(offset, f"at most {MAX_EXAMPLES} examples", shape[0])
    values = math.prod(shape)
    if values > MAX_VALUES or values * dtype.itemsize > MAX_BYTES:
        expected = f"at most {MAX_VALUES} values and {MAX_BYTES} bytes"
        raise source.error(offset, expected, f"the shape {list(shape)} of {dtype}", "take fewer")


def check_labels(source: Source, offset: int, shape: Sequence[int], dtype: np.dtype) -> None:
    """Checks what a header says of labels: integers [N], [N, 1], or one-hot of any type [N, K]."""
    column = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
    one_hot = len(shape) == 2 and 2 <= shape[1] <= MAX_CLASSES
    kinds = "ui" if column else "uifb"
    if dtype.kind not in kinds or not (column or one_hot) or min(shape) < 1:
        found = f"{dtype} {list(shape)}"
        raise source.error(offset, f"{LABELS}, N at least 1", found, "save the labels so")
    if shape[0] > MAX_EXAMPLES:
        raise source.error(offset, f"at most {MAX_EXAMPLES} examples", shape[0])


def plain_labels(labels: Array) -> Array:
    """Labels [N] of labels [N], [N, 1] or one-hot [N, K]."""
    values = labels.values
    if values.ndim == 1:
        return labels
    if values.shape[1] == 1:
        return labels.replaced(values[:, 0])
    wrong = np.flatnonzero(((values != 0) & (values != 1)).any(axis=1) | (values.sum(axis=1) != 1))
    if wrong.size:
        index = int(wrong[0])
        row = ", ".join(f"{value:g}" for value in values[index][:12].astype(float))
        expected = f"a row with one 1 and else 0 (one-hot), as labels of shape {list(values.shape)}"
        found = f"[{row}{', ...' if values.shape[1] > 12 else ''}] (label number {index})"
        raise labels.error(index, expected, found, "give each image one class")
    return labels.replaced(values.argmax(axis=1))


def arranged(parts: Parts) -> Reading:
    """Brings images to uint8 and labels to 0 to n - 1, and sets test images aside if need be.

    Raises:
      DatasetError: images of several sizes, values that are no pixels, a label out of range.
    """
    told = list(parts.told)
    images = _pixels([part.images for part in parts.splits.values()], told)
    if parts.turned:
        images = [pixels.swapaxes(1, 2) for pixels in images]
    labels, names = _classes([part.labels for part in parts.splits.values()], parts.names, told)
    splits = {
        name: Split(_fixed(pixels), _fixed(numbers))
        for name, pixels, numbers in zip(parts.splits, images, labels, strict=True)
    }
    if "test" not in splits:
        splits = _with_test(splits, next(iter(parts.splits.values())).images, told)
    shape = splits["train"].images.shape
    form = Form(shape[1], shape[2], shape[3] if len(shape) == 4 else 1, names)
    return Reading(splits, form, tuple(told), str(parts.splits["train"].images.source))


def _fixed(values: np.ndarray) -> np.ndarray:
    values = np.ascontiguousarray(values)
    values.setflags(write=False)
    return values


# Images


def _pixels(arrays: Sequence[Array], told: list[str]) -> list[np.ndarray]:
    """The images of all splits as uint8 [N, H, W] or [N, H, W, 3]."""
    first = arrays[0]
    shapes = [picture_shape(array.values.shape) for array in arrays]
    for array, shape in zip(arrays, shapes, strict=True):
        if shape is None or shape != shapes[0]:
            expected = f"images of {_size(shapes[0])}, as in {first.source}"
            raise array.source.error(array.shape_offset, expected, _size(shape))
    kinds = [_kind(array) for array in arrays]
    floats = {
        kind for kind, array in zip(kinds, arrays, strict=True) if array.values.dtype.kind == "f"
    }
    if len(floats) > 1:
        index = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        other = arrays[index]
        raise other.source.error(
            other.values_offset,
            f"{kinds[0] or 'floats from 0 to 255'}, as in {first.source}",
            kinds[index] or "floats from 0 to 255",
            "scale both alike",
        )
    for kind in dict.fromkeys(kinds):
        if kind:
            told.append(f"the images are {kind}: 0 to 255 is made of them")
        elif floats:
            told.append("the images are floats from 0 to 255: whole numbers are made of them")
    result = []
    for array, kind, shape in zip(arrays, kinds, shapes, strict=True):
        assert shape is not None
        pixels = _uint8(array.values, 255 if kind else 1)
        if pixels.ndim == 4 and pixels.shape[3] not in (1, 3):
            pixels = np.moveaxis(pixels, 1, 3)
            told += {"the channels come first in the images, and are put last"} - {*told}
        result.append(pixels.reshape(len(pixels), *shape[: 3 if shape[2] > 1 else 2]))
    return result


def _size(shape: tuple[int, int, int] | None) -> str:
    if shape is None:
        return "another shape"
    height, width, channels = shape
    return f"{height} x {width} pixels" + (f" x {channels} channels" if channels > 1 else "")


def _kind(array: Array) -> str:
    """In which words its values are to be scaled; empty: they are 0 to 255 as they are."""
    values = array.values
    if values.dtype == np.uint8:
        return ""
    if values.dtype.kind == "b":
        return BITS
    lowest, highest = values.min(), values.max()
    if not 0 <= lowest <= highest <= 255:  # also false for NaN
        for start in range(0, len(values), AT_ONCE):
            piece = values[start : start + AT_ONCE].reshape(
                len(values[start : start + AT_ONCE]), -1
            )
            wrong = np.flatnonzero(~((piece >= 0) & (piece <= 255)).all(axis=1))
            if wrong.size:
                index = int(wrong[0])
                row = piece[index]
                value = row[~((row >= 0) & (row <= 255))][0]
                found = f"{value:g} (image number {start + index}; from {lowest:g} to {highest:g})"
                expected = "pixels from 0 to 255, or floats from 0 to 1"
                raise array.error(start + index, expected, found, "scale them to that")
    return FLOATS if values.dtype.kind == "f" and highest <= 1 else ""


def _uint8(values: np.ndarray, scale: int) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    pixels = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), AT_ONCE):
        piece = values[start : start + AT_ONCE]
        pixels[start : start + AT_ONCE] = (
            piece if piece.dtype.kind in "ui" else np.rint(piece * np.float64(scale))
        )
    return pixels


# Labels


def _classes(
    arrays: Sequence[Array], names: Mapping[int, str] | None, told: list[str]
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """The labels of all splits as int32 from 0 on, and the classes' names."""
    if names is None:
        for array in arrays:
            if (negative := np.flatnonzero(array.values < 0)).size:
                index = int(negative[0])
                what = f"{array.values[index]} (label number {index})"
                raise array.error(index, "a label of at least 0", what)
        found = sorted({int(v) for array in arrays for v in np.unique(array.values).tolist()})
        _check_classes(arrays[0], found)
        names = {value: str(value) for value in found}
        _tell_base(found, told)
    else:
        for array in arrays:
            wrong = np.flatnonzero(~np.isin(array.values, list(names)))
            if wrong.size:
                index = int(wrong[0])
                expected = f"a label from {min(names)} to {max(names)}"
                raise array.error(index, expected, f"{array.values[index]} (label number {index})")
        _check_classes(arrays[0], sorted(names))
    known = np.array(sorted(names))
    labels = [np.searchsorted(known, array.values).astype(np.int32) for array in arrays]
    return labels, tuple(names[int(value)] for value in known)


def _check_classes(labels: Array, found: Sequence[int]) -> None:
    if not 2 <= len(found) <= MAX_CLASSES:
        what = f"{len(found)}" if len(found) > 1 else f"one: every label is {found[0]}"
        expected = f"labels of 2 to {MAX_CLASSES} classes"
        remedy = "give the class of each image, not a number of its own"
        raise labels.source.error_at(
            "", expected, what, remedy if len(found) > 1 else "add images of another class"
        )


def _tell_base(found: Sequence[int], told: list[str]) -> None:
    if found == list(range(len(found))):
        return
    gaps = sorted(set(range(found[0], found[-1] + 1)) - set(found)) if found[-1] < 10_000 else []
    without = f" without {_few(gaps)}" if gaps else ""
    told.append(
        f"the labels are {found[0]} to {found[-1]}{without}: {len(found)} classes of these names"
    )


def _few(values: Sequence[object], most: int = 5) -> str:
    shown = ", ".join(map(str, values[:most]))
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


# Splits


def _with_test(splits: dict[str, Split], images: Array, told: list[str]) -> dict[str, Split]:
    """Sets a sixth of the training images aside, the same ones every time."""
    train = splits["train"]
    count = len(train)
    if count < 2:
        expected = "at least 2 images, as there are no test images and one is set aside"
        raise images.source.error_at("", expected, count, "add images")
    order = permutation(count, SEED)
    aside = max(1, count // SET_ASIDE)

    def some(chosen: np.ndarray) -> Split:
        return Split(_fixed(train.images[chosen]), _fixed(train.labels[chosen]))

    told.append(
        f"there are no test images: {aside:,} of the {count:,} images, a sixth, the same every "
        "time, are set aside for testing"
    )
    return {**splits, "train": some(order[aside:]), "test": some(order[:aside])}
