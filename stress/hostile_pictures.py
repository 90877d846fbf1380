"""Pictures for `stress.pictures`, each damaged or hostile, and what they may be read as."""

import os
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stress.mutations import damaged, npy_file
from stress.picture_files import (
    JPEG,
    PNG,
    bmp,
    chunk,
    encoded,
    exif,
    interlaced_png,
    large,
    packed_zeros,
    png,
    run_lengths,
    segment,
    seven,
)

DIGITS = Path(__file__).resolve().parent.parent / "tests" / "digits"


@dataclass
class Case:
    """A file, and what may come of reading it.

    Attributes:
      done: what was done to a good file.
      content: of the file.
      allowed: what may be read, as `read` gives it; None: any digit.
      refusable: whether it may be refused.
      place: makes what is no plain file, at the path.
    """

    done: str
    content: bytes
    allowed: str | None = None
    refusable: bool = True
    place: Callable[[Path], None] | None = None


class Makers:
    """Makes cases, one after another, each of them at random."""

    def __init__(self, rng: random.Random, folder: Path, read: Callable[[str], str]) -> None:
        """Reads the good files, to know what is right.

        Args:
          folder: where files can be written.
          read: a file's path -> what is read, in words that can be compared.
        """
        self.rng = rng
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
        drawn = [(path.name, path.read_bytes()) for path in sorted(DIGITS.glob("*.png"))]
        self.pngs = files + [(n, c) for n, c in drawn if len(c) < 20_000]
        self.jpegs = [
            (f"JPEG {mode} {options}", encoded(colour.convert(mode), "JPEG", **options))
            for mode in ("L", "RGB", "CMYK")
            for options in ({}, {"progressive": True}, {"exif": exif(6)})
        ]
        self.bmps = [
            (f"BMP {mode}", encoded(colour.convert(mode), "BMP"))
            for mode in ("1", "L", "P", "RGB", "RGBA")
        ]
        self.bmps.append(("BMP, run-length coded", bmp(90, 120, 1, run_lengths(pixels))))
        arrays = {
            "uint8": pixels,
            "colour": np.asarray(colour),
            "float32": (pixels / 255).astype(np.float32),
            "float16 colour": (np.asarray(colour) / 255).astype(np.float16),
            "Fortran": np.asfortranarray(pixels),
        }
        self.npys = [(f"npy {name}", npy_file(array)) for name, array in arrays.items()]
        self.right = {}
        for name, content in (*self.pngs, *self.jpegs, *self.bmps, *self.npys):
            path = folder / "good"
            path.write_bytes(content)
            self.right[name] = read(str(path))

    def one(self) -> Case:
        """The next case."""
        makers = (
            *(5 * [self.damaged_png] + 5 * [self.damaged_jpeg] + 3 * [self.damaged_bmp]),
            *(3 * [self.damaged_npy] + 2 * [self.damaged_pixels] + 2 * [self.metadata]),
            *(self.turned, self.wrong_size, self.wrong_size, self.other_npy, self.npy_header),
            *(self.odd_shape, self.pattern, self.no_picture),
        )
        if self.rng.random() < 0.02:
            makers = (self.many_parts, self.many_scans, self.large_picture, self.run_length_flood)
        return self.rng.choice(makers)()

    # Files that are damaged

    def damaged_png(self) -> Case:
        """All of a PNG file is under checksums: it reads as before or not at all."""
        name, good = self.rng.choice(self.pngs)
        start = good.index(b"IDAT") - 4
        edges = (0, 8, 12, 16, 29, 33, start, start + 4, start + 8, len(good) - 12, len(good) - 4)
        done, content = damaged(self.rng, good, edges, 60)
        return Case(f"{name}: {done}", content, self.right[name])

    def damaged_jpeg(self) -> Case:
        name, good = self.rng.choice(self.jpegs)
        frame, scan = max(good.find(b"\xff\xc0"), good.find(b"\xff\xc2")), good.index(b"\xff\xda")
        edges = (0, 2, 4, 20, frame, frame + 2, frame + 9, scan, scan + 2, scan + 14, len(good) - 2)
        done, content = damaged(self.rng, good, edges, scan + 14)
        return Case(f"{name}: {done}", content)

    def damaged_bmp(self) -> Case:
        name, good = self.rng.choice(self.bmps)
        done, content = damaged(self.rng, good, (0, 2, 10, 14, 18, 26, 30, 34, 54, 1078), 54)
        return Case(f"{name}: {done}", content)

    def damaged_npy(self) -> Case:
        name, good = self.rng.choice(self.npys)
        done, content = damaged(self.rng, good, (0, 6, 8, 10, 20, 118, 128), 128)
        return Case(f"{name}: {done}", content)

    def damaged_pixels(self) -> Case:
        """A PNG file whose chunks are damaged and have the right checksums all the same."""
        name, good = self.rng.choice(self.pngs)
        parts, place = [], 8
        while place < len(good):
            size, kind = struct.unpack_from(">I4s", good, place)
            parts.append((kind, good[place + 8 : place + 8 + size]))
            place += 12 + size
        index = self.rng.randrange(len(parts) - 1)
        kind, body = parts[index]
        done, parts[index] = f"{kind!r} emptied", (kind, b"")
        if body:
            done, body = damaged(self.rng, body, (0, 4, 8, 9, 10, 13))
            parts[index] = (kind, body)
        if self.rng.random() < 0.2:
            self.rng.shuffle(parts)
            done += ", chunks shuffled"
        content = PNG + b"".join(chunk(*part) for part in parts)
        return Case(f"{name}, {kind!r} with its checksum: {done}", content)

    # What comes beside the picture

    def metadata(self) -> Case:
        """Texts, profiles and Exif data: rubbish, or gigabytes. The picture is as before."""
        flood = packed_zeros(self.rng.choice((0, 1 << 20, 100 << 20)))
        rubbish = self.rng.choice((self.rng.randbytes(self.rng.randint(0, 200)), self.exif_flood()))
        bodies: dict[bytes, bytes] = {
            b"zTXt": b"a\0\0" + flood,
            b"iTXt": b"a\0\1\0\0\0" + flood,
            b"tEXt": b"Raw profile type exif\0" + rubbish,
            b"iCCP": b"a\0\0" + flood,
            b"eXIf": b"\0\0" + rubbish,
            b"prVt": rubbish,
            b"gAMA": rubbish,
            b"sPLT": rubbish,
        }
        kind = self.rng.choice(list(bodies))
        count = self.rng.choice((1, 1, 3, 300)) if kind != b"eXIf" else 1
        if self.rng.random() < 0.5:
            name, good = self.rng.choice(self.pngs)
            content = good[:33] + count * chunk(kind, bodies[kind]) + good[33:]
            return Case(f"{name} with {count} {kind!r}", content, self.right[name], count > 300)
        name, good = self.rng.choice([jpeg for jpeg in self.jpegs if "exif" not in jpeg[0]])
        marker = self.rng.choice((0xE0, 0xE1, 0xE2, 0xEC, 0xED, 0xEE, 0xFE))
        start = self.rng.choice((b"", b"Exif\0\0\0\0", b"MPF\0", b"ICC_PROFILE\0", b"8BIM"))
        pieces = [rubbish[at : at + 60_000] for at in range(0, max(1, len(rubbish)), 60_000)]
        extra = b"".join(segment(marker, start + piece) for piece in pieces)
        done = f"{name} with {len(extra)} bytes of {start!r} in segments {marker:#x}"
        return Case(done, good[:2] + extra + good[2:], self.right[name], refusable=False)

    def exif_flood(self) -> bytes:
        """Exif data in which thousands of tags share one large value."""
        count = 5000
        size = self.rng.choice((100, 10_000, 1_000_000))
        entries = (struct.pack("<HHII", 1 + tag, 7, size, 8) for tag in range(count))
        head = struct.pack("<2sHIH", b"II", 42, 8, count)
        return head + b"".join(entries) + bytes(min(size, 100_000))

    def turned(self) -> Case:
        """A picture that lies on its side, with a note which side is up."""
        orientation = self.rng.randint(1, 8)
        undone = (None, 0, Image.Transpose.ROTATE_180, 1, 5, 2, 6, 4)[orientation - 1]
        image = seven() if undone is None else seven().transpose(Image.Transpose(undone))
        data = exif(orientation, self.rng.choice("<>"))
        xmp = b'<x tiff:Orientation="%d"/>' % orientation
        notes = {
            "eXIf": chunk(b"eXIf", data),
            "iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
            "tEXt": chunk(b"tEXt", b"Raw profile type exif\0\nexif\n26\n" + data.hex().encode()),
        }
        kind = self.rng.choice(list(notes))
        good = encoded(image, "PNG")
        content = good[:33] + notes[kind] + good[33:]
        return Case(f"orientation {orientation} in {kind}", content, self.right["PNG RGB"], False)

    # Sizes

    def wrong_size(self) -> Case:
        """Sizes in the header that the file does not have."""
        sides = (0, 1, 2, 89, 91, 8_000, 8_001, 60_000, 65_535, 2**31 - 1, 2**32 - 1)
        width, height = self.rng.choice(sides), self.rng.choice(sides)
        kind = self.rng.choice(("PNG", "JPEG", "BMP"))
        if kind == "PNG":
            data = packed_zeros(self.rng.choice((0, 10_000, 100 << 20)))
            content = png(width, height, data, depth=self.rng.choice((1, 8, 16)))
        elif kind == "JPEG":
            good = self.rng.choice(self.jpegs)[1]
            place = 5 + max(good.find(b"\xff\xc0"), good.find(b"\xff\xc2"))
            sizes = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
            content = good[:place] + sizes + good[place + 4 :]
        else:
            good = self.rng.choice(self.bmps)[1]
            height = self.rng.choice((height, 2**32 - 1, 2**32 - 120, 2**31))  # negative ones
            content = good[:18] + struct.pack("<II", width, height) + good[26:]
        return Case(f"{kind} that claims {width} x {height}", content)

    def large_picture(self) -> Case:
        """Pictures as large as they may be, or a little larger; few bytes on disk."""
        side = self.rng.choice((8_000, 8_001))
        coding = self.rng.choice(("PNG L", "PNG 16 bits", "JPEG", "progressive JPEG", "PNG RGBA"))
        return Case(f"{coding} of {side} x {side}", large(coding, side))

    def many_parts(self) -> Case:
        count = self.rng.choice((50_000, 1_000_000))
        if self.rng.random() < 0.5:
            name, good = self.rng.choice(self.pngs)
            part = self.rng.choice((chunk(b"IDAT", b""), chunk(b"prVt", b"")))
            content = good[:33] + count * part + good[33:]
            right = self.right[name] if b"prVt" in part else None
            return Case(f"{name} with {count} chunks {part!r}", content, right)
        name, good = self.rng.choice(self.jpegs)
        part = self.rng.choice(
            (segment(0xE0, b""), segment(0xFE, b""), segment(0xDB, b""), b"junk")
        )
        right = None if part[1] == 0xDB else self.right[name]
        return Case(f"{name} with {count} {part!r}", good[:2] + count * part + good[2:], right)

    def many_scans(self) -> Case:
        good = large("progressive JPEG", 8_000)
        count = self.rng.choice((20, 1_000, 100_000))
        last = good.rindex(b"\xff\xda")
        content = good[:-2] + count * good[last:-2] + good[-2:]
        return Case(f"progressive JPEG of 8000 x 8000 with {count} scans more", content)

    def run_length_flood(self) -> Case:
        width, height = self.rng.choice(
            ((4_000, 4_000), (8_000, 8_000), (16_000_000, 1), (1, 10**6))
        )
        data = self.rng.choice(
            (b"\1\1\0\0" * height, b"\0\2\xff\xff" * 100, b"\1\1" * 3_000_000, b"\xff\1" * 70_000)
        )
        done = f"run-length coded BMP of {width} x {height} in {len(data)} bytes"
        return Case(done, bmp(width, height, 1, data))

    # Pictures that are whole but odd

    def odd_shape(self) -> Case:
        """Very small, very long: whatever is in them."""
        sides = (1, 2, 3, 5, 19, 28, 63, 64, 65, 600)
        height, width = self.rng.choice(sides), self.rng.choice((*sides, 20_000))
        pixels = np.full((height, width), self.rng.choice((0, 255)), np.uint8)
        for _ in range(self.rng.choice((1, 3, 40))):
            y, x = self.rng.randrange(height), self.rng.randrange(width)
            pixels[y : y + self.rng.randint(1, 30), x : x + self.rng.randint(1, 30)] ^= 255
        return self.saved(f"{height} x {width} pixels with rectangles", pixels)

    def pattern(self) -> Case:
        """What keeps a search for connected strokes busy."""
        side = self.rng.choice((40, 200, 512))
        y, x = np.mgrid[:side, :side]
        noise = np.random.RandomState(self.rng.randrange(2**32))  # noqa: NPY002 - frozen streams
        around = np.minimum(np.minimum(x, y), np.minimum(side - 1 - x, side - 1 - y))
        spiral = around % 4 < 2
        spiral[np.arange(side // 2), np.arange(side // 2)] ^= True
        patterns = {
            "a chessboard": (x + y) % 2 == 0,
            "dots": (x % 2 == 0) & (y % 2 == 0),
            "a comb": (x % 4 < 2) | (y < 3),
            "a snake": (y % 4 < 2) | ((x < 2) & (y % 8 < 4)) | ((x > side - 3) & (y % 8 >= 4)),
            "rings": around % 4 < 2,
            "a spiral": spiral,
            "noise": noise.rand(side, side) < self.rng.random(),
            "a gradient": x * 0 + noise.rand() * x > y,
            "one half": x < side // 2,
            "a frame": around < 2,
        }
        done = self.rng.choice(list(patterns))
        low = self.rng.choice((0, 100, 240))
        return self.saved(f"{done} of {side} x {side}", np.where(patterns[done], low, 255))

    def saved(self, done: str, pixels: np.ndarray) -> Case:
        image = Image.fromarray(pixels.astype(np.uint8))
        kind = self.rng.choice(("PNG", "JPEG", "BMP"))
        return Case(f"{kind} of {done}", encoded(image, kind))

    def no_picture(self) -> Case:
        """Another kind of file, or no file."""
        files = {
            kind: encoded(seven(), kind) for kind in ("GIF", "TIFF", "WEBP", "PPM", "ICO", "TGA")
        }
        files |= {"nothing": b"", "text": b"seven\n", "noise": self.rng.randbytes(5000)}
        files |= {"a start": self.rng.choice((PNG, JPEG, JPEG + b"\xff", b"BM", b"\x93NUMPY"))}
        things: dict[str, Callable[[Path], None]] = {
            "a folder": lambda path: path.mkdir(),
            "a pipe": os.mkfifo,
            "a link to nowhere": lambda path: path.symlink_to("nowhere"),
            "a link to itself": lambda path: path.symlink_to(path.name),
            "a link to endless zeros": lambda path: path.symlink_to("/dev/zero"),
            "a hole of a terabyte": self.hole,
        }
        done = self.rng.choice((*files, *things))
        return Case(done, files.get(done, b""), place=things.get(done))

    def hole(self, path: Path) -> None:
        path.write_bytes(self.rng.choice(self.pngs)[1])
        os.truncate(path, 1 << 40)

    # .npy

    def other_npy(self) -> Case:
        """Whole arrays that are no pictures, or pictures with odd values."""
        grey = np.asarray(seven().convert("L"))
        share = grey / 255
        arrays: dict[str, np.ndarray] = {
            "objects": share[:3].astype(object),
            "complex": share.astype(complex),
            "text": grey.astype(str),
            "dates": grey.astype("M8[s]"),
            "records": np.rec.fromarrays([grey, grey]),
            "infinite": np.where(grey > 99, np.inf, 0),
            "one NaN": np.where(np.arange(90) == 3, np.nan, share),
            "negative": -share,
            "nothing": share[:0],
            "long double": share.astype(np.longdouble),
            "the other byte order": share.astype(">f8"),
            "tiny": share * 1e-300,
            "one number": np.array(1, np.float32),
            "five axes": grey[None, None, None],
            "a stack": np.zeros((9, 28, 28), np.uint8),
        }
        done = self.rng.choice(list(arrays))
        return Case(f"npy: {done}", npy_file(arrays[done]))

    def npy_header(self) -> Case:
        """Headers that NumPy does not write."""
        shapes = ("(90, 120)", "(0, 0)", "(-1, -1)", "(10**9, 10**9)", "(99999999, 1)", "(True, 9)")
        shape = self.rng.choice((*shapes, "(1.5, 2)", "90", "()", "(" * 500, "'a'", "(1,)" * 900))
        kind = self.rng.choice(("'|u1'", "'<f4'", "'O'", "('<f4', (3,))", "[('a', 'u1')]", "None"))
        text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}"
        text = self.rng.choice((text, text, "(" * 9000, "-" * 9000 + "1", " " * 60_000, "[" * 150))
        version = self.rng.choice((1, 1, 2, 3, 0, 255))
        size = struct.pack("<H" if version == 1 else "<I", self.rng.choice((len(text), 65_535)))
        content = b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + bytes(90 * 120)
        return Case(f"npy of version {version} with the header {text[:90]}", content)
