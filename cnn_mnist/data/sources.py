"""What the readers of data sets share: where an array comes from, errors that say so, limits.

Files are read in pieces, and never further than one byte past what their header promises; images
are read only once there is a label for each, and a file has at most a million. So memory follows
the content that is really there and not what a header claims.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_mnist.utils.errors import InputError, reason, shown

IMAGE_SHAPE = (28, 28)
NUM_CLASSES = 10
READING_ORDER = ("y_train", "x_train", "y_test", "x_test")  # images after their labels
MAX_EXAMPLES = 1_000_000  # in a file; the largest set of this form, EMNIST, has 814,255 in all
PIECE = 1 << 16  # bytes a read; fits the cache: larger and smaller pieces unpack more slowly
# what files, gzip, zlib and zipfile raise on content that cannot be read
READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


class DatasetError(InputError):
    """One line: the file, the byte offset, what was expected, what was found, what to do."""


@dataclass(frozen=True)
class Source:
    """Where an array comes from, for messages."""

    path: Path
    member: str = ""  # of an npz
    compressed: bool = False

    def __str__(self) -> str:
        return f"{shown(self.path)}, {self.member}" if self.member else shown(self.path)

    def error(
        self, offset: int, expected: str, found: object, remedy: str = "replace it by a good copy"
    ) -> DatasetError:
        place = f"byte offset {offset}" + " of the uncompressed content" * self.compressed
        message = f"{self}: {place}: expected {expected}, found {found!s:.200}; {remedy}"
        return DatasetError(" ".join(message.splitlines()))

    @contextmanager
    def reading(self, content: bytes | bytearray, expected: str) -> Iterator[None]:
        """Turns what goes wrong while `content` grows into a DatasetError at its end.

        That offset is exact, save for damaged compressed data: the piece that could not be
        unpacked begins there, and the damage shows up to 64 KiB further on.
        """
        try:
            yield
        except DatasetError:
            raise
        except READ_ERRORS as error:
            raise self.error(len(content), expected, reason(error)) from error


@dataclass(frozen=True, eq=False)
class Array:
    """An array, and where its parts lie in the (uncompressed) content, in bytes."""

    values: np.ndarray
    source: Source
    shape_offset: int
    values_offset: int


def item_shape_of(key: str) -> tuple[int, ...]:
    """The shape of one image or one label: `x_train` -> (28, 28), `y_train` -> ()."""
    return IMAGE_SHAPE if key.startswith("x_") else ()


def first_bytes(path: Path) -> bytes:
    """The first two bytes of a file that must be regular: opening a pipe waits for a writer."""
    source = Source(path)
    with source.reading(b"", "a readable file"):
        if not stat.S_ISREG(path.stat().st_mode):
            raise source.error(0, "a regular file", "a folder, a pipe or a device")
        with path.open("rb") as file:
            return file.read(2)


def extend(
    content: bytearray, stream: io.BufferedIOBase, size: int, source: Source, expected: str
) -> None:
    """Reads until `content` has `size` bytes."""
    while len(content) < size:
        piece = stream.read1(min(PIECE, size - len(content)))
        if not piece:
            raise source.error(len(content), expected, "the end of the content")
        content += piece


def extend_to_end(
    content: bytearray, stream: io.BufferedIOBase, size: int, source: Source, expected: str
) -> None:
    """Reads until `content` has `size` bytes, and checks that there are no more.

    To ask for one more also makes gzip and zip compare their checksums.
    """
    extend(content, stream, size, source, expected)
    if stream.read1(1):
        raise source.error(len(content), "the end of the content", "more bytes")


def check_count(count: int, offset: int, source: Source, labels: Array | None) -> None:
    """Checks how many examples a header claims, before room is made for them.

    Args:
      offset: where the header says so, in bytes.
      labels: those that belong to the images of `source`, if they were read before.
    """
    if count > MAX_EXAMPLES:
        raise source.error(offset, f"at most {MAX_EXAMPLES} examples", count)
    if labels and count != (found := len(labels.values)):
        expected = f"{count} labels, one for each image in {source}"
        remedy = "put the matching file there"
        raise labels.source.error(labels.shape_offset, expected, found, remedy)
