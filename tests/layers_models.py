"""A network that was trained for a moment, and the layers model that was written of it."""

import dataclasses
from pathlib import Path

import numpy as np

from cnn_mnist.engines import layers_model
from cnn_mnist.recipes import Recipe


@dataclasses.dataclass
class Exported:
    recipe: Recipe
    model_dir: str
    folder: Path

    def __post_init__(self):
        read = layers_model.read(self.folder)
        self.model, self.layers, self.weights = read.model, read.layers, read.weights
        self._read = read

    def run(self, images, count=None, dtype=np.float64):
        """As of `LayersModel.run`, in twice the digits."""
        return self._read.run(images, count, dtype)
