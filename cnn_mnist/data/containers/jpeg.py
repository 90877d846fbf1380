"""JPEG files; their scans are counted, which may take minutes each.

Sources: ITU-T T.81 (JPEG); JEITA CP-3451 (Exif); Adobe, "XMP".
"""

import re

from cnn_mnist.data.containers.common import MAX_PARTS, ContainerError

START = b"\xff\xd8\xff"
MAX_SCANS = 100  # passes over a progressive JPEG; encoders make about 10
XMP = b"http://ns.adobe.com/xap/1.0/\0"

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # but for those that restart


def picture_only(content: bytes) -> tuple[bytes, bytes]:
    """The segments that make up the picture, and Exif data; and XMP data, if there are any."""
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
        if kind == 0xE1 and body.startswith(XMP):
            xmp = xmp or body
        has_exif |= is_exif
        place += size
    raise ContainerError(f"more than {MAX_PARTS} parts")
