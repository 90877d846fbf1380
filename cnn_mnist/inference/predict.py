"""Image files -> digits: the whole of `--mode=predict` below the flags.

Results go to stdout as a table, JSON or CSV; what cannot be read goes to stderr, a line for each.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_mnist.checkpoints import record
from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.inference.images import find_images, read_image
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console
from cnn_mnist.utils.errors import InputError, shown


class Answer(NamedTuple):
    """What the network sees in one file. The fields' names are those of JSON and CSV.

    Attributes:
      file: as it was given or found.
      digit, runner_up: the labels of the most probable class, and of the second.
      probability, runner_up_probability: theirs, 0 to 1.
      name, runner_up_name: what people call these classes.
    """

    file: str
    digit: int
    probability: float
    runner_up: int
    runner_up_probability: float
    name: str
    runner_up_name: str


def run(
    recipe: Recipe,
    model_dir: str,
    patterns: Sequence[str],
    output: str = "table",
    class_names: Sequence[str] | None = None,
) -> int:
    """Reads image files, asks the network of the newest checkpoint, and prints its answers.

    Files that are no images of a digit are told on stderr; the others are answered all the same.
    TensorFlow is loaded once the files are read, and not at all if none can be.

    Args:
      recipe, model_dir: as of a `Predictor`.
      patterns: files, folders and globs; see `images.find_images`.
      output: a key of `FORMATS`.
      class_names: in the order of the labels; None for those that are noted in `model_dir`.

    Returns:
      The exit code: 0, or 2 if any pattern or file could not be used.

    Raises:
      CheckpointError: no checkpoint that can be used.
    """
    form = record.form_of(model_dir) or MNIST
    if class_names is not None:
        form = limits.named(form, class_names)
    files, images, errors = read_images(patterns, form)
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if files:
        console.load_tensorflow()
        from cnn_mnist.inference.predictor import Predictor

        with Predictor(model_dir, recipe) as predictor:
            _, probabilities = predictor.predict(images)
        print(FORMATS[output](answers(files, probabilities, form.class_names)), end="")
    return 2 if errors else 0


def read_images(
    patterns: Sequence[str], form: Form = MNIST
) -> tuple[list[Path], np.ndarray, list[InputError]]:
    """N files that hold a picture, their images, `uint8 [N, H, W]`, and the errors of others.

    Colour images are `uint8 [N, H, W, 3]`.
    """
    files: list[Path] = []
    images: list[np.ndarray] = []
    errors: list[InputError] = []
    for pattern in patterns:
        try:
            found = find_images([pattern])
        except InputError as error:
            errors.append(error)
            continue
        for path in found:
            try:
                images.append(read_image(path, form))
                files.append(path)
            except InputError as error:
                errors.append(error)
    return files, np.array(images, np.uint8).reshape(len(files), *form.image_shape), errors


def answers(
    files: Sequence[Path], probabilities: np.ndarray, class_names: Sequence[str] = MNIST.class_names
) -> list[Answer]:
    """Names the two most probable classes of N files; probabilities `float32 [N, K]`."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    return [
        Answer(
            # Names need not be valid Unicode on disk; output must be.
            file=str(path).encode(errors="backslashreplace").decode(),
            digit=int(best),
            probability=float(row[best]),
            runner_up=int(second),
            runner_up_probability=float(row[second]),
            name=class_names[best],
            runner_up_name=class_names[second],
        )
        for path, row, (best, second) in zip(files, probabilities, order[:, :2], strict=True)
    ]


def as_table(rows: Sequence[Answer]) -> str:
    """For people: a line for each file, in columns; probabilities in percent."""
    names = [shown(row.file) for row in rows]
    width = max(map(len, ["file", *names]))
    numbers = all(row.name.isdigit() for row in rows)
    head = "digit" if numbers else "class"
    wide = max(map(len, [head, *(row.name for row in rows)]))
    lines = [f"{'file':{width}}  {head:{wide}}  probability  runner-up"]
    side = ">" if numbers else "<"
    lines += [
        f"{name:{width}}  {row.name:{side}{wide}}  {row.probability:11.1%}  "
        f"{row.runner_up_name} ({row.runner_up_probability:.1%})"
        for name, row in zip(names, rows, strict=True)
    ]
    return "\n".join(lines) + "\n"


def as_json(rows: Sequence[Answer]) -> str:
    """For programs: a list of objects with the fields of `Answer`."""
    return json.dumps([row._asdict() for row in rows], indent=2) + "\n"


def as_csv(rows: Sequence[Answer]) -> str:
    """For programs and spreadsheets: a header with the fields of `Answer`, then a line for each."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Answer._fields, *rows])
    return text.getvalue()


FORMATS: dict[str, Callable[[Sequence[Answer]], str]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}
