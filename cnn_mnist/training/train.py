"""Training, read from top to bottom: what is trained, where it goes on, Estimator, hooks, result.

TensorFlow takes seconds to load, so it is loaded after everything else was found good.
"""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from cnn_mnist.checkpoints import lock, record
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.data import dataset
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.models.tables import require_known
from cnn_mnist.recipes import Recipe, chosen
from cnn_mnist.utils import console, curves, events, files

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a training came to.

    Attributes:
      step: the global step that is reached.
      seconds: how long this call trained; 0.0 if nothing was left to train.
      checkpoint: the prefix of the checkpoint of that step.
      validation_accuracy: of the newest step that was validated, 0 to 1; None if none was.
    """

    step: int
    seconds: float
    checkpoint: str
    validation_accuracy: float | None


def train(
    recipe: str | Recipe = "estimator",
    model_dir: str | Path = "model_dir",
    *,
    data: Dataset | None = None,
    data_dir: str | None = None,
    progress: bool = True,
    strategy: str = "auto",
    steps_per_call: int = 1,
    save_checkpoints_steps: int = 1000,
    log_every_n_iter: int = 50,
    hooks: Sequence[Any] = (),
    **fields: Any,
) -> Run:
    """Trains until `global_step` reaches the recipe's steps, and goes on where a run stopped.

    The result is the same, bit for bit, however often the training was interrupted. After SIGTERM
    or Ctrl-C the step is saved; then the signal goes to whoever listened before, so that Ctrl-C
    raises `KeyboardInterrupt`.

    On disk it leaves in `model_dir`: `model.ckpt-STEP.*` (the last five checkpoints), `checkpoint`
    (their list), `recipe.json`, `graph.pbtxt`, `events.out.tfevents.*` (curves of the training), in
    `eval_validation` those of the validation, and in `best` the best checkpoint.

    Args:
      recipe: a `Recipe`, or the name of one in `RECIPES`.
      model_dir: the folder to train in.
      data: the images, of which those for tests stay untouched; None for those of `data_dir`.
      data_dir: a folder that `load` can read; None for the MNIST inside the package.
      progress: whether it shows a progress bar, on a terminal and in a notebook, or else lines.
      strategy: "mirrored" trains on all GPUs of this machine, "auto" too if there are several.
      steps_per_call: steps that a call of the session takes at most, for GPUs; changes no bit.
      save_checkpoints_steps: steps between two checkpoints.
      log_every_n_iter: steps between two lines on `softmax_tensor`; 0 for none.
      hooks: session hooks of the caller's.
      fields: of the recipe, which they replace: `steps=300`.

    Raises:
      InputError: a recipe, a folder or data that cannot be used; nothing was written.
      RunError: a training that cannot go on: NaN or infinity, a full disk, a damaged shard.
    """
    # What is trained, and on what.
    model_dir = str(model_dir)
    files.check_folder("model_dir", model_dir, writable=True)
    fixed = fields if isinstance(recipe, str) else dataset.SPLIT_SIZES
    recipe = record.resolved(chosen(recipe, **fields), model_dir)
    require_known(recipe)
    if data is None:
        recipe, data = record.load(recipe, model_dir, data_dir, fixed)
    what = record.of(recipe, data)

    with begun(what, model_dir, progress) as (first_step, screen):
        if tell_start(first_step, recipe, data, progress):
            return result(model_dir)
        from cnn_mnist import estimator
        from cnn_mnist.data.input_fns import naming_shard
        from cnn_mnist.models.model_fn import params_of
        from cnn_mnist.training import config, loop, saving, validation
        from cnn_mnist.training import hooks as ours

        # The Estimator, and how its steps are made into calls of the session.
        start = time.monotonic()
        replicas = config.replicas(strategy, recipe, steps_per_call)
        run_config = config.run_config(recipe, model_dir, save_checkpoints_steps, replicas)
        steps = loop.Steps(recipe, run_config, steps_per_call, log_every_n_iter)
        params = params_of(recipe, data.form)
        classifier = estimator.Estimator(steps.model_fn, config=steps.run_config, params=params)
        events.begin(model_dir)

        # Hooks, in the order in which they act.
        with contextlib.ExitStack() as stack:
            stop = stack.enter_context(ours.StopOnSignal(screen.print, alone=True))
            shown, note = stack.enter_context(ours.progress(recipe.steps, screen))
            of_run = [*steps.standard_hooks(), stop, ours.FiniteGuard(), *hooks, *shown]
            if log_every_n_iter:
                of_run.append(steps.logging_hook(note))
            if len(data.validation) and recipe.eval_every_steps:
                scores = (what, data.validation, model_dir, screen.print, steps.calls)
                of_run.append(validation.ValidationHook(*scores))
            # The last: what was scored before a run is killed is scored again after it resumes.
            of_run.append(saving.saving_hook(model_dir, save_checkpoints_steps, steps_per_call))

            # The run.
            input_fn = steps.input_fn(data.train, first_step)
            with naming_shard(data.train):
                steps.run(classifier.train, input_fn, hooks=of_run, max_steps=recipe.steps)

        # The result.
        run = result(model_dir, time.monotonic() - start)
        tell_end(run, first_step, stop.received, progress)
    stop.pass_on(f"the training is saved at step {run.step:,}; the same call resumes there")
    return run


@contextlib.contextmanager
def begun(what: Record, model_dir: str, progress: bool) -> Iterator[tuple[int, Console]]:
    """While entered, this process alone trains in `model_dir`, which is ready for it.

    Gives the global step that the training goes on from, and the screen.

    Raises:
      LockError: another process trains there.
      RecordError: another run was trained there.
      CheckpointError: there are checkpoints, and none can be used.
    """
    record.check(what, model_dir)
    with lock.held(model_dir), console.shown(progress) as screen:
        from cnn_mnist.checkpoints import restore

        first_step = restore.resume(what.recipe, model_dir, what.form)
        place = Path(model_dir) / record.FILE
        if first_step and not place.exists():
            log.warning("%s is missing: taking the checkpoint for one of this very command", place)
        record.write(what, model_dir)
        yield first_step, screen


def tell_start(first_step: int, recipe: Recipe, data: Dataset, progress: bool) -> bool:
    """Tells where the training begins; returns whether nothing is left to train."""
    done = first_step >= recipe.steps
    if progress and done:
        print(f"step {first_step:,} of {recipe.steps:,} is reached: nothing left to train")
    elif progress:
        origin = f"resuming at step {first_step:,}" if first_step else "starting"
        images = (
            f"{len(data.train):,} training images, {len(data.validation):,} for validation, "
            f"{len(data.test):,} for tests"
        )
        print(f"{origin}: {images}, {recipe.steps:,} steps", flush=True)
    return done


def tell_end(run: Run, first_step: int, received: Any, progress: bool) -> None:
    """Tells where the training ended, and the signal that ended it, if one did."""
    if progress and received is not None:
        print(f"{received.name}: saved at step {run.step:,}; the same command resumes there")
    elif progress:
        digits = 1 if run.seconds < 100 else 0
        print(f"trained {run.step - first_step:,} steps in {run.seconds:.{digits}f} s", flush=True)


def result(model_dir: str, seconds: float = 0.0) -> Run:
    """What is in a `model_dir` whose training has ended."""
    from cnn_mnist.checkpoints import restore

    checkpoint, step = restore.latest(model_dir)
    validated = curves.read_curves(model_dir).validation_accuracy.values
    return Run(step, seconds, checkpoint, validated[-1] if validated else None)
