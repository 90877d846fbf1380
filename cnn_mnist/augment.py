"""Training images, moved a little, so that a network sees no image twice.

Shapes are written with these axes: B batch, H height, W width.
"""

import math
from typing import Any

import tensorflow as tf

from cnn_mnist import parts
from cnn_mnist.layers import key_of_step

SHIFT = 2.0  # pixels at most, in each direction
ROTATION = 12.0  # degrees at most, in each direction


def augmented(images: Any, kind: str, *, seed: int) -> Any:
    """Shifts and turns each image by amounts of its own; `[B, H, W, 1]`, `float32`, in and out.

    The amounts are uniform, and a function of (seed, step). What comes in from outside an
    image is 0, the colour of MNIST's paper.

    Args:
      kind: one of `recipes.AUGMENTS`.
    """
    if kind == "none":
        return images
    shift = SHIFT if "shift" in kind else 0.0
    rotation = math.radians(ROTATION) if "rotation" in kind else 0.0
    with tf.name_scope("augment"):
        key = key_of_step(seed, "augment")
        height, width = images.shape[1:3]

        def draw(rows: Any) -> Any:
            amounts = tf.random.stateless_uniform([3, rows], key, -1.0, 1.0, alg="philox")
            return tf.transpose(amounts)

        turn, right, down = tf.unstack(parts.rows_of_batch(draw, tf.shape(images)[0]), axis=1)
        transforms = about_the_middle(turn * rotation, right * shift, down * shift, height, width)
        return warp(images, transforms)


def warp(images: Any, transforms: Any) -> Any:
    """Moves images `[B, H, W, 1]` by `transforms`, `[B, 8]`; what comes in from outside is 0."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def about_the_middle(angle: Any, right: Any, down: Any, height: int, width: int) -> Any:
    """Turns about the middle of an image, then shifts, as `ImageProjectiveTransformV3` has them.

    Args:
      angle: radians `[B]`, against the clock.
      right, down: pixels `[B]`.

    Returns:
      `float32 [B, 8]`: a0, a1, a2, b0, b1, b2, 0, 0, which take the output's pixel (x, y) from the
      input's (a0 x + a1 y + a2, b0 x + b1 y + b2).
    """
    x, y = (width - 1) / 2 + right, (height - 1) / 2 + down  # where the middle goes
    cos, sin = tf.cos(angle), tf.sin(angle)
    zero = tf.zeros_like(angle)
    a2 = (width - 1) / 2 - cos * x + sin * y
    b2 = (height - 1) / 2 - sin * x - cos * y
    return tf.stack([cos, -sin, a2, sin, cos, b2, zero, zero], axis=1)
