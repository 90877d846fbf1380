"""Which images a network takes for alike: the nearest ones in its last hidden layer.

Axes: B images that are asked about, N examples, U units, k neighbours.
"""

from typing import NamedTuple

import numpy as np

from cnn_mnist.data.splits import Examples, Split
from cnn_mnist.explanations.network import OpenNetwork

EXAMPLES = 10_000  # at most, chosen evenly
CHUNK = 1_000  # examples at a time, so that memory does not grow with their number


class Neighbours(NamedTuple):
    """The nearest examples of each image, the nearest first.

    Attributes:
      indices: `int64 [B, k]`, among the examples.
      distances: `float32 [B, k]`, of the hidden layer's values.
      images: `uint8 [B, k, H, W]`, or `[B, k, H, W, 3]`.
      labels: `int32 [B, k]`.
    """

    indices: np.ndarray
    distances: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def neighbours(
    network: OpenNetwork, images: np.ndarray, examples: Examples, count: int
) -> Neighbours:
    """The examples whose last hidden layer is nearest to that of images, by Euclidean distance.

    As A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional
    Neural Networks", 2012, section 6.1, show what a network has learned.

    Args:
      images: `uint8 [B, H, W]`, or `[B, H, W, 3]`.
      examples: of the training; of more than `EXAMPLES` as many, chosen evenly, and of those in
        shards the first piece.
      count: k; all examples if there are fewer.
    """
    split, places = _some(examples)
    asked = network.hidden(images)  # [B, U]
    best = np.full((len(images), 0), np.inf)
    indices = np.zeros((len(images), 0), np.int64)
    for first in range(0, len(places), CHUNK):
        some = places[first : first + CHUNK]
        best = np.concatenate([best, squared(asked, network.hidden(split.images[some]))], axis=1)
        indices = np.concatenate([indices, np.tile(some, (len(images), 1))], axis=1)
        order = np.argsort(best, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(best, order, axis=1)
        indices = np.take_along_axis(indices, order, axis=1)
    distances = np.sqrt(best).astype(np.float32)
    return Neighbours(indices, distances, split.images[indices], split.labels[indices])


def squared(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The squares of the distances between `[B, U]` and `[N, U]`: `float64 [B, N]`."""
    some, others = some.astype(np.float64), others.astype(np.float64)
    lengths = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.maximum(lengths - 2 * some @ others.T, 0)  # rounding goes below 0


def evenly(count: int, most: int) -> np.ndarray:
    """Numbers below `count`, at most `most` of them, at even distances: `int64`."""
    chosen = min(count, most)
    return np.arange(chosen) * count // max(chosen, 1)


def _some(examples: Examples) -> tuple[Split, np.ndarray]:
    split = examples if isinstance(examples, Split) else next(examples.pieces())
    return split, evenly(len(split), EXAMPLES)
