"""`mnist.npz`: the four arrays of a data set in one zip archive, as `numpy.savez` writes it."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import cast

import numpy as np

from cnn_mnist.data.sources import ITEM_SHAPES, Array, Source, check_count, first_bytes
from cnn_mnist.utils.errors import reason

MAX_LIST = 1 << 20  # bytes of the list of members; four take 250
SAVE = "save it anew with numpy.savez"


def read_arrays(path: Path) -> dict[str, Array]:
    """Reads the four arrays without numpy.load, which allocates what a header claims."""
    first_bytes(path)
    arrays: dict[str, Array] = {}
    with (
        Source(path).reading("a zip archive (npz)"),
        _ZipFile(path.open("rb", buffering=0)) as file,
        zipfile.ZipFile(file) as archive,
    ):
        for key in ITEM_SHAPES:
            arrays[key] = _read_npy(archive, key, path, arrays.get(f"y{key[1:]}"))
    return arrays


class _ZipFile(io.BufferedReader):
    """A file of which `zipfile` cannot read the list of members at whatever size it claims."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_LIST:
            raise zipfile.BadZipFile(f"{size} bytes at once, at most {MAX_LIST}")
        return super().read(size)


def _read_npy(archive: zipfile.ZipFile, key: str, path: Path, labels: Array | None) -> Array:
    source = Source(path, f"{key}.npy", compressed=True)
    members = [info for info in archive.infolist() if info.filename == source.member]
    if len(members) != 1:
        raise source.error(0, "one array of this name", len(members), SAVE)
    # numpy writes no other kinds; bzip2 and LZMA can also grow without bound in a single read
    plain = members[0].compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not plain or members[0].flag_bits & 1:
        found = "an encrypted array" if plain else "another compression"
        raise source.error(0, "a stored or deflated array", found, SAVE)
    with source.reading("a readable array"), archive.open(members[0]) as file:
        stream = cast(zipfile.ZipExtFile, file)
        shape, fortran_order, dtype = _read_npy_header(source, stream, ITEM_SHAPES[key])
        check_count(shape[0], 10, source, labels)
        offset = len(source.content)
        total = offset + math.prod(shape) * dtype.itemsize
        source.extend_to_end(stream, total, f"{total} bytes (shape {list(shape)}, {dtype})")
    values = np.ndarray(shape, dtype, source.content, offset, order="F" if fortran_order else "C")
    values = np.ascontiguousarray(values)
    values.setflags(write=False)
    return Array(values, source, shape_offset=10, values_offset=offset)


def _read_npy_header(
    source: Source, stream: io.BufferedIOBase, item_shape: tuple[int, ...]
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads a .npy header, version 1.0: the later versions serve structured arrays only."""
    content, magic = source.content, b"\x93NUMPY\x01\x00"
    source.extend(stream, 10, "10 bytes of .npy magic and header size")
    if content[:8] != magic:
        raise source.error(0, f".npy magic {magic!r}", bytes(content[:8]), SAVE)
    size = 10 + int.from_bytes(content[8:10], "little")
    source.extend(stream, size, f"a .npy header of {size} bytes")
    try:
        header = np.lib.format.read_array_header_1_0(io.BytesIO(content[8:]))
    except (MemoryError, RecursionError) as error:  # by which Python refuses deeply nested text
        raise source.error(10, "a valid .npy header", "one nested too deeply") from error
    except Exception as error:  # numpy evaluates the text as a literal: nearly anything can come
        raise source.error(10, "a valid .npy header", reason(error)) from error
    shape, _, dtype = header
    kind = "uint8 images of shape [N, 28, 28]" if item_shape else "integer labels of shape [N]"
    typed = dtype == np.uint8 if item_shape else dtype.kind in "iu"
    if not typed or shape[1:] != item_shape or shape < (1,):
        raise source.error(10, f"{kind}, N at least 1", f"{dtype} {list(shape)}", SAVE)
    return header
