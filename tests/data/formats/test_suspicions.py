"""Tests of what is said of data that look wrong."""

import numpy as np
import pytest

from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.formats.suspicions import suspicions
from cnn_mnist.data.splits import Split

FORM = Form(9, 11, 1, ("a", "b", "c"))


@pytest.fixture
def splits():
    """Nothing is wrong with these."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (90, 9, 11), dtype=np.uint8)
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0
    labels = np.arange(90, dtype=np.int32) % 3
    return {"train": Split(images[:60], labels[:60]), "test": Split(images[60:], labels[60:])}


def test_nothing_is_said_of_what_looks_right(splits, mnist):
    assert suspicions(splits, FORM) == []
    assert suspicions({"train": mnist.train, "test": mnist.validation}, MNIST) == []


def test_inverted(splits):
    inverted = {name: Split(255 - s.images, s.labels) for name, s in splits.items()}
    (line,) = suspicions(inverted, FORM)
    assert "look inverted: the border of 100% is light" in line
    colour = Form(9, 11, 3, FORM.class_names)
    three = {n: Split(np.stack([s.images] * 3, -1), s.labels) for n, s in inverted.items()}
    assert suspicions(three, colour) == []  # photographs often have a light border


def test_transposed(mnist):
    turned = {
        name: Split(split.images.swapaxes(1, 2), split.labels)
        for name, split in (("train", mnist.train), ("test", mnist.validation))
    }
    (line,) = suspicions(turned, MNIST)
    assert "look transposed" in line


def test_dark(splits):
    dark = {name: Split(split.images // 16, split.labels) for name, split in splits.items()}
    (line,) = suspicions(dark, FORM)
    assert "the brightest pixel is 15 of 255; if 15 is meant to be white" in line


def test_constant(splits):
    splits["test"].images[[4, 9]] = 7
    (line,) = suspicions(splits, FORM)
    assert line == "2 of 30 test images are of one value, such as number 4"


def test_duplicated(splits):
    splits["test"].images[[5, 6, 20]] = splits["train"].images[[1, 2, 3]]
    (line,) = suspicions(splits, FORM)
    expected = "3 of 30 test images are among the training images, such as number 5"
    assert line == expected


def test_labels(splits):
    splits["test"].labels[:] = 1
    assert suspicions(splits, FORM) == ["all test labels are one: b"]
    splits["train"].labels[splits["train"].labels == 2] = 0
    splits["train"].labels[7] = 2
    assert "there is only one training image of c: is the label right?" in suspicions(splits, FORM)
    splits["train"].labels[7] = 1
    assert "there are no training images of c" in suspicions(splits, FORM)


def test_sorted_by_class(splits):
    splits["train"].labels.sort()
    (line,) = suspicions(splits, FORM)
    assert "come class after class" in line
