"""From a picture to the images that a network was trained on: two ways, `digit` and `plain`.

Axes: H height, W width, C channels. Pictures are `float32 [H, W, C]`, C 1 or 3, 0 to 255.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.engines.notes import usual
from cnn_mnist.inference import ink


def digit(picture: np.ndarray, form: Form) -> list[np.ndarray]:
    """Finds the digits on a paper and places each as MNIST's are, from left to right.

    Raises:
      BlankError, SeveralError: as of `ink.digit_images`.
    """
    placed = ink.digit_images(picture)
    if form.image_shape == MNIST.image_shape:
        return placed
    return [plain(image[..., None].astype(np.float32), form)[0] for image in placed]


def plain(picture: np.ndarray, form: Form) -> list[np.ndarray]:
    """Scales the whole picture by area, to the size and channels of the training's images."""
    pixels = np.rint(picture).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image = image.convert("L" if form.channels == 1 else "RGB")
    return [np.asarray(image.resize((form.width, form.height), Image.Resampling.BOX))]


__all__ = ["PREPROCESSES", "digit", "plain", "usual"]

PREPROCESSES: dict[str, Callable[[np.ndarray, Form], list[np.ndarray]]] = {
    "digit": digit,
    "plain": plain,
}
