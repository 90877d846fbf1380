"""Training and evaluation: builds the Estimator and runs it."""

import contextlib
import shlex
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from rich.console import Console

from cnn_mnist import console, estimator, hooks
from cnn_mnist.dataset import Dataset, Split
from cnn_mnist.errors import InputError
from cnn_mnist.input_fns import eval_input_fn, train_input_fn
from cnn_mnist.model import cnn_model_fn
from cnn_mnist.recipes import Recipe


class CheckpointError(InputError):
    """A checkpoint that is missing or does not fit."""


def find_devices() -> None:
    """Lets TensorFlow look for its devices, and say now what it has to say of them."""
    tf.config.list_physical_devices()


def run(
    mode: str,
    recipe: Recipe,
    data: Dataset,
    model_dir: str,
    screen: Console,
    *,
    save_checkpoints_steps: int,
    log_every_n_iter: int,
) -> int:
    """Trains and evaluates as `mode` says, and tells the user what came of it.

    Args:
      mode: "train_and_eval", "train" or "eval".
      screen: where the progress is shown; the result goes to stdout.

    Returns:
      The exit code: 0, or 128 and the signal that ended the training.
    """
    classifier = build_estimator(recipe, model_dir, save_checkpoints_steps)

    first_step = reached_step(recipe, model_dir)
    if mode != "eval" and first_step >= recipe.steps:
        print(f"step {first_step:,} of {recipe.steps:,} is reached: nothing left to train")
    elif mode != "eval":
        origin = f"resuming at step {first_step:,}" if first_step else "starting"
        print(f"{origin}: {len(data.train):,} training images, {recipe.steps:,} steps", flush=True)
        start = time.monotonic()
        received = train(classifier, recipe, data, screen, log_every_n_iter)
        seconds = time.monotonic() - start
        last_step = reached_step(recipe, model_dir)
        if received is not None:
            print(f"{received.name}: saved at step {last_step:,}; the same command resumes there")
            return 128 + received
        print(f"trained {last_step - first_step:,} steps in {seconds:.0f} s")

    if mode != "train":
        metrics = evaluate(classifier, data.test)
        print(
            f"test accuracy {metrics['accuracy']:.4f}, loss {metrics['average_loss']:.4f} "
            f"on {len(data.test):,} images at step {metrics['global_step']:,}"
        )
    print(f"checkpoints   {tf.train.latest_checkpoint(model_dir)}")
    print(f"curves        {console.command('tensorboard')} --logdir={shlex.quote(model_dir)}")
    return 0


def build_estimator(recipe: Recipe, model_dir: str, save_checkpoints_steps: int = 1000) -> Any:
    """The Estimator of a recipe.

    On disk it leaves in `model_dir`: `model.ckpt-STEP.*` (the last five checkpoints),
    `checkpoint` (their list), `graph.pbtxt`, `events.out.tfevents.*` (curves of the training),
    and in `eval` and `eval_validation` the curves of test and validation images.
    """
    config = estimator.RunConfig(
        model_dir=model_dir,
        tf_random_seed=recipe.seed,
        save_checkpoints_steps=save_checkpoints_steps,
    )
    return estimator.Estimator(cnn_model_fn, config=config, params=recipe.params())


def train(
    classifier: Any,
    recipe: Recipe,
    data: Dataset,
    screen: Console,
    log_every_n_iter: int,
) -> Any:
    """Trains until `global_step` reaches `recipe.steps`, or until SIGTERM or Ctrl-C.

    Each checkpoint is scored on the validation images, if there are any.

    Args:
      classifier: an Estimator of `build_estimator`.
      data: its test images are not touched.
      screen: where the progress is shown.
      log_every_n_iter: steps between two lines on `softmax_tensor`; 0 for none.

    Returns:
      The signal that ended the training, or None.
    """
    input_fn = train_input_fn(data.train, recipe.batch_size, recipe.seed)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(hooks.StopOnSignal())
        session_hooks: list[Any] = [stop]
        note: Callable[[str], None] = hooks.no_note
        if screen.is_terminal:
            progress = hooks.ProgressHook(recipe.steps, screen)
            stack.callback(progress.stop)
            session_hooks.append(progress)
            note = progress.note
        if log_every_n_iter:
            session_hooks.append(hooks.softmax_logging_hook(log_every_n_iter, note))
        if len(data.validation) == 0:
            classifier.train(input_fn, hooks=session_hooks, max_steps=recipe.steps)
        else:
            estimator.train_and_evaluate(
                classifier,
                estimator.TrainSpec(input_fn, max_steps=recipe.steps, hooks=session_hooks),
                estimator.EvalSpec(
                    eval_input_fn(data.validation),
                    steps=None,  # all of them
                    name="validation",
                    exporters=ValidationLine(screen),
                    start_delay_secs=0,
                    throttle_secs=0,
                ),
            )
    return stop.received


class ValidationLine(estimator.Exporter):
    """Shows the result of each evaluation; it "exports" one line to the screen."""

    name = "validation"

    def __init__(self, screen: Console) -> None:
        self._screen = screen

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str,
        eval_result: dict[str, Any],
        is_the_final_export: bool,
    ) -> None:
        self._screen.print(
            f"step {eval_result['global_step']:,}: validation accuracy "
            f"{eval_result['accuracy']:.4f}, loss {eval_result['average_loss']:.4f}"
        )


def evaluate(classifier: Any, split: Split) -> dict[str, Any]:
    """Scores the newest checkpoint.

    Returns:
      `accuracy` and `average_loss` over all images of `split`, and `global_step`.

    Raises:
      CheckpointError: if there is none.
    """
    if tf.train.latest_checkpoint(classifier.model_dir) is None:
        raise CheckpointError(
            f"--model_dir={classifier.model_dir}: holds no checkpoint to evaluate; "
            "--mode=train makes one"
        )
    return classifier.evaluate(eval_input_fn(split))


def reached_step(recipe: Recipe, model_dir: str) -> int:
    """The global step of the newest checkpoint; 0 if there is none.

    Raises:
      CheckpointError: if it is of another network than the recipe's.
    """
    checkpoint = tf.train.latest_checkpoint(model_dir)
    if checkpoint is None:
        return 0
    found = dict(tf.train.list_variables(checkpoint))
    for name, shape in variable_shapes(recipe).items():
        if found.get(name) != shape:
            has = f"of the shape {found[name]}" if name in found else "missing"
            raise CheckpointError(
                f"--model_dir={model_dir}: {checkpoint} is of another network: its variable "
                f"{name} is {has}, expected {shape}; name another folder"
            )
    return int(tf.train.load_variable(checkpoint, "global_step"))


def variable_shapes(recipe: Recipe) -> dict[str, list[int]]:
    """Names and shapes of the variables in a checkpoint of the recipe."""
    with tf.Graph().as_default():
        tf.compat.v1.train.get_or_create_global_step()
        image = {"x": tf.compat.v1.placeholder(tf.uint8, [None, 28, 28])}
        cnn_model_fn(image, None, estimator.ModeKeys.PREDICT, recipe.params())
        return {v.op.name: v.shape.as_list() for v in tf.compat.v1.global_variables()}
