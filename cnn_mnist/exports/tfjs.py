"""Exports a trained network as a layers model of TensorFlow.js: `model.json` and `weights.bin`.

The format is that of the converter `tensorflowjs`: the layers as Keras describes them, a list of
the weights, and the weights, `float32`, little-endian, one after the other in the order of the
list. All layers are built into TensorFlow.js, so any page can open it with `tf.loadLayersModel`.

Axes: B batch, H height, W width, C channels.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import __version__, estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.placement import DIGIT
from cnn_mnist.engines import notes
from cnn_mnist.exports.saved_model import Prove, unproved
from cnn_mnist.models import graphs
from cnn_mnist.models.layers import NORM_DECAY, NORM_EPSILON
from cnn_mnist.models.networks import MEMBERS
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.files import whole_folder, write_files

MODEL = "model.json"
WEIGHTS = "weights.bin"
INPUT = "float32 [B, {height}, {width}, {channels}], 0 to 1, {kind}"
OUTPUT = "float32 [B, {num_classes}], the probability of each class"

MIRROR_SCALE = 16  # keeps squares of grey levels within half floats, with which phones compute
MIRROR_EPSILON = 1e-30  # lets a black column stay black; far below the variance of any other


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of TensorFlow.js.

    Attributes:
      kind: its class in Keras and TensorFlow.js.
      name: the scope of its variables in a checkpoint. Of several layers of one name in a network
        the later ones get a number, as in `networks`.
      config: what its class wants to know, but for sizes, which are those of its weights.
      variables: the names of its weights that are variables, in the order of its class.
      constants: its weights that are none, `float32`; training leaves them as they are.
      inputs: the names of the layers whose outputs it takes, where that is not the one before it.
    """

    kind: str
    name: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    variables: tuple[str, ...] = ()
    constants: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    inputs: tuple[str, ...] = ()


def conv2d(activation: str = "linear", use_bias: bool = True) -> Layer:
    """`layers.conv2d`, and what follows it; how it is padded, is taken from the network's graph."""
    config = {"padding": "valid", "activation": activation, "use_bias": use_bias}
    return Layer("Conv2D", "conv2d", config, ("kernel", "bias") if use_bias else ("kernel",))


def dense(activation: str) -> Layer:
    """`layers.dense`, and what follows it."""
    config = {"activation": activation, "use_bias": True}
    return Layer("Dense", "dense", config, ("kernel", "bias"))


def _pixelwise(name: str, kernel: list[list[float]]) -> Layer:
    """Multiplies the channels of each pixel by a constant, `[C, new C]`."""
    constants = {"kernel": np.array([[kernel]], np.float32)}
    return Layer("Conv2D", name, conv2d(use_bias=False).config, constants=constants)


BATCH_NORM = Layer(
    "BatchNormalization",
    "batch_normalization",
    {"axis": -1, "momentum": NORM_DECAY, "epsilon": NORM_EPSILON, "center": True, "scale": True},
    ("gamma", "beta", "moving_mean", "moving_variance"),
)
RELU = Layer("Activation", "relu", {"activation": "relu"})
MAX_POOL = Layer("MaxPooling2D", "max_pool", {"pool_size": [2, 2], "strides": [2, 2]})
MEAN_POOL = Layer("GlobalAveragePooling2D", "mean_pool")
FLATTEN = Layer("Flatten", "flatten")
IMAGES = Layer("InputLayer", "images", {"sparse": False})


def unit_columns(form: Form) -> list[Layer]:
    """`layers.unit_columns`.

    Beside each pixel x is put its mirror image -x. A column, over its rows and these two channels,
    then has the mean 0 and the variance |x|^2 / H. Brought to the variance 1 / H it has been
    divided by its length, and the mirror image can go. Of colour images, the columns of the three
    channels come to lie side by side first.
    """
    rows = form.height
    side_by_side = {"target_shape": [rows, form.width * form.channels, 1]}
    return [
        *([Layer("Reshape", "side_by_side", side_by_side)] if form.channels > 1 else []),
        _pixelwise("mirrored", [[MIRROR_SCALE, -MIRROR_SCALE]]),  # [B, H, W, 2]
        Layer(
            "LayerNormalization",
            "normalized",
            {"axis": [1, 3], "epsilon": MIRROR_EPSILON, "center": True, "scale": True},
            constants={
                "gamma": np.full((rows, 2), rows**-0.5, np.float32),
                # TensorFlow.js 4.22 cannot train a model in which it misses this one.
                "beta": np.zeros((rows, 2), np.float32),
            },
        ),
        _pixelwise("unit_columns", [[1], [0]]),  # [B, H, W, 1]
    ]


