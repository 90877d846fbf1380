"""Which pixels decide: integrated gradients and occlusion, each a map of an image.

Both take functions of arrays, so that they hold for any network, and are tested on those whose
answer is known.

Axes: B images, S places on a path, H height, W width, C channels.
"""

from collections.abc import Callable

import numpy as np

STEPS = 32  # intervals of a path, to begin with
MOST_STEPS = 32 * 3**4
TOLERANCE = 1e-3  # of what a map may leave unexplained
TOGETHER = 200  # points asked for at once

# Both take points `float32 [B, H, W, C]` and weights `[B, ...]`, and tell of a function that may
# differ with the weights: its gradients at the points, of the same shape; and its values, `[B]`.
Gradients = Callable[[np.ndarray, np.ndarray], np.ndarray]
Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]


def integrated_gradients(
    gradients: Gradients,
    scores: Scores,
    points: np.ndarray,
    baselines: np.ndarray,
    weights: np.ndarray,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Integrated gradients: how much each value adds to a score on the way from a baseline.

    `(x - b) * integral over a from 0 to 1 of df/dx (b + a (x - b))`, equation 1 of M. Sundararajan,
    A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", 2017 (arXiv:1703.01365). Their sum
    is `f(x) - f(b)` (completeness, proposition 1) but for the error of the integral.

    The integral is by intervals of equal length, with the gradient in the middle of each. A network
    of ReLU and max-pooling is linear between kinks, so that rules of a higher order gain nothing:
    with 256 points Gauss-Legendre left 1.4 thousandths of a score unexplained, and this rule 1.5
    (recipe `fast`). Where the gap is too large, each interval is cut into three, whose middle ones
    are known already.

    Args:
      gradients, scores: of the function f.
      points, baselines: x and b, `float32 [B, H, W, C]`.
      weights: `[B, ...]`, handed on.
      steps: the number of intervals to begin with, at least 1.
      tolerance: the gap that is small enough, as a share of `f(x) - f(b)`, or of 1 where that is
        smaller; it is not reached where `MOST_STEPS` intervals are too few. Infinity for `steps`
        intervals, whatever the gap.

    Returns:
      The maps, `float32 [B, H, W, C]`, 0 where x is b, whatever the gradient is there; and the
      gaps, `f(x) - f(b)` less the sum of the map, `float64 [B]`.
    """
    way = points - baselines
    change = scores(points, weights).astype(np.float64) - scores(baselines, weights)
    allowed = tolerance * np.maximum(np.abs(change), 1)
    total = np.zeros(points.shape, np.float64)
    maps, gaps = np.zeros(points.shape, np.float32), np.zeros(len(points))
    left = np.arange(len(points))
    places = (np.arange(steps) + 0.5) / steps
    while left.size:
        total[left] += _summed(gradients, baselines[left], way[left], weights[left], places)
        maps[left] = np.where(way[left] == 0, 0, way[left] * total[left] / steps)
        gaps[left] = change[left] - maps[left].sum(axis=(1, 2, 3), dtype=np.float64)
        left = left[~(np.abs(gaps[left]) <= allowed[left])]
        steps *= 3
        if steps > MOST_STEPS:
            break
        every = np.arange(steps)
        places = (every[every % 3 != 1] + 0.5) / steps
    return maps, gaps


def _summed(
    gradients: Gradients,
    baselines: np.ndarray,
    way: np.ndarray,
    weights: np.ndarray,
    places: np.ndarray,
) -> np.ndarray:
    """The gradients at some places of each path, 0 to 1, added up: `float64 [B, H, W, C]`."""
    total = np.zeros(way.shape, np.float64)
    at_once = max(1, TOGETHER // len(way))
    for first in range(0, len(places), at_once):
        some = places[first : first + at_once].astype(np.float32)
        points = baselines + some[:, None, None, None, None] * way  # [S, B, H, W, C]
        repeated = np.tile(weights, (len(some), *[1] * (weights.ndim - 1)))
        found = gradients(points.reshape(-1, *way.shape[1:]), repeated)
        total += found.reshape(points.shape).sum(axis=0, dtype=np.float64)
    return total


def occlusion(
    scores: Scores,
    images: np.ndarray,
    weights: np.ndarray,
    ground: float,
    patch: tuple[int, int],
    stride: tuple[int, int],
) -> np.ndarray:
    """How much a score falls when a patch of an image is covered.

    M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", 2014
    (arXiv:1311.2901), section 4.2: a square of one colour is moved over the image, and the score is
    taken at each place. Here a pixel has the mean fall over all patches that cover it.

    Args:
      scores: of the function f.
      images: `float32 [B, H, W, C]`, 0 to 1.
      weights: `[B, ...]`, handed on.
      ground: what the patch is filled with, 0 to 1.
      patch, stride: height and width of the patch, and of the way to the next one, in pixels.

    Returns:
      `float32 [B, H, W]`: positive where covering lowers the score, so where pixels speak for it.
    """
    height, width = images.shape[1:3]
    whole = scores(images, weights)
    fall = np.zeros(images.shape[:3], np.float64)
    times = np.zeros([height, width])
    for top in _places(height, patch[0], stride[0]):
        for left in _places(width, patch[1], stride[1]):
            rows, columns = slice(top, top + patch[0]), slice(left, left + patch[1])
            times[rows, columns] += 1
            # A patch on bare ground changes nothing.
            changed = np.flatnonzero((images[:, rows, columns] != ground).any(axis=(1, 2, 3)))
            if changed.size:
                covered = images[changed]
                covered[:, rows, columns] = ground
                lower = whole[changed] - scores(covered, weights[changed])
                fall[changed, rows, columns] += lower[:, None, None]
    return (fall / times).astype(np.float32)


def patch_of(side: int) -> int:
    """The side of the patch for an image's side: a seventh, 4 of 28 pixels."""
    return max(1, round(side / 7))


def _places(side: int, patch: int, stride: int) -> list[int]:
    """Where patches begin: every `stride` pixels, and one that ends with the image."""
    last = max(0, side - patch)
    return sorted({*range(0, last + 1, stride), last})
