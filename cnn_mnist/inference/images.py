"""Image files: finds them, opens them with care, and hands on digits as MNIST has them.

A file is untrusted: its kind is told by its content and never by its name, its size is limited
before it is decoded, nothing is unpickled, and whatever is wrong with it is one `ImageError`.

Axes: H height, W width, C channels.
"""

import contextlib
import functools
import glob
import io
import math
import os
import stat
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from cnn_mnist.data import containers
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.placement import DIGIT
from cnn_mnist.inference import ink
from cnn_mnist.inference.paper import border_mask
from cnn_mnist.inference.preprocess import PREPROCESSES
from cnn_mnist.utils import console
from cnn_mnist.utils.errors import InputError, reason, shown

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # the names of Pillow's readers
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".npy")
KINDS = "a PNG, JPEG, BMP, GIF, WebP, TIFF or .npy image"
MAX_BYTES = 64 << 20
MAX_PIXELS = 64_000_000  # decoded, 4 bytes each; below Pillow's own limit, which only warns
MAX_WEBP_PIXELS = 32_000_000  # its decoder takes 16 bytes each
# Pillow's reader of run-length coded BMP files is written in Python: 0.1 us a pixel, 0.2 us a byte.
MAX_RLE_PIXELS = 16_000_000
MAX_RLE_BYTES = 8 << 20
WORKING_SIDE = 512  # pixels; larger pictures are first made smaller
NPY_MAGIC = b"\x93NUMPY"


class ImageError(InputError):
    """One line: the file, what was found, what was expected, what to do."""


def find_images(patterns: Iterable[str | os.PathLike]) -> list[Path]:
    """The files that are meant, in the order given, at least one for each pattern.

    Args:
      patterns: each a file, which need not be an image; a folder, which means its files with one of
        `SUFFIXES`, sorted, without those of folders inside it; or a glob
        (`scans/*.png`, `scans/**/*.png`), which means the files that match it, sorted.

    Raises:
      ImageError: a pattern that matches nothing, or a folder without images.
    """
    return [path for pattern in patterns for path in _matches(os.fspath(pattern))]


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    kinds = ", ".join(SUFFIXES)
    try:
        if pattern and path.is_dir():
            files = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()]
            found, expected = "a folder without images", f"files named {kinds}"
        elif pattern and path.exists():
            return [path]
        else:
            # `Path.glob` takes no absolute pattern.
            names = glob.glob(pattern, recursive=True)  # noqa: PTH207
            files = [Path(name) for name in names if Path(name).is_file()]
            found, expected = "nothing of this name", "a file, a folder or a glob that matches"
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise _error(pattern, reason(error), "a path that can be read") from error
    if not files:
        raise _error(pattern, found, expected, "check the path")
    return sorted(files)


def read_image(path: str | os.PathLike, form: Form = MNIST, preprocess: str = DIGIT) -> np.ndarray:
    """Reads a picture of one digit, or of one thing, as the training's images are.

    The file may be as `read_images` tells.

    Raises:
      ImageError: a file that cannot be read, is too large or damaged, or shows no digit or several.
    """
    found = read_images(path, form, preprocess)
    if len(found) > 1:
        raise _error(
            path,
            f"{len(found)} digits (or marks of a digit's size)",
            "one",
            "crop it, or read each of them with --split",
        )
    return found[0]


def read_images(
    path: str | os.PathLike, form: Form = MNIST, preprocess: str = DIGIT
) -> list[np.ndarray]:
    """Reads a picture as the training's images are, each `uint8 [H, W]` or, in colour, `[H, W, 3]`.

    PNG, JPEG, BMP, GIF, WebP and TIFF may have any size, colours, transparency and orientation
    (EXIF). Of several frames the first is read. A `.npy` file holds one array, `uint8` 0 to 255 or
    floats 0 to 1, of shape `[H, W]`, `[H, W, 1]`, `[H, W, 3]` or `[H, W, 4]` (red, green, blue,
    opacity). A stack of images is refused: one file is one picture, and stacks are what
    `Predictor.predict` takes.

    Args:
      path: of the file.
      form: of the training's images.
      preprocess: `digit`: the digits in it, from left to right, each placed as MNIST's are, 0
        (paper) to 255 (ink); `plain`: the whole picture, scaled.

    Raises:
      ImageError: a file that cannot be read, is too large or damaged, or shows no digit.
    """
    content = _content(path)
    read = _npy_picture if content.startswith(NPY_MAGIC) else _decoded_picture
    picture = read(path, content)
    try:
        return PREPROCESSES[preprocess](picture, form)
    except ink.BlankError as error:
        raise _error(path, str(error), "a digit on a plain background", "draw one") from None
    except ink.SeveralError as error:
        raise _error(path, str(error), "digits with paper around each", "crop it") from None