def layers_of(network: str, dropout_rate: float, form: Form = MNIST) -> list[Layer]:
    """The layers of a network of `networks.py`, from images to probabilities.

    Raises:
      InputError: nothing is known of a network of this name.
    """
    dropout = Layer("Dropout", "dropout", {"rate": dropout_rate})
    head = [FLATTEN, dense("relu"), dropout, dense("softmax")]
    mlp = [FLATTEN, dense("relu"), dense("relu"), dropout, dense("softmax")]
    normed = [conv2d(use_bias=False), BATCH_NORM]
    deep = [*normed, RELU, *normed, MAX_POOL, RELU, *normed, RELU, *head]
    pooled = [conv2d(), MAX_POOL, RELU]
    colour = [*normed, MAX_POOL, RELU, *normed, RELU, *([*normed, MAX_POOL, RELU] * 2)]
    networks = {
        "cnn": [*pooled, *pooled, *head],
        "tfjs": [*pooled, *pooled, FLATTEN, dropout, dense("softmax")],
        "quick_cnn": [*pooled, *pooled, *head],
        "small_cnn": [*pooled, conv2d(activation="relu"), *pooled, *head],
        "tiny_cnn": [
            *[*normed, RELU, *normed, MAX_POOL, RELU, *normed, RELU, *normed, RELU],
            *[MEAN_POOL, dropout, dense("softmax")],
        ],
        "deep_cnn": deep,
        "committee": _side_by_side(_numbered(deep), MEMBERS),
        "keras_mlp": [*unit_columns(form), *mlp],
        "core_mlp": mlp,
        "colour_cnn": [*colour, FLATTEN, dropout, dense("softmax")],
    }
    if network not in networks:
        raise InputError(
            f"--format=tfjs: expected one of the networks {', '.join(networks)}, found {network}; "
            "--format=saved_model takes every network"
        )
    return _numbered(networks[network])


def layers_model(
    recipe: Recipe,
    model_dir: str,
    export_dir: str,
    form: Form = MNIST,
    *,
    preprocess: str = DIGIT,
    prove: Prove = unproved,
) -> list[str]:
    """Writes the newest checkpoint of `model_dir` as a layers model, whole or not at all.

    The weights are those that are scored: of a recipe that averages them, the averages. The model
    takes `INPUT` and gives `OUTPUT`, of the form, computed in `float32` whatever the recipe's
    precision. What the network does to its images first is part of it, and so is dropout, for
    training. Its `userDefinedMetadata` are what
    `engines.notes` tells. `preprocess` and `prove` are as of `saved_model.saved_model`.

    Returns:
      What a person can do with the folder, in lines.

    Raises:
      InputError: if `export_dir` exists and is not an empty folder.
      CheckpointError: if `model_dir` has no checkpoint of this network.
      OSError: the files cannot be written; a full disk.
    """
    layers = padded(layers_of(recipe.network, recipe.dropout_rate, form), recipe, form)
    variables = restore.scored_values(recipe, restore.newest(recipe, model_dir, form), form)
    of_form = limits.sizes(form) | {"kind": notes.KINDS[form.channels]}
    takes, gives = INPUT.format(**of_form), OUTPUT.format(**of_form)
    weights = weights_of(layers, variables)
    listed = [
        {"name": name, "shape": list(value.shape), "dtype": "float32"}
        for name, value in weights.items()
    ]
    model = {
        "format": "layers-model",
        "generatedBy": f"cnn_mnist {__version__}",
        "convertedBy": None,
        "userDefinedMetadata": notes.content(
            recipe, int(variables["global_step"]), form, preprocess, takes, gives
        ),
        "modelTopology": topology(recipe.network, layers, weights, form),
        "weightsManifest": [{"paths": [WEIGHTS], "weights": listed}],
    }
    text = json.dumps(model, indent=2) + "\n"
    content = b"".join(value.astype("<f4").tobytes() for value in weights.values())
    with whole_folder(export_dir) as folder:
        write_files(folder, {WEIGHTS: content, MODEL: text.encode()})
        prove(folder)
    return [
        f"its input     {takes}",
        f"its output    {gives}",
        f'in a page     const model = await tf.loadLayersModel("{MODEL}")',
    ]


