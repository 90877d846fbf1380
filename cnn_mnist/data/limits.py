"""Which forms a data set may have, and what it is called in messages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.utils.errors import InputError

SIDES = range(8, 257)  # pixels; a first layer of 32 filters then takes 8 MB an image
CHANNELS = (1, 3)
CLASSES = range(2, 1001)
SIZES = ("height", "width", "channels", "num_classes")  # what a network depends on

# For messages.
EXPECTED = "height, width, channels and class_names, as of the images"
SIDES_TEXT = f"{SIDES[0]} to {SIDES[-1]}"
CLASSES_TEXT = f"{CLASSES[0]} to {CLASSES[-1]:,}"


def described(form: Form) -> str:
    """For people: `28 x 28 pixels, grey, 10 classes`."""
    kind = "grey" if form.channels == 1 else "colour"
    return f"{form.height} x {form.width} pixels, {kind}, {form.num_classes:,} classes"


def sizes(form: Form) -> dict[str, int]:
    """What a network depends on: `height`, `width`, `channels` and `num_classes`."""
    return {name: getattr(form, name) for name in SIZES}


def numbered(height: int, width: int, channels: int, num_classes: int) -> Form:
    """The form of images whose classes have no names but their numbers."""
    return Form(height, width, channels, tuple(map(str, range(num_classes))))


def of_sizes(given: dict[str, Any]) -> Form:
    """The form of some of `SIZES`; what is left out is MNIST's.

    Raises:
      InputError: one that is out of range; it is named.
    """
    ranges = dict(zip(SIZES, (SIDES, SIDES, CHANNELS, CLASSES), strict=True))
    texts = dict(zip(SIZES, (SIDES_TEXT, SIDES_TEXT, "1 or 3", CLASSES_TEXT), strict=True))
    for name, value in given.items():
        if type(value) is not int or value not in ranges[name]:
            raise InputError(f"{name}={value!r:.100}: expected {texts[name]}")
    return numbered(**{**sizes(MNIST), **given})


def from_json(content: Any) -> Form:
    """The form that was written as a JSON object of its fields.

    Raises:
      ValueError: it is none; the message tells what was found.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__}")
    fields = {field.name: content.get(field.name) for field in dataclasses.fields(Form)}
    names = fields.pop("class_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names {names!r:.100}")
    try:
        checked = of_sizes({**fields, "num_classes": len(names)})
    except InputError as error:
        raise ValueError(f"{error}") from None
    return named(checked, names)


def item_shapes(form: Form) -> tuple[tuple[int, ...], ...]:
    """The shapes that one image may be handed over in: rows, rows and channels, or flat."""
    full = (form.height, form.width, form.channels)
    shapes = {form.image_shape: None, full: None, (math.prod(full),): None}
    return tuple(shapes)


def named(form: Form, class_names: Sequence[str]) -> Form:
    """The form with other names for its classes.

    Raises:
      InputError: there are not as many names as classes.
    """
    if len(class_names) != form.num_classes:
        raise InputError(
            f"--class_names: expected {form.num_classes} names, one for each class of the data, "
            f"found {len(class_names)}: {list(class_names)!r:.200}"
        )
    return dataclasses.replace(form, class_names=tuple(class_names))
