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

from cnn_mnist.data import sources
from cnn_mnist.data.sources import IMAGE_SHAPE, Array, Source, check_count, first_bytes

MAX_PADDING = 1 << 16  # bytes of a gzip file: names, and the zeros that may follow its content
MAX_VALUES = sources.MAX_EXAMPLES * math.prod(IMAGE_SHAPE)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Reads one IDX file, plain or gzip (told by its first two bytes, not by its name).

    Returns:
      Read-only uint8 [N, H, W] (magic number 0x00000803) or uint8 [N] (0x00000801); no size is 0.

    Raises:
      DatasetError: the file cannot be read or is not such a file.
    """
    return read_array(Path(path)).values


def read_array(
    path: Path,
    item_shape: tuple[int, ...] | None = None,
    labels: Array | None = None,
    sha256: str | None = None,
) -> Array:
    """Reads an IDX file of items of shape (28, 28) or (); None: images of any size, or labels."""
    source = Source(path, compressed=first_bytes(path) == b"\x1f\x8b")
    content = source.content
    with (
        source.reading("readable IDX content"),
        _File(path.open("rb", buffering=0)) as file,
        gzip.GzipFile(fileobj=file) if source.compressed else file as stream,
    ):
        shape = _read_idx_header(source, stream, item_shape)
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
    source: Source, stream: io.BufferedIOBase, item_shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    content = source.content
    ranks = (3, 1) if item_shape is None else (1 + len(item_shape),)
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
        if axis > 0 and item_shape and found != item_shape[axis - 1]:
            raise source.error(4 + 4 * axis, "images of 28 x 28 pixels", f"a side of {found}")
    return shape