def _content(path: str | os.PathLike) -> bytes:
    """All bytes of a file, which must be a regular one: opening a pipe waits for a writer."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise _error(path, "a folder, a pipe or a device", "a file")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise _error(path, reason(error), "a readable file") from error
    if len(content) > MAX_BYTES:
        limit = f"{MAX_BYTES >> 20} MiB"
        raise _error(path, f"more than {limit}", f"at most {limit}", "scale it")
    return content


def _decoded_picture(path: str | os.PathLike, content: bytes) -> np.ndarray:
    """Decodes an image file to what `ink.digit_image` takes: `float32 [H, W, C]`."""
    try:
        content, xmp = containers.picture_only(content)
        if size := containers.size_before_opening(content):
            most = MAX_WEBP_PIXELS if content.startswith(b"RIFF") else MAX_PIXELS
            _check_size(path, *size, most)
        with warnings.catch_warnings():
            # Pillow warns of sizes above its own limit and of damage that it reads past.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(path, image.width, image.height)
                _check_run_lengths(path, image, len(content))
                with _quiet(image):
                    image.load()
                return picture_of(image, containers.orientation(image, xmp))
    except ImageError:
        raise
    except containers.ContainerError as error:
        raise _error(path, str(error), KINDS, "save it anew") from None
    except Image.DecompressionBombError:
        raise _too_many_pixels(path, "far more") from None
    except Image.UnidentifiedImageError:
        found = "an empty file" if not content else "another kind of file, or a damaged one"
        raise _error(path, found, KINDS, "convert it") from None
    except MemoryError:
        raise _error(path, "too little memory for it", "a smaller picture", "scale it") from None
    # On damaged files Pillow lets nearly anything through: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise _error(path, f"a damaged file, {reason(error)}", KINDS) from error


def _quiet(image: ImageFile.ImageFile) -> contextlib.AbstractContextManager[None]:
    """While entered, libtiff's own messages do not reach stderr: the error tells what is wrong."""
    if image.format != "TIFF" or sys.stderr is None:
        return contextlib.nullcontext()
    return console.silenced()


def picture_of(image: Image.Image, orientation: int = 1) -> np.ndarray:
    """A decoded image as `ink.digit_image` takes it: `float32 [H, W, C]`, C 1 or 3, 0 to 255.

    A longer side of more than 512 pixels is made 512, by area, which also averages noise out.
    `orientation` is as Exif counts them, 1 (upright) to 8.
    """
    if image.mode.startswith(("I", "F")):  # 16-bit grey
        image = Image.fromarray(np.asarray(image, np.float32) * np.float32(255 / 65535))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    scale = WORKING_SIDE / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    if orientation in containers.UPRIGHT:
        image = image.transpose(containers.UPRIGHT[orientation])
    pixels = np.asarray(image, np.float32)
    return on_paper(pixels) if image.mode == "RGBA" else pixels.reshape(*pixels.shape[:2], -1)


