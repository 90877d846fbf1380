"""Named sets of hyper-parameters: what is trained, and how."""

import dataclasses
import math
from typing import Any

from cnn_mnist.errors import InputError


class RecipeError(InputError):
    """A hyper-parameter that cannot work. The message starts with the flag of its name."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a training run, apart from the data itself.

    Attributes:
      network: name of a function in `networks.NETWORKS`.
      learning_rate: step size of gradient descent.
      batch_size: images per training step.
      steps: the total; training stops when `global_step` reaches it.
      dropout_rate: share of the dense layer's activations that a training step sets to zero.
      validation_size: training images that are set aside, from the front of the training file.
      seed: fixes the initial weights, the order of the images and the dropout masks.

    Raises:
      RecipeError: for a value out of range.
    """

    network: str = "cnn"
    learning_rate: float = 0.001
    batch_size: int = 100
    steps: int = 20_000
    dropout_rate: float = 0.4
    validation_size: int = 5_000
    seed: int = 0

    def __post_init__(self) -> None:
        # `not (...)`, so that NaN, for which every comparison is false, is refused as well.
        self._require("learning_rate", 0 < self.learning_rate < math.inf, "a number above 0")
        self._require("batch_size", self.batch_size >= 1, "at least 1")
        self._require("steps", self.steps >= 1, "at least 1")
        self._require("dropout_rate", 0 <= self.dropout_rate < 1, "at least 0 and below 1")
        self._require("validation_size", self.validation_size >= 0, "at least 0")
        self._require("seed", 0 <= self.seed < 2**32, "at least 0 and below 2^32")

    def _require(self, field: str, holds: bool, expected: str) -> None:
        if not holds:
            raise RecipeError(f"--{field}={getattr(self, field)}: expected {expected}")

    def params(self) -> dict[str, Any]:
        """The recipe as the `params` of an Estimator; `Recipe(**params)` is the way back."""
        return dataclasses.asdict(self)


# The layers tutorial of TensorFlow 1.x, `examples/tutorials/layers/cnn_mnist.py`.
ESTIMATOR = Recipe()
