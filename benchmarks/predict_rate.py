"""How fast a model reads images: images a second in batches, milliseconds for one image.

The same test images each time, `uint8`, after a first run that is not counted; the median of
several runs and their range. The weights do not matter, so without `--model_dir` a model is trained
for one step.

python benchmarks/predict_rate.py --model_dir=model_dir
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

from cnn_mnist import dataset, training
from cnn_mnist.input_fns import train_input_fn
from cnn_mnist.predictor import Predictor
from cnn_mnist.recipes import Recipe


def seconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def one_step(model_dir: str, data: dataset.Dataset) -> None:
    """Leaves a checkpoint of step 1 in a folder."""
    recipe = Recipe(steps=1)
    classifier = training.build_estimator(recipe, model_dir)
    classifier.train(train_input_fn(data.train, recipe.batch_size, recipe.seed), max_steps=1)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    data = dataset.load()
    images = data.test.images
    with tempfile.TemporaryDirectory() as folder:
        if options.model_dir is None:
            one_step(folder, data)
        with Predictor(options.model_dir or folder) as predictor:
            predictor.predict(images)
            rates = [
                len(images) / seconds(lambda: predictor.predict(images))
                for _ in range(options.runs)
            ]
            print(
                f"in batches: {statistics.median(rates):,.0f} images a second "
                f"({min(rates):,.0f} to {max(rates):,.0f})"
            )
            predictor.predict(images[:1])
            times = [
                statistics.median(
                    1000 * seconds(lambda: predictor.predict(images[:1])) for _ in range(200)
                )
                for _ in range(options.runs)
            ]
            print(
                f"one image: {statistics.median(times):.2f} ms "
                f"({min(times):.2f} to {max(times):.2f})"
            )


if __name__ == "__main__":
    main()
