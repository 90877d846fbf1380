"""Data sets of other forms than MNIST's, made of its images."""

import numpy as np

from cnn_mnist.data.form import Form

TINT = np.array([1.0, 0.6, 0.3])  # of red, green and blue
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
FORMS = {
    "letters": Form(28, 28, 1, tuple(map(str, range(26)))),
    "three": Form(28, 28, 1, tuple("012")),
    "wide": Form(32, 32, 1, tuple("0123456789")),
    "unlike": Form(9, 13, 3, tuple("01234")),
    "colour": Form(28, 28, 3, tuple("0123456789")),
    "large_colour": Form(32, 32, 3, tuple("0123456789")),
}


def images_of(images, form):
    """MNIST's images, cut or padded to the size of a form, and tinted for colour."""
    sides = (form.height, form.width)
    margins = [(0, 0), *((max(0, side - 28) // 2,) * 2 for side in sides)]
    images = np.pad(images, margins)
    top, left = ((have - want) // 2 for have, want in zip(images.shape[1:], sides, strict=True))
    images = images[:, top : top + form.height, left : left + form.width]
    if form.channels == 3:
        images = (images[..., None] * TINT).astype(np.uint8)
    return np.ascontiguousarray(images)


def arrays(mnist, form, train=160, test=60):
    """The four arrays of a data set; every class is among the training images."""
    made = {}
    for name, split, count in (("train", mnist.validation, train), ("test", mnist.test, test)):
        made[f"x_{name}"] = images_of(split.images[:count], form)
        labels = (split.labels[:count] + 7 * np.arange(count)) % form.num_classes
        made[f"y_{name}"] = labels.astype(np.uint8)
    assert set(made["y_train"]) == set(range(form.num_classes))
    return made
