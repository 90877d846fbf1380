"""What each `--mode` does: calls a function of the package, and prints what came of it.

To add a mode, write its function and list it in `MODES`. The functions load TensorFlow, after
everything that can be checked without it was found good.
"""

import dataclasses
import functools
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from cnn_mnist.checkpoints import record
from cnn_mnist.cluster import roles
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.data import dataset, limits
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.data.form import MNIST
from cnn_mnist.evaluation.evaluate import evaluate
from cnn_mnist.explanations.explain import explain
from cnn_mnist.exports.export import export
from cnn_mnist.inference import predict as inference
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train
from cnn_mnist.utils import console
from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.painter import Painter

MOST_EXPLAINED = 24  # pictures on one page


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """The flags that do not belong to a recipe; `main` says what each of them means."""

    strategy: str  # "multi_worker", "mirrored" or "auto"
    data_dir: str | None
    class_names: list[str] | None  # None: those of the data, or of what was trained on them
    validation_size: int | None  # as given; None: the recipe's, which gives way to small data
    train_size: int | None
    steps_per_call: int
    images: list[str]
    output: str
    preprocess: str | None
    split: bool
    engine: str
    model: str | None
    robustness: bool
    export_dir: str
    format: str
    quantize: str
    cluster: Cluster | None  # type: ignore[assignment]  # None: this process trains alone


def train_and_eval(recipe: Recipe, options: Options) -> int:
    """Train what is left of the steps, then report on the test images."""
    if options.cluster:
        return _train(recipe, options, then=_report)
    with Painter() as painter:  # ready by the time that it is needed
        return _train(recipe, options, then=functools.partial(_report, painter=painter))


def train_only(recipe: Recipe, options: Options) -> int:
    """Only train."""
    return _train(recipe, options, then=_print_places)


def report(recipe: Recipe, options: Options) -> int:
    """Only report, with the newest checkpoint."""
    return _report(recipe, options, _load(recipe, options)[1], None)


def summary(recipe: Recipe, options: Options) -> int:
    """Print the network's layers."""
    form = record.form_of(options.model_dir) or MNIST
    if options.data_dir is not None:
        form = _load(recipe, options)[1].form
    elif options.class_names is not None:
        limits.named(form, options.class_names)
    console.load_tensorflow()
    from cnn_mnist.models import summary

    Console().print(summary.table(recipe, form))
    return 0


def show_data(recipe: Recipe, options: Options) -> int:
    """Tell what the data are, and draw examples and how many there are of each class."""
    _, data = _load(recipe, options)
    print(*dataset.described(data), sep="\n", flush=True)
    console.load_tensorflow()
    from cnn_mnist.evaluation import report

    folder = Path(options.model_dir) / "data"
    pictures = report.write_data_figures(data, folder)
    report.to_tensorboard(pictures, folder, step=0, prefix="data")
    print(*(folder / f"{name}.png" for name in pictures), sep="\n")
    return 0


def predict(recipe: Recipe, options: Options) -> int:
    """Read digits in --images."""
    return inference.run(
        recipe,
        options.model_dir,
        options.images,
        options.output,
        options.class_names,
        options.preprocess,
        options.split,
        options.engine,
        options.model,
    )


def look_inside(recipe: Recipe, options: Options) -> int:
    """Show which pixels decide, what the layers make of a picture, and what it takes for alike."""
    _, data = _load(recipe, options)
    found: list[inference.Found] = []
    errors: list[InputError] = []
    if options.images:
        usual = record.preprocess_of(options.model_dir)
        preprocess = inference.chosen(usual, options.preprocess, options.split)
        found, errors = inference.read_pictures(
            options.images, data.form, preprocess, options.split
        )
        for error in errors:
            print(f"error: {error}", file=sys.stderr)
        if not found:
            return 2
        if len(found) > MOST_EXPLAINED:
            told = f"note: the first {MOST_EXPLAINED} of {len(found):,} pictures are explained"
            print(told, file=sys.stderr)
            found = found[:MOST_EXPLAINED]
    explained = explain(
        options.model_dir,
        np.array([each.image for each in found]) if found else None,
        names=[each.called for each in found] if found else None,
        recipe=recipe,
        data=data,
    )
    tensorboard = console.command("tensorboard")
    print(f"explained     {len(explained.images)} pictures in {explained.seconds:.1f} s")
    print(f"page          {explained.page}")
    print(f"projector     {tensorboard} --logdir={shlex.quote(options.model_dir)}")
    return 2 if errors else 0


