"""Picture files of a data set, PNG, JPEG and BMP: many of them, made one array.

All are brought to one size, and to three channels if one of them has a colour. A file is untrusted:
its kind is told by its content, and its size is checked before it is decoded.
"""

from __future__ import annotations

import io
import statistics
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageFile

from cnn_mnist.data import containers
from cnn_mnist.data.sources import DatasetError, Source
from cnn_mnist.utils.errors import reason

KINDS = ("PNG", "JPEG", "BMP")  # the names of Pillow's readers
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
MAX_FILE = 64 << 20  # bytes
MAX_PIXELS = 16_000_000  # of a file
MAX_VALUES = 784_000_000  # of all pictures in memory, in their one size
LARGEST_SIDE = 64  # pixels, to which pictures of many sizes are brought at most
GREY = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L")  # Pillow's modes without colour


class Picture(Protocol):
    """A picture file, wherever it is."""

    def source(self) -> Source:
        """Where it comes from, for messages."""

    def whole(self, most: int) -> bytes | bytearray:
        """Its bytes; DatasetError if they cannot be read, or are more than `most`."""


class Header(NamedTuple):
    """What a file says of its picture."""

    height: int
    width: int
    coloured: bool  # whether it can have colours


def stack(pictures: Sequence[Picture]) -> tuple[np.ndarray, list[str]]:
    """Decodes pictures: uint8 [N, H, W], or [N, H, W, 3] if any has colours, and what to tell.

    Where most have one size, all get that; else they become squares, of the median side of all, 64
    pixels at most. Transparent pictures are laid on white.

    Raises:
      DatasetError: a file that is damaged, too large or of another kind; too many pixels in all.
    """
    headers = [_header(picture) for picture in pictures]
    height, width = _one_size(headers)
    channels = 3 if any(header.coloured for header in headers) else 1
    if len(pictures) * height * width * channels > MAX_VALUES:
        shape = [len(pictures), height, width, channels]
        raise (
            pictures[0]
            .source()
            .error_at(
                "", f"at most {MAX_VALUES} values in all pictures", f"{shape}", "scale them down"
            )
        )
    images = np.empty((len(pictures), height, width, channels), np.uint8)
    coloured = False
    for index, picture in enumerate(pictures):
        pixels = _decoded(picture, (width, height), channels)
        images[index] = pixels
        coloured |= bool((pixels != pixels[..., :1]).any())
    told = _told_sizes(headers, height, width)
    if channels == 3 and not coloured:
        told.append("the pictures are stored in three channels but are grey: one channel is kept")
    return (images if coloured else np.ascontiguousarray(images[..., 0])), told


def _one_size(headers: Sequence[Header]) -> tuple[int, int]:
    counts = Counter((header.height, header.width) for header in headers)
    size, count = min(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    if 2 * count > len(headers):
        return size
    sides = [side for header in headers for side in header[:2]]
    return 2 * (min(LARGEST_SIDE, int(statistics.median_low(sides))),)


def _told_sizes(headers: Sequence[Header], height: int, width: int) -> list[str]:
    sizes = {(header.height, header.width) for header in headers}
    if len(sizes) == 1:
        return []
    heights, widths = zip(*sizes, strict=True)
    scaled = sum((h.height, h.width) != (height, width) for h in headers)
    return [
        f"the pictures have {len(sizes)} sizes, {min(heights)} to {max(heights)} pixels high and "
        f"{min(widths)} to {max(widths)} wide: {scaled:,} are scaled to {height} x {width}"
    ]


def _header(picture: Picture) -> Header:
    image, orientation = _opened(picture)
    with image:
        height, width = image.height, image.width
        if orientation >= 5:
            height, width = width, height
        return Header(height, width, image.mode not in GREY)


def _decoded(picture: Picture, size: tuple[int, int], channels: int) -> np.ndarray:
    """uint8 [H, W, C]."""
    source = picture.source()
    image, orientation = _opened(picture)
    try:
        with warnings.catch_warnings(), image:
            warnings.simplefilter("ignore")
            image.load()
            plain = _plain(image, channels)
            if orientation in containers.UPRIGHT:
                plain = plain.transpose(containers.UPRIGHT[orientation])
            if plain.size != size:
                plain = plain.resize(size, Image.Resampling.BILINEAR)
            return np.asarray(plain, np.uint8).reshape(size[1], size[0], channels)
    except MemoryError:
        raise _wrong(source, "too little memory for it") from None
    # On damaged files Pillow lets nearly anything through: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise _wrong(source, f"a damaged file, {reason(error)}") from error


def _plain(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16-bit grey
        deep = np.asarray(image, np.float32) * np.float32(255 / 65535)
        image = Image.fromarray(np.rint(deep.clip(0, 255)).astype(np.uint8))
    elif image.has_transparency_data:
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def _opened(picture: Picture) -> tuple[ImageFile.ImageFile, int]:
    """An image that is not decoded yet, and which side is up: 1 (upright) to 8, as Exif counts."""
    source = picture.source()
    content = bytes(picture.whole(MAX_FILE))
    try:
        content, xmp = containers.picture_only(content)
        with warnings.catch_warnings():
            # Pillow warns of sizes above its own limit and of damage that it reads past.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=KINDS)
        if image.width * image.height > MAX_PIXELS:
            found = f"{image.width} x {image.height}"
            raise source.error_at("", f"at most {MAX_PIXELS} pixels", found, "scale it down")
        return image, containers.orientation(image, xmp)
    except DatasetError:
        raise
    except containers.ContainerError as error:
        raise _wrong(source, str(error)) from None
    except Image.DecompressionBombError:
        raise _wrong(source, "far too many pixels") from None
    except Image.UnidentifiedImageError:
        found = "another kind of file, or a damaged one" if content else "an empty file"
        raise _wrong(source, found) from None
    except Exception as error:
        raise _wrong(source, f"a damaged file, {reason(error)}") from error


def _wrong(source: Source, found: str) -> DatasetError:
    remedy = "replace it by a good copy, or remove it"
    return source.error_at("", "a PNG, JPEG or BMP picture", found, remedy)
