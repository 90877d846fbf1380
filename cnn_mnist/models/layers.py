"""The building blocks of the networks: layers with their variables, and what they start from.

Axes: B batch, H height, W width, C channels, N units.

Variables are `float32` and have the names that `tf.layers` gave them, so checkpoints can be
exchanged with the tutorials' own code. A layer computes in the dtype of what it is given, `float32`
or `bfloat16`, and notes its output in the graph's collection `LAYERS`, for `--mode=summary`.

Initial weights and dropout masks come from stateless generators, whose algorithm (Philox) is named:
the same seed gives the same numbers in every run, and no checkpoint has to keep anything of them.
"""

import math
import zlib
from collections.abc import Callable
from typing import Any

from cnn_mnist.models import parts
from cnn_mnist.models.random_numbers import normal, truncated_normal, uniform
from cnn_mnist.utils import processor
from cnn_mnist.utils.lazy import tf

LAYERS = "layers"
LARGE_KERNEL = 2**20  # values, beyond a core's cache
NORM_DECAY = 0.95  # of the moving averages: they forget a batch in some 20 steps
NORM_EPSILON = 1e-3  # of Keras

Initializer = Callable[[list[int], Any], Any]  # shape, key of a random stream -> `float32` values
Activation = Callable[[Any], Any]  # what a layer does to its output, as `tf.nn.relu`


def conv2d(
    net: Any,
    name: str,
    *,
    filters: int,
    kernel_size: int,
    seed: int,
    padding: str = "SAME",
    initializer: Initializer | None = None,
    use_bias: bool = True,
    activation: Activation | None = None,
) -> Any:
    """Convolution of stride 1: `[B, H, W, C]` -> `[B, H, W, filters]`, smaller if not padded.

    Without a bias where batch normalization follows: it would subtract the bias with the mean.
    """
    with tf.compat.v1.variable_scope(name):
        shape = [kernel_size, kernel_size, net.shape[-1], filters]
        kernel = _kernel(shape, net.dtype, seed, initializer)
        output = tf.nn.conv2d(net, kernel, 1, padding)
        return _noted(_biased(output) if use_bias else output, activation)


def unpadded(net: Any, name: str, *, kernel_size: int, **options: Any) -> Any:
    """`conv2d` without padding, so that the image gets smaller by `kernel_size - 1`.

    A small image, of which less than 2 x 2 would be left to pool, is padded and keeps its size.
    """
    padding = "VALID" if min(net.shape[1:3]) > kernel_size else "SAME"
    return conv2d(net, name, kernel_size=kernel_size, padding=padding, **options)


def dense(
    net: Any,
    name: str,
    *,
    units: int,
    seed: int,
    initializer: Initializer | None = None,
    activation: Activation | None = None,
) -> Any:
    """Fully connected layer: `[B, N]` -> `[B, units]`."""
    with tf.compat.v1.variable_scope(name):
        kernel = _kernel([net.shape[-1], units], net.dtype, seed, initializer)
        return _noted(_biased(_matmul(net, kernel)), activation)


def batch_norm(net: Any, name: str, *, training: bool, activation: Activation | None = None) -> Any:
    """Batch normalization (Ioffe and Szegedy, 2015) of `[B, H, W, C]`: each channel by itself.

    In training by mean and variance of the batch, otherwise by their moving averages over the
    training, which are variables; what moves them is in the collection `UPDATE_OPS`.
    """
    with tf.compat.v1.variable_scope(name):
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        gamma, beta, *averages = (_per_channel(net, variable) for variable in names)
        given = [None, None] if training else averages
        output, *batch = tf.compat.v1.nn.fused_batch_norm(
            net, gamma, beta, *given, epsilon=NORM_EPSILON, is_training=training
        )
        if training:
            for average, value in zip(averages, batch, strict=True):
                change = (1 - NORM_DECAY) * (average - value)
                update = average.assign_sub(change, read_value=False)
                tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.UPDATE_OPS, update)
        return _noted(output, activation)


def max_pool_relu(net: Any, name: str) -> Any:
    """2x2 max-pooling, then ReLU: `[B, H, W, C]` -> `[B, H/2, W/2, C]`.

    ReLU keeps the order of any two values, so this equals ReLU before pooling, on a quarter of
    the values.
    """
    with tf.name_scope(name):
        return _noted(tf.nn.relu(tf.nn.max_pool2d(net, ksize=2, strides=2, padding="VALID")))


def mean_pool(net: Any, name: str) -> Any:
    """The mean over all pixels: `[B, H, W, C]` -> `[B, C]`."""
    with tf.name_scope(name):
        return _noted(tf.reduce_mean(net, axis=[1, 2]))


def flatten(net: Any) -> Any:
    """`[B, H, W, C]` -> `[B, H * W * C]`, row by row, the channels of a pixel side by side."""
    with tf.name_scope("flatten"):
        return _noted(tf.reshape(net, [-1, math.prod(net.shape[1:])]))


def unit_columns(images: Any) -> Any:
    """Scales each column of each image to length 1; a column of zeros stays as it is.

    As the Keras tutorial does: `tf.keras.utils.normalize(x, axis=1)` of images `[B, H, W]`.
    """
    with tf.name_scope("unit_columns"):
        pixels = tf.cast(images, tf.float32)
        length = tf.norm(pixels, axis=1, keepdims=True)  # [B, 1, W, C]
        return _noted(tf.cast(tf.math.divide_no_nan(pixels, length), images.dtype))


