"""Image files, written with Pillow where it can write them, and by hand where it cannot."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"


def seven(size: tuple[int, int] = (90, 120)) -> Image.Image:
    """A 7, dark on light, drawn with a thick pen."""
    image = Image.new("RGB", size, (250, 245, 235))
    width, height = size
    points = [(width * x // 10, height * y // 10) for x, y in ((2, 2), (7, 2), (4, 8))]
    ImageDraw.Draw(image).line(points, (20, 30, 60), max(1, width // 10), joint="curve")
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file, with its checksum."""
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(width: int, height: int, data: bytes, *, depth: int = 8, interlaced: bool = False) -> bytes:
    """A grey PNG file of compressed rows, or of what is none."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return PNG + body


def interlaced_png(pixels: np.ndarray) -> bytes:
    """A grey picture, `uint8 [H, W]`, in the seven passes of Adam7, which Pillow does not write."""
    rows = b""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    for top, left, down, right in (*passes, (1, 0, 2, 1)):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::right])
    return png(pixels.shape[1], pixels.shape[0], zlib.compress(rows), interlaced=True)


def bmp(width: int, height: int, compression: int, data: bytes) -> bytes:
    """A BMP file of 8 bits a pixel with a coloured palette."""
    palette = b"".join(bytes([grey, grey, grey // 2, 0]) for grey in range(256))
    sizes = (40, width, height, 1, 8, compression, len(data), 2835, 2835, 256, 0)
    header = struct.pack("<IiiHHIIiiII", *sizes)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def run_lengths(pixels: np.ndarray) -> bytes:
    """Grey pixels, `uint8 [H, W]`, as BMP's run-length coding has them."""
    coded = bytearray()
    for row in pixels[::-1]:
        cuts = [0, *(np.flatnonzero(np.diff(row.astype(int))) + 1), len(row)]
        for start, end in zip(cuts, cuts[1:], strict=False):
            coded += bytes([end - start, row[start]])
        coded += b"\0\0"
    return bytes(coded + b"\0\1")


def exif(orientation: int, order: str = "<") -> bytes:
    """Exif data with one tag, in either byte order."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return start + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


@functools.cache
def large(coding: str, side: int) -> bytes:
    """A square picture, coded as told."""
    image = seven((side, side))
    if coding == "PNG 16 bits":
        return encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16)), "PNG")
    if coding.endswith("JPEG"):
        return encoded(image, "JPEG", progressive=coding.startswith("progressive"))
    return encoded(image.convert(coding.removeprefix("PNG ")), "PNG", compress_level=1)


@functools.cache
def packed_zeros(size: int) -> bytes:
    """So many bytes of zeros, compressed."""
    return zlib.compress(bytes(size))
