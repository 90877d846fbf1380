"""The paper of a picture: its colour, and where it shows.

Axes: H height, W width, C channels (1 grey, 3 colour). Pixels are float32, 0 to 255.
"""

import numpy as np

from cnn_mnist.inference import parts
from cnn_mnist.inference.parts import STROKE

MIN_CONTRAST = 10  # of 255: less is no ink; JPEG's own errors on plain paper reach 2 to 3
NOISE = 4  # standard deviations; Gaussian noise is beyond in 6 pixels of 100,000
LIT_SIDE = 64  # pixels: larger images may be photographs, lit unevenly
FIT_SIDE = 32  # pixels of the shorter side to which the paper is fitted
BENT = 3  # of 255: how far off most of the paper may be
LEAST_PAPER = 0.25  # of the picture: what corners show, to be believed
FULL = 0.7  # of a full stroke: surely no soft edge

# The paper inside a frame, set with `benchmarks/own_pictures.py`. None of 1,500 test images with a
# margin of less than an eighth is taken for it.
FRAME, LEAST_FRAME = 0.1, 5  # of a side, and pixels: how far inside a frame the paper begins
ALONG = 0.55  # of three sides, along which it lies
PAPER_SHARE = 0.2  # of the picture that it has, at least
LEAST_AT_BORDER = 0.05  # of the border that it has, at most
THICK, WIDE = 0.16, 0.13  # of a side and of the picture: more is no ink but paper
ALL_ALONG, MOST = 0.85, 0.55  # of all sides and of the picture: it needs no more proof

CORNERS = 0.1  # of the border: paper in the corners around a digit
MAIN_PART = 0.95  # of the area: the rest are specks


def noise_of(difference: np.ndarray) -> float:
    """How far noise reaches, from what differs from the paper where there is nothing else.

    For Gaussian noise the median of |x| is 1 / 1.4826 of the standard deviation.
    """
    return NOISE * 1.4826 * float(np.median(np.abs(difference)))


def noise_between(pixels: np.ndarray) -> float:
    """How far noise can reach by what neighbours differ: twice as far, and MIN_CONTRAST more."""
    between = np.diff(pixels, axis=int(pixels.shape[0] < pixels.shape[1]))
    return MIN_CONTRAST + (2 * noise_of(between) / 2**0.5 if between.size else 0)