def dropout(net: Any, rate: float, *, training: bool, seed: int) -> Any:
    """Sets a share `rate` of the activations to zero and scales the others by `1 / (1 - rate)`.

    Acts in training alone. The mask is a function of (seed, variable scope, step).
    """
    if not training or rate == 0:
        return net
    member = tf.compat.v1.get_variable_scope().name  # of an ensemble; otherwise ""
    with tf.name_scope("dropout") as scope:
        key = key_of_step(seed, f"{member}/dropout" if member else "dropout")

        def mask(shape: Any, dtype: Any) -> Any:  # dtype: that of `wide`
            def draw(rows: Any) -> Any:
                whole = tf.concat([[rows], shape[1:]], axis=0)
                return uniform(whole, key)

            return parts.rows_of_batch(draw, shape[0])

        # bfloat16 has too few random numbers between 0 and 1 to hit the rate.
        wide = tf.cast(net, tf.float32)
        kept = tf.nn.experimental.general_dropout(wide, rate, mask, name=scope)
        return tf.cast(kept, net.dtype)


def glorot_uniform(shape: list[int], key: Any) -> Any:
    """Uniform within `+-sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010, "Xavier").

    Layers start from it unless told otherwise, as in Keras.
    """
    limit = math.sqrt(6 / (math.prod(shape[:-1]) + math.prod(shape[:-2]) * shape[-1]))
    return uniform(shape, key, -limit, limit)


def lecun_uniform(shape: list[int], key: Any) -> Any:
    """Uniform within `+-sqrt(3 / fan_in)`, which keeps the variance of the inputs.

    The default of `get_variable`, and so of `tf.layers`, when the layers tutorial was published
    (`uniform_unit_scaling_initializer`); later releases of TensorFlow start from `glorot_uniform`.
    """
    limit = math.sqrt(3 / math.prod(shape[:-1]))
    return uniform(shape, key, -limit, limit)


def he_normal(shape: list[int], key: Any) -> Any:
    """Normal with the standard deviation `sqrt(2 / fan_in)`, which suits ReLU (He et al., 2015)."""
    deviation = math.sqrt(2 / math.prod(shape[:-1]))
    return normal(shape, key, deviation)


def variance_scaling(shape: list[int], key: Any) -> Any:
    """Normal with the standard deviation `sqrt(1 / fan_in)`, cut off at twice that.

    `varianceScaling` of TensorFlow.js 4.22, which does not make up for what is cut off.
    """
    deviation = math.sqrt(1 / math.prod(shape[:-1]))
    return truncated_normal(shape, key, deviation)


def key_of_step(seed: int, purpose: str) -> Any:
    """The key of the random numbers that a training step takes: `int64 [2]`."""
    return tf.stack([tf.constant(random_stream(seed, purpose), tf.int64), parts.step()])


def random_stream(seed: int, purpose: str) -> int:
    """The key of a stream of random numbers: `seed` below, a hash of `purpose` above it."""
    return (zlib.crc32(purpose.encode()) >> 1) << 32 | seed


def _kernel(
    shape: list[int], compute_dtype: Any, seed: int, initializer: Initializer | None
) -> Any:
    """`kernel`, cast to `compute_dtype`, of the layer whose variable scope is open."""
    layer = tf.compat.v1.get_variable_scope().name

    def initial(shape: Any, dtype: Any = tf.float32, **_: Any) -> Any:
        key = tf.constant([random_stream(seed, f"{layer}/kernel"), 0], tf.int64)
        return tf.cast((initializer or glorot_uniform)(list(shape), key), dtype)

    kernel = tf.compat.v1.get_variable("kernel", shape, initializer=initial)
    return tf.cast(kernel, compute_dtype)


def _per_channel(net: Any, name: str) -> Any:
    """A variable of the open layer, `[C]` or `[N]`: 1 for scales, 0 for shifts."""
    ones = name in ("gamma", "moving_variance")
    return tf.compat.v1.get_variable(
        name,
        net.shape[-1:],
        initializer=tf.compat.v1.ones_initializer() if ones else tf.compat.v1.zeros_initializer(),
        trainable=not name.startswith("moving_"),
    )


def _matmul(net: Any, kernel: Any) -> Any:
    """`tf.matmul`, with a faster gradient where a `float32` kernel is large.

    oneDNN, which multiplies for TensorFlow, takes twice the time for `g k^T` as for `(k g^T)^T`
    with AVX-512, and without it 0.7 of the time (docs/speed.md).
    """
    large = kernel.dtype == tf.float32 and math.prod(kernel.shape) >= LARGE_KERNEL
    if not (large and processor.has_avx512()):
        return tf.matmul(net, kernel)

    @tf.custom_gradient
    def product(net: Any, kernel: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        def gradient(g: Any) -> tuple[Any, Any]:
            by_net = tf.transpose(tf.matmul(kernel, g, transpose_b=True))
            return by_net, tf.matmul(net, g, transpose_a=True)

        return tf.matmul(net, kernel), gradient

    return product(net, kernel)


def _biased(net: Any) -> Any:
    """Adds the `bias` of the open layer, as `tf.nn.bias_add`, with a right gradient in `bfloat16`.

    TensorFlow's own (2.15 to 2.21) adds up in `bfloat16`: a sum that has grown to 256 times what is
    still to be added stays as it is. Of the 78,400 values of the classic network's first layer it
    leaves out three quarters.
    """
    bias = tf.cast(_per_channel(net, "bias"), net.dtype)
    if net.dtype != tf.bfloat16:
        return tf.nn.bias_add(net, bias)

    @tf.custom_gradient
    def biased(net: Any, bias: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        def gradient(g: Any) -> tuple[Any, Any]:
            return g, tf.reduce_sum(g, axis=list(range(len(g.shape) - 1)))  # adds up in float32

        return tf.nn.bias_add(net, bias), gradient

    return biased(net, bias)


def _noted(output: Any, activation: Activation | None = None) -> Any:
    if activation is not None:
        output = activation(output)
    tf.compat.v1.add_to_collection(LAYERS, output)
    return output
