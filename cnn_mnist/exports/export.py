"""The formats of other programs. To add one, write its module and list it here."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnn_mnist.checkpoints import record
from cnn_mnist.data import limits
from cnn_mnist.data.dataset import Dataset, Split
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.engines import engine, layers_model
from cnn_mnist.engines import litert as litert_engine
from cnn_mnist.engines import onnx as onnx_engine
from cnn_mnist.engines.engine import Engine
from cnn_mnist.models.tables import require_known
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console, files
from cnn_mnist.utils.errors import InputError

if TYPE_CHECKING:
    from cnn_mnist.exports.proof import Proof, Yardstick

ALL = "all"
QUANTIZE = {
    "none": "float32",
    "dynamic": "weights of 8 bits, computed in float32",
    "int8": "weights and activations of 8 bits, calibrated on training images",
}


class Task(NamedTuple):
    """What is exported, whatever the format is.

    Attributes:
      recipe: what was trained.
      model_dir: the folder of the training.
      form: what the images are.
      data: its test images prove the export, and its training images calibrate it.
      trained_on: whether that is the data that was trained on.
      preprocess: how a picture becomes such an image, `digit` or `plain`.
      quantize: a key of `QUANTIZE`.
    """

    recipe: Recipe
    model_dir: str
    form: Form
    data: Dataset
    trained_on: bool
    preprocess: str
    quantize: str


Prove = Callable[[Path], None]  # as of `saved_model.saved_model`


def _saved_model(task: Task, export_dir: str, place: str, prove: Prove) -> list[str]:
    from cnn_mnist.exports import saved_model

    return saved_model.saved_model(
        *(task.recipe, task.model_dir, export_dir, task.data.test.images[:10], task.form),
        preprocess=task.preprocess,
        prove=prove,
        place=place,
    )


def _open_saved_model(task: Task, folder: Path) -> Engine:
    from cnn_mnist.exports import saved_model

    return saved_model.opened(folder, task.form, task.preprocess)


def _tfjs(task: Task, export_dir: str, place: str, prove: Prove) -> list[str]:
    from cnn_mnist.exports import tfjs

    given = (task.recipe, task.model_dir, export_dir, task.form)
    return tfjs.layers_model(*given, preprocess=task.preprocess, prove=prove)


def _litert(task: Task, export_dir: str, place: str, prove: Prove) -> list[str]:
    from cnn_mnist.exports import litert

    return litert.litert_model(
        *(task.recipe, task.model_dir, export_dir, task.form),
        quantize=task.quantize,
        calibration=next(task.data.train.pieces()).images,
        preprocess=task.preprocess,
        prove=prove,
        place=place,
    )


def _onnx(task: Task, export_dir: str, place: str, prove: Prove) -> list[str]:
    from cnn_mnist.exports import onnx

    given = (task.recipe, task.model_dir, export_dir, task.form)
    return onnx.onnx_model(*given, preprocess=task.preprocess, prove=prove, place=place)


class Format(NamedTuple):
    """An entry of `FORMATS`.

    Attributes:
      meaning: what it is called.
      write: writes the folder and returns what a person can do with it, in lines. It takes the
        task, the folder to make, what the lines call it, and what proves it.
      opened: opens the folder with the format's own runtime.
      needs: packages without which there is no such format; `extra` of setup.py brings them.
      extra: a key of `extras_require`.
      keeps_precision: whether it computes in the recipe's precision, and not in float32.
      has_examples: whether images for a first try go with it.
    """

    meaning: str
    write: Callable[[Task, str, str, Prove], list[str]]
    opened: Callable[[Task, Path], Engine]
    needs: tuple[str, ...] = ()
    extra: str = ""
    keeps_precision: bool = False
    has_examples: bool = False


FORMATS = {
    "saved_model": Format(
        "a SavedModel of TensorFlow",
        _saved_model,
        _open_saved_model,
        keeps_precision=True,
        has_examples=True,
    ),
    "tfjs": Format(
        "a layers model of TensorFlow.js",
        _tfjs,
        lambda task, folder: layers_model.opened(folder),
    ),
    "litert": Format(
        "a .tflite file for LiteRT (TensorFlow Lite)",
        _litert,
        lambda task, folder: litert_engine.opened(folder / "model.tflite"),
        litert_engine.MODULES,
        "litert",
    ),
    "onnx": Format(
        "an ONNX model",
        _onnx,
        lambda task, folder: onnx_engine.opened(folder / "model.onnx"),
        ("tf2onnx", "onnx", *onnx_engine.MODULES),
        "onnx",
    ),
}


@dataclasses.dataclass(frozen=True)
class Exported:
    """The folder that an export has written.

    Attributes:
      folder: that was made.
      told: what a person can do with it, in lines.
      proofs: how each format compares with the network, whose own rows come first.
    """

    folder: Path
    told: list[str]
    proofs: "tuple[Proof, ...]" = ()


def export(
    model_dir: str | Path = "model_dir",
    export_dir: str | Path = "exported",
    *,
    format: str = "saved_model",
    recipe: str | Recipe | None = None,
    class_names: Sequence[str] | None = None,
    data: Dataset | None = None,
    data_dir: str | None = None,
    quantize: str = "none",
    preprocess: str | None = None,
) -> Exported:
    """Writes the newest checkpoint of a folder for other programs, whole or not at all.

    Before the folder is put in its place, the runtime of its format reads 1,000 test images, and
    its answers are compared with the network's.

    Args:
      model_dir: the folder of a training.
      export_dir: the folder to make.
      format: a name of `FORMATS`, or `all`: each in a folder of its name.
      recipe: what was trained; None for what is noted in `model_dir`.
      class_names: in the order of the labels; None for those that are noted in `model_dir`.
      data: its test images prove the export; None for those of `data_dir`. Where they are of
        other things than what was trained on, accuracy is not told.
      data_dir: a folder that `load` can read; None for the MNIST inside the package.
      quantize: for LiteRT, a key of `QUANTIZE`.
      preprocess: how a picture becomes an image of the network, noted in the export: `digit` or
        `plain`; None for what fits the images of the training.

    Raises:
      InputError: an unknown format, a package that is missing, or a folder that is not empty.
      CheckpointError: no checkpoint can be used.
      RecordError: images of another form than those that were trained on.
      ProofError: the export gives other answers than the network.
    """
    _check(format, quantize)
    model_dir, export_dir = str(model_dir), str(export_dir)
    known = record.recipe_of(model_dir, recipe)
    require_known(known)
    files.check_free(export_dir)
    form = record.form_of(model_dir) or MNIST
    if class_names is not None:
        form = limits.named(form, class_names)
    names = tuple(FORMATS) if format == ALL else (format,)
    with console.shown(progress=False):
        for name in names:
            engine.require_packages(f"--format={name}", FORMATS[name].extra, FORMATS[name].needs)
        found = data or record.load(known, model_dir, data_dir, fixed=())[1]
        if not FORMATS[names[0]].has_examples and data is data_dir is None:
            found = _of_form(found, form)
        record.require_form(found.form, model_dir)
        trained_on = record.trained_on(found, model_dir)
        if quantize == "int8" and not trained_on:
            raise InputError(
                "--quantize=int8: expected the images that were trained on, to calibrate with, "
                "found others; name them with --data_dir"
            )
        way = preprocess or record.preprocess_of(model_dir)
        task = Task(known, model_dir, form, found, trained_on, way, quantize)
        known_of = _Yardsticks(task)
        proofs: list[Proof] = []
        if format != ALL:
            told = _write(name, task, export_dir, export_dir, known_of, proofs)
        else:
            told = []
            with files.whole_folder(export_dir) as folder:
                for name in names:
                    place = str(Path(export_dir) / name)
                    told += [f"{name}:"]
                    told += _write(name, task, str(folder / name), place, known_of, proofs)
    return Exported(Path(export_dir), told, (*known_of.proofs(), *proofs))


def _of_form(data: Dataset, form: Form) -> Dataset:
    """The data set, or where its images are of another form, noise that no file had to be read for.

    It proves as well that two programs compute the same.
    """
    if limits.sizes(data.form) == limits.sizes(form):
        return data
    noise = np.random.default_rng(0).integers(0, 256, (100, *form.image_shape), np.uint8)
    split = Split(noise, np.zeros(len(noise), np.int32))
    return Dataset(split, split, split, form)


def _check(format: str, quantize: str) -> None:
    """Raises InputError for what does not go together."""
    if format not in (*FORMATS, ALL):
        raise InputError(f"--format={format}: expected one of {', '.join((*FORMATS, ALL))}")
    if quantize not in QUANTIZE:
        raise InputError(f"--quantize={quantize}: expected one of {', '.join(QUANTIZE)}")
    if quantize != "none" and format not in ("litert", ALL):
        raise InputError(
            f"--quantize={quantize}: expected --format=litert, found --format={format}; "
            "leave --quantize out"
        )


class _Yardsticks:
    """What the network itself makes of the test images, in each precision that is asked for."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._known: dict[str, Yardstick] = {}

    def of(self, keeps_precision: bool) -> "Yardstick":
        from cnn_mnist.exports import network

        recipe = self._task.recipe.resolved()
        if not keeps_precision:
            recipe = dataclasses.replace(recipe, precision="float32")
        if recipe.precision not in self._known:
            self._known[recipe.precision] = network.yardstick(
                *(recipe, self._task.model_dir, self._task.form, self._task.data.test),
                labelled=self._task.trained_on,
            )
        return self._known[recipe.precision]

    def proofs(self) -> "list[Proof]":
        return [known.proof for known in self._known.values()]


def _write(
    name: str,
    task: Task,
    export_dir: str,
    place: str,
    known_of: _Yardsticks,
    proofs: "list[Proof]",
) -> list[str]:
    """Writes one format and adds its proof."""
    chosen = FORMATS[name]
    quantized = name == "litert" and task.quantize != "none"

    def prove(folder: Path) -> None:
        from cnn_mnist.exports import proof

        opened = chosen.opened(task, folder)
        title = f"{name}, {task.quantize}" if quantized else name
        known = known_of.of(chosen.keeps_precision)
        proofs.append(proof.prove(title, opened.runtime, folder, opened.predict, known, quantized))

    return chosen.write(task, export_dir, place, prove)
