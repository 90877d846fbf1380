"""IDX files, plain or gzip: one array each.

An IDX file is a header and then the values, row by row. The header is the magic number (two zero
bytes, the element type, the number of dimensions) and one big-endian uint32 per dimension.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import struct
from pathlib import Path

import numpy as np

from cnn_mnist.data.sources import (
    MAX_VALUES,
    Array,
    Source,
    check_count,
    first_bytes,
    size_fault,
    without_single_channel,
)

MAX_PADDING = 1 << 16  # bytes of a gzip file: names, and the zeros that may follow its content
IMAGES, LABELS = (3, 4), (1,)  # how many axes an array of them has


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Reads one IDX file, plain or gzip (told by its first two bytes, not by its name).

    Returns:
      Read-only uint8 [N, H, W] (magic number 0x00000803), uint8 [N, H, W, C] (0x00000804) or uint8
      [N] (0x00000801); no size is 0.

    Raises:
      DatasetError: the file cannot be read or is not such a file.
    """
    return read_array(Path(path)).values


def read_array(
    path: Path,
    ranks: tuple[int, ...] | None = None,
    labels: Array | None = None,
    like: tuple[int, ...] | None = None,
    sha256: str | None = None,
) -> Array:
    """Reads an IDX file.

    Args:
      ranks: `IMAGES` of a size that networks take, `LABELS`, or None for either, of any size.
      labels: of the images.
      like: the shape of an image that the images must have.
      sha256: of the uncompressed content, if it is known.
    """
    source = Source(path, compressed=first_bytes(path) == b"\x1f\x8b")
    content = source.content
    with (
        source.reading("readable IDX content"),
        _File(path.open("rb", buffering=0)) as file,
        gzip.GzipFile(fileobj=file) if source.compressed else file as stream,
    ):
        shape = _read_idx_header(source, stream, ranks, like)
        check_count(shape[0], 4, source, labels)
        if math.prod(shape) > MAX_VALUES:
            raise source.error(4, f"at most {MAX_VALUES} values", f"the shape {list(shape)}")
        offset = len(content)
        total = offset + math.prod(shape)
        items = f"{total} bytes ({offset} of header, {' x '.join(map(str, shape))} of values)"
        source.extend_to_end(stream, total, items)
    if sha256 and (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise source.error(0, f"content with sha256 {sha256}", digest, "reinstall the package")
    values = np.ndarray(shape, np.uint8, content, offset)
    values.setflags(write=False)
    if ranks:
        values = without_single_channel(values)
    return Array(values, source, shape_offset=4, values_offset=offset)


class _File(io.BufferedReader):
    """A file of which `gzip` cannot skip gigabytes of zeros, which it does one by one."""

    _skipped = 0

    def read(self, size: int | None = -1) -> bytes:
        self._skipped += size == 1
        if self._skipped > MAX_PADDING:
            raise gzip.BadGzipFile(f"more than {MAX_PADDING} bytes of names and padding")
        return super().read(size)


def _read_idx_header(
    source: Source,
    stream: io.BufferedIOBase,
    wanted: tuple[int, ...] | None,
    like: tuple[int, ...] | None,
) -> tuple[int, ...]:
    content = source.content
    ranks = wanted or (*IMAGES, *LABELS)
    magic = " or ".join(f"magic number 0x{0x800 + r:08x} (uint8, {r}-D)" for r in ranks)
    source.extend(stream, 4, magic)
    if content[:3] != b"\x00\x00\x08" or content[3] not in ranks:
        raise source.error(0, magic, f"0x{content.hex()}", "put an IDX file of this kind there")
    size = 4 + 4 * content[3]
    source.extend(stream, size, f"a header of {size} bytes")
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    for axis, found in enumerate(shape):
        if found == 0:
            raise source.error(4 + 4 * axis, f"a size of at least 1 for dimension {axis}", found)
    if wanted == IMAGES and (fault := size_fault(shape, like)):
        axis, expected, found_there = fault
        raise source.error(4 + 4 * axis, expected, found_there)
    return shape