def padded(layers: Sequence[Layer], recipe: Recipe, form: Form) -> list[Layer]:
    """The layers; its convolutions are padded as in the graph of the recipe's network."""
    with tf.Graph().as_default() as graph:
        graphs.build(recipe, estimator.ModeKeys.PREDICT, form)
        paddings = {
            op.name.rpartition("/")[0]: op.get_attr("padding").decode().lower()
            for op in graph.get_operations()
            if op.type == "Conv2D"
        }
    return [
        dataclasses.replace(layer, config={**layer.config, "padding": paddings[layer.name]})
        if layer.name in paddings
        else layer
        for layer in layers
    ]


def weights_of(
    layers: Sequence[Layer], variables: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The weights of all layers, in their order: `layer/weight` -> `float32` value."""
    weights: dict[str, np.ndarray] = {}
    for layer in layers:
        names = [f"{layer.name}/{variable}" for variable in layer.variables]
        weights |= {name: variables[name] for name in names}
        weights |= {f"{layer.name}/{name}": value for name, value in layer.constants.items()}
    return weights


def topology(
    network: str, layers: Sequence[Layer], weights: Mapping[str, np.ndarray], form: Form = MNIST
) -> dict[str, Any]:
    """The layers as Keras writes them into JSON: one after the other, or as a graph."""
    graph = any(layer.inputs for layer in layers)
    described: list[dict[str, Any]] = []
    for layer in layers:
        config = {"name": layer.name, "trainable": not layer.constants, **layer.config}
        if not described:
            shape = [None, form.height, form.width, form.channels]
            config |= {"batch_input_shape": shape, "dtype": "float32"}
        if f"{layer.name}/kernel" in weights:
            *field, _, outputs = weights[f"{layer.name}/kernel"].shape
            config |= {"filters": outputs, "kernel_size": field} if field else {"units": outputs}
        described.append({"class_name": layer.kind, "config": config})
        if graph:
            nodes = [[[name, 0, 0, {}] for name in layer.inputs]] if layer.inputs else []
            described[-1] |= {"name": layer.name, "inbound_nodes": nodes}
    config = {"name": network, "layers": described}
    if not graph:
        return {"class_name": "Sequential", "config": config}
    first, last = layers[0].name, layers[-1].name
    config |= {"input_layers": [[first, 0, 0]], "output_layers": [[last, 0, 0]]}
    return {"class_name": "Functional", "config": config}


def _side_by_side(member: Sequence[Layer], count: int) -> list[Layer]:
    """Members of the same layers, each with names of its own, and the mean of their outputs."""
    result, ends = [IMAGES], []
    for index in range(count):
        before = IMAGES.name
        for layer in member:
            name = f"column_{index}/{layer.name}"
            result.append(dataclasses.replace(layer, name=name, inputs=(before,)))
            before = name
        ends.append(before)
    return [*result, Layer("Average", "average", inputs=tuple(ends))]


def _numbered(layers: Sequence[Layer]) -> list[Layer]:
    """Layers with names of their own: `dense`, `dense_1`, `dense_2`, ..."""
    result: list[Layer] = []
    for index, layer in enumerate(layers):
        number = sum(before.name == layer.name for before in layers[:index])
        name = f"{layer.name}_{number}" if number else layer.name
        result.append(dataclasses.replace(layer, name=name))
    return result
