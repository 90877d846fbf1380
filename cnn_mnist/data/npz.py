"""`mnist.npz`: the four arrays of a data set in one zip archive, as `numpy.savez` writes it."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import cast

import numpy as np

from cnn_mnist.data.sources import (
    ARRAYS,
    MAX_VALUES,
    Array,
    Source,
    check_count,
    first_bytes,
    size_fault,
    without_single_channel,
)
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
        for key in ARRAYS:
            labels = arrays.get(f"y{key[1:]}")
            like = arrays["x_train"].values.shape[1:] if key == "x_test" else None
            arrays[key] = _read_npy(archive, key, path, labels, like)
    return arrays


class _ZipFile(io.BufferedReader):
    """A file of which `zipfile` cannot read the list of members at whatever size it claims."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_LIST:
            raise zipfile.BadZipFile(f"{size} bytes at once, at most {MAX_LIST}")
        return super().read(size)


def _read_npy(
    archive: zipfile.ZipFile,
    key: str,
    path: Path,
    labels: Array | None,
    like: tuple[int, ...] | None,
) -> Array:
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
        shape, fortran_order, dtype = _read_npy_header(source, stream, labels is not None, like)
        check_count(shape[0], 10, source, labels)
        if math.prod(shape) > MAX_VALUES:
            raise source.error(10, f"at most {MAX_VALUES} values", f"the shape {list(shape)}", SAVE)
        offset = len(source.content)
        total = offset + math.prod(shape) * dtype.itemsize
        source.extend_to_end(stream, total, f"{total} bytes (shape {list(shape)}, {dtype})")
    values = np.ndarray(shape, dtype, source.content, offset, order="F" if fortran_order else "C")
    values = np.ascontiguousarray(without_single_channel(values))
    values.setflags(write=False)
    return Array(values, source, shape_offset=10, values_offset=offset)


def _read_npy_header(
    source: Source, stream: io.BufferedIOBase, images: bool, like: tuple[int, ...] | None
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
    kind, typed = "integer labels of shape [N]", dtype.kind in "iu"
    if images:
        kind, typed = "uint8 images of shape [N, H, W] or [N, H, W, C]", dtype == np.uint8
    axes = (3, 4) if images else (1,)
    if not typed or len(shape) not in axes or shape < (1,):
        raise source.error(10, f"{kind}, N at least 1", f"{dtype} {list(shape)}", SAVE)
    if images and (fault := size_fault(shape, like)):
        raise source.error(10, fault[1], f"{fault[2]} in {list(shape)}", SAVE)
    return header
