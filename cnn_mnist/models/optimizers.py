"""Optimizers and learning-rate schedules. To add one, give its table an entry."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from cnn_mnist.utils.lazy import tf

MOMENTUM = 0.9
ADAM_EPSILON = 1e-7  # of Keras, TensorFlow.js and the low-level tutorial; TensorFlow 1 had 1e-8
SHORT_MEMORIES = (0.7, 0.9)  # decays of the two moments, for a few hundred steps
WARM_UP = 0.25  # share of the steps in which `one_cycle` rises


class Optimizer(NamedTuple):
    """An entry of `OPTIMIZERS`: what it means to people, and how it is made.

    `make` takes a learning rate, a number or a `float32` scalar, and returns an optimizer of
    `tf.compat.v1.train`.
    """

    meaning: str
    make: Callable[[Any], Any]


class Schedule(NamedTuple):
    """An entry of `SCHEDULES`: what it means to people, and how it is computed.

    `rate` takes the recipe's learning rate, its steps, and the global step, and returns the
    learning rate of the step that begins there: `float32`, a scalar.
    """

    meaning: str
    rate: Callable[[float, int, Any], Any]


def cosine(peak: float, steps: int, step: Any) -> Any:
    """From the peak to 0 along half a cosine (Loshchilov and Hutter, 2017, without restarts)."""
    done = tf.minimum(tf.cast(step, tf.float32) / steps, 1.0)
    return peak * (1 + tf.cos(math.pi * done)) / 2


def one_cycle(peak: float, steps: int, step: Any) -> Any:
    """Straight up to the peak in the first quarter, then as `cosine` (after Smith, 2018)."""
    rise = max(1, round(WARM_UP * steps))
    # The first step's rate is not 0, which would waste it.
    rising = peak * (tf.cast(step, tf.float32) + 1) / rise
    falling = cosine(peak, max(1, steps - rise), tf.maximum(step - rise, 0))
    return tf.minimum(rising, falling)


OPTIMIZERS = {
    "sgd": Optimizer(
        "gradient descent", lambda rate: tf.compat.v1.train.GradientDescentOptimizer(rate)
    ),
    "momentum": Optimizer(
        f"gradient descent with momentum {MOMENTUM}",
        lambda rate: tf.compat.v1.train.MomentumOptimizer(rate, MOMENTUM),
    ),
    "adam": Optimizer(
        "Adam (Kingma and Ba, 2015)",
        lambda rate: tf.compat.v1.train.AdamOptimizer(rate, epsilon=ADAM_EPSILON),
    ),
    "short_adam": Optimizer(
        "Adam with short memories, {:g} and {:g}".format(*SHORT_MEMORIES),
        lambda rate: tf.compat.v1.train.AdamOptimizer(rate, *SHORT_MEMORIES, epsilon=ADAM_EPSILON),
    ),
}

SCHEDULES = {
    "constant": Schedule("the same in every step", lambda peak, steps, step: peak),
    "cosine": Schedule("falls to 0 along half a cosine", cosine),
    "one_cycle": Schedule("rises for a quarter of the steps, then falls to 0", one_cycle),
}
