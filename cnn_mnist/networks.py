"""The networks: pure functions from images to logits.

Shapes are written with these axes: B batch, H height, W width, C channels, K classes.

Variables are made with `get_variable` under the names that `tf.layers` gave them, so checkpoints
can be exchanged with the tutorials' own code. The initial weights and the dropout masks come from
stateless generators, whose algorithm (Philox) is named: the same seed gives the same numbers in
every run, and nothing about them needs to be kept in a checkpoint.
"""

import math
import zlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnn_mnist.dataset import NUM_CLASSES


def cnn(images: Any, *, training: bool, dropout_rate: float, seed: int) -> Any:
    """The classic convolutional network: 3,274,634 parameters.

    Args:
      images: `float32 [B, 28, 28, 1]`, 0 to 1.
      training: whether dropout acts.
      dropout_rate: share of the dense layer's activations that are set to zero.
      seed: of the initial weights and the dropout masks.

    Returns:
      Logits, `float32 [B, 10]`.
    """
    net = conv2d(images, "conv2d", filters=32, kernel_size=5, seed=seed)  # [B, 28, 28, 32]
    net = max_pool_relu(net)  # [B, 14, 14, 32]
    net = conv2d(net, "conv2d_1", filters=64, kernel_size=5, seed=seed)  # [B, 14, 14, 64]
    net = max_pool_relu(net)  # [B, 7, 7, 64]
    net = tf.reshape(net, [-1, 7 * 7 * 64])  # [B, 3136]
    net = tf.nn.relu(dense(net, "dense", units=1024, seed=seed))  # [B, 1024]
    if training:
        net = dropout(net, dropout_rate, seed=seed)
    return dense(net, "dense_1", units=NUM_CLASSES, seed=seed)  # [B, K]


NETWORKS: dict[str, Callable[..., Any]] = {"cnn": cnn}


def conv2d(net: Any, name: str, *, filters: int, kernel_size: int, seed: int) -> Any:
    """Convolution of stride 1, same padding: `[B, H, W, C]` -> `[B, H, W, filters]`."""
    with tf.compat.v1.variable_scope(name):
        kernel, bias = kernel_and_bias([kernel_size, kernel_size, net.shape[-1], filters], seed)
        return tf.nn.bias_add(tf.nn.conv2d(net, kernel, strides=1, padding="SAME"), bias)


def dense(net: Any, name: str, *, units: int, seed: int) -> Any:
    """Fully connected layer: `[B, N]` -> `[B, units]`."""
    with tf.compat.v1.variable_scope(name):
        kernel, bias = kernel_and_bias([net.shape[-1], units], seed)
        return tf.nn.bias_add(tf.matmul(net, kernel), bias)


def max_pool_relu(net: Any) -> Any:
    """2x2 max-pooling, then ReLU: `[B, H, W, C]` -> `[B, H/2, W/2, C]`.

    ReLU keeps the order of any two values, so this equals ReLU before pooling, on a quarter of
    the values.
    """
    return tf.nn.relu(tf.nn.max_pool2d(net, ksize=2, strides=2, padding="VALID"))


def dropout(net: Any, rate: float, *, seed: int) -> Any:
    """Sets a share `rate` of the activations to zero and scales the others by `1 / (1 - rate)`.

    The mask is a function of (seed, global step) alone.
    """
    step = tf.cast(tf.compat.v1.train.get_or_create_global_step(), tf.int64)
    key = tf.stack([tf.constant(random_stream(seed, "dropout"), tf.int64), step])
    return tf.nn.experimental.stateless_dropout(net, rate, seed=key, rng_alg="philox")


def kernel_and_bias(kernel_shape: list[int], seed: int) -> tuple[Any, Any]:
    """The variables `kernel` and `bias` of the layer whose variable scope is open.

    Kernels start uniform within `+-sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010), the
    default of `tf.layers`; biases start at zero.
    """
    layer = tf.compat.v1.get_variable_scope().name
    receptive_field = math.prod(kernel_shape[:-2])
    limit = math.sqrt(6 / (receptive_field * (kernel_shape[-2] + kernel_shape[-1])))

    def glorot_uniform(shape: Any, dtype: Any = tf.float32, **_: Any) -> Any:
        key = tf.constant([random_stream(seed, f"{layer}/kernel"), 0], tf.int64)
        return tf.random.stateless_uniform(shape, key, -limit, limit, dtype, alg="philox")

    kernel = tf.compat.v1.get_variable("kernel", kernel_shape, initializer=glorot_uniform)
    bias = tf.compat.v1.get_variable(
        "bias", kernel_shape[-1:], initializer=tf.compat.v1.zeros_initializer()
    )
    return kernel, bias


def random_stream(seed: int, purpose: str) -> int:
    """The key of a stream of random numbers: `seed` below, a hash of `purpose` above it."""
    return (zlib.crc32(purpose.encode()) >> 1) << 32 | seed
