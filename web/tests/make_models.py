"""Trains every recipe for a moment and exports it, for `models.test.js`.

python web/tests/make_models.py FOLDER

Writes into FOLDER, for each recipe, `RECIPE/model.json` and `RECIPE/weights.bin`, and
`expected.json`: what Python makes of the first 100 test images, `{recipe: [100][10]}`. So too for
two data sets of other forms, with their images: `forms.json`,
`{name: {"images": [5][pixels], "expected": [5][classes]}}`.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from cnn_mnist.data import dataset
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.data.form import Form
from cnn_mnist.data.splits import Split
from cnn_mnist.recipes import RECIPES, Recipe
from cnn_mnist.utils import console

STEPS = 20
IMAGES = 100
IMAGES_OF_FORM = 5
FORMS = {  # name -> recipe and form
    "letters": ("fast", Form(28, 28, 1, tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))),
    "large_colour": ("colour", Form(32, 32, 3, tuple("0123456789"))),
}


def main(target: Path) -> None:
    """Makes all that the module's docstring names."""
    console.start_tensorflow()
    data = dataset.load(validation_size=0, train_size=2_000)
    images = data.test.images[:IMAGES]
    expected = {
        name: exported(recipe, data, images, target / name) for name, recipe in RECIPES.items()
    }
    (target / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    forms = {}
    for name, (recipe, form) in FORMS.items():
        changed = Dataset(*(of_form(split, form) for split in data.splits().values()), form)
        images = changed.test.images[:IMAGES_OF_FORM]
        rows = exported(RECIPES[recipe], changed, images, target / name)
        flat = images.reshape(IMAGES_OF_FORM, -1).tolist()
        forms[name] = {"images": flat, "expected": rows}
    (target / "forms.json").write_text(json.dumps(forms), encoding="utf-8")


def exported(recipe: Recipe, data: Dataset, images: np.ndarray, target: Path) -> list[list[float]]:
    """Trains a recipe for a moment and exports it; the probabilities of some images."""
    from cnn_mnist import Predictor
    from cnn_mnist.exports import tfjs
    from cnn_mnist.training.train import train

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
        tfjs.layers_model(short, model_dir, str(target), data.form)
        with Predictor(model_dir, short) as predictor:
            return predictor.predict(images)[1].tolist()


def of_form(split: Split, form: Form) -> Split:
    """MNIST's images and labels; the images are padded and tinted as a form wants it."""
    margins = [(0, 0), *((side // 2 - 14,) * 2 for side in (form.height, form.width))]
    images = np.pad(split.images, margins)
    if form.channels == 3:
        images = (images[..., None] * np.array([1.0, 0.6, 0.3])).astype(np.uint8)
    return Split(images, split.labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
