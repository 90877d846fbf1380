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
from cnn_mnist.inference import paper, parts
from cnn_mnist.inference.paper import MIN_CONTRAST
from cnn_mnist.inference.parts import SPECK, STROKE

BOX = 20  # the digit's longer side, in pixels
CENTRE = 14  # row and column of the centre of mass

IMAGE_SHAPE = MNIST.image_shape
SOFT_EDGE = 2  # pixels around the strokes that may belong to them
FINE_BOX = 5 * BOX  # the resolution at which thin strokes are thickened
# Of MNIST's test images 0.6 % are thinner than the first, and half thinner than the second.
MIN_WIDTH, USUAL_WIDTH = 1.0, 2.0


NO_INK = "nothing that stands out from its border (which shows noise, or ink that reaches it)"


class BlankError(ValueError):
    """There is no ink. The message says what there is instead, to follow the word "found"."""


class SeveralError(ValueError):
    """There is more than one digit, or none that stands alone; the message as above."""


def digit_image(pixels: np.ndarray) -> np.ndarray:
    """Finds the digit in a picture and places it as MNIST's are; an MNIST image stays as it is.

    The ink is whatever differs from the paper, in the direction in which most of it does: dark or
    light, grey or coloured. The paper is what most of the border shows, unless that is a frame, or
    the ink of a digit that was cut out along its edges. Frames and lines are left out.

    Args:
      pixels: `float32 [H, W, C]`, 0 to 255, of at most about 512x512 (memory: 100 bytes a pixel).

    Returns:
      `uint8 [28, 28]`, 0 (paper) to 255 (ink).

    Raises:
      BlankError: if there is no ink.
      SeveralError: if there are several digits, or a digit runs into a frame or a line.
    """
    found = digit_images(pixels)
    if len(found) > 1:
        raise SeveralError(f"{len(found)} digits (or marks of a digit's size)")
    return found[0]


def digit_images(pixels: np.ndarray) -> list[np.ndarray]:
    """Finds every digit in a picture, from left to right; else as `digit_image`."""
    return [placed(ink) for ink in digits_of(ink_of(pixels))]


def placed(ink: np.ndarray) -> np.ndarray:
    """Places the ink of one digit, `float32 [H, W]`, as MNIST's are: `uint8 [28, 28]`."""
    fine = thickened(shrunk(cropped(ink), FINE_BOX))
    return np.rint(255 * centred(boxed(fine))).astype(np.uint8)


def ink_of(pixels: np.ndarray) -> np.ndarray:
    """How much ink each pixel has: `float32 [H, W]`, 0 to 1.

    Raises:
      BlankError: if nothing stands out from the paper.
    """
    border = paper.border_mask(*pixels.shape[:2])
    ground = paper.paper_of(pixels, border)
    # More than what neighbours differ by is no noise, but a frame or ink at the border.
    is_noise = paper.noise_of((pixels - ground)[border]) <= paper.noise_between(pixels)
    try:
        ink = ink_on(pixels, ground, border)
    except BlankError:
        if is_noise:
            raise
        place = paper.commonest(pixels)
        ink = ink_on(pixels, paper.paper_in(pixels, place), place)
    shown = paper.shown(ink)
    if shown is None and not is_noise and (ink == 0).any():
        shown = ink == 0
    return ink if shown is None else ink_on(pixels, paper.paper_in(pixels, shown), shown)


def ink_on(pixels: np.ndarray, ground: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The ink on a paper, which shows at most of a place: `float32 [H, W]`, 0 to 1.

    Args:
      pixels: `float32 [H, W, C]`.
      ground: the paper's colour; of a shape that broadcasts to `[H, W, C]`.
      place: `bool [H, W]`; what differs there from the paper is noise.

    Raises:
      BlankError: if nothing stands out from the paper.
    """
    difference = pixels - ground  # [H, W, C]
    noise = paper.noise_of(difference[place])
    strength = np.sqrt(np.mean(difference**2, axis=2))  # [H, W]
    if strength.max() <= MIN_CONTRAST:
        raise BlankError(f"one colour (nothing differs by more than {MIN_CONTRAST} of 255)")
    strong = strength > max(noise, MIN_CONTRAST)
    if not strong.any():
        raise BlankError(NO_INK)
    direction = (difference[strong] * strength[strong, None]).sum(axis=0)
    direction /= max(float(np.linalg.norm(direction)), 1e-6)
    ink = difference @ direction / np.sqrt(pixels.shape[2])
    strong = ink > max(noise, MIN_CONTRAST)
    full = float(np.percentile(ink[strong], 90)) if strong.any() else 0.0
    if full < 1.5 * noise or full == 0:
        raise BlankError(NO_INK)
    return np.clip((ink - noise) / (full - noise), 0, 1).astype(np.float32)


def digits_of(ink: np.ndarray) -> list[np.ndarray]:
    """The ink of each digit, from left to right, with its soft edges, without dust and lines.

    Each is `float32 [H, W]` as the whole is.

    Raises:
      SeveralError: if a digit runs into a frame or a line, or there are too many parts.
    """
    strokes = ink > STROKE
    found = parts.parts_of(strokes)
    mass = np.bincount(found.labels, weights=ink[strokes])
    mass[parts.lines(found, mass, ink.shape)] = 0
    kept = np.flatnonzero(mass >= SPECK * mass.max())
    if len(kept) > parts.MOST_PARTS:
        raise SeveralError(f"{len(kept)} marks that are apart from each other")
    for part in kept:
        top, left, bottom, right = found.boxes[part]
        alone = np.zeros(strokes.shape, bool)
        alone[strokes] = found.labels == part
        if parts.runs_into_lines(alone[top:bottom, left:right]):
            raise SeveralError("ink that runs into a frame or lines around it")
    frames = parts.is_straight(found) & parts.touching(found, ink.shape).all(axis=1)
    if len(kept) == 1 and frames[kept[0]]:
        raise SeveralError("a frame with nothing in it")
    return [
        only(ink, strokes, np.isin(found.labels, kept[group]))
        for group in parts.digits(found.boxes[kept], parts.dots(found)[kept])
    ]


def only(ink: np.ndarray, strokes: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Some of the strokes, with their soft edges.

    Args:
      ink: `float32 [H, W]`.
      strokes: `bool [H, W]`, with N true pixels.
      kept: `bool [N]`, which of these.
    """
    mask = np.zeros(strokes.shape, np.uint8)
    mask[strokes] = kept
    near = Image.fromarray(mask).filter(ImageFilter.MaxFilter(2 * SOFT_EDGE + 1))
    return ink * np.asarray(near)


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
