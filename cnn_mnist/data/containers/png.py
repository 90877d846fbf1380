"""PNG files; their checksums are compared, which Pillow does not do for the pixels.

Source: W3C, "Portable Network Graphics".
"""

import struct
import zlib

from cnn_mnist.data.containers.common import MAX_EXIF, MAX_PARTS, ContainerError, cut_off

START = b"\x89PNG\r\n\x1a\n"
CRITICAL = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # the chunks that make up the picture
RAW_PROFILE = b"Raw profile type exif\0"  # Exif data in a PNG text, as ImageMagick wrote them
XMP = b"XML:com.adobe.xmp\0"


def picture_only(content: bytes) -> tuple[bytes, bytes]:
    """The chunks that make up the picture, and Exif data; and XMP data, if there are any."""
    kept, xmp, place = [START], b"", len(START)
    for _ in range(MAX_PARTS):
        size, kind = struct.unpack(">I4s", content[place : place + 8].ljust(8, b"\0"))
        end = place + 12 + size
        if end > len(content):
            raise cut_off(content)
        body = content[place + 8 : end - 4]
        if content[end - 4 : end] != struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))):
            found = f"a wrong checksum in the chunk {kind!r} at byte {place}"
            raise ContainerError(f"a damaged file, {found}")
        if body.startswith(XMP):
            xmp = body
        is_exif = kind == b"eXIf" or body.startswith(RAW_PROFILE)
        if kind in CRITICAL or (is_exif and size <= MAX_EXIF):
            kept.append(content[place:end])
        if kind == b"IEND":
            return b"".join(kept), xmp
        place = end
    raise ContainerError(f"more than {MAX_PARTS} chunks")
