"""Maps of images by a network: which pixels speak for a class, or for one rather than another.

Axes: B images, H height, W width, C channels, K classes.
"""

from typing import Any

import numpy as np

from cnn_mnist.data.form import Form
from cnn_mnist.explanations import attributions
from cnn_mnist.explanations.network import OpenNetwork, pixels


def ground(form: Form) -> float:
    """What stands for "nothing there", 0 to 1: black where images are grey, as MNIST's ground is.

    In colour black is a colour like any other: there it is mid-grey, as in Zeiler and Fergus.
    """
    return 0.0 if form.channels == 1 else 0.5


def integrated_gradients(
    network: OpenNetwork, images: np.ndarray, weights: np.ndarray, **how: Any
) -> tuple[np.ndarray, np.ndarray]:
    """What each pixel adds to a score, from the bare ground to the image.

    Args:
      images: `uint8 [B, H, W]` or `[B, H, W, 3]`; or `float32`, 0 to 1.
      weights: `float32 [B, K]`: the score is the sum of the classes' scores with these weights. 1
        for a class and -1 for another tells what speaks for the one rather than the other.
      how: `steps` and `tolerance` of `attributions.integrated_gradients`.

    Returns:
      `float32 [B, H, W]`, summed over the channels, and the gaps, `float64 [B]`, as there.
    """
    bare = np.full((1, *network.form.image_shape), ground(network.form), np.float32)
    points, baseline = network.entry(images), network.entry(bare)
    by_pixels = points is None or baseline is None
    if points is None or baseline is None:
        points, baseline = pixels(images, network.form), pixels(bare, network.form)
    maps, gaps = attributions.integrated_gradients(
        lambda at, of: network.gradients(at, of, by_pixels=by_pixels),
        lambda at, of: (network.scores(at, by_pixels=by_pixels) * of).sum(axis=1),
        points,
        np.broadcast_to(baseline, points.shape),
        weights,
        **how,
    )
    return maps.sum(axis=3), gaps


def occlusion(network: OpenNetwork, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How much a score falls where an image is covered, `float32 [B, H, W]`; arguments as above."""
    form = network.form
    patch = attributions.patch_of(form.height), attributions.patch_of(form.width)
    return attributions.occlusion(
        lambda at, of: (network.scores(at, by_pixels=True) * of).sum(axis=1),
        pixels(images, form),
        weights,
        ground(form),
        patch,
        (max(1, patch[0] // 2), max(1, patch[1] // 2)),
    )


def one_hot(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """The weights of the scores of single classes: `float32 [B, K]` for integers `[B]`."""
    return np.eye(num_classes, dtype=np.float32)[classes]
