"""What a decoder of images gets to see of a file: the picture, and which side is up.

Texts, colour profiles, thumbnails, further frames and the like may be millions in number or
gigabytes in size, and Pillow refuses a good picture for what is wrong with them: they are taken
away before the file is decoded. There is a module for each format.
"""

import logging
import re
from typing import Any

from PIL import Image

from cnn_mnist.data.containers import gif, jpeg, png, tiff, webp
from cnn_mnist.data.containers.common import ContainerError as ContainerError

# Pillow also logs what it raises, which is then told a second time.
logging.getLogger("PIL").setLevel(logging.CRITICAL)

UPRIGHT = {  # orientation as Exif counts them -> what sets the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # the tag's number
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def picture_only(content: bytes) -> tuple[bytes, bytes]:
    """Takes away from a file what is neither the picture, the first of several, nor Exif data.

    Returns:
      The file that is left, and its XMP data, if it has any. A file of another format is left as
      it is.

    Raises:
      ContainerError: the file cannot be an image or would take too long to decode.
    """
    if content.startswith(png.START):
        return png.picture_only(content)
    if content.startswith(jpeg.START):
        return jpeg.picture_only(content)
    if content.startswith(gif.STARTS):
        return gif.picture_only(content)
    if content.startswith(tiff.STARTS):
        return tiff.picture_only(content)
    if webp.is_webp(content):
        return webp.picture_only(content)
    return content, b""


def size_before_opening(content: bytes) -> tuple[int, int] | None:
    """Width and height of a file that `picture_only` left, if opening it takes memory for them."""
    if content.startswith(gif.STARTS):
        return gif.size(content)
    return webp.size(content) if webp.is_webp(content) else None


def orientation(image: Image.Image, xmp: bytes) -> int:
    """Which side of a decoded image is up, by its Exif data or else by XMP: 1 (upright) to 8."""
    try:
        told: Any = image.getexif().get(_ORIENTATION)
    except Exception:  # of damaged data nearly anything can come
        told = None
    if told is None and (found := _XMP_ORIENTATION.search(xmp)):
        told = int(found[1])
    return told if told in range(1, 9) else 1
