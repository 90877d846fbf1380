"""What each `--mode` does: reads what it needs, calls the parts, tells the user what came of it.

TensorFlow is loaded only after everything that can be checked without it was found good.
"""

import contextlib
import dataclasses
import logging
import os
import shlex
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cnn_mnist.checkpoints import lock, record
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.data import dataset
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console, files

if TYPE_CHECKING:  # it loads TensorFlow
    from cnn_mnist.cluster.distributed import Settings

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags that do not belong to a recipe; `main` says what each of them means."""

    model_dir: str
    data_dir: str | None
    class_names: list[str]
    log_every_n_iter: int
    save_checkpoints_steps: int
    steps_per_call: int
    images: list[str]
    output: str
    export_dir: str
    format: str
    strategy: str
    cluster_timeout: float
    index_log_dir: str | None
    cluster: Cluster | None


def train_and_eval(recipe: Recipe, options: Options) -> int:
    """Trains what is left of the steps, then reports on the test images."""
    if options.cluster and options.cluster.role == "ps":
        return _serve(options.cluster, options)
    data = _load(recipe, options)
    code = _train(recipe, options, data)
    cluster = options.cluster
    if code or (cluster and cluster.role != ("evaluator" if cluster.has_evaluator else "chief")):
        return code
    os.environ.pop("TF_CONFIG", None)  # or else the Estimator looks for the others
    return _report(recipe, options, data)


def train(recipe: Recipe, options: Options) -> int:
    """Trains what is left of the steps."""
    if options.cluster and options.cluster.role == "ps":
        return _serve(options.cluster, options)
    data = _load(recipe, options)
    code = _train(recipe, options, data)
    if code == 0 and (options.cluster is None or options.cluster.role == "chief"):
        from cnn_mnist.checkpoints import restore

        _print_places(restore.newest(recipe, options.model_dir), options)
    return code


def evaluate(recipe: Recipe, options: Options) -> int:
    """Reports on the test images, with the newest checkpoint."""
    data = _load(recipe, options)
    console.start_tensorflow()
    return _report(recipe, options, data)


def summary(recipe: Recipe, options: Options) -> int:
    """Prints the layers of the recipe's network."""
    console.start_tensorflow()
    from cnn_mnist.models import summary

    Console().print(summary.table(recipe))
    return 0


def show_data(recipe: Recipe, options: Options) -> int:
    """Draws examples of each class and the distribution of the labels."""
    data = _load(recipe, options)
    console.start_tensorflow()
    from cnn_mnist.evaluation import report

    folder = Path(options.model_dir) / "data"
    pictures = report.write_data_figures(data, options.class_names, folder)
    report.to_tensorboard(pictures, folder, step=0, prefix="data")
    for name in pictures:
        print(folder / f"{name}.png")
    return 0


def predict(recipe: Recipe, options: Options) -> int:
    """Reads the digits in image files."""
    from cnn_mnist.inference import predict

    return predict.run(recipe, options.model_dir, options.images, options.output)


def export(recipe: Recipe, options: Options) -> int:
    """Writes the newest checkpoint in a format that other programs read."""
    files.check_free(options.export_dir)
    if options.format == "tfjs":
        _export_tfjs(recipe, options)
    else:
        _export_saved_model(recipe, options)
    return 0


MODES: dict[str, Callable[[Recipe, Options], int]] = {
    "train_and_eval": train_and_eval,
    "train": train,
    "eval": evaluate,
    "summary": summary,
    "show_data": show_data,
    "predict": predict,
    "export": export,
}


def _export_saved_model(recipe: Recipe, options: Options) -> None:
    data = _load(recipe, options)
    console.start_tensorflow()
    from cnn_mnist.exports import saved_model

    saved_model.saved_model(recipe, options.model_dir, options.export_dir, data.test.images[:10])
    folder, cli = shlex.quote(options.export_dir), console.command("saved_model_cli")
    print(f"exported      {folder}")
    print(
        f"its inputs    {cli} show --dir {folder} --tag_set serve --signature_def {saved_model.RAW}"
    )
    print(
        f"ten digits    {cli} run --dir {folder} --tag_set serve --signature_def {saved_model.RAW} "
        f"--inputs images={folder}/assets.extra/{saved_model.EXAMPLES}"
    )


def _export_tfjs(recipe: Recipe, options: Options) -> None:
    console.start_tensorflow()
    from cnn_mnist.exports import tfjs

    tfjs.layers_model(recipe, options.model_dir, options.export_dir, options.class_names)
    print(f"exported      {shlex.quote(options.export_dir)}")
    print(f"its input     {tfjs.INPUT}")
    print(f"its output    {tfjs.OUTPUT}")
    print(f'in a page     const model = await tf.loadLayersModel("{tfjs.MODEL}")')


def _load(recipe: Recipe, options: Options) -> dataset.Dataset:
    return dataset.load(options.data_dir, recipe.validation_size, recipe.train_size)


def _train(recipe: Recipe, options: Options, data: dataset.Dataset) -> int:
    what, model_dir = record.of(recipe, data), options.model_dir
    if options.cluster and options.cluster.role != "chief":
        return _help_training(options.cluster, what, options, data)
    record.check(what, model_dir)
    with lock.held(model_dir):
        screen = console.start_tensorflow()
        return _train_and_save(what, options, data, screen)


