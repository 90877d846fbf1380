"""What the readers of data sets share: where an array comes from, errors that say so, limits.

Files are read in pieces, and never further than one byte past what their header promises. Images
are read only if there is a label for each, and a file has at most a million. So memory follows the
content that is really there and not what a header claims.
"""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cnn_mnist.utils.errors import InputError, one_line, reason, shown

MAX_EXAMPLES = 1_000_000  # in a file; the largest set of this form, EMNIST, has 814,255 in all
PIECE = 1 << 16  # bytes a read; fits the cache: larger and smaller pieces unpack more slowly
# what files, gzip, zlib, zipfile and tarfile raise on content that cannot be read
READ_ERRORS = (
    *(OSError, EOFError, RuntimeError, ValueError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, tarfile.TarError),
)


class DatasetError(InputError):
    """One line: the file, the byte offset, what was expected, what was found, what to do."""


@dataclass(frozen=True, eq=False)
class Source:
    """Where an array comes from, for messages, and what has been read of it."""

    path: Path
    member: str = ""  # of an archive
    compressed: bool = False
    content: bytearray = field(default_factory=bytearray)

    def __str__(self) -> str:
        return f"{shown(self.path)}, {shown(self.member)}" if self.member else shown(self.path)

    def error(
        self, offset: int, expected: str, found: object, remedy: str = "replace it by a good copy"
    ) -> DatasetError:
        return self.error_at(self.offset(offset), expected, found, remedy)

    def error_at(
        self, place: str, expected: str, found: object, remedy: str = "replace it by a good copy"
    ) -> DatasetError:
        """The same, of a place that is told in words, or of the whole file."""
        where = f"{self}: {place}" if place else f"{self}"
        message = f"{where}: expected {expected}, found {found!s:.200}; {remedy}"
        return DatasetError(one_line(message))

    def offset(self, offset: int) -> str:
        """A byte offset, in words."""
        return f"byte offset {offset}" + " of the uncompressed content" * self.compressed

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
    """An array, and where its parts lie in the (uncompressed) content, in bytes.

    `item` tells in words where an item lies; None: at `values_offset`, one item after another.
    """

    values: np.ndarray
    source: Source
    shape_offset: int = 0
    values_offset: int = 0
    item: Callable[[int], str] | None = None

    def error(
        self, index: int, expected: str, found: object, remedy: str = "mend it"
    ) -> DatasetError:
        """What is said of a wrong item."""
        if self.item:
            return self.source.error_at(self.item(index), expected, found, remedy)
        size = self.values[:1].nbytes
        return self.source.error(self.values_offset + index * size, expected, found)

    def replaced(self, values: np.ndarray) -> Array:
        """Other values from the same place."""
        return replace(self, values=values)


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
