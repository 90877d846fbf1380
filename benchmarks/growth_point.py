"""One point of `growth.py`, in a process of its own, so that its memory is nobody else's.

Trains or evaluates as the program does, and prints what it took as JSON: `seconds` of a training
step, or of the evaluation; `start`, the seconds from the start of the process to the end of the
first training step, or to where the evaluation begins.
"""

import argparse
import json
import statistics
import time
from typing import Any

from cnn_mnist.checkpoints import record
from cnn_mnist.data import dataset
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console

FIRST_STEPS = 3  # while TensorFlow still allocates; not counted
CLASS_NAMES = list("0123456789")


def clock(ends: list[float]) -> Any:
    """A session hook that notes when each step ends, by `time.monotonic()`."""
    from cnn_mnist import estimator

    class Clock(estimator.SessionRunHook):  # type: ignore[misc]
        def after_run(self, run_context: Any, run_values: Any) -> None:
            ends.append(time.monotonic())

    return Clock()


def train(options: argparse.Namespace) -> tuple[float, float]:
    """Trains; returns the seconds of a step and when the first one ended."""
    recipe = Recipe(
        batch_size=options.batch_size, steps=options.steps, validation_size=0, eval_every_steps=0
    )
    data = dataset.load(options.data_dir, recipe.validation_size)
    what = record.of(recipe, data)
    screen = console.start_tensorflow()
    from cnn_mnist.training import run

    ends: list[float] = []
    classifier = run.build_estimator(recipe, options.model_dir)
    run.train(classifier, what, data, screen, 50, [clock(ends)])
    counted = ends[min(FIRST_STEPS, len(ends) - 2) :]
    steps = [end - start for start, end in zip(counted, counted[1:], strict=False)]
    return statistics.median(steps), ends[0]


def evaluate(options: argparse.Namespace) -> tuple[float, float]:
    """Scores all test images; returns the seconds of that and when it began."""
    data = dataset.load(options.data_dir, validation_size=0)
    console.start_tensorflow()
    from cnn_mnist.evaluation import scoring
    from cnn_mnist.training import run

    classifier = run.build_estimator(Recipe(), options.model_dir)
    start = time.monotonic()
    scoring.evaluate(classifier, data.test, CLASS_NAMES)
    return time.monotonic() - start, start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("train", "evaluate"))
    parser.add_argument("--model_dir", required=True)
    parser.add_argument("--data_dir", help="left out: the MNIST inside the package")
    parser.add_argument("--batch_size", type=int, default=Recipe.batch_size)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--started", type=float, required=True, help="time.monotonic() then")
    options = parser.parse_args()
    seconds, under_way = (train if options.task == "train" else evaluate)(options)
    print(json.dumps({"seconds": seconds, "start": under_way - options.started}))
