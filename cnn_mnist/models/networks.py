"""The networks: pure functions from images to logits. To add one, write it and list it below.

Every network takes

- `images`, `float32` or `bfloat16` `[B, H, W, C]`, 0 to 1; at least 8 pixels high and wide, and of
  one or three channels;
- `num_classes`: K, 2 to 1,000;
- `training`: whether dropout acts;
- `dropout_rate`: share of the last hidden layer's activations that dropout sets to zero;
- `seed`: of the initial weights and the dropout masks;

and returns logits, `[B, K]`, of the same dtype, or those of an ensemble's members, `[M, B, K]`.
What a network does to its images first is part of it, so that training, evaluation and serving
cannot disagree.

Shapes are written with these axes: B batch, H height, W width, C channels, K classes, M members.
Where numbers stand for them, and for counts of parameters, images are MNIST's: 28 x 28 pixels, one
channel, ten classes.
"""

import inspect
from collections.abc import Callable
from typing import Any

from cnn_mnist.models.layers import (
    batch_norm,
    conv2d,
    dense,
    dropout,
    flatten,
    he_normal,
    lecun_uniform,
    max_pool_relu,
    mean_pool,
    unit_columns,
    unpadded,
    variance_scaling,
)
from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.lazy import tf

MEMBERS = 3  # of the ensemble


def cnn(images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int) -> Any:
    """The classic convolutional network of the layers tutorial: 3,274,634 parameters."""
    start: dict[str, Any] = {"initializer": lecun_uniform, "seed": seed}
    net = conv2d(images, "conv2d", filters=32, kernel_size=5, **start)  # [B, 28, 28, 32]
    net = max_pool_relu(net, "max_pool")  # [B, 14, 14, 32]
    net = conv2d(net, "conv2d_1", filters=64, kernel_size=5, **start)  # [B, 14, 14, 64]
    net = max_pool_relu(net, "max_pool_1")  # [B, 7, 7, 64]
    net = flatten(net)  # [B, 3136]
    net = dense(net, "dense", units=1024, activation=tf.nn.relu, **start)  # [B, 1024]
    net = dropout(net, dropout_rate, training=training, seed=seed)
    return dense(net, "dense_1", units=num_classes, **start)  # [B, K]


def tfjs(images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int) -> Any:
    """The small convolutional network of the two browser tutorials: 5,994 parameters."""
    start: dict[str, Any] = {"initializer": variance_scaling, "seed": seed}
    net = unpadded(images, "conv2d", filters=8, kernel_size=5, **start)
    net = max_pool_relu(net, "max_pool")  # [B, 24, 24, 8] -> [B, 12, 12, 8]
    net = unpadded(net, "conv2d_1", filters=16, kernel_size=5, **start)
    net = max_pool_relu(net, "max_pool_1")  # [B, 8, 8, 16] -> [B, 4, 4, 16]
    net = flatten(net)  # [B, 256]
    net = dropout(net, dropout_rate, training=training, seed=seed)
    return dense(net, "dense", units=num_classes, **start)  # [B, K]


