"""TIFF files: the first image of what may be many.

Sources: Adobe, "TIFF", revision 6.0; AWare Systems, "BigTIFF".
"""

import struct
from typing import NamedTuple

import numpy as np

from cnn_mnist.data.containers.common import ContainerError, cut_off

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
MAX_TAGS = 1000
TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}  # bytes
WHOLE = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}  # the types of whole numbers

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, ROWS, STRIP_SIZES = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_SIZES = 322, 323, 324, 325
SAMPLES, PLANES, SAMPLE_FORMAT = 277, 284, 339
# Beside those: order of bits, orientation, fax options, predictor, colours, extra samples, inks,
# tables of JPEG and the coding of YCbCr.
OTHERS = (266, 274, 292, 293, 317, 320, 332, 338, 347, 529, 530, 531, 532)
PICTURE = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ROWS, STRIP_SIZES),
    *(TILE_WIDTH, TILE_HEIGHT, TILES, TILE_SIZES, SAMPLES, PLANES, SAMPLE_FORMAT, *OTHERS),
}
# None, fax in three kinds, LZW, JPEG, deflate under two numbers, PackBits.
COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32946, 32773)


class Layout(NamedTuple):
    """How a file is written: the order of bytes, and the sizes of its directory."""

    order: str
    head: str  # what the header has behind the first four bytes
    width: str  # the type of the number of tags
    entry: int  # bytes
    number: str  # the type of counts and places


def picture_only(content: bytes) -> tuple[bytes, bytes]:
    """The file with a directory of the first image alone; and nothing, as its XMP is no use here.

    The directory is written anew behind the rest, with the tags that make up the picture.
    """
    order = "<" if content[:1] == b"I" else ">"
    big = b"+" in content[2:4]
    layout = Layout(order, "HHQ" if big else "I", "Q" if big else "H", 20 if big else 12, "IQ"[big])
    head = struct.calcsize(order + layout.head)
    if len(content) < 4 + head:
        raise cut_off(content)
    place = struct.unpack_from(order + layout.head, content, 4)[-1]
    width = struct.calcsize(order + layout.width)
    if place + width > len(content):
        raise cut_off(content, "its directory")
    (count,) = struct.unpack_from(order + layout.width, content, place)
    if count > MAX_TAGS:
        raise ContainerError(f"more than {MAX_TAGS} tags")
    end = place + width + count * layout.entry
    if end > len(content):
        raise cut_off(content, "its directory")
    entries: dict[int, bytes] = {}
    for at in range(place + width, end, layout.entry):
        tag = struct.unpack_from(order + "H", content, at)[0]
        if tag in PICTURE:
            entries.setdefault(tag, content[at : at + layout.entry])
    _check({tag: _numbers(content, layout, tag, entry) for tag, entry in entries.items()}, content)
    padded = content + bytes(-len(content) % 8)
    directory = b"".join(entry for _, entry in sorted(entries.items()))
    start = content[:4] + struct.pack(order + layout.head, *((8, 0) if big else ()), len(padded))
    number = struct.pack(order + layout.width, len(entries))
    none = struct.pack(order + layout.number, 0)  # no image behind this one
    return start + padded[len(start) :] + number + directory + none, b""


def _numbers(content: bytes, layout: Layout, tag: int, entry: bytes) -> np.ndarray:
    """The values of a tag, if they are whole numbers; otherwise none."""
    kind, count = struct.unpack_from(layout.order + "H" + layout.number, entry, 2)
    if kind not in TYPES:
        raise ContainerError(f"a damaged file, values of the type {kind} for the tag {tag}")
    size, inside = count * TYPES[kind], struct.calcsize(layout.number)
    values = entry[-inside:][:size]
    if size > inside:
        (place,) = struct.unpack(layout.order + layout.number, entry[-inside:])
        values = content[place : place + size]
    if len(values) < size:
        raise cut_off(content, f"the values of the tag {tag}")
    return np.frombuffer(values, layout.order + WHOLE[kind]) if kind in WHOLE else np.empty(0)


def _check(values: dict[int, np.ndarray], content: bytes) -> None:
    """Refuses what would take much memory or time, or would be read as something else."""

    def one(tag: int, default: int | None = None) -> int:
        found = values.get(tag)
        if found is None or not len(found):
            if default is None:
                raise ContainerError(f"a damaged file, no tag {tag}")
            return default
        return int(found[0])

    width, height = one(WIDTH), one(HEIGHT)
    if not width or not height:
        raise ContainerError(f"an image of {width} x {height} pixels")
    compression = one(COMPRESSION, 1)
    if compression not in COMPRESSIONS:
        raise ContainerError(f"a TIFF file of the compression {compression}")
    bits, formats = values.get(BITS, np.ones(1)), values.get(SAMPLE_FORMAT, np.ones(1))
    if not {*bits.tolist()} <= {1, 2, 4, 8, 16} or not {*formats.tolist()} <= {1}:
        kind = f"{bits.tolist()[:4]} bits in the format {formats.tolist()[:4]}"
        raise ContainerError(f"a TIFF file of {kind}, not whole numbers of 1, 2, 4, 8 or 16 bits")
    if one(PHOTOMETRIC, 1) == 0 and 16 in bits:
        raise ContainerError("a TIFF file of 16 bits in which 0 is white")
    tiled = TILES in values
    tile = (one(TILE_WIDTH), one(TILE_HEIGHT)) if tiled else (width, min(one(ROWS, height), height))
    if not all(tile) or tile[0] * tile[1] > max(1 << 20, 2 * width * height):
        raise ContainerError(f"a damaged file, parts of {tile[0]} x {tile[1]} pixels")
    places = values.get(TILES if tiled else STRIPS, np.empty(0, int))
    sizes = values.get(TILE_SIZES if tiled else STRIP_SIZES, np.empty(0, int))
    planes = one(SAMPLES, 1) if one(PLANES, 1) == 2 else 1
    parts = -(-width // tile[0]) * -(-height // tile[1]) * planes
    if not len(places) == len(sizes) == parts:
        found = f"{len(places)} places and {len(sizes)} sizes for its {parts} parts"
        raise ContainerError(f"a damaged file, {found}")
    ends = places.astype(float) + sizes.astype(float)
    if ends.max() > len(content) or sizes.astype(float).sum() > len(content):
        raise cut_off(content, "its pixels")
