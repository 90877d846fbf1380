"""Numbers on the parameter servers that tell what a step belongs to.

A stamp holds a step and, above it, how often a chief has started. A chief that was killed goes back
to a checkpoint and repeats steps; by the stamp, what was begun before it was killed can be told
from what was begun after, and stamps grow, whatever happens.
"""

from typing import Any

import tensorflow as tf

STEP_BITS = 40  # of a stamp; 1e12 steps
FIRST_SERVER = "/job:ps/task:0"
STARTS = ("chief_starts", FIRST_SERVER)  # the `number` that tells how often a chief has started


def number(name: str, device: str) -> Any:
    """A whole number that is in no checkpoint: an `int64` variable."""
    options = {"initializer": tf.zeros_initializer(), "trainable": False, "collections": []}
    with tf.device(device):
        return tf.compat.v1.get_variable(name, [], tf.int64, **options)


def stamp(starts: Any, step: Any) -> Any:
    """Of how many starts and which step: `int64` scalars, as the stamp is."""
    return tf.bitwise.left_shift(starts, tf.constant(STEP_BITS, tf.int64)) + step


def step_of(stamp: Any) -> Any:
    """The step in a stamp."""
    return tf.bitwise.bitwise_and(stamp, 2**STEP_BITS - 1)


def starts_of(stamp: Any) -> Any:
    """How many starts are in a stamp."""
    return tf.bitwise.right_shift(stamp, tf.constant(STEP_BITS, tf.int64))
