"""How accuracy falls where test images get worse."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnn_mnist.data.dataset import Split
from cnn_mnist.evaluation.corruptions import CORRUPTIONS

IMAGES = 2_000  # of the test set at most, chosen evenly


class Row(NamedTuple):
    """The accuracy under one corruption, at each of its strengths."""

    name: str
    unit: str
    strengths: tuple[float, ...]
    accuracies: tuple[float, ...]


class Robustness(NamedTuple):
    """The accuracy on some test images as they are, and under each corruption.

    Attributes:
      images: how many, chosen evenly from the test set.
      accuracy: on these as they are.
      rows: one for each corruption.
    """

    images: int
    accuracy: float
    rows: tuple[Row, ...]

    def as_dict(self) -> dict[str, Any]:
        """In JSON's own types."""
        rows = [row._asdict() for row in self.rows]
        return {"images": self.images, "accuracy": self.accuracy, "corruptions": rows}


def measured(split: Split, classify: Callable[[np.ndarray], np.ndarray]) -> Robustness:
    """The robustness of what takes images, as of the split, and gives classes, `int64 [N]`."""
    count = min(len(split), IMAGES)
    chosen = np.arange(count) * len(split) // count
    images, labels = split.images[chosen], split.labels[chosen]

    def accuracy(these: np.ndarray) -> float:
        return float((classify(these) == labels).mean())

    rows = tuple(
        Row(
            name,
            each.unit,
            each.strengths,
            tuple(accuracy(each.of(images, strength)) for strength in each.strengths),
        )
        for name, each in CORRUPTIONS.items()
        if images.ndim == 3 or not each.grey_only
    )
    return Robustness(count, accuracy(images), rows)
