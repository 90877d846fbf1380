"""Trains every recipe for a moment and exports it, for `models.test.js`.

python web/tests/make_models.py FOLDER

Writes into FOLDER, for each recipe, `RECIPE/model.json` and `RECIPE/weights.bin`, and
`expected.json`: what Python makes of the first 100 test images, `{recipe: [100][10]}`.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from cnn_mnist.data import dataset
from cnn_mnist.utils import console

STEPS = 20
IMAGES = 100
NAMES = [str(digit) for digit in range(dataset.NUM_CLASSES)]


def main(target: Path) -> None:
    """Makes all that the module's docstring names."""
    console.start_tensorflow()
    from cnn_mnist import Predictor
    from cnn_mnist.exports import tfjs
    from cnn_mnist.recipes import RECIPES
    from cnn_mnist.training.train import train

    data = dataset.load(validation_size=0, train_size=2_000)
    images = data.test.images[:IMAGES]
    expected = {}
    for name, recipe in RECIPES.items():
        short = dataclasses.replace(
            recipe,
            steps=STEPS,
            validation_size=0,
            train_size=2_000,
            eval_every_steps=0,
            precision="float32",  # as browsers compute
        )
        with tempfile.TemporaryDirectory() as model_dir:
            train(short, model_dir, data=data, progress=False, log_every_n_iter=0)
            tfjs.layers_model(short, model_dir, str(target / name), NAMES)
            with Predictor(model_dir, short) as predictor:
                _, probabilities = predictor.predict(images)
        expected[name] = probabilities.tolist()
    (target / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
