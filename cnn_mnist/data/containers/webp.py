"""WebP files: their first frame.

Source: Google, "WebP Container Specification"; RFC 6386 (VP8); RFC 9649.
"""

import struct

from cnn_mnist.data.containers.common import MAX_EXIF, MAX_PARTS, ContainerError, cut_off

RIFF, KIND = b"RIFF", b"WEBP"  # at the bytes 0 and 8
IMAGES = (b"VP8 ", b"VP8L", b"ANMF")
BESIDE = (b"VP8X", b"ANIM", b"ALPH")  # what stands before an image
EXIF_FLAG, ICC_AND_XMP_FLAGS = 0x08, 0x24  # of VP8X: which chunks there are


def is_webp(content: bytes) -> bool:
    """Whether a file begins as WebP files do."""
    return content.startswith(RIFF) and content[8:12] == KIND


def picture_only(content: bytes) -> tuple[bytes, bytes]:
    """The first frame and Exif data; and XMP data, if there are any."""
    kept: dict[bytes, bytes] = {}
    xmp, place = b"", 12
    end = 8 + int.from_bytes(content[4:8], "little")
    if end > len(content):
        raise cut_off(content)
    for _ in range(MAX_PARTS):
        if place >= end:
            break
        kind, size = struct.unpack("<4sI", content[place : place + 8].ljust(8, b"\xff"))
        body = content[place + 8 : place + 8 + size]
        if place + 8 + size > end:
            raise cut_off(content)
        has_image = any(image in kept for image in IMAGES)
        is_picture = kind in BESIDE + IMAGES and not has_image
        if is_picture or (kind == b"EXIF" and size <= MAX_EXIF):
            kept.setdefault(kind, body)
        elif kind == b"XMP ":
            xmp = xmp or body
        place += 8 + size + size % 2
    else:
        raise ContainerError(f"more than {MAX_PARTS} chunks")
    if not any(image in kept for image in IMAGES):
        raise ContainerError("a file without an image")
    if b"VP8X" in kept and kept[b"VP8X"]:
        flags = kept[b"VP8X"][0] & ~ICC_AND_XMP_FLAGS & ~EXIF_FLAG
        flags |= EXIF_FLAG if b"EXIF" in kept else 0
        kept[b"VP8X"] = bytes([flags]) + kept[b"VP8X"][1:]
    else:
        kept.pop(b"EXIF", None)
    chunks = b"".join(
        struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) % 2)
        for kind, body in kept.items()
    )
    return RIFF + struct.pack("<I", 4 + len(chunks)) + KIND + chunks, xmp


def size(content: bytes) -> tuple[int, int]:
    """Width and height, as the first chunk of a file that `picture_only` left tells them."""
    kind, body = content[12:16], content[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        numbers = (1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        numbers = (1 + (bits >> shift & 0x3FFF) for shift in (0, 14))
    else:
        numbers = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    width, height = numbers
    return width, height
