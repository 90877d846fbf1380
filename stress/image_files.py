"""Image files of every kind, written with Pillow where it can write them, and by hand where not."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

from stress.hostile import npy_file
from stress.programs import ROOT

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"  # how such files begin
Named = list[tuple[str, bytes]]  # files and what they are


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


def exif(orientation: int) -> bytes:
    """Exif data with one tag."""
    return struct.pack("<4sIHHHIHH4x", b"II*\0", 8, 1, 0x0112, 3, 1, orientation, 0)


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


@functools.cache
def large(coding: str, side: int) -> bytes:
    """A square picture, coded as told."""
    image = seven((side, side))
    if coding == "PNG 16 bits":
        return encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16)), "PNG")
    if coding in ("GIF", "WEBP"):
        return encoded(image, coding, method=0)
    if coding.startswith("TIFF"):
        return encoded(image, "TIFF", compression=coding.split()[1])
    if coding.endswith("JPEG"):
        return encoded(image, "JPEG", progressive=coding.startswith("progressive"))
    return encoded(image.convert(coding.removeprefix("PNG ")), "PNG", compress_level=1)


@functools.cache
def packed_zeros(size: int) -> bytes:
    """So many bytes of zeros, compressed."""
    return zlib.compress(bytes(size))


def good_files() -> dict[str, Named]:
    """Files that show a 7, or a digit that somebody drew, by kind."""
    colour, grey = seven(), seven().convert("L")
    pixels = np.asarray(grey)
    see_through = colour.convert("RGBA")
    see_through.putalpha(grey.point(lambda value: 255 - value))
    palette = colour.convert("P", palette=Image.Palette.ADAPTIVE)
    deep = Image.fromarray(pixels.astype(np.uint16) * 257)
    modes = {mode: encoded(colour.convert(mode), "PNG") for mode in ("1", "L", "LA", "RGB")}
    modes["RGBA"] = encoded(see_through, "PNG")
    modes["P, transparent"] = encoded(palette, "PNG", transparency=palette.getpixel((0, 0)))
    modes["16 bits"] = encoded(deep, "PNG")
    modes["interlaced"] = interlaced_png(pixels)
    files = [(f"PNG {mode}", content) for mode, content in modes.items()]
    drawn = [
        (path.name, path.read_bytes()) for path in sorted((ROOT / "tests/digits").glob("*.png"))
    ]
    pngs = files + [(n, c) for n, c in drawn if len(c) < 20_000]
    jpegs = [
        (f"JPEG {mode} {options}", encoded(colour.convert(mode), "JPEG", **options))
        for mode in ("L", "RGB", "CMYK")
        for options in ({}, {"progressive": True}, {"exif": exif(6)})
    ]
    bmps = [
        (f"BMP {mode}", encoded(colour.convert(mode), "BMP"))
        for mode in ("1", "L", "P", "RGB", "RGBA")
    ]
    bmps.append(("BMP, run-length coded", bmp(90, 120, 1, run_lengths(pixels))))
    later = Image.new("RGB", colour.size, (10, 200, 99))
    several = {"save_all": True, "append_images": [later, colour]}
    gifs = [
        (f"GIF {options}", encoded(colour, "GIF", **options))
        for options in ({}, {"interlace": 0}, several)
    ]
    gifs.append(("GIF, transparent", encoded(palette, "GIF", transparency=0)))
    webps = [
        (f"WebP {mode} {list(options)}", encoded(image, "WEBP", **options))
        for mode, image in (("RGB", colour), ("RGBA", see_through))
        for options in ({}, {"lossless": True}, {"exif": exif(6)}, several)
    ]
    tiffs = [
        (f"TIFF {mode} {coding}", encoded(colour.convert(mode), "TIFF", compression=coding))
        for mode, coding in (
            *(("1", "group3"), ("1", "group4"), ("L", None), ("P", "tiff_lzw"), ("RGBA", None)),
            *(("CMYK", "packbits"), ("RGB", "tiff_adobe_deflate"), ("RGB", "jpeg")),
        )
    ]
    tiffs += [
        ("TIFF 16 bits", encoded(deep, "TIFF")),
        ("TIFF, several", encoded(colour, "TIFF", **several)),
        ("BigTIFF", encoded(colour, "TIFF", big_tiff=True)),
    ]
    arrays = {
        "uint8": pixels,
        "colour": np.asarray(colour),
        "float32": (pixels / 255).astype(np.float32),
        "float16 colour": (np.asarray(colour) / 255).astype(np.float16),
        "Fortran": np.asfortranarray(pixels),
    }
    npys = [(f"npy {name}", npy_file(array)) for name, array in arrays.items()]
    return {
        "PNG": pngs,
        "JPEG": jpegs,
        "BMP": bmps,
        "GIF": gifs,
        "WebP": webps,
        "TIFF": tiffs,
        "npy": npys,
    }
