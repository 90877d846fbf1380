"""Trains the classic MNIST convolutional network, evaluates it, shows where the results are.

python -m cnn_mnist.main --steps=20000

Running the same command again resumes from the newest checkpoint, or, once the steps are reached,
only evaluates.
"""

import dataclasses
import pathlib
import signal
import sys
from typing import Any

from absl import app, flags

from cnn_mnist.errors import InputError
from cnn_mnist.recipes import ESTIMATOR, Recipe

FLAGS = flags.FLAGS

flags.DEFINE_enum(
    "mode",
    "train_and_eval",
    ["train_and_eval", "train", "eval"],
    "Train and score the test images; only train; or only score the newest checkpoint.",
)
flags.DEFINE_string("model_dir", "model_dir", "Folder of checkpoints and TensorBoard's curves.")
flags.DEFINE_string(
    "data_dir",
    None,
    "Folder with other images in MNIST's format: the four IDX files, plain or gzip, or mnist.npz. "
    "Left out: the MNIST inside the package.",
)
flags.DEFINE_integer("steps", ESTIMATOR.steps, "Training steps in total, over all runs.")
flags.DEFINE_integer("batch_size", ESTIMATOR.batch_size, "Images per training step.")
flags.DEFINE_float("learning_rate", ESTIMATOR.learning_rate, "Step size of gradient descent.")
flags.DEFINE_float(
    "dropout_rate", ESTIMATOR.dropout_rate, "Share of the dense layer that a step leaves out."
)
flags.DEFINE_integer(
    "validation_size",
    ESTIMATOR.validation_size,
    "Training images set aside to score each checkpoint.",
)
flags.DEFINE_integer("seed", ESTIMATOR.seed, "Of initial weights, image order and dropout.")
flags.DEFINE_integer(
    "log_every_n_iter", 50, "Steps between two looks at softmax_tensor; 0 for none.", lower_bound=0
)
flags.DEFINE_integer(
    "save_checkpoints_steps", 1000, "Steps between two checkpoints.", lower_bound=1
)


class UsageError(InputError):
    """A command that cannot be run as it was typed."""


def main(argv: list[str] | None = None) -> int:
    """Runs the command `argv`, by default `sys.argv`, and returns its exit code.

    0: done. 1: failed while running. 2: wrong flag, file or folder; nothing was written. 143 and
    130: ended by SIGTERM or Ctrl-C.
    """
    try:
        return run(parse_flags(sys.argv if argv is None else argv))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def parse_flags(argv: list[str]) -> Recipe:
    """Reads the command line into `FLAGS` and returns the recipe that it asks for.

    Raises:
      InputError: a flag that does not exist or has a value that cannot work.
      SystemExit: with 0, after `--help`.
    """
    app.define_help_flags()
    try:
        positional = FLAGS(argv)[1:]
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from None
    except SystemExit:  # absl's own `--help` ends with 1
        raise SystemExit(0) from None
    if positional:
        raise UsageError(f"{positional[0]}: unknown argument; every flag starts with --")
    model_dir = pathlib.Path(FLAGS.model_dir)
    if not FLAGS.model_dir or any(
        p.exists() and not p.is_dir() for p in (model_dir, *model_dir.parents)
    ):
        raise UsageError(f"--model_dir={FLAGS.model_dir}: is not a folder and cannot become one")
    fields = (field.name for field in dataclasses.fields(Recipe))
    given: dict[str, Any] = {name: FLAGS[name].value for name in fields if name in FLAGS}
    return Recipe(**given)


def run(recipe: Recipe) -> int:
    """Reads the data, loads TensorFlow and does what `--mode` says; returns the exit code."""
    from cnn_mnist import console, dataset

    data = dataset.load(FLAGS.data_dir, recipe.validation_size)
    screen = console.stderr_console()
    console.show_log_lines(screen)
    with console.quiet_start():
        from cnn_mnist import training

        training.find_devices()
    return training.run(
        FLAGS.mode,
        recipe,
        data,
        FLAGS.model_dir,
        screen,
        save_checkpoints_steps=FLAGS.save_checkpoints_steps,
        log_every_n_iter=FLAGS.log_every_n_iter,
    )


if __name__ == "__main__":
    sys.exit(main())
