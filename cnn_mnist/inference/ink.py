"""From the pixels of any picture of a digit to an image as MNIST has them: pure functions.

MNIST's digits were scaled, keeping their aspect ratio, into a box of 20x20 pixels, with grey levels
from anti-aliasing, and placed in 28x28 so that their centre of mass is at the centre.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Over the 10,000
test images that centre is at (14.0, 14.0), counting pixels from 0, to half a pixel.

Axes: H height, W width, C channels (1 grey, 3 colour). Pixels are float32, 0 to 255; ink is
float32, 0 (paper) to 1 (a full stroke).
"""

import numpy as np
from PIL import Image, ImageFilter

from cnn_mnist.data.form import MNIST

BOX = 20  # the digit's longer side, in pixels
CENTRE = 14  # row and column of the centre of mass

IMAGE_SHAPE = MNIST.image_shape
MIN_CONTRAST = 10  # of 255: less is no ink; JPEG's own errors on plain paper reach 2 to 3
NOISE = 4  # standard deviations; Gaussian noise is beyond in 6 pixels of 100,000
LIT_SIDE = 64  # pixels: larger images may be photographs, lit unevenly
FIT_SIDE = 32  # pixels of the shorter side to which the paper is fitted
STROKE = 0.3  # of a full stroke: what makes up the strokes; less is their soft edge
SOFT_EDGE = 2  # pixels around the strokes that may belong to them
SPECK = 0.05  # of the largest stroke's ink: smaller ones are dust
FINE_BOX = 5 * BOX  # the resolution at which thin strokes are thickened
# Of MNIST's test images 0.6 % are thinner than the first, and half thinner than the second.
MIN_WIDTH, USUAL_WIDTH = 1.0, 2.0


class BlankError(ValueError):
    """There is no ink. The message says what there is instead, to follow the word "found"."""


def digit_image(pixels: np.ndarray) -> np.ndarray:
    """Finds the digit in a picture and places it as MNIST's are; an MNIST image stays as it is.

    The ink is whatever differs from the paper, in the direction in which most of it does: dark or
    light, grey or coloured. The paper is what most of the border shows.

    Args:
      pixels: `float32 [H, W, C]`, 0 to 255, of at most about 512x512 (memory: 100 bytes a pixel).

    Returns:
      `uint8 [28, 28]`, 0 (paper) to 255 (ink).

    Raises:
      BlankError: if there is no ink.
    """
    ink = cropped(without_specks(ink_of(pixels)))
    ink = thickened(shrunk(ink, FINE_BOX))
    return np.rint(255 * centred(boxed(ink))).astype(np.uint8)


def ink_of(pixels: np.ndarray) -> np.ndarray:
    """How much ink each pixel has: `float32 [H, W]`, 0 to 1.

    Raises:
      BlankError: if nothing stands out from the paper.
    """
    border = border_mask(*pixels.shape[:2])
    difference = pixels - paper_of(pixels, border)  # [H, W, C]
    # For Gaussian noise the median of |x| is 1 / 1.4826 of the standard deviation.
    noise = NOISE * 1.4826 * float(np.median(np.abs(difference[border])))
    strength = np.sqrt(np.mean(difference**2, axis=2))  # [H, W]
    strong = strength > max(noise, MIN_CONTRAST)
    if not strong.any():
        raise BlankError(f"one colour (nothing differs by more than {MIN_CONTRAST} of 255)")
    direction = (difference[strong] * strength[strong, None]).sum(axis=0)
    direction /= max(float(np.linalg.norm(direction)), 1e-6)
    ink = difference @ direction / np.sqrt(pixels.shape[2])
    strong = ink > max(noise, MIN_CONTRAST)
    full = float(np.percentile(ink[strong], 90)) if strong.any() else 0.0
    if full < 1.5 * noise or full == 0:
        raise BlankError("nothing that stands out from the noise")
    return np.clip((ink - noise) / (full - noise), 0, 1).astype(np.float32)


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
    return terms @ fit


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


