"""Training and evaluation: builds the Estimator and runs it."""

import contextlib
import signal
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator, events, hooks, sessions
from cnn_mnist.dataset import Dataset
from cnn_mnist.input_fns import train_input_fn
from cnn_mnist.model import cnn_model_fn
from cnn_mnist.recipes import Recipe
from cnn_mnist.record import Record
from cnn_mnist.saver import Saver
from cnn_mnist.validation import ValidationHook

# The Estimator's default; a recipe that validates more often also writes more often.
SUMMARY_STEPS = 100


def build_estimator(recipe: Recipe, model_dir: str, save_checkpoints_steps: int = 1000) -> Any:
    """The Estimator of a recipe.

    On disk it leaves in `model_dir`: `model.ckpt-STEP.*` (the last five checkpoints),
    `checkpoint` (their list), `graph.pbtxt`, `events.out.tfevents.*` (curves of the training),
    and in `eval` the scores of the test images.
    """
    config = estimator.RunConfig(
        model_dir=model_dir,
        tf_random_seed=recipe.seed,
        session_config=sessions.config(),
        save_checkpoints_steps=save_checkpoints_steps,
        save_summary_steps=min(SUMMARY_STEPS, recipe.eval_every_steps or SUMMARY_STEPS),
    )
    return estimator.Estimator(_model_fn, config=config, params=recipe.params())


def _model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any], config: Any) -> Any:
    """`cnn_model_fn`, saved by a `Saver`."""
    spec = cnn_model_fn(features, labels, mode, params)
    if mode == estimator.ModeKeys.TRAIN:
        begins_from = tf.train.latest_checkpoint(config.model_dir)
        saver = Saver(on_disk=begins_from, sharded=True, defer_build=True)
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.SAVERS, saver)
    return spec


class CurvesFirst(tf.compat.v1.train.CheckpointSaverListener):
    """Sees to it that the curves up to a checkpoint's step are on disk before the checkpoint is.

    TensorFlow keeps up to two minutes of them in memory; a killed run, which goes on from its
    checkpoint, would never draw them again.
    """

    def __init__(self, model_dir: str) -> None:
        self._model_dir = model_dir

    def before_save(self, session: Any, global_step_value: int) -> None:
        events.flush(self._model_dir)


def train(
    classifier: Any,
    record: Record,
    data: Dataset,
    screen: Console,
    log_every_n_iter: int,
    more_hooks: Sequence[Any] = (),
) -> signal.Signals | None:
    """Trains until `global_step` reaches `recipe.steps`, or until SIGTERM or Ctrl-C.

    Args:
      classifier: an Estimator of `build_estimator`.
      record: what is trained.
      data: its test images are not touched.
      screen: where the progress is shown.
      log_every_n_iter: steps between two lines on `softmax_tensor`; 0 for none.
      more_hooks: session hooks of the caller's.

    Returns:
      The signal that ended the training, or None.

    Raises:
      NonFiniteError: NaN or infinity turned up.
      SaveError: a checkpoint cannot be written.
      CurvesError: the curves cannot be written.
    """
    recipe, model_dir = record.recipe, classifier.model_dir
    events.require_space(model_dir)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(hooks.StopOnSignal())
        session_hooks: list[Any] = [stop, hooks.FiniteGuard(), *more_hooks]
        note = hooks.no_note
        if screen.is_terminal:
            progress = hooks.ProgressHook(recipe.steps, screen)
            stack.callback(progress.stop)
            session_hooks.append(progress)
            note = progress.note
        if log_every_n_iter:
            session_hooks.append(hooks.softmax_logging_hook(log_every_n_iter, note))
        if len(data.validation) and recipe.eval_every_steps:
            session_hooks.append(ValidationHook(record, data.validation, model_dir, screen.print))
        # The last, so that what was scored before a run is killed is scored again after it resumes.
        saving = tf.compat.v1.train.CheckpointSaverHook(
            model_dir,
            save_steps=classifier.config.save_checkpoints_steps,
            listeners=[CurvesFirst(model_dir)],
        )
        # Or else it asks for the step after every step, in a run of the session of its own.
        saving._set_steps_per_run(1)
        session_hooks.append(saving)
        input_fn = train_input_fn(data.train, recipe.batch_size, recipe.seed)
        classifier.train(input_fn, hooks=session_hooks, max_steps=recipe.steps)
        events.flush(model_dir)
    return stop.received
