"""GIF files: their first frame.

Source: CompuServe, "Graphics Interchange Format", version 89a.
"""

import struct

from cnn_mnist.data.containers.common import MAX_PARTS, ContainerError, cut_off

STARTS = (b"GIF87a", b"GIF89a")
MAX_BLOCKS = 1_000_000  # of pixels; 64 MiB as usually written have a quarter of that
EXTENSION, IMAGE, END = 0x21, 0x2C, 0x3B
CONTROL = 0xF9  # the extension that tells which colour is transparent


def picture_only(content: bytes) -> tuple[bytes, bytes]:
    """The header, the first frame and what is transparent in it; and nothing, as it has no XMP."""
    place = 13 + _colours(content, 10)
    kept, control = [content[:place]], b""
    for _ in range(MAX_PARTS):
        if place >= len(content):
            raise cut_off(content)
        start, kind = place, content[place]
        if kind == END:
            raise ContainerError("a file without an image")
        if kind == EXTENSION:
            place = _blocks_end(content, place + 2)
            if content[start + 1] == CONTROL:
                control = content[start:place]
        elif kind == IMAGE:
            place += 10 + _colours(content, place + 9)
            place = _blocks_end(content, place + 1)
            return b"".join([*kept, control, content[start:place], bytes([END])]), b""
        else:
            raise ContainerError(f"a damaged file, a part of the kind {kind:#04x} at byte {place}")
    raise ContainerError(f"more than {MAX_PARTS} parts")


def size(content: bytes) -> tuple[int, int]:
    """Width and height of a file that `picture_only` left; the frame may be larger than it says."""
    width, height = struct.unpack_from("<HH", content, 6)
    place = 13 + _colours(content, 10)
    if content[place] == EXTENSION:
        place = _blocks_end(content, place + 2)
    left, top, across, down = struct.unpack_from("<HHHH", content, place + 1)
    return max(width, left + across), max(height, top + down)


def _colours(content: bytes, place: int) -> int:
    """How many bytes of colours follow, as the flags at a place tell."""
    if place + 3 > len(content):
        raise cut_off(content)
    flags = content[place]
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks_end(content: bytes, place: int) -> int:
    """Where the blocks that begin at a place end: each tells its size, and the last has none."""
    for _ in range(MAX_BLOCKS):
        if place >= len(content):
            raise cut_off(content)
        block = content[place]
        place += 1 + block
        if not block:
            return place
    raise ContainerError(f"more than {MAX_BLOCKS} blocks")
