"""Training and evaluation: builds the Estimator and runs it."""

import contextlib
import signal
from typing import Any

from rich.console import Console

from cnn_mnist import estimator, hooks
from cnn_mnist.dataset import Dataset
from cnn_mnist.input_fns import train_input_fn
from cnn_mnist.model import cnn_model_fn
from cnn_mnist.recipes import Recipe
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
        save_checkpoints_steps=save_checkpoints_steps,
        save_summary_steps=min(SUMMARY_STEPS, recipe.eval_every_steps or SUMMARY_STEPS),
    )
    return estimator.Estimator(cnn_model_fn, config=config, params=recipe.params())


def train(
    classifier: Any, recipe: Recipe, data: Dataset, screen: Console, log_every_n_iter: int
) -> signal.Signals | None:
    """Trains until `global_step` reaches `recipe.steps`, or until SIGTERM or Ctrl-C.

    Args:
      classifier: an Estimator of `build_estimator`.
      data: its test images are not touched.
      screen: where the progress is shown.
      log_every_n_iter: steps between two lines on `softmax_tensor`; 0 for none.

    Returns:
      The signal that ended the training, or None.
    """
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(hooks.StopOnSignal())
        session_hooks: list[Any] = [stop]
        note = hooks.no_note
        if screen.is_terminal:
            progress = hooks.ProgressHook(recipe.steps, screen)
            stack.callback(progress.stop)
            session_hooks.append(progress)
            note = progress.note
        if log_every_n_iter:
            session_hooks.append(hooks.softmax_logging_hook(log_every_n_iter, note))
        if len(data.validation) and recipe.eval_every_steps:
            model_dir = classifier.model_dir
            session_hooks.append(ValidationHook(recipe, data.validation, model_dir, screen.print))
        input_fn = train_input_fn(data.train, recipe.batch_size, recipe.seed)
        classifier.train(input_fn, hooks=session_hooks, max_steps=recipe.steps)
    return stop.received
