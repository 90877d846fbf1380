"""What a decoder of images gets to see of a file: the picture, and nothing that comes beside it.

Texts, colour profiles, thumbnails and whatever else a PNG or JPEG file can hold may be millions in
number or gigabytes in size. Here they are taken away before the file is decoded, after the one
thing was read in them that matters to a picture: which side is up. PNG's checksums are compared on
the way. What a decoder would have to work on for minutes is refused.

Sources: W3C, "Portable Network Graphics"; ITU-T T.81 (JPEG); JEITA CP-3451 (Exif); Adobe, "XMP".
"""

import re
import struct
import zlib

MAX_PARTS = 100_000  # chunks or segments of a file; a megabyte as often written has some 100
MAX_SCANS = 100  # passes over a progressive JPEG; encoders make about 10
# Pillow's reader of run-length coded BMP files is written in Python: 0.1 us a pixel, 0.2 us a byte.
MAX_RLE_PIXELS = 16_000_000
MAX_RLE_BYTES = 8 << 20

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
BMP = b"BM"

_ORIENTATION = 0x0112  # the tag's number
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # but for those that restart


class ContainerError(ValueError):
    """A file that is damaged, or made to keep a decoder busy. The message follows "found"."""


def picture_only(content: bytes) -> tuple[bytes, int]:
    """Takes away what is not the picture.

    Args:
      content: a file of any kind; of other kinds than PNG and JPEG nothing is taken away.

    Returns:
      The file that is left, and its orientation as Exif counts them: 1 (upright) to 8.

    Raises:
      ContainerError: the file cannot be an image or would take too long to decode.
    """
    if content.startswith(PNG):
        return _png(content)
    if content.startswith(JPEG):
        return _jpeg(content)
    if content.startswith(BMP):
        _check_bmp(content)
    return content, 1


def _png(content: bytes) -> tuple[bytes, int]:
    kept: dict[bytes, bytes] = {}
    pixels = []
    exif = raw_profile = xmp = b""
    place = len(PNG)
    kind = b""
    for _ in range(MAX_PARTS):
        if place + 12 > len(content):
            raise ContainerError(
                f"a damaged file, its end at byte {len(content)}, before that of the image"
            )
        size, kind = struct.unpack_from(">I4s", content, place)
        body = content[place + 8 : place + 8 + size]
        checksum = content[place + 8 + size : place + 12 + size]
        if checksum != struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))):
            what = "a wrong checksum" if len(checksum) == 4 else "its end"
            raise ContainerError(f"a damaged file, {what} in the chunk {kind!r} at byte {place}")
        if kind in kept or (kind == b"IHDR") != (not kept):
            raise ContainerError(f"a damaged file, a chunk {kind!r} out of place at byte {place}")
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"IEND"):
            kept[kind] = body
        elif kind == b"eXIf":
            exif = body
        elif body.startswith(b"Raw profile type exif\0"):
            raw_profile = _raw_profile(kind, body)
        elif body.startswith(b"XML:com.adobe.xmp\0"):
            xmp = body
        place += 12 + size
        if kind == b"IEND":
            break
    else:
        raise ContainerError(f"more than {MAX_PARTS} chunks")
    end = kept.pop(b"IEND")
    parts = [*kept.items(), (b"IDAT", b"".join(pixels)), (b"IEND", end)]
    return PNG + b"".join(_chunk(*part) for part in parts), _orientation(exif or raw_profile, xmp)


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _raw_profile(kind: bytes, body: bytes) -> bytes:
    """Exif data as ImageMagick wrote them before PNG had a place for them: in hexadecimal.

    The text is three lines, of which the last tells the size, and then the digits.
    """
    text = body.partition(b"\0")[2]
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], 1 << 20)
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except (ValueError, zlib.error):
        return b""


def _jpeg(content: bytes) -> tuple[bytes, int]:
    kept = [content[:2]]
    exif = xmp = b""
    scans = 0
    place = 2
    for _ in range(MAX_PARTS):
        marker = (_MARKER_IN_SCAN if scans else _MARKER).search(content, place)
        if marker is None:
            break
        if scans:  # the pixels up to here
            kept.append(content[place : marker.start()])
        kind = marker[1][0]
        place = marker.end()
        if kind == 0xD9:  # the end of the image
            kept.append(b"\xff\xd9")
            return b"".join(kept), _orientation(exif, xmp)
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:  # these have no body
            continue
        size = int.from_bytes(content[place : place + 2], "big")
        body = content[place + 2 : place + size]
        if size < 2 or len(body) < size - 2:
            raise ContainerError(
                f"a damaged file, a part of {size} bytes that does not fit in, at byte {place}"
            )
        if kind == 0xDA:
            scans += 1
            if scans > MAX_SCANS:
                raise ContainerError(f"more than {MAX_SCANS} scans")
        if kind == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body[6:]
        elif kind == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            xmp = xmp or body
        # Of the rest two tell how the colours are coded.
        elif (
            not (0xE0 <= kind <= 0xEF or kind == 0xFE)
            or (kind == 0xE0 and body.startswith(b"JFIF\0"))
            or (kind == 0xEE and body.startswith(b"Adobe"))
        ):
            kept.append(b"\xff" + marker[1] + content[place : place + size])
        place += size
    else:
        raise ContainerError(f"more than {MAX_PARTS} parts")
    kept.append(content[place:])
    return b"".join(kept), _orientation(exif, xmp)


def _check_bmp(content: bytes) -> None:
    if len(content) < 34 or int.from_bytes(content[14:18], "little") < 40:
        return
    width, height, _, _, compression = struct.unpack_from("<iiHHI", content, 18)
    if compression not in (1, 2):
        return
    if abs(width * height) > MAX_RLE_PIXELS or len(content) > MAX_RLE_BYTES:
        raise ContainerError(
            f"run-length coding of {width} x {height} pixels in {len(content)} bytes, "
            f"more than {MAX_RLE_PIXELS // 10**6} million or {MAX_RLE_BYTES >> 20} MiB"
        )


def _orientation(exif: bytes, xmp: bytes) -> int:
    """The orientation that Exif data tell, or else XMP; 1 if none does."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order:
        try:
            (directory,) = struct.unpack_from(f"{order}I", exif, 4)
            (count,) = struct.unpack_from(f"{order}H", exif, directory)
            for number in range(count):
                # The tag, its type (3: 16 bits, 4: 32 bits), how many values.
                entry = directory + 2 + 12 * number
                tag, kind, _ = struct.unpack_from(f"{order}HHI", exif, entry)
                if tag == _ORIENTATION:
                    (value,) = struct.unpack_from(
                        order + ("I" if kind == 4 else "H"), exif, entry + 8
                    )
                    return value if 1 <= value <= 8 else 1
        except struct.error:  # the data end before they should
            pass
    found = _XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else 1