def quick_cnn(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Two narrow convolutions that learn in one epoch: 212,682 parameters."""
    start: dict[str, Any] = {"initializer": he_normal, "seed": seed}
    net = unpadded(images, "conv2d", filters=16, kernel_size=5, **start)  # [B, 24, 24, 16]
    net = max_pool_relu(net, "max_pool")  # [B, 12, 12, 16]
    net = unpadded(net, "conv2d_1", filters=32, kernel_size=3, **start)  # [B, 10, 10, 32]
    net = max_pool_relu(net, "max_pool_1")  # [B, 5, 5, 32]
    return _head(flatten(net), (256, num_classes), training, dropout_rate, seed)


def small_cnn(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Three narrow convolutions, with which recipe `fast` began: 81,258 parameters."""
    start: dict[str, Any] = {"initializer": he_normal, "seed": seed}
    net = unpadded(images, "conv2d", filters=16, kernel_size=5, **start)  # [B, 24, 24, 16]
    net = max_pool_relu(net, "max_pool")  # [B, 12, 12, 16]
    # [B, 10, 10, 32]
    net = unpadded(net, "conv2d_1", filters=32, kernel_size=3, activation=tf.nn.relu, **start)
    net = unpadded(net, "conv2d_2", filters=32, kernel_size=3, **start)  # [B, 8, 8, 32]
    net = max_pool_relu(net, "max_pool_1")  # [B, 4, 4, 32]
    return _head(flatten(net), (128, num_classes), training, dropout_rate, seed)


def tiny_cnn(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Four normalized 3x3 convolutions and a mean, for few parameters: 3,018 to train."""
    start: dict[str, Any] = {"initializer": he_normal, "seed": seed}
    net = images
    for index, (filters, pooled) in enumerate(((8, False), (8, True), (12, False), (12, False))):
        name = _numbered("conv2d", index)
        net = unpadded(net, name, filters=filters, kernel_size=3, use_bias=False, **start)
        name = _numbered("batch_normalization", index)
        relu = None if pooled else tf.nn.relu  # pooling has its own
        net = batch_norm(net, name, training=training, activation=relu)
        if pooled:
            net = max_pool_relu(net, "max_pool")  # [B, 24, 24, 8] -> [B, 12, 12, 8]
    net = mean_pool(net, "mean_pool")  # [B, 8, 8, 12] -> [B, 12]
    net = dropout(net, dropout_rate, training=training, seed=seed)
    return dense(net, "dense", units=num_classes, **start)  # [B, K]


def deep_cnn(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Three normalized 5x5 convolutions and one pooling: 1,439,722 parameters."""

    def conv(net: Any, index: int, filters: int, activation: Any = None) -> Any:
        name = _numbered("conv2d", index)
        start: dict[str, Any] = {"initializer": he_normal, "seed": seed}
        net = unpadded(net, name, filters=filters, kernel_size=5, use_bias=False, **start)
        name = _numbered("batch_normalization", index)
        return batch_norm(net, name, training=training, activation=activation)

    net = conv(images, 0, 32, tf.nn.relu)  # [B, 24, 24, 32]
    net = max_pool_relu(conv(net, 1, 64), "max_pool")  # [B, 20, 20, 64] -> [B, 10, 10, 64]
    net = conv(net, 2, 128, tf.nn.relu)  # [B, 6, 6, 128]
    return _head(flatten(net), (256, num_classes), training, dropout_rate, seed)


def ensemble(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Members that learn side by side, each a `deep_cnn`; their probabilities are averaged.

    "Multi-column deep neural networks for image classification" (Ciresan, Meier and Schmidhuber,
    2012), whose word the names in the graph and in checkpoints keep. Each member has initial
    weights and dropout masks of its own.
    """
    members = []
    for index in range(MEMBERS):
        with tf.compat.v1.variable_scope(f"column_{index}"):
            given: dict[str, Any] = {"num_classes": num_classes, "dropout_rate": dropout_rate}
            members.append(deep_cnn(images, training=training, seed=seed, **given))
    return tf.stack(members, name="columns")  # [M, B, K]


def colour_cnn(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Four normalized 3x3 convolutions, for small colour pictures: 141,418 parameters."""
    start: dict[str, Any] = {"initializer": he_normal, "seed": seed}
    net = images
    for index, (filters, pooled) in enumerate(((32, True), (64, False), (64, True), (128, True))):
        name = _numbered("conv2d", index)
        net = conv2d(net, name, filters=filters, kernel_size=3, use_bias=False, **start)
        relu = None if pooled else tf.nn.relu  # pooling has its own
        name = _numbered("batch_normalization", index)
        net = batch_norm(net, name, training=training, activation=relu)
        if pooled:
            net = max_pool_relu(net, f"max_pool_{index}")
    net = dropout(flatten(net), dropout_rate, training=training, seed=seed)
    return dense(net, "dense", units=num_classes, **start)


def keras_mlp(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Two hidden layers of 128 on normalised images, the Keras tutorial's: 118,282 parameters."""
    return _mlp(unit_columns(images), (128, 128, num_classes), training, dropout_rate, seed)


def core_mlp(
    images: Any, *, num_classes: int, training: bool, dropout_rate: float, seed: int
) -> Any:
    """Hidden layers of 700 and 500, the low-level tutorial's: 905,010 parameters."""
    return _mlp(images, (700, 500, num_classes), training, dropout_rate, seed)


NETWORKS: dict[str, Callable[..., Any]] = {
    "cnn": cnn,
    "tfjs": tfjs,
    "quick_cnn": quick_cnn,
    "small_cnn": small_cnn,
    "tiny_cnn": tiny_cnn,
    "deep_cnn": deep_cnn,
    "committee": ensemble,  # the name that older recipe.json files hold
    "keras_mlp": keras_mlp,
    "core_mlp": core_mlp,
    "colour_cnn": colour_cnn,
}


def logits_of(name: str, images: Any, num_classes: int, **options: Any) -> Any:
    """What the network of a name in `NETWORKS` makes of images: logits, as told above.

    A network of another program may do without `num_classes`, if it gives the right number.

    Raises:
      InputError: it gives another number of logits.
    """
    network = NETWORKS[name]
    if "num_classes" in inspect.signature(network).parameters:
        options["num_classes"] = num_classes
    logits = network(images, **options)
    if logits.shape[-1] != num_classes:
        raise InputError(
            f"--network={name}: expected {num_classes} logits, one for each class, found "
            f"{logits.shape[-1]}; let it take num_classes"
        )
    return logits


def _head(net: Any, units: tuple[int, int], training: bool, dropout_rate: float, seed: int) -> Any:
    """A hidden layer with ReLU and dropout, then the logits: `[B, N]` -> `[B, K]`."""
    hidden, num_classes = units
    start: dict[str, Any] = {"initializer": he_normal, "seed": seed}
    net = dense(net, "dense", units=hidden, activation=tf.nn.relu, **start)
    net = dropout(net, dropout_rate, training=training, seed=seed)
    return dense(net, "dense_1", units=num_classes, **start)


def _mlp(net: Any, units: tuple[int, ...], training: bool, dropout_rate: float, seed: int) -> Any:
    """A multilayer perceptron: dense layers with ReLU between them; the last gives the logits."""
    *hidden, num_classes = units
    net = flatten(net)  # [B, 784]
    for index, size in enumerate(hidden):
        name = _numbered("dense", index)
        net = dense(net, name, units=size, activation=tf.nn.relu, seed=seed)
    net = dropout(net, dropout_rate, training=training, seed=seed)
    return dense(net, _numbered("dense", len(hidden)), units=num_classes, seed=seed)


def _numbered(name: str, index: int) -> str:
    """`dense`, `dense_1`, `dense_2`, ...: how `tf.layers` and Keras number their layers."""
    return f"{name}_{index}" if index else name
