"""Training images, moved a little, so that a network sees no image twice.

Axes: B batch, H height, W width, C channels.
"""

import math
from typing import Any, NamedTuple

from cnn_mnist.models import parts
from cnn_mnist.models.layers import key_of_step
from cnn_mnist.models.random_numbers import uniform
from cnn_mnist.utils.lazy import tf


class Augment(NamedTuple):
    """How far training images are moved at most, in each direction."""

    shift: float = 0.0  # pixels
    rotation: float = 0.0  # degrees
    zoom: float = 0.0  # share of 1
    mirror: bool = False  # whether half of the images have left and right exchanged

    @property
    def meaning(self) -> str:
        """For people."""
        reach = ((self.shift, "pixels"), (self.rotation, "degrees"), (100 * self.zoom, "% of zoom"))
        told = [f"up to {most:g} {unit}" for most, unit in reach if most]
        told += ["half of them mirrored"] * self.mirror
        return ", ".join(told) or "not at all"


AUGMENTS = {
    "none": Augment(),
    "shift": Augment(shift=2.0),
    "rotation": Augment(rotation=12.0),
    "shift_and_rotation": Augment(shift=2.0, rotation=12.0),
    "affine": Augment(shift=2.5, rotation=12.0, zoom=0.1),
    "shift_and_mirror": Augment(shift=3.0, mirror=True),
}


def augmented(images: Any, kind: str, *, seed: int) -> Any:
    """Shifts, turns and zooms each image, `float32 [B, H, W, C]` in and out, by amounts of its own.

    The amounts are uniform, and a function of (seed, step). What comes in from outside an image is
    0, the colour of MNIST's paper, and black in colour images. `kind` is a name of `AUGMENTS`.
    """
    if kind == "none":
        return images
    shift, degrees, zoom, mirror = AUGMENTS[kind]
    rotation = math.radians(degrees)
    with tf.name_scope("augment"):
        key = key_of_step(seed, "augment")
        count = (5 if zoom else 3) + mirror

        def draw(rows: Any) -> Any:
            return tf.transpose(uniform([count, rows], key, -1.0, 1.0))

        amounts = parts.rows_of_batch(draw, tf.shape(images)[0])  # [B, count]
        turn, right, down, *zooms = tf.unstack(amounts, count, axis=1)
        side = zooms.pop() if mirror else None
        steps = [1 + each * zoom for each in zooms]
        if mirror:
            steps = steps or [tf.ones_like(turn)] * 2
            steps[0] *= tf.sign(side)  # a step to the left reads the row backwards
        moves = (turn * rotation, right * shift, down * shift)
        return warp(images, about_the_middle(*moves, *images.shape[1:3], *steps))


def warp(images: Any, transforms: Any) -> Any:
    """Moves images `[B, H, W, C]` by `transforms`, `[B, 8]`; what comes in from outside is 0."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def about_the_middle(
    angle: Any,
    right: Any,
    down: Any,
    height: int,
    width: int,
    step_right: Any = 1.0,
    step_down: Any = 1.0,
) -> Any:
    """Turns about the middle of an image, then zooms, then shifts.

    Args:
      angle: radians `[B]`, against the clock.
      right, down: pixels `[B]`.
      height, width: of the images, pixels.
      step_right, step_down: `[B]`, pixels of the input from one of the output's pixels to the next:
        0.5 makes an image twice as wide or high, -1 mirrors it.

    Returns:
      What `ImageProjectiveTransformV3` takes, `float32 [B, 8]`: a0, a1, a2, b0, b1, b2, 0, 0, which
      take the output's pixel (x, y) from the input's (a0 x + a1 y + a2, b0 x + b1 y + b2).
    """
    x, y = (width - 1) / 2 + right, (height - 1) / 2 + down  # where the middle goes
    cos, sin = tf.cos(angle), tf.sin(angle)
    a0, a1 = cos * step_right, -sin * step_down
    b0, b1 = sin * step_right, cos * step_down
    a2 = (width - 1) / 2 - a0 * x - a1 * y
    b2 = (height - 1) / 2 - b0 * x - b1 * y
    zero = tf.zeros_like(angle)
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)
