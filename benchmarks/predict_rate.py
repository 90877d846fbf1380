"""How fast a model reads images: images a second in batches, milliseconds for one image.

The same test images each time, `uint8`, after a first run that is not counted; the median of
several runs and their range. The weights do not matter, so without `--model_dir` a model is trained
for one step.

python benchmarks/predict_rate.py --model_dir=model_dir
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable

from cnn_mnist.checkpoints import record
from cnn_mnist.data import dataset
from cnn_mnist.evaluation.metrics import Tally
from cnn_mnist.inference.predictor import Predictor
from cnn_mnist.recipes import PRECISIONS, Recipe
from cnn_mnist.training.train import train

CLASS_NAMES = list("0123456789")
ONE_IMAGE_CALLS = 200  # a run's


def seconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def one_step(recipe: Recipe, model_dir: str, data: dataset.Dataset) -> None:
    """Leaves a checkpoint of step 1 in a folder."""
    train(recipe, model_dir, data=data, progress=False, steps=1)


def score(predictor: Predictor, split: dataset.Split) -> float:
    """A whole evaluation: probabilities of all images, and the report on them; its accuracy."""
    _, probabilities = predictor.predict(split.images)
    tally = Tally(CLASS_NAMES)
    tally.add(split.images, split.labels, probabilities)
    return tally.report().accuracy


def measure(predictor: Predictor, split: dataset.Split, runs: int) -> dict[str, list[float]]:
    """Seconds of each run: `batches` and `evaluation`, of the whole split, and `one_image`."""
    images, one = split.images, split.images[:1]
    predictor.predict(images)
    predictor.predict(one)
    return {
        "batches": [seconds(lambda: predictor.predict(images)) for _ in range(runs)],
        "evaluation": [seconds(lambda: score(predictor, split)) for _ in range(runs)],
        "one_image": [
            statistics.median(
                seconds(lambda: predictor.predict(one)) for _ in range(ONE_IMAGE_CALLS)
            )
            for _ in range(runs)
        ],
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir")
    parser.add_argument("--precision", choices=PRECISIONS, help="default: as trained")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print the seconds of all runs")
    options = parser.parse_args()
    data = dataset.load()
    noted = record.read(options.model_dir) if options.model_dir else None
    recipe = noted.recipe if noted else Recipe()
    if options.precision:
        recipe = dataclasses.replace(recipe, precision=options.precision)
    with tempfile.TemporaryDirectory() as folder:
        if options.model_dir is None:
            one_step(dataclasses.replace(recipe, steps=1), folder, data)
        with Predictor(options.model_dir or folder, recipe) as predictor:
            measured = measure(predictor, data.test, options.runs)
    if options.json:
        print(json.dumps(measured))
        return
    rates = [len(data.test) / taken for taken in measured["batches"]]
    times = [1000 * taken for taken in measured["one_image"]]
    for what, unit, digits, values in (
        ("in batches", "images a second", 0, rates),
        (f"evaluation of all {len(data.test):,}", "s", 2, measured["evaluation"]),
        ("one image", "ms", 2, times),
    ):
        middle, *ends = (f"{f(values):,.{digits}f}" for f in (statistics.median, min, max))
        print(f"{what}: {middle} {unit} ({' to '.join(ends)})")


if __name__ == "__main__":
    main()
