"""Whether images show what MNIST's do, and where: light ink in the middle of black ground.

Attributes:
  DIGIT, PLAIN: how pictures are brought to such images, and to all others; see `inference`.
  WAYS: both.
"""

import numpy as np

DIGIT, PLAIN = WAYS = ("digit", "plain")
INK = 32  # of 255; darker is ground, or what JPEG leaves there
# Shares of the image's sides: of the ink's longer side, which in MNIST is 20 of 28 pixels, in
# EMNIST 24 and in Fashion-MNIST 28; and of how far the centre of mass is from the image's.
LEAST, MOST, OFF = 15 / 28, 25 / 28, 3 / 28
ENOUGH = 1000  # images, from the whole set
SHARE = 0.9  # of the images; of MNIST's test images all, of Fashion-MNIST's none


def preprocess(images: np.ndarray) -> str:
    """How pictures are brought to images such as these, `uint8 [N, H, W]` or `[N, H, W, C]`."""
    return DIGIT if as_mnists(images[:: max(len(images) // ENOUGH, 1)]) else PLAIN


def as_mnists(images: np.ndarray) -> bool:
    """Whether nearly all images are grey and have their ink where MNIST's have it.

    Args:
      images: `uint8 [N, H, W]` or `[N, H, W, C]`.
    """
    if images.ndim != 3 or not len(images):
        return False
    ink = np.where(images >= INK, images, 0).astype(np.float32)
    centred, longer = np.ones(len(ink), bool), np.zeros(len(ink))
    for axis in (1, 2):
        along = ink.sum(axis=3 - axis)  # [N, H], then [N, W]
        pixels = along.shape[1]
        centre = along @ np.arange(pixels) / np.maximum(along.sum(axis=1), 1)
        centred &= np.abs((centre + 0.5) / pixels - 0.5) <= OFF
        side = pixels - (along > 0).argmax(axis=1) - (along > 0)[:, ::-1].argmax(axis=1)
        longer = np.maximum(longer, side / pixels)
    placed = centred & (longer >= LEAST) & (longer <= MOST)
    return bool(placed.mean() >= SHARE)
