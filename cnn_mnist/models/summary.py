"""The table of a network's layers: output shapes and numbers of parameters."""

import math
from typing import NamedTuple

import tensorflow as tf
from rich.table import Table

from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.models.layers import LAYERS
from cnn_mnist.models.networks import logits_of
from cnn_mnist.recipes import Recipe


class Layer(NamedTuple):
    """One row: a layer's name, its output's shape without the batch, and its parameters."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int


def layers_of(recipe: Recipe, form: Form = MNIST) -> list[Layer]:
    """The layers of a recipe's network, in the order in which the images pass them.

    Variables of a network that does not note its layers in `LAYERS` follow, one a row.
    """
    with tf.Graph().as_default():
        shape = [None, form.height, form.width, form.channels]
        logits_of(
            recipe.network,
            tf.compat.v1.placeholder(tf.float32, shape),
            form.num_classes,
            training=False,
            dropout_rate=0.0,
            seed=recipe.seed,
        )
        sizes = {v.op.name: math.prod(v.shape) for v in tf.compat.v1.trainable_variables()}
        rows = []
        for output in tf.compat.v1.get_collection(LAYERS):
            name = output.op.name.rpartition("/")[0]
            parameters = sum(n for v, n in sizes.items() if v.rpartition("/")[0] == name)
            rows.append(Layer(name, tuple(output.shape[1:]), parameters))
        listed = {row.name for row in rows}
        rows += [Layer(v, (), n) for v, n in sizes.items() if v.rpartition("/")[0] not in listed]
    return rows


def table(recipe: Recipe, form: Form = MNIST) -> Table:
    """The layers as a table for the terminal, with the total below."""
    layers = layers_of(recipe, form)
    size = f"{form.height} x {form.width}" + f" x {form.channels}" * (form.channels > 1)
    title = f"network {recipe.network}: {size} images to {form.num_classes} logits"
    result = Table(title=title, show_footer=True)
    total = f"{sum(layer.parameters for layer in layers):,}"
    result.add_column("layer", footer="parameters in total")
    result.add_column("output shape", justify="right")
    result.add_column("parameters", footer=total, justify="right")
    for name, output_shape, parameters in layers:
        shape = " x ".join(map(str, output_shape))
        result.add_row(name, shape, f"{parameters:,}" if parameters else "")
    return result
