"""What a decoder of images gets to see of a PNG or JPEG file: the picture, and which side is up.

Texts, colour profiles, thumbnails and the like may be millions in number or gigabytes in size, and
Pillow refuses a good picture for what is wrong with them: they are taken away before the file is
decoded. On the way PNG's checksums are compared, which Pillow does not do for the pixels, and the
scans of a JPEG file are counted, which may take minutes each.

Sources: W3C, "Portable Network Graphics"; ITU-T T.81 (JPEG); JEITA CP-3451 (Exif); Adobe, "XMP".
"""

import re
import struct
import zlib
from typing import Any

from PIL import Image

MAX_PARTS = 100_000  # chunks or segments of a file; a megabyte as often written has some 100
MAX_SCANS = 100  # passes over a progressive JPEG; encoders make about 10
MAX_EXIF = 1 << 16  # bytes; a JPEG file has no room for more

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
CRITICAL = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # the chunks that make up the picture
RAW_PROFILE = b"Raw profile type exif\0"  # Exif data in a PNG text, as ImageMagick wrote them
XMP_IN_PNG = b"XML:com.adobe.xmp\0"
XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"

_ORIENTATION = 0x0112  # the tag's number
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # but for those that restart


class ContainerError(ValueError):
    """A file that is damaged, or made to keep a decoder busy. The message follows "found"."""


def picture_only(content: bytes) -> tuple[bytes, bytes]:
    """Takes away from a PNG or JPEG file what is neither the picture nor Exif data.

    Returns:
      The file that is left, and its XMP data, if it has any.

    Raises:
      ContainerError: the file cannot be an image or would take too long to decode.
    """
    if content.startswith(PNG):
        return _png(content)
    if content.startswith(JPEG):
        return _jpeg(content)
    return content, b""


def orientation(image: Image.Image, xmp: bytes) -> int:
    """Which side of a decoded image is up, by its Exif data or else by XMP: 1 (upright) to 8."""
    try:
        told: Any = image.getexif().get(_ORIENTATION)
    except Exception:  # of damaged data nearly anything can come
        told = None
    if told is None and (found := _XMP_ORIENTATION.search(xmp)):
        told = int(found[1])
    return told if told in range(1, 9) else 1


def _png(content: bytes) -> tuple[bytes, bytes]:
    kept, xmp, place = [PNG], b"", len(PNG)
    for _ in range(MAX_PARTS):
        size, kind = struct.unpack(">I4s", content[place : place + 8].ljust(8, b"\0"))
        end = place + 12 + size
        if end > len(content):
            found = f"its end at byte {len(content)}, before that of the image"
            raise ContainerError(f"a damaged file, {found}")
        body = content[place + 8 : end - 4]
        if content[end - 4 : end] != struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))):
            found = f"a wrong checksum in the chunk {kind!r} at byte {place}"
            raise ContainerError(f"a damaged file, {found}")
        if body.startswith(XMP_IN_PNG):
            xmp = body
        is_exif = kind == b"eXIf" or body.startswith(RAW_PROFILE)
        if kind in CRITICAL or (is_exif and size <= MAX_EXIF):
            kept.append(content[place:end])
        if kind == b"IEND":
            return b"".join(kept), xmp
        place = end
    raise ContainerError(f"more than {MAX_PARTS} chunks")


def _jpeg(content: bytes) -> tuple[bytes, bytes]:
    kept, xmp, place = [content[:2]], b"", 2
    scans, has_exif = 0, False
    for _ in range(MAX_PARTS):
        marker = (_MARKER_IN_SCAN if scans else _MARKER).search(content, place)
        if marker is None:
            return b"".join([*kept, content[place:]]), xmp
        if scans:  # the pixels up to here
            kept.append(content[place : marker.start()])
        kind, place = marker[1][0], marker.end()
        if kind == 0xD9:  # the end of the image
            return b"".join([*kept, b"\xff\xd9"]), xmp
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:  # these have no body
            continue
        size = int.from_bytes(content[place : place + 2], "big")
        body = content[place + 2 : place + size]
        if size < 2 or len(body) < size - 2:
            found = f"a part of {size} bytes that does not fit in, at byte {place}"
            raise ContainerError(f"a damaged file, {found}")
        scans += kind == 0xDA
        if scans > MAX_SCANS:
            raise ContainerError(f"more than {MAX_SCANS} scans")
        # Of application data and comments, two tell how the colours are coded.
        is_picture = not (0xE0 <= kind <= 0xEF or kind == 0xFE)
        is_coding = (kind, body[:5]) in ((0xE0, b"JFIF\0"), (0xEE, b"Adobe"))
        is_exif = kind == 0xE1 and body.startswith(b"Exif\0\0") and not has_exif
        if is_picture or is_coding or is_exif:
            kept.append(b"\xff" + marker[1] + content[place : place + size])
        if kind == 0xE1 and body.startswith(XMP_IN_JPEG):
            xmp = xmp or body
        has_exif |= is_exif
        place += size
    raise ContainerError(f"more than {MAX_PARTS} parts")