def border_mask(height: int, width: int) -> np.ndarray:
    """The pixels at the border, where there is paper: `bool [H, W]`."""
    ring = max(1, min(height, width) // 32)
    mask = np.ones((height, width), bool)
    mask[ring:-ring, ring:-ring] = False
    return mask


def paper_of(pixels: np.ndarray, border: np.ndarray) -> np.ndarray:
    """The paper without the digit: float32, of a shape that broadcasts to `[H, W, C]`.

    In a small image it has one colour, the border's median. In a larger one its brightness may vary
    as a polynomial of degree 2 does, fitted to some 32x32 of the pixels: first to all, where the
    border counts as much as the rest, then to those that lie near it.
    """
    side = min(pixels.shape[:2])
    if side < LIT_SIDE:
        return np.median(pixels[border], axis=0)
    step = side // FIT_SIDE
    terms = polynomial_terms(*pixels.shape[:2])
    some, values = terms[::step, ::step], pixels[::step, ::step]
    edge = border_mask(*values.shape[:2])
    share = np.where(edge, 1 / np.count_nonzero(edge), 1 / np.count_nonzero(~edge))
    fit = least_absolute_fit(some.reshape(-1, 6), values.reshape(share.size, -1), share.ravel())
    for _ in range(2):
        distance = np.abs(values - some @ fit).max(axis=2)
        near = distance <= max(MIN_CONTRAST, NOISE * 1.4826 * float(np.median(distance[edge])))
        fit = np.linalg.lstsq(some[near], values[near], rcond=None)[0]
    paper = terms @ fit
    # Lines along the border bend the polynomial.
    straight = paper_in(pixels, np.ones(border.shape, bool))
    off, least = (float(np.median(np.abs(pixels - each))) for each in (paper, straight))
    return straight if off > 2 * least + BENT else paper


def paper_in(pixels: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The paper, as `paper_of` has it, where it is known to show at most of a place."""
    side = min(pixels.shape[:2])
    if side < LIT_SIDE:
        return np.median(pixels[place], axis=0)
    step = side // FIT_SIDE
    terms = polynomial_terms(*pixels.shape[:2])
    some = place[::step, ::step]
    values = pixels[::step, ::step][some]
    return terms @ least_absolute_fit(terms[::step, ::step][some], values, np.ones(len(values)))


def commonest(pixels: np.ndarray) -> np.ndarray:
    """Where the picture has its most common colour, or that of its corners: `bool [H, W]`.

    Of a digit that was cut out along its edges, at least three corners mostly show the paper.
    """
    flat = pixels.reshape(-1, pixels.shape[2]) - pixels.mean(axis=(0, 1))
    direction = np.linalg.svd(flat.T @ flat)[0][:, 0]
    levels = np.rint(pixels @ direction / np.sqrt(pixels.shape[2])).astype(int)  # [H, W]
    levels -= levels.min()
    dark = levels < levels.max() / 2
    corners = dark[[0, 0, -1, -1], [0, -1, 0, -1]].sum()
    among = dark if corners >= 3 else ~dark if corners <= 1 else np.ones_like(dark)
    if among.mean() < LEAST_PAPER:
        among = np.ones_like(dark)
    window = np.ones(2 * MIN_CONTRAST + 1)
    counts = np.convolve(np.bincount(levels[among], minlength=len(window)), window, "same")
    return np.abs(levels - counts.argmax()) <= MIN_CONTRAST


def shown(ink: np.ndarray) -> np.ndarray | None:
    """Where the paper is, `bool [H, W]`, if the border does not tell; None if it does.

    It does not where ink reaches it, nor where what was taken for ink is the paper.

    Args:
      ink: as `ink.ink_of` finds it on the paper of the border, `float32 [H, W]`.
    """
    strokes = ink > STROKE
    if strokes.all() or not strokes.any():
        return None
    found = parts.parts_of(strokes)
    without_lines = np.zeros(strokes.shape, bool)
    without_lines[strokes] = ~parts.is_straight(found)[found.labels]
    if is_framed(without_lines) or is_around_a_cutout(strokes):
        return ink > FULL
    return ink == 0 if at_border(strokes) > LEAST_AT_BORDER and (ink == 0).any() else None


def is_framed(mask: np.ndarray) -> bool:
    """Whether a mask is the paper inside a frame: it lies along the sides, but not at them.

    What is around it must not be paper either, by its width, or be very little.
    """
    sides = [mask, mask[::-1], mask.T, mask.T[::-1]]  # each as the top
    reach = [max(round(FRAME * len(side)), min(LEAST_FRAME, len(side) // 7)) for side in sides]
    along = [side[:rows].any(axis=0).mean() for side, rows in zip(sides, reach, strict=True)]
    if min(along) >= ALL_ALONG and mask.mean() >= MOST:
        return True
    if sorted(along)[1] < ALONG or mask.mean() < PAPER_SHARE:
        return False
    if at_border(mask) > LEAST_AT_BORDER:
        return False
    return wide_share(~mask, 2 * max(2, round(THICK / 2 * min(mask.shape))) + 1) <= WIDE


def is_around_a_cutout(mask: np.ndarray) -> bool:
    """Whether a mask is the paper in the corners of a digit that was cut out along its edges.

    What is between then touches all four sides as one part, and no part of the mask does.
    """
    if at_border(mask) < CORNERS:
        return False
    found, rest = parts.parts_of(mask), parts.parts_of(~mask)
    on_sides, around = (parts.touching(each, mask.shape) for each in (found, rest))
    main = (found.areas >= parts.SPECK * found.areas.max()) & ~parts.is_straight(found)
    whole = rest.areas >= MAIN_PART * rest.areas.sum()
    return bool(
        not on_sides.all(axis=1).any()
        and on_sides[main].any(axis=0).sum() >= 3
        and around[whole].all(axis=1).any()
    )


def at_border(mask: np.ndarray) -> float:
    """The mask's share of the picture's outermost pixels, the mean of the four sides."""
    return float(np.mean([mask[0].mean(), mask[-1].mean(), mask[:, 0].mean(), mask[:, -1].mean()]))


def wide_share(mask: np.ndarray, side: int) -> float:
    """Of all squares of so many pixels, how many lie in the mask: of paper many, of strokes few."""
    sums = np.pad(mask.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.count_nonzero(squares == side * side) / mask.size


def polynomial_terms(height: int, width: int) -> np.ndarray:
    """1, x, y, x^2, xy and y^2 over a field where x and y go from -1 to 1: `float32 [H, W, 6]`."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.stack(np.broadcast_arrays(np.float32(1), x, y, x * x, x * y, y * y), axis=2)


def least_absolute_fit(terms: np.ndarray, values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Fits with the least sum of absolute errors, which strokes hardly bend.

    By iteratively reweighted least squares: terms `float32 [N, T]`, values `float32 [N, C]`, 0 to
    255, and how much each counts, `[N]` -> coefficients, `float32 [T, C]`.
    """
    weights = shares
    for _ in range(20):
        weighted = (terms * weights[:, None]).T  # [T, N]
        fit = np.linalg.lstsq(weighted @ terms, weighted @ values, rcond=None)[0]
        weights = shares / np.maximum(np.abs(values - terms @ fit).max(axis=1), 1)
    return fit.astype(np.float32)
