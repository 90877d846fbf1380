"""Whether images have their ink where MNIST's have it."""

import numpy as np
import pytest

from cnn_mnist.data import placement


def roll(by, axis):
    return lambda images: np.roll(images, by, axis)


@pytest.mark.parametrize(
    "changed",
    [
        lambda images: images,
        lambda images: images.swapaxes(1, 2),
        lambda images: np.pad(images, [(0, 0), (2, 2), (2, 2)]),
        roll(1, axis=1),
        lambda images: np.where(images < 9, 9, images),  # what JPEG leaves
    ],
)
def test_ink_in_the_middle_of_black_ground(mnist, changed):
    assert placement.preprocess(changed(mnist.test.images)) == "digit"


@pytest.mark.parametrize(
    "changed",
    [
        lambda images: 255 - images,
        lambda images: images[:, 4:24, 4:24],  # the ink fills it, as clothes do in Fashion-MNIST
        lambda images: np.pad(images, [(0, 0), (8, 8), (8, 8)]),
        roll(5, axis=1),
        roll(-5, axis=2),
        np.zeros_like,
        lambda images: np.stack([images] * 3, axis=-1),
        lambda images: images[:0],
    ],
)
def test_other_images(mnist, changed):
    assert placement.preprocess(changed(mnist.test.images)) == "plain"


def test_a_tenth_of_the_images_may_be_others(mnist):
    images = mnist.test.images.copy()
    images[: len(images) // 11] = 200
    assert placement.as_mnists(images)
    images[: len(images) // 9] = 200
    assert not placement.as_mnists(images)
