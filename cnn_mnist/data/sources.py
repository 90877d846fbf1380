"""What the readers of data sets share: where an array comes from, errors that say so, limits.

Files are read in pieces, and never further than one byte past what their header promises. Images
are read only if there is a label for each, and a file has at most a million. So memory follows the
content that is really there and not what a header claims.
"""

from __future__ import annotations

import io
import math
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cnn_mnist.data.form import MNIST
from cnn_mnist.data.limits import SIDES, SIDES_TEXT
from cnn_mnist.utils.errors import InputError, reason, shown

ARRAYS = ("y_train", "x_train", "y_test", "x_test")  # in the order of reading: labels first
MAX_EXAMPLES = 1_000_000  # in a file; the largest set of this form, EMNIST, has 814,255 in all
MAX_VALUES = MAX_EXAMPLES * math.prod(MNIST.image_shape)  # in a file
PIECE = 1 << 16  # bytes a read; fits the cache: larger and smaller pieces unpack more slowly
# what files, gzip, zlib and zipfile raise on content that cannot be read
READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


class DatasetError(InputError):
    """One line: the file, the byte offset, what was expected, what was found, what to do."""


@dataclass(frozen=True, eq=False)
class Source:
    """Where an array comes from, for messages, and what has been read of it."""

    path: Path
    member: str = ""  # of an npz
    compressed: bool = False
    content: bytearray = field(default_factory=bytearray)

    def __str__(self) -> str:
        return f"{shown(self.path)}, {self.member}" if self.member else shown(self.path)

    def error(
        self, offset: int, expected: str, found: object, remedy: str = "replace it by a good copy"
    ) -> DatasetError:
        place = f"byte offset {offset}" + " of the uncompressed content" * self.compressed
        message = f"{self}: {place}: expected {expected}, found {found!s:.200}; {remedy}"
        return DatasetError(" ".join(message.splitlines()))

    @contextmanager
    def reading(self, expected: str) -> Iterator[None]:
        """Turns what goes wrong while `content` grows into a DatasetError at its end.

        That offset is exact, save for damaged compressed data: the piece that could not be
        unpacked begins there, and the damage shows up to 64 KiB further on.
        """
        try:
            yield
        except DatasetError:
            raise
        except READ_ERRORS as error:
            raise self.error(len(self.content), expected, reason(error)) from error

    def extend(self, stream: io.BufferedIOBase, size: int, expected: str) -> None:
        """Reads until `content` has `size` bytes."""
        while len(self.content) < size:
            piece = stream.read1(min(PIECE, size - len(self.content)))
            if not piece:
                raise self.error(len(self.content), expected, "the end of the content")
            self.content.extend(piece)

    def extend_to_end(self, stream: io.BufferedIOBase, size: int, expected: str) -> None:
        """Reads until `content` has `size` bytes, and checks that there are no more.

        To ask for one more also makes gzip and zip compare their checksums.
        """
        self.extend(stream, size, expected)
        if stream.read1(1):
            raise self.error(len(self.content), "the end of the content", "more bytes")


@dataclass(frozen=True, eq=False)
class Array:
    """An array, and where its parts lie in the (uncompressed) content, in bytes."""

    values: np.ndarray
    source: Source
    shape_offset: int
    values_offset: int


def size_fault(shape: tuple[int, ...], like: tuple[int, ...] | None) -> tuple[int, str, str] | None:
    """What is wrong with the shape of images: the axis, what was expected, what was found; or None.

    Args:
      shape: `[N, H, W]`, or with the channels as a fourth axis.
      like: the shape `(H, W)` or `(H, W, 3)` of the training images, if these are for tests.
    """
    for axis, side in enumerate(shape[1:3], start=1):
        if like and side != like[axis - 1]:
            return axis, f"images of {like[0]} x {like[1]} pixels", f"a side of {side}"
        if side not in SIDES:
            return axis, f"images with sides of {SIDES_TEXT} pixels", f"a side of {side}"
    channels = shape[3] if len(shape) > 3 else 1
    expected = "1 or 3 channels" if like is None else f"{3 if len(like) == 3 else 1} channels"
    if str(channels) not in expected.split():
        return len(shape) - 1, f"images of {expected}", f"{channels}"
    return None


def without_single_channel(values: np.ndarray) -> np.ndarray:
    """Images `[N, H, W, 1]` as `[N, H, W]`; others as they are."""
    return values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values


def first_bytes(path: Path) -> bytes:
    """The first two bytes of a file that must be regular: opening a pipe waits for a writer."""
    source = Source(path)
    with source.reading("a readable file"):
        if not stat.S_ISREG(path.stat().st_mode):
            raise source.error(0, "a regular file", "a folder, a pipe or a device")
        with path.open("rb") as file:
            return file.read(2)


def check_count(count: int, offset: int, source: Source, labels: Array | None) -> None:
    """Checks how many examples the header of `source` claims, at a byte offset.

    `labels` are those of its images, if it holds images.
    """
    if count > MAX_EXAMPLES:
        raise source.error(offset, f"at most {MAX_EXAMPLES} examples", count)
    if labels and count != (found := len(labels.values)):
        expected = f"{count} labels, one for each image in {source}"
        remedy = "put the matching file there"
        raise labels.source.error(labels.shape_offset, expected, found, remedy)
