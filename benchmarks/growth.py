"""How time and memory grow with the batch size, the training images and the test images.

Every point is a process of its own, so that its memory is nobody else's. Writes a table in Markdown
and a plot.

python -m benchmarks.growth [--parts batch,images,evaluation]
"""

import argparse
import json
import shlex
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import processes
from cnn_mnist.data import dataset
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console

BATCH_SIZES = (1, 4, 16, 64, 256, 1024)
TRAINING_IMAGES = (6_000, 60_000, 600_000)
TEST_IMAGES = (1_000, 3_000, 10_000, 30_000, 100_000)
MEGABYTES_PER_IMAGE = (28 * 28 + 4) / 1e6  # uint8 pixels, and a label, int32
FEW = 100  # images of the split that a point is not about
STEPS = 60  # of training with batches of 100
MOST_STEPS, FEWEST_STEPS = 300, 13  # with other batches
FIRST_STEPS = 3  # while TensorFlow still allocates; not counted
PIECE = 10_000  # images at once: a program's memory is no less than that of whoever starts it

NOTE = """\
Each point is the median of several processes ({runs}); of memory, the largest. A training step is
the median of its process; an evaluation is one of all test images, the building of the graph and
the reading of the weights included. Start is what comes before: from the start of the process to
the end of the first training step, or to where the evaluation begins. Data are images and labels in
memory, 788 bytes each. Where time is linear, `ms an image` stays the same; where nothing is copied,
so does the rest of the memory.

![Time and memory against batch size, training images and test images](../docs/growth.png)
"""


class Point(NamedTuple):
    """What one process took; an MB is 10^6 bytes."""

    size: int  # of the batch, or the number of images
    seconds: float  # of a training step, or of the evaluation
    start_seconds: float  # to the end of the first training step, or until the evaluation begins
    memory_mb: float  # the process's peak
    data_mb: float  # what the images and labels take of that


