"""Eight ways in which a picture gets worse, each by several strengths.

In the manner of D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations", 2019 (arXiv:1903.12261). The strengths are ours, for small pictures.

Each takes images, `uint8 [N, H, W]` or `[N, H, W, 3]` of any size, and gives as many of the same
shape and dtype; the same ones every time. The ground of an image is the median of its border, in
each channel.

Axes: N images, H height, W width.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

USUAL_SIDE = 28  # pixels, for which lengths are given; of larger images they grow in proportion


def noise(images: np.ndarray, deviation: float) -> np.ndarray:
    """Adds normal noise of a standard deviation, in grey levels of 255, to each value."""
    # The streams of NumPy's legacy generator are frozen (NEP 19).
    random = np.random.RandomState(0)
    out = np.empty_like(images)
    for place, image in enumerate(images):
        out[place] = _bytes(image + deviation * random.standard_normal(image.shape))
    return out


def blur(images: np.ndarray, deviation: float) -> np.ndarray:
    """Blurs by a Gaussian of a standard deviation in pixels of 28; an image goes on as it ends."""
    sigma = deviation * _scale(images)
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    values = images.astype(np.float32)
    for axis in (1, 2):
        margins = [(0, 0)] * values.ndim
        margins[axis] = (reach, reach)
        padded, size = np.pad(values, margins, "edge"), values.shape[axis]
        values = np.zeros_like(values)
        for first, weight in enumerate(kernel):
            values += np.float32(weight) * np.take(padded, range(first, first + size), axis)
    return _bytes(values)


def shift(images: np.ndarray, pixels: float) -> np.ndarray:
    """Moves by a number of pixels of 28: images in turn to the right, down, left and up."""
    way = max(1, round(pixels * _scale(images)))
    out = np.empty_like(images)
    for place, (image, ground) in enumerate(zip(images, grounds(images), strict=True)):
        right, down = ((way, 0), (0, way), (-way, 0), (0, -way))[place % 4]
        height, width = image.shape[:2]
        out[place] = ground
        rows, columns = _overlap(height, down), _overlap(width, right)
        out[place][rows[0], columns[0]] = image[rows[1], columns[1]]
    return out


def rotation(images: np.ndarray, degrees: float) -> np.ndarray:
    """Turns about the centre, bilinearly: images in turn to the left and to the right."""
    return _each(
        images,
        lambda picture, ground, place: picture.rotate(
            degrees if place % 2 == 0 else -degrees, Image.Resampling.BILINEAR, fillcolor=ground
        ),
    )


def scale(images: np.ndarray, factor: float) -> np.ndarray:
    """Makes smaller, by area, in the middle of the ground; `factor` is 0 to 1, of each side."""

    def smaller(picture: Image.Image, ground: Any, place: int) -> Image.Image:
        width, height = (max(1, round(side * factor)) for side in picture.size)
        paper = Image.new(picture.mode, picture.size, ground)
        corner = (picture.width - width) // 2, (picture.height - height) // 2
        paper.paste(picture.resize((width, height), Image.Resampling.BOX), corner)
        return paper

    return _each(images, smaller)


def contrast(images: np.ndarray, factor: float) -> np.ndarray:
    """Brings all values nearer to the mean of their image; `factor` is 0 to 1, of the distance."""
    axes = tuple(range(1, images.ndim))
    means = images.mean(axis=axes, keepdims=True)
    return _bytes(means + factor * (images - means))


def occlusion(images: np.ndarray, share: float) -> np.ndarray:
    """Covers a square in mid-grey at a random place; `share` is of the shorter side."""
    height, width = images.shape[1:3]
    side = max(1, round(share * min(height, width)))
    random = np.random.RandomState(0)
    out = images.copy()
    for image in out:
        top, left = random.randint(height - side + 1), random.randint(width - side + 1)
        image[top : top + side, left : left + side] = 128
    return out


def stroke_width(images: np.ndarray, pixels: int) -> np.ndarray:
    """Makes ink thicker by a number of pixels on each side, or thinner where it is below 0.

    By dilation and erosion with a cross of 3 x 3 pixels, once for each pixel of 28. Ink is what is
    lighter than the ground where that is dark, and else what is darker. For one channel.

    Raises:
      ValueError: images in colour.
    """
    if images.ndim != 3:
        raise ValueError(f"images: expected uint8 [N, H, W], found {list(images.shape)}")
    dark = grounds(images) < 128
    values = np.where(dark[:, None, None], images, 255 - images)  # ink is light
    best = np.maximum if pixels > 0 else np.minimum
    for _ in range(max(1, round(abs(pixels) * _scale(images)))):
        padded = np.pad(values, [(0, 0), (1, 1), (1, 1)], "edge")
        middle = padded[:, 1:-1, 1:-1]
        upright = best(padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
        values = best(middle, best(upright, best(padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])))
    return np.where(dark[:, None, None], values, 255 - values).astype(np.uint8)


class Corruption(NamedTuple):
    """An entry of `CORRUPTIONS`.

    Attributes:
      of: takes images and a strength.
      strengths: from weak to strong.
      unit: what a strength is, for people.
      grey_only: whether it is for images of one channel.
    """

    of: Callable[[np.ndarray, Any], np.ndarray]
    strengths: tuple[float, ...]
    unit: str
    grey_only: bool = False


CORRUPTIONS = {
    "noise": Corruption(noise, (32, 64, 96), "grey levels"),
    "blur": Corruption(blur, (1, 1.5, 2), "pixels"),
    "shift": Corruption(shift, (2, 4, 6), "pixels"),
    "rotation": Corruption(rotation, (15, 30, 45), "degrees"),
    "scale": Corruption(scale, (0.8, 0.65, 0.5), "of the size"),
    "contrast": Corruption(contrast, (0.5, 0.25, 0.1), "of the contrast"),
    "occlusion": Corruption(occlusion, (0.2, 0.3, 0.4), "of the side"),
    "stroke width": Corruption(stroke_width, (-1, 1, 2), "pixels", grey_only=True),
}


def grounds(images: np.ndarray) -> np.ndarray:
    """The median of each image's border: `uint8 [N]`, or `[N, 3]`."""
    border = np.concatenate(
        [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]], axis=1
    )
    return np.median(border, axis=1).astype(np.uint8)


def _each(images: np.ndarray, change: Callable[[Image.Image, Any, int], Image.Image]) -> np.ndarray:
    """Each image changed by Pillow; `change` takes it, its ground and its place."""
    out = np.empty_like(images)
    for place, (image, ground) in enumerate(zip(images, grounds(images).tolist(), strict=True)):
        colour = tuple(ground) if isinstance(ground, list) else ground
        out[place] = np.asarray(change(Image.fromarray(image), colour, place))
    return out


def _overlap(size: int, way: int) -> tuple[slice, slice]:
    """Where an axis that is moved goes to, and what of it comes there."""
    way = max(-size, min(size, way))
    return slice(max(0, way), size + min(0, way)), slice(max(0, -way), size - max(0, way))


def _scale(images: np.ndarray) -> float:
    return min(images.shape[1:3]) / USUAL_SIDE


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)
