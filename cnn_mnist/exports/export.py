"""The formats of other programs. To add one, write its module and list it here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cnn_mnist.checkpoints import record
from cnn_mnist.data import limits
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.models.tables import require_known
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console, files
from cnn_mnist.utils.errors import InputError


class Format(NamedTuple):
    """An entry of `FORMATS`: what it is called, and what writes it.

    `write` takes a recipe, `model_dir`, `export_dir`, the form of the images and a function that
    loads the data set; it returns what a person can do with the result, in lines.
    """

    meaning: str
    write: Callable[[Recipe, str, str, Form, Callable[[], Dataset]], list[str]]


def _saved_model(
    recipe: Recipe, model_dir: str, export_dir: str, form: Form, load: Any
) -> list[str]:
    examples = load().test.images[:10]
    with console.shown(progress=False):
        from cnn_mnist.exports import saved_model

        return saved_model.saved_model(recipe, model_dir, export_dir, examples, form)


def _tfjs(recipe: Recipe, model_dir: str, export_dir: str, form: Form, load: Any) -> list[str]:
    with console.shown(progress=False):
        from cnn_mnist.exports import tfjs

        return tfjs.layers_model(recipe, model_dir, export_dir, form)


FORMATS = {
    "saved_model": Format("a SavedModel of TensorFlow", _saved_model),
    "tfjs": Format("a layers model of TensorFlow.js", _tfjs),
}


class Exported(NamedTuple):
    """The folder that an export has written, and what a person can do with it, in lines."""

    folder: Path
    told: list[str]


def export(
    model_dir: str | Path = "model_dir",
    export_dir: str | Path = "exported",
    *,
    format: str = "saved_model",
    recipe: str | Recipe | None = None,
    class_names: Sequence[str] | None = None,
    data: Dataset | None = None,
    data_dir: str | None = None,
) -> Exported:
    """Writes the newest checkpoint of a folder for other programs, whole or not at all.

    Args:
      model_dir: the folder of a training.
      export_dir: the folder to make.
      format: a name of `FORMATS`.
      recipe: what was trained; None for what is noted in `model_dir`.
      class_names: in the order of the labels; None for those that are noted in `model_dir`.
      data: some of its test images go with a SavedModel; None for those of `data_dir`.
      data_dir: a folder that `load` can read; None for the MNIST inside the package.

    Raises:
      InputError: an unknown format, or a folder that is not empty.
      CheckpointError: no checkpoint can be used.
      RecordError: images of another form than those that were trained on.
    """
    if format not in FORMATS:
        raise InputError(f"--format={format}: expected one of {', '.join(FORMATS)}")
    model_dir, export_dir = str(model_dir), str(export_dir)
    known = record.recipe_of(model_dir, recipe)
    require_known(known)
    files.check_free(export_dir)
    form = record.form_of(model_dir) or MNIST
    if class_names is not None:
        form = limits.named(form, class_names)

    def load() -> Dataset:
        found = data or record.load(known, model_dir, data_dir, fixed=())[1]
        record.require_form(found.form, model_dir)
        return found

    write = FORMATS[format].write
    return Exported(Path(export_dir), write(known, model_dir, export_dir, form, load))
