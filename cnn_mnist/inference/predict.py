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
from cnn_mnist.data.placement import DIGIT, PLAIN
from cnn_mnist.engines.table import ENGINES, TENSORFLOW
from cnn_mnist.inference.images import find_images, read_image, read_images
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console
from cnn_mnist.utils.errors import InputError, UsageError, shown

PLACED = "light ink in the middle of black ground"


class Answer(NamedTuple):
    """What the network sees in one file. The fields' names are those of JSON and CSV.

    Attributes:
      file: as it was given or found.
      digit, runner_up: the labels of the most probable class, and of the second.
      probability, runner_up_probability: theirs, 0 to 1.
      name, runner_up_name: what people call these classes.
      number: of the digit in the file, from the left, from 1; None where only one is looked for.
    """

    file: str
    digit: int
    probability: float
    runner_up: int
    runner_up_probability: float
    name: str
    runner_up_name: str
    number: int | None = None


def run(
    recipe: Recipe,
    model_dir: str,
    patterns: Sequence[str],
    output: str = "table",
    class_names: Sequence[str] | None = None,
    preprocess: str | None = None,
    split: bool = False,
    engine: str = TENSORFLOW,
    model: str | None = None,
) -> int:
    """Reads image files, asks the network of the newest checkpoint, and prints its answers.

    Files that are no images of a digit are told on stderr; the others are answered all the same.
    TensorFlow is loaded once the files are read, and not at all if none can be.

    Args:
      recipe, model_dir: as of a `Predictor`.
      patterns: files, folders and globs; see `images.find_images`.
      output: a key of `FORMATS`.
      class_names: in the order of the labels; None for those that are noted in `model_dir`.
      preprocess: a key of `PREPROCESSES`; None for what fits the images of the training.
      split: whether to read every digit of a picture, instead of refusing those with several.
      engine: one of `engines.table.NAMES`; without TensorFlow, `recipe` and `model_dir` are of no
        account, and names and preprocessing that are not given are those noted in `model`.
      model: the exported file that the engine opens.

    Returns:
      The exit code: 0, or 2 if any pattern or file could not be used.

    Raises:
      CheckpointError: no checkpoint that can be used.
      ModelError: `model` cannot be used.
      UsageError: `split` where pictures are read whole.
    """
    opened = ENGINES[engine].opened(str(model)) if engine != TENSORFLOW else None
    form = opened.form if opened else record.form_of(model_dir) or MNIST
    usual = opened.preprocess if opened else record.preprocess_of(model_dir)
    preprocess = chosen(usual, preprocess, split)
    if class_names is not None:
        form = limits.named(form, class_names)
    found, errors = read_pictures(patterns, form, preprocess, split)
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if found:
        images = np.array([each.image for each in found])
        if opened:
            _, probabilities = opened.predict(images)
        else:
            probabilities = _by_tensorflow(model_dir, recipe, images)
        rows = answers([each.file for each in found], probabilities, form.class_names)
        rows = [row._replace(number=each.number) for row, each in zip(rows, found, strict=True)]
        print(FORMATS[output](rows), end="")
    return 2 if errors else 0


def _by_tensorflow(model_dir: str, recipe: Recipe, images: np.ndarray) -> np.ndarray:
    console.load_tensorflow()
    from cnn_mnist.inference.predictor import Predictor

    with Predictor(model_dir, recipe) as predictor:
        return predictor.predict(images)[1]


def chosen(usual: str, preprocess: str | None, split: bool) -> str:
    """How pictures are read: as asked, or as is usual for the network, told where that is whole.

    Raises:
      UsageError: pictures that are read whole cannot be split into digits.
    """
    chosen = preprocess or usual
    if split and chosen != DIGIT:
        why = "" if preprocess else f", as the network was not trained on {PLACED}"
        raise UsageError(
            f"--split: expected --preprocess=digit, found {chosen}{why}; leave --split out, or add "
            "--preprocess=digit if the pictures show digits on paper"
        )
    if chosen == PLAIN and preprocess is None:
        print(
            "note: pictures are read whole (--preprocess=plain), as the network was not trained on "
            f"{PLACED}; --preprocess=digit looks for digits on paper",
            file=sys.stderr,
        )
    return chosen


class Found(NamedTuple):
    """An image from a picture: its file, its number there (None if it is the only one), pixels."""

    file: Path
    number: int | None
    image: np.ndarray

    @property
    def called(self) -> str:
        """The file's name, and the digit's number in it if there is one, in what can be printed."""
        name = shown(self.file.name.encode(errors="backslashreplace").decode())
        return name if self.number is None else f"{name}, {self.number}"


def read_pictures(
    patterns: Sequence[str],
    form: Form = MNIST,
    preprocess: str = DIGIT,
    split: bool = False,
) -> tuple[list[Found], list[InputError]]:
    """The images of all pictures, as `images.read_images` has them, and the errors of others."""
    found: list[Found] = []
    errors: list[InputError] = []
    for pattern in patterns:
        try:
            files = find_images([pattern])
        except InputError as error:
            errors.append(error)
            continue
        for path in files:
            try:
                if split:
                    each = read_images(path, form, preprocess)
                    found += [Found(path, number, image) for number, image in enumerate(each, 1)]
                else:
                    found.append(Found(path, None, read_image(path, form, preprocess)))
            except InputError as error:
                errors.append(error)
    return found, errors


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
    """For people: a line for each image, in columns; probabilities in percent."""
    names = [shown(row.file) for row in rows]
    width = max(map(len, ["file", *names]))
    numbers = all(row.name.isdigit() for row in rows)
    head = "digit" if numbers else "class"
    wide = max(map(len, [head, *(row.name for row in rows)]))
    counted = "number" in fields_of(rows)
    lines = [
        f"{'file':{width}}  {'number  ' if counted else ''}{head:{wide}}  probability  runner-up"
    ]
    side = ">" if numbers else "<"
    lines += [
        f"{name:{width}}  {f'{row.number:6}  ' if counted else ''}{row.name:{side}{wide}}  "
        f"{row.probability:11.1%}  {row.runner_up_name} ({row.runner_up_probability:.1%})"
        for name, row in zip(names, rows, strict=True)
    ]
    return "\n".join(lines) + "\n"


def fields_of(rows: Sequence[Answer]) -> list[str]:
    """The fields of `Answer` that the rows have: `number` only where digits are counted."""
    counted = any(row.number is not None for row in rows)
    return [name for name in Answer._fields if counted or name != "number"]


def as_json(rows: Sequence[Answer]) -> str:
    """For programs: a list of objects with the fields of `Answer`."""
    fields = fields_of(rows)
    found = [{name: getattr(row, name) for name in fields} for row in rows]
    return json.dumps(found, indent=2) + "\n"


def as_csv(rows: Sequence[Answer]) -> str:
    """For programs and spreadsheets: a header with the fields of `Answer`, then a line for each."""
    text, fields = io.StringIO(), fields_of(rows)
    values = ([getattr(row, name) for name in fields] for row in rows)
    csv.writer(text, lineterminator="\n").writerows([fields, *values])
    return text.getvalue()


FORMATS: dict[str, Callable[[Sequence[Answer]], str]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}