def export_network(recipe: Recipe, options: Options) -> int:
    """Write the network into --export_dir, for other programs."""
    exported = export(
        options.model_dir,
        options.export_dir,
        format=options.format,
        recipe=recipe,
        class_names=options.class_names,
        data_dir=options.data_dir,
        quantize=options.quantize,
        preprocess=options.preprocess,
    )
    from cnn_mnist.exports import proof

    Console().print(proof.table(exported.proofs))
    print(f"exported      {shlex.quote(options.export_dir)}", *exported.told, sep="\n")
    return 0


class Mode(NamedTuple):
    """An entry of `MODES`.

    Attributes:
      run: returns the exit code. Its docstring is what `--help` tells.
      trains: whether the classic recipe is meant where none is named, and a cluster takes part;
        otherwise what was trained in `model_dir`.
      writes: whether it must write into `model_dir`.
    """

    run: Callable[[Recipe, Options], int]
    trains: bool = False
    writes: bool = False


MODES = {
    "train_and_eval": Mode(train_and_eval, trains=True, writes=True),
    "train": Mode(train_only, trains=True, writes=True),
    "eval": Mode(report),
    "summary": Mode(summary),
    "show_data": Mode(show_data, writes=True),
    "predict": Mode(predict),
    "explain": Mode(look_inside, writes=True),
    "export": Mode(export_network),
}


def _load(recipe: Recipe, options: Options) -> tuple[Recipe, Dataset]:
    """The data set, with names for its classes, and the recipe with the sizes of its splits."""
    fixed = [name for name in dataset.SPLIT_SIZES if getattr(options, name) is not None]
    recipe, data = record.load(recipe, options.model_dir, options.data_dir, fixed)
    screen = console.stderr_console()
    for line in data.told:
        screen.print(f"data: {line}", markup=False)
    return recipe, dataset.with_names(data, options.class_names)


# What follows a training: recipe, flags, data, and the checkpoint, if that is known.
Then = Callable[[Recipe, Options, Dataset, str | None], int]


def _train(recipe: Recipe, options: Options, then: Then) -> int:
    """Trains, alone or in a role of a cluster; the process that reports goes on to that."""
    if options.cluster:
        return _train_together(options.cluster, recipe, options, then)
    recipe, data = _load(recipe, options)
    run = train(
        recipe,
        options.model_dir,
        data=data,
        strategy=options.strategy,
        steps_per_call=options.steps_per_call,
        save_checkpoints_steps=options.save_checkpoints_steps,
        log_every_n_iter=options.log_every_n_iter,
    )
    return then(recipe, options, data, run.checkpoint)


def _train_together(cluster: Cluster, recipe: Recipe, options: Options, then: Then) -> int:
    recipe, data = _load(recipe, options)
    code = roles.play(options, recipe, data)
    goes_on = "evaluator" if cluster.has_evaluator and then is not _print_places else "chief"
    if code or cluster.role != goes_on:
        return code
    return then(recipe, options, data, None)


def _report(
    recipe: Recipe,
    options: Options,
    data: Dataset,
    checkpoint: str | None,
    painter: Painter | None = None,
) -> int:
    scores = evaluate(
        options.model_dir,
        recipe=recipe,
        checkpoint=checkpoint,
        data=data,
        class_names=data.form.class_names,
        robustness=options.robustness,
        painter=painter,
    )
    from cnn_mnist.evaluation import report

    Console().print(report.table(scores))
    if scores.robustness is not None:
        Console().print(report.robustness_table(scores.robustness))
    print(
        f"test accuracy {scores.accuracy:.4f}, loss {scores.loss:.4f} "
        f"on {scores.images:,} images at step {scores.step:,}",
        flush=True,
    )
    left_out = f"left out, with all its files: {scores.write_protected} is write-protected"
    print(f"report        {scores.page or left_out}")
    return _print_places(recipe, options, data, scores.checkpoint)


def _print_places(recipe: Recipe, options: Options, data: Dataset, checkpoint: str | None) -> int:
    if checkpoint is None:  # of a cluster's chief
        from cnn_mnist.checkpoints import restore

        checkpoint = restore.newest(recipe, options.model_dir, data.form)
    print(f"checkpoints   {checkpoint}")
    tensorboard = console.command("tensorboard")
    print(f"curves        {tensorboard} --logdir={shlex.quote(options.model_dir)}")
    return 0