def on_paper(pixels: np.ndarray) -> np.ndarray:
    """Lays a picture with transparency on paper: `float32 [H, W, 4]` -> `float32 [H, W, 3]`.

    Where most of the border is opaque, the paper has the border's colour. Otherwise it is white
    under dark colours and black under light ones.
    """
    colours, opacity = pixels[..., :3], pixels[..., 3:] / 255
    border = border_mask(*pixels.shape[:2])
    opaque = border & (opacity[..., 0] > 0.5)
    if np.count_nonzero(opaque) > np.count_nonzero(border) / 2:
        paper = np.median(colours[opaque], axis=0)
    else:
        mean = float((colours * opacity).sum() / max(3 * float(opacity.sum()), 1e-6))
        paper = np.full(3, 255 if mean < 128 else 0, np.float32)
    return colours * opacity + paper * (1 - opacity)


def _npy_picture(path: str | os.PathLike, content: bytes) -> np.ndarray:
    """Reads a `.npy` file without `numpy.load`, which allocates what a header claims."""
    wrong = functools.partial(
        _error,
        path,
        expected="one array, uint8 0 to 255 or float 0 to 1, [H, W] or [H, W, 1 or 3 or 4]",
        remedy="save one image with numpy.save",
    )
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise wrong(f".npy version {version}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            shape, fortran_order, dtype = read_header(stream)
            shape = tuple(map(int, shape))  # NumPy lets True pass
    except ImageError:
        raise
    except (MemoryError, RecursionError):  # by which Python refuses deeply nested text
        raise wrong("a damaged .npy header, nested too deeply") from None
    except Exception as error:  # NumPy evaluates the text as a literal: nearly anything can come
        raise wrong(f"a damaged .npy header, {reason(error)}") from error
    if dtype != np.uint8 and dtype.kind != "f":
        raise wrong(f"an array of {dtype}")
    if len(shape) == 3 and shape[1:] == ink.IMAGE_SHAPE:
        raise wrong(f"a stack {list(shape)}", remedy="split it or use Predictor.predict")
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))) or min(shape) < 1:
        raise wrong(f"an array of shape {list(shape)}")
    _check_size(path, shape[1], shape[0])
    data, size = content[stream.tell() :], math.prod(shape) * dtype.itemsize
    if len(data) != size:
        found = f"{len(data)} bytes of values for {dtype} {list(shape)}"
        raise wrong(found, expected=f"{size} bytes")
    values = np.ndarray(shape, dtype, data, order="F" if fortran_order else "C")
    return picture_of(_image_of(path, values))


def _image_of(path: str | os.PathLike, values: np.ndarray) -> Image.Image:
    """An array of a checked shape as a Pillow image."""
    if values.dtype != np.uint8:
        lowest, highest = float(values.min()), float(values.max())
        if not 0 <= lowest <= highest <= 1:  # also false for NaN
            found = f"floats from {lowest:g} to {highest:g}"
            raise _error(path, found, "floats from 0 to 1", "scale them, or save uint8")
        values = np.rint(values * np.float32(255)).astype(np.uint8)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    return Image.fromarray(np.ascontiguousarray(values))


def _check_size(path: str | os.PathLike, width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Refuses an image before memory is taken for its pixels."""
    if width * height > most:
        raise _too_many_pixels(path, f"{width} x {height}", most)


def _check_run_lengths(path: str | os.PathLike, image: ImageFile.ImageFile, size: int) -> None:
    """Refuses a run-length coded BMP file that would take minutes; `size` is in bytes."""
    coded = any(tile[0] == "bmp_rle" for tile in image.tile)
    if coded and (image.width * image.height > MAX_RLE_PIXELS or size > MAX_RLE_BYTES):
        found = f"run-length coding of {image.width} x {image.height} pixels in {size} bytes"
        limit = f"at most {MAX_RLE_PIXELS // 10**6} million pixels and {MAX_RLE_BYTES >> 20} MiB"
        raise _error(path, found, limit, "save it anew")


def _too_many_pixels(path: str | os.PathLike, found: str, most: int = MAX_PIXELS) -> ImageError:
    limit = f"at most {most // 1_000_000} million pixels"
    return _error(path, f"{found} pixels", limit, "scale it down")


def _error(
    path: str | os.PathLike, found: str, expected: str, remedy: str = "replace it"
) -> ImageError:
    message = f"{shown(path)}: found {found:.200}, expected {expected}; {remedy}"
    return ImageError(" ".join(message.split()))
