"""What the figures of an explanation are given: plain arrays and names.

A process that draws need not load TensorFlow for them.

Axes: H height, W width, C channels, K classes, U units.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Compared(NamedTuple):
    """An image and one map of it: what speaks for one class rather than for another.

    Attributes:
      image: `uint8 [H, W]`, or `[H, W, 3]`.
      map: `float32 [H, W]`.
      true, predicted: names of the classes.
      probability: of the predicted class.
    """

    image: np.ndarray
    map: np.ndarray
    true: str
    predicted: str
    probability: float


class Shown(NamedTuple):
    """What the figure of one picture shows.

    Attributes:
      title: one line.
      image: `uint8 [H, W]`, or `[H, W, 3]`.
      classes: the two that the maps are for, by name, and what each is ("predicted").
      probabilities: the most probable classes, by name.
      gradients, occlusions: `float32 [2, H, W]`.
      neighbours, labels, distances: images, names of their classes, and how far they are.
    """

    title: str
    image: np.ndarray
    classes: Sequence[tuple[str, str]]
    probabilities: Sequence[tuple[str, float]]
    gradients: np.ndarray
    occlusions: np.ndarray
    neighbours: Sequence[np.ndarray]
    labels: Sequence[str]
    distances: Sequence[float]


class Filters(NamedTuple):
    """The weights of a first layer.

    Attributes:
      layer: its name.
      weights: `float32 [h, w, C, U]`: a filter for each unit of a convolution; for each unit of a
        dense layer a picture of the image's size.
    """

    layer: str
    weights: np.ndarray