def batch(runs: int) -> list[Point]:
    """Training with different batches, on the 60,000 images of the package."""
    points = []
    for size in BATCH_SIZES:
        steps = min(MOST_STEPS, max(FEWEST_STEPS, 6000 // size))
        task = ["train", f"--batch_size={size}", f"--steps={steps}"]
        points.append(_point(size, task, held=70_000, runs=runs))
    return points


def images(runs: int) -> list[Point]:
    """Training with batches of 100 on different numbers of images."""
    points = []
    for size in TRAINING_IMAGES:
        with tempfile.TemporaryDirectory() as folder:
            write_data(Path(folder), training=size, test=FEW)
            task = ["train", f"--data_dir={folder}", f"--steps={STEPS}"]
            points.append(_point(size, task, held=size + FEW, runs=runs))
    return points


def evaluation(runs: int) -> list[Point]:
    """Evaluation of different numbers of images, by the same weights."""
    points = []
    with tempfile.TemporaryDirectory() as model_dir:
        _run(["train", "--steps=5"], model_dir)
        for size in TEST_IMAGES:
            with tempfile.TemporaryDirectory() as folder:
                write_data(Path(folder), training=FEW, test=size)
                task = ["evaluate", f"--data_dir={folder}"]
                points.append(_point(size, task, size + FEW, runs, model_dir))
    return points


def write_data(folder: Path, training: int, test: int) -> None:
    """Writes a data set of MNIST's training images, over and over, as plain IDX files."""
    source = dataset.in_memory(dataset.load(validation_size=0).train)
    for name, count in (("train", training), ("t10k", test)):
        pixels, labels = f"{name}-images-idx3-ubyte", f"{name}-labels-idx1-ubyte"
        with (folder / pixels).open("wb") as file, (folder / labels).open("wb") as label_file:
            file.write(np.array([0x803, count, 28, 28], ">u4").tobytes())
            label_file.write(np.array([0x801, count], ">u4").tobytes())
            for first in range(0, count, PIECE):
                chosen = np.arange(first, min(first + PIECE, count)) % len(source)
                file.write(source.images[chosen].tobytes())
                label_file.write(source.labels[chosen].astype(np.uint8).tobytes())


def _point(
    size: int, task: Sequence[str], held: int, runs: int, model_dir: str | None = None
) -> Point:
    """The medians of several runs of a task, which holds so many images, and the largest peak.

    Args:
      model_dir: None for a new one in every run.
    """
    found = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as new:
            found.append(_run(task, model_dir or new))
    seconds, starts, memory_mb = zip(*found, strict=True)
    held_mb = held * MEGABYTES_PER_IMAGE
    medians = statistics.median(seconds), statistics.median(starts)
    point = Point(size, *medians, max(memory_mb), held_mb)
    print(point, file=sys.stderr)
    return point


def _run(task: Sequence[str], model_dir: str) -> tuple[float, float, float]:
    """Seconds and start of a process, as `work` has them, and its peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.growth", "--work", *task]
    run = processes.run([*command, f"--model_dir={model_dir}", f"--started={time.monotonic()}"])
    seconds, start = json.loads(run.output)
    return seconds, start, run.peak_memory_mb


def work(arguments: Sequence[str]) -> tuple[float, float]:
    """One point, in this process: trains or evaluates as the program does.

    Returns:
      The seconds of a training step, or of the evaluation; and those from the start of the process
      to the end of the first training step, or to where the evaluation begins.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("train", "evaluate"))
    parser.add_argument("--model_dir", required=True)
    parser.add_argument("--data_dir", help="left out: the MNIST inside the package")
    parser.add_argument("--batch_size", type=int, default=Recipe.batch_size)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--started", type=float, required=True, help="time.monotonic() then")
    options = parser.parse_args(arguments)
    data = dataset.load(options.data_dir, validation_size=0)
    console.start_tensorflow()
    from cnn_mnist import estimator, evaluate, train

    recipe = Recipe(
        batch_size=options.batch_size, steps=options.steps, validation_size=0, eval_every_steps=0
    )
    if options.task == "evaluate":
        start = time.monotonic()
        evaluate(options.model_dir, data=data)
        return time.monotonic() - start, start - options.started
    ends: list[float] = []

    class Clock(estimator.SessionRunHook):  # type: ignore[misc]
        def after_run(self, run_context: Any, run_values: Any) -> None:
            ends.append(time.monotonic())

    train(recipe, options.model_dir, data=data, hooks=[Clock()])
    counted = ends[min(FIRST_STEPS, len(ends) - 2) :]
    steps = [end - start for start, end in zip(counted, counted[1:], strict=False)]
    return statistics.median(steps), ends[0] - options.started


class Part(NamedTuple):
    """One of the three questions."""

    title: str  # what is varied
    measure: Callable[[int], list[Point]]  # takes the number of runs of each point
    timed: str  # what a point's `seconds` are of
    images: Callable[[int], int]  # how many images that is, of a point's size

    def table(self, points: Sequence[Point]) -> str:
        """The points as a table of Markdown."""
        from benchmarks.table import markdown_table

        heads = f"{self.title}|{self.timed}, s|ms an image|{self.timed}s a second|start, s|"
        heads += "peak memory, MB|of it data, MB|rest, MB"
        rows = [
            (
                f"{point.size:,}",
                f"{point.seconds:.4f}",
                f"{1000 * point.seconds / self.images(point.size):.3f}",
                f"{1 / point.seconds:.2f}",
                f"{point.start_seconds:.1f}",
                f"{point.memory_mb:,.0f}",
                f"{point.data_mb:,.1f}",
                f"{point.memory_mb - point.data_mb:,.0f}",
            )
            for point in points
        ]
        return markdown_table(heads.split("|"), rows)


PARTS = {
    "batch": Part("batch size", batch, "training step", lambda size: size),
    "images": Part("training images", images, "training step", lambda size: Recipe.batch_size),
    "evaluation": Part("test images", evaluation, "evaluation", lambda size: size),
}


def main() -> int:
    """Measures, and writes the table and the plot; returns the exit code."""
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(work(sys.argv[2:])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    parser.add_argument("--runs", type=int, default=3, help="of each point")
    parser.add_argument("--markdown", type=Path, default=processes.ROOT / "benchmarks/growth.md")
    parser.add_argument("--plot", type=Path, default=processes.ROOT / "docs/growth.png")
    options = parser.parse_args()
    wanted = options.parts.split(",")
    if not set(wanted) <= set(PARTS):
        parser.error(f"--parts: expected some of {', '.join(PARTS)}, found {options.parts!r}")
    from benchmarks import machine

    about = machine.description()  # now: the load is that before anything is measured
    # An exception, on whose way out the process that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory() as folder:
            _run(["train", "--steps=5"], folder)  # reads TensorFlow from the disk; not counted
        measured = {name: PARTS[name].measure(options.runs) for name in PARTS if name in wanted}
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    from benchmarks import growth_plot, table  # matplotlib would be in the memory of every point

    parts = [
        f"## By the {PARTS[name].title}\n\n{PARTS[name].table(points)}"
        for name, points in measured.items()
    ]
    note = NOTE.format(runs=options.runs)
    command = shlex.join(["python", "-m", "benchmarks.growth", *sys.argv[1:]])
    text = table.page("How it grows", command, about, [note, *parts])
    options.markdown.write_text(text)
    print(text)
    panels = {PARTS[name].title: (PARTS[name].timed, measured[name]) for name in measured}
    growth_plot.write(panels, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
