"""The table of a network's layers: output shapes and numbers of parameters."""

import math
from typing import NamedTuple

import tensorflow as tf
from rich.table import Table

from cnn_mnist.models.layers import LAYERS
from cnn_mnist.models.networks import NETWORKS
from cnn_mnist.recipes import Recipe


class Layer(NamedTuple):
    """One row: a layer's name, its output's shape without the batch, and its parameters."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int


def layers_of(recipe: Recipe) -> list[Layer]:
    """The layers of a recipe's network, in the order in which the images pass them.

    Variables of a network that does not note its layers in `LAYERS` follow, one a row.
    """
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, 28, 28, 1])
        NETWORKS[recipe.network](images, training=False, dropout_rate=0.0, seed=recipe.seed)
        sizes = {v.op.name: math.prod(v.shape) for v in tf.compat.v1.trainable_variables()}
        rows = []
        for output in tf.compat.v1.get_collection(LAYERS):
            name = output.op.name.rpartition("/")[0]
            parameters = sum(n for v, n in sizes.items() if v.rpartition("/")[0] == name)
            rows.append(Layer(name, tuple(output.shape[1:]), parameters))
        listed = {row.name for row in rows}
        rows += [Layer(v, (), n) for v, n in sizes.items() if v.rpartition("/")[0] not in listed]
    return rows


def table(recipe: Recipe) -> Table:
    """The layers as a table for the terminal, with the total below."""
    layers = layers_of(recipe)
    result = Table(title=f"network {recipe.network}: 28 x 28 images to 10 logits", show_footer=True)
    total = f"{sum(layer.parameters for layer in layers):,}"
    result.add_column("layer", footer="parameters in total")
    result.add_column("output shape", justify="right")
    result.add_column("parameters", footer=total, justify="right")
    for name, output_shape, parameters in layers:
        shape = " x ".join(map(str, output_shape))
        result.add_row(name, shape, f"{parameters:,}" if parameters else "")
    return result