def _train_and_save(
    what: record.Record, options: Options, data: dataset.Dataset, screen: Console
) -> int:
    from cnn_mnist.checkpoints import restore

    recipe, model_dir = what.recipe, options.model_dir
    first_step = restore.resume(recipe, model_dir)
    if first_step and record.read(model_dir) is None:
        place = Path(model_dir) / record.FILE
        log.warning("%s is missing: taking the checkpoint for one of this very command", place)
    record.write(what, model_dir)
    if first_step >= recipe.steps:
        print(f"step {first_step:,} of {recipe.steps:,} is reached: nothing left to train")
        if options.cluster:
            from cnn_mnist.cluster import roles

            roles.dismiss(options.cluster, screen, _settings(options))
        return 0
    origin = f"resuming at step {first_step:,}" if first_step else "starting"
    print(f"{origin}: {len(data.train):,} training images, {recipe.steps:,} steps", flush=True)
    start = time.monotonic()
    received = _run(what, options, data, screen)
    seconds = time.monotonic() - start
    last_step = restore.step_of(restore.newest(recipe, model_dir))
    if received is not None:
        print(f"{received.name}: saved at step {last_step:,}; the same command resumes there")
        return 128 + received
    digits = 1 if seconds < 100 else 0
    print(f"trained {last_step - first_step:,} steps in {seconds:.{digits}f} s", flush=True)
    return 0


def _run(
    what: record.Record, options: Options, data: dataset.Dataset, screen: Console
) -> signal.Signals | None:
    """Trains, alone or with others; returns the signal that ended it, or None."""
    if options.cluster:
        from cnn_mnist.cluster import roles

        with console.quiet_cluster():
            return roles.lead(options.cluster, what, data, screen, _settings(options))
    from cnn_mnist.training import run

    recipe, steps = what.recipe, options.save_checkpoints_steps
    devices = run.replica_devices(options.strategy, recipe, options.steps_per_call)
    classifier = run.build_estimator(recipe, options.model_dir, steps, devices)
    return run.train(
        classifier,
        what,
        data,
        screen,
        options.log_every_n_iter,
        steps_per_call=options.steps_per_call,
    )


def _serve(cluster: Cluster, options: Options) -> int:
    """Holds the weights of a training, without images of its own."""
    screen = console.start_tensorflow()
    from cnn_mnist.cluster import roles

    with console.quiet_cluster():
        return roles.serve(cluster, _settings(options), screen)


def _help_training(
    cluster: Cluster, what: record.Record, options: Options, data: dataset.Dataset
) -> int:
    """Takes a role beside the chief's, until nothing is left to train."""
    screen = console.start_tensorflow()
    from cnn_mnist.cluster import roles

    settings = _settings(options)
    if cluster.role == "worker":
        with console.quiet_cluster():
            return roles.follow(cluster, what, data, screen, settings)
    roles.evaluate(cluster, what, data, screen, settings)
    return 0


def _settings(options: Options) -> "Settings":
    from cnn_mnist.cluster.distributed import Settings

    return Settings(**{f.name: getattr(options, f.name) for f in dataclasses.fields(Settings)})


def _report(recipe: Recipe, options: Options, data: dataset.Dataset) -> int:
    from cnn_mnist.checkpoints import restore
    from cnn_mnist.evaluation import report, scoring
    from cnn_mnist.training import run
    from cnn_mnist.utils import curves

    checkpoint = restore.newest(recipe, options.model_dir)
    folder = Path(options.model_dir) / "report"
    protected = _write_protected(Path(options.model_dir))
    # The Estimator always writes a curve: where it cannot, into a folder that is deleted again.
    scratch = tempfile.TemporaryDirectory() if protected else None
    with scratch or contextlib.nullcontext(options.model_dir) as place:
        classifier = run.build_estimator(recipe, place)
        scores, step = scoring.evaluate(classifier, data.test, options.class_names, checkpoint)
    Console().print(report.table(scores))
    print(
        f"test accuracy {scores.accuracy:.4f}, loss {scores.loss:.4f} "
        f"on {len(data.test):,} images at step {step:,}",
        flush=True,
    )
    if protected:
        print(f"report        left out, with all its files: {protected} is write-protected")
    else:
        pictures = report.write(scores, curves.read_curves(options.model_dir), folder)
        report.to_tensorboard(pictures, folder, step)
        print(f"report        {folder / 'report.html'}")
    _print_places(checkpoint, options)
    return 0


def _write_protected(model_dir: Path) -> Path | None:
    """The first of the folders that a report is written to which cannot be written to; or None."""
    places = (model_dir, model_dir / "eval", model_dir / "report")
    return next((p for p in places if p.exists() and not os.access(p, os.W_OK | os.X_OK)), None)


def _print_places(checkpoint: str, options: Options) -> None:
    print(f"checkpoints   {checkpoint}")
    tensorboard = console.command("tensorboard")
    print(f"curves        {tensorboard} --logdir={shlex.quote(options.model_dir)}")