def without_specks(ink: np.ndarray) -> np.ndarray:
    """The strokes with their soft edges; dust, and bars along the border, are wiped off.

    A bar that takes more than half of a side is a table's or a scanner's edge, unless it is all
    that there is.
    """
    strokes = ink > STROKE
    labels = connected(strokes)
    mass = np.bincount(labels, weights=ink[strokes])
    sides = np.full(strokes.shape, -1)  # where there is no stroke
    sides[strokes] = labels
    bars = [
        label
        for side in (sides[0], sides[-1], sides[:, 0], sides[:, -1])
        for label, count in zip(*np.unique(side[side >= 0], return_counts=True), strict=True)
        if count > len(side) / 2
    ]
    digits = mass.copy()
    digits[bars] = 0
    if digits.max() >= SPECK * mass.max():
        mass = digits
    kept = np.zeros(strokes.shape, np.uint8)
    kept[strokes] = (mass >= SPECK * mass.max())[labels]
    near = Image.fromarray(kept).filter(ImageFilter.MaxFilter(2 * SOFT_EDGE + 1))
    return ink * np.asarray(near)


def connected(mask: np.ndarray) -> np.ndarray:
    """Numbers the connected parts of a mask; neighbours are also those across a corner.

    For `bool [H, W]` with N true pixels, the part of each of them, row by row: `int64 [N]`, from 0.
    """
    number = np.cumsum(mask).reshape(mask.shape) - 1
    pairs = [
        np.stack([number[one], number[other]])[:, mask[one] & mask[other]]
        for one, other in (  # neighbours
            (np.s_[:, :-1], np.s_[:, 1:]),
            (np.s_[:-1], np.s_[1:]),
            (np.s_[:-1, :-1], np.s_[1:, 1:]),
            (np.s_[:-1, 1:], np.s_[1:, :-1]),
        )
    ]
    first, second = np.concatenate(pairs, axis=1)
    label = np.arange(np.count_nonzero(mask))
    while (label[first] != label[second]).any():
        lowest = np.minimum(label[first], label[second])
        for end in (first, second):
            np.minimum.at(label, label[end], lowest)
        while (label != label[label]).any():
            label = label[label]
    return np.unique(label, return_inverse=True)[1].reshape(-1)


def cropped(ink: np.ndarray) -> np.ndarray:
    """The smallest rectangle that holds all ink."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def shrunk(ink: np.ndarray, longest: int) -> np.ndarray:
    """The ink with a longer side of at most `longest` pixels, at full contrast.

    Thin lines fade when an image is made smaller; the contrast that they lose is given back.
    """
    if max(ink.shape) <= longest:
        return ink
    small = resized(ink, longest)
    return np.clip(small / np.percentile(small[small > STROKE * small.max()], 90), 0, 1)


def thickened(ink: np.ndarray) -> np.ndarray:
    """Strokes that would be thinner than nearly all of MNIST's, made as thick as those usually are.

    This comes before the digit is scaled down, as a thicker pen would.
    """
    scale = BOX / max(ink.shape)
    width = scale * stroke_width(ink)
    if width >= MIN_WIDTH:
        return ink
    radius = round((USUAL_WIDTH - width) / 2 / scale)
    thick = Image.fromarray(np.pad(ink, radius)).filter(ImageFilter.MaxFilter(2 * radius + 1))
    return np.asarray(thick)


def stroke_width(ink: np.ndarray) -> float:
    """The strokes' mean width in pixels: twice their area over their outline."""
    strokes = np.pad(ink > 0.5, 1)
    outline = int(np.count_nonzero(strokes[1:] != strokes[:-1]))
    outline += int(np.count_nonzero(strokes[:, 1:] != strokes[:, :-1]))
    return 2 * int(np.count_nonzero(strokes)) / max(outline, 1)


def boxed(ink: np.ndarray) -> np.ndarray:
    """The ink scaled to a longer side of 20 pixels, anti-aliased."""
    return shrunk(ink, BOX) if max(ink.shape) >= BOX else resized(ink, BOX)


def resized(ink: np.ndarray, longest: int) -> np.ndarray:
    """The ink at another size, aspect ratio kept, with bicubic anti-aliasing."""
    height, width = (max(1, round(side * longest / max(ink.shape))) for side in ink.shape)
    small = Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(small), 0, 1)  # bicubic overshoots


def centred(ink: np.ndarray) -> np.ndarray:
    """The ink in a field of 28x28, moved by whole pixels until its centre of mass is at (14, 14).

    Where it would reach over the field's edge, it is moved no further than to that edge.
    """
    field = np.zeros(IMAGE_SHAPE, np.float32)
    height, width = ink.shape
    mass = ink.sum()
    row = CENTRE - float(ink.sum(axis=1) @ np.arange(height) / mass)
    column = CENTRE - float(ink.sum(axis=0) @ np.arange(width) / mass)
    top = min(max(round(row), 0), IMAGE_SHAPE[0] - height)
    left = min(max(round(column), 0), IMAGE_SHAPE[1] - width)
    field[top : top + height, left : left + width] = ink
    return field
