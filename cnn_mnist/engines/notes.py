"""What travels with an exported network: names of the classes, size of the images, preprocessing.

Axes: B batch, H height, W width, C channels, K classes.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from cnn_mnist.data import limits, placement
from cnn_mnist.data.form import Form
from cnn_mnist.data.placement import DIGIT
from cnn_mnist.recipes import Recipe, name_of

FILE = "notes.json"
INPUT = "uint8 [B, {height}, {width}{channels}], 0 to 255, {kind}"
OUTPUT = "classes, int64 [B], and probabilities, float32 [B, {num_classes}]"
KINDS = {1: "light ink on dark ground", 3: "red, green, blue"}  # by channels


class Notes(NamedTuple):
    """What a program that reads pictures with an exported network has to know.

    Attributes:
      form: what the images are, and the names of the classes.
      preprocess: how a picture becomes such an image, one of `placement.WAYS`.
    """

    form: Form
    preprocess: str


def inputs(form: Form) -> str:
    """For people: what an export of a form takes."""
    channels = "" if form.channels == 1 else f", {form.channels}"
    return INPUT.format(
        height=form.height, width=form.width, channels=channels, kind=KINDS[form.channels]
    )


def outputs(form: Form) -> str:
    """For people: what an export of a form gives."""
    return OUTPUT.format(num_classes=form.num_classes)


def content(
    recipe: Recipe,
    step: int,
    form: Form,
    preprocess: str = DIGIT,
    takes: str | None = None,
    gives: str | None = None,
) -> dict[str, Any]:
    """The notes as JSON has them.

    Args:
      recipe: what was trained.
      step: of the checkpoint.
      form: of the images.
      preprocess: how a picture becomes such an image.
      takes, gives: what the export takes and gives, for people; None for `inputs` and `outputs`.
    """
    return {
        "recipe": name_of(recipe),
        "network": recipe.network,
        "step": step,
        "class_names": list(form.class_names),
        "image_shape": [form.height, form.width, form.channels],
        "preprocess": preprocess,
        "input": takes or inputs(form),
        "output": gives or outputs(form),
    }


def as_bytes(noted: Mapping[str, Any]) -> bytes:
    """The content of `FILE`."""
    return (json.dumps(noted, indent=2) + "\n").encode()


def as_texts(noted: Mapping[str, Any]) -> dict[str, str]:
    """The notes for a place that takes text alone: what is no text is written as JSON."""
    return {name: v if isinstance(v, str) else json.dumps(v) for name, v in noted.items()}


def read(noted: Any) -> Notes:
    """The notes in what JSON gave.

    Raises:
      ValueError: something is missing or cannot be; the message tells what was found.
    """
    if not isinstance(noted, dict):
        raise ValueError(f"notes that are {type(noted).__name__}")
    shape, way = noted.get("image_shape"), noted.get("preprocess")
    if not isinstance(shape, list) or len(shape) != 3:
        raise ValueError(f"image_shape {shape!r:.100}")
    if way not in placement.WAYS:
        raise ValueError(f"preprocess {way!r:.100}")
    sizes = dict(zip(("height", "width", "channels"), shape, strict=True))
    return Notes(limits.from_json({**sizes, "class_names": noted.get("class_names")}), way)


def read_texts(texts: Mapping[str, str]) -> Notes:
    """The notes in what `as_texts` wrote; raises ValueError as `read`."""
    missing = [name for name in ("class_names", "image_shape", "preprocess") if name not in texts]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)}")
    noted = {name: json.loads(texts[name]) for name in ("class_names", "image_shape")}
    return read(noted | {"preprocess": texts["preprocess"]})
