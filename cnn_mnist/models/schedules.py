"""Learning-rate schedules: the step size of the optimizer as a function of the global step."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnn_mnist.recipes import Recipe

WARM_UP = 0.25  # share of the steps in which `one_cycle` rises


def learning_rate(recipe: Recipe, step: Any) -> Any:
    """What the recipe's optimizer takes in the step that begins at `step`: `float32`, a scalar."""
    return SCHEDULES[recipe.learning_rate_schedule](recipe.learning_rate, recipe.steps, step)


def constant(peak: float, steps: int, step: Any) -> Any:
    """The same in every step."""
    return peak


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


SCHEDULES: dict[str, Callable[[float, int, Any], Any]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
}
