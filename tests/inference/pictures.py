"""Pictures with frames, lines and several digits, made from MNIST images; for the tests."""

import numpy as np
from PIL import Image

PAPER = 240


def large(image, side=112):
    """The darkness of an MNIST image, scaled to a field of `side` pixels: `float [side, side]`."""
    scaled = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(scaled, float) / 255


def tight(darkness):
    """Cut out along its edges."""
    rows, columns = (np.flatnonzero(darkness.max(axis=axis) > 0.25) for axis in (1, 0))
    return darkness[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def frame(shape, inset, pen, grey=1.0, sides="tblr"):
    """Lines along some sides of a field, `inset` pixels inside."""
    lines = np.zeros(shape)
    far = [side - inset for side in shape]
    ring = slice(inset, far[0]), slice(inset, far[1])
    places = {
        "t": (slice(inset, inset + pen), ring[1]),
        "b": (slice(far[0] - pen, far[0]), ring[1]),
        "l": (ring[0], slice(inset, inset + pen)),
        "r": (ring[0], slice(far[1] - pen, far[1])),
    }
    for side in sides:
        lines[places[side]] = grey
    return lines


def pixels(darkness, light=False):
    """Dark on light, or light on dark, as `ink.digit_image` takes it: `float32 [H, W, 1]`."""
    values = PAPER * darkness + 10 if light else PAPER * (1 - darkness) + 10
    return np.rint(values)[..., None].astype(np.float32)
