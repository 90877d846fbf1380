"""Damaged and hostile image files of every kind: a digit, or a refusal in one line."""

import contextlib
import hashlib
import itertools
import os
import random
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from cnn_mnist.data import pictures as data_pictures
from cnn_mnist.data.places import file_on_disk
from cnn_mnist.data.sources import DatasetError
from cnn_mnist.inference.images import ImageError, read_image
from stress.hostile import NO_FILES, Case, Limits, damaged, tries
from stress.image_files import (
    JPEG,
    PNG,
    bmp,
    chunk,
    encoded,
    good_files,
    large,
    packed_zeros,
    png,
    segment,
    seven,
)
from stress.tally import Tally

NAME = "picture"
# With this machine's other work; 4 s for the largest and slowest alone. Memory: 64 million pixels
# of 4 bytes, their coefficients, one conversion.
LIMITS = Limits(r": found (?!.*MemoryError)", seconds=8.0, memory=1 << 30)
STARTS = (b"\x93NUMPY", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"RIFF\4\0\0\0WEBP")


def images(count: int, seed: int, folder: Path) -> Tally:
    """Reads `count` damaged pictures; `images.read_image` must refuse or be right."""
    makers = Makers(random.Random(seed), folder)
    return tries(count, makers.one, read, ImageError, folder, LIMITS)


def read(folder: str) -> str:
    """What `read_image` makes of the picture, as a digest; a digit of 28x28 or an error."""
    read_as_data(folder)
    digit = read_image(Path(folder, NAME))
    if digit.dtype != np.uint8 or digit.shape != (28, 28) or digit.max() == 0:
        raise AssertionError(f"no digit but {digit.dtype} {digit.shape}, at most {digit.max()}")
    return hashlib.sha256(digit.tobytes()).hexdigest()


def read_as_data(folder: str) -> None:
    """Reads the picture as one of a data set: refused in one line, or uint8."""
    with contextlib.suppress(DatasetError):
        pixels, _ = data_pictures.stack([file_on_disk(NAME, Path(folder, NAME))])
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
            raise AssertionError(f"no pictures but {pixels.dtype} {pixels.shape}")


def case(done: str, content: bytes, right: str | None = None, *, refusable: bool = True) -> Case:
    """A picture with such content; `right` is what may be read, None: any digit."""
    return Case(done, {NAME: content}, (NAME,), {right} if right else None, refusable)


class Makers:
    """Makes cases, one after another, each of them at random."""

    def __init__(self, rng: random.Random, folder: Path) -> None:
        """Reads the good files, in a folder where one stays, to know what is right."""
        self.rng = rng
        self.files = good_files()
        self.right = {}
        for name, content in itertools.chain.from_iterable(self.files.values()):
            (folder / NAME).write_bytes(content)
            self.right[name] = read(str(folder))

    def one(self) -> Case:
        """The next case."""
        makers = (
            *(5 * [self.damaged_png] + 5 * [self.damaged_jpeg] + 3 * [self.damaged_bmp]),
            *(3 * [self.damaged_npy] + 2 * [self.damaged_pixels] + 2 * [self.metadata]),
            *(3 * [self.damaged_gif] + 4 * [self.damaged_webp] + 5 * [self.damaged_tiff]),
            *(2 * [self.tiff_tag] + 2 * [self.large_claim] + [self.flood]),
            *(self.wrong_size, self.wrong_size, self.npy_header),
            *(self.pattern, self.no_picture),
        )
        if self.rng.random() < 0.02:
            makers = (self.large_picture, self.run_length_flood)
        return self.rng.choice(makers)()

    # Files that are damaged

    def damaged_png(self) -> Case:
        """All of a PNG file is under checksums: it reads as before or not at all."""
        name, good = self.rng.choice(self.files["PNG"])
        start = good.index(b"IDAT") - 4
        edges = (0, 8, 12, 16, 29, 33, start, start + 4, start + 8, len(good) - 12, len(good) - 4)
        done, content = damaged(self.rng, good, edges, 60)
        return case(f"{name}: {done}", content, self.right[name])

    def damaged_jpeg(self) -> Case:
        name, good = self.rng.choice(self.files["JPEG"])
        frame, scan = max(good.find(b"\xff\xc0"), good.find(b"\xff\xc2")), good.index(b"\xff\xda")
        edges = (0, 2, 4, 20, frame, frame + 2, frame + 9, scan, scan + 2, scan + 14, len(good) - 2)
        done, content = damaged(self.rng, good, edges, scan + 14)
        return case(f"{name}: {done}", content)

    def damaged_bmp(self) -> Case:
        name, good = self.rng.choice(self.files["BMP"])
        done, content = damaged(self.rng, good, (0, 2, 10, 14, 18, 26, 30, 34, 54, 1078), 54)
        return case(f"{name}: {done}", content)

    def damaged_gif(self) -> Case:
        name, good = self.rng.choice(self.files["GIF"])
        done, content = damaged(self.rng, good, (0, 6, 10, 13, 30, len(good) - 2), 60)
        return case(f"{name}: {done}", content)

    def damaged_webp(self) -> Case:
        name, good = self.rng.choice(self.files["WebP"])
        done, content = damaged(self.rng, good, (0, 4, 8, 12, 16, 20, 30, 44, 60), 60)
        return case(f"{name}: {done}", content)

    def damaged_tiff(self) -> Case:
        """Half of the changes are in the directory, where the meaning is."""
        name, good = self.rng.choice(self.files["TIFF"])
        place = int.from_bytes(good[4:8], "little")
        edges = (0, 4, 8, place, place + 2, place + 14, place + 26, len(good) - 8)
        if self.rng.random() < 0.5:
            done, directory = damaged(self.rng, good[place : place + 200], (0, 2, 14, 26, 38))
            content = good[:place] + directory + good[place + 200 :]
            return case(f"{name}, its directory: {done}", content)
        done, content = damaged(self.rng, good, edges, 8)
        return case(f"{name}: {done}", content)

    def tiff_tag(self) -> Case:
        """A tag of the directory says something else."""
        name, good = self.rng.choice([tiff for tiff in self.files["TIFF"] if tiff[0] != "BigTIFF"])
        (place,) = struct.unpack_from("<I", good, 4)
        (count,) = struct.unpack_from("<H", good, place)
        at = place + 2 + 12 * self.rng.randrange(count)
        kind, number = self.rng.choice((1, 2, 3, 4, 5, 7, 12, 16, 99)), self.rng.choice((0, 1, 2))
        number = self.rng.choice((number, 1, 2**31, 2**32 - 1))
        value = self.rng.choice((0, 1, 2, 3, 7, 8, 16, 90, 8_000, 65_535, 2**31 - 1, 2**32 - 1))
        changed = bytearray(good)
        if self.rng.random() < 0.3:  # the tag, too
            tags = (254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 317, 320)
            tag = self.rng.choice((*tags, 322, 323, 324, 325, 330, 338, 339, 347, 530, 34665))
            struct.pack_into("<H", changed, at, tag)
        if self.rng.random() < 0.3:
            struct.pack_into("<HI", changed, at + 2, kind, number)
        struct.pack_into("<I", changed, at + 8, value)
        return case(f"{name}, its tag at {at}: {changed[at : at + 12].hex()}", bytes(changed))

    def damaged_npy(self) -> Case:
        name, good = self.rng.choice(self.files["npy"])
        done, content = damaged(self.rng, good, (0, 6, 8, 10, 20, 118, 128), 128)
        return case(f"{name}: {done}", content)

    def damaged_pixels(self) -> Case:
        """A PNG file whose chunks are damaged and have the right checksums all the same."""
        name, good = self.rng.choice(self.files["PNG"])
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
        return case(f"{name}, {kind!r} with its checksum: {done}", content)

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
            name, good = self.rng.choice(self.files["PNG"])
            content = good[:33] + count * chunk(kind, bodies[kind]) + good[33:]
            return case(f"{name} with {count} {kind!r}", content, self.right[name], refusable=False)
        name, good = self.rng.choice([jpeg for jpeg in self.files["JPEG"] if "exif" not in jpeg[0]])
        marker = self.rng.choice((0xE0, 0xE1, 0xE2, 0xEC, 0xED, 0xEE, 0xFE))
        start = self.rng.choice((b"", b"Exif\0\0\0\0", b"MPF\0", b"ICC_PROFILE\0", b"8BIM"))
        pieces = [rubbish[at : at + 60_000] for at in range(0, max(1, len(rubbish)), 60_000)]
        extra = b"".join(segment(marker, start + piece) for piece in pieces)
        done = f"{name} with {len(extra)} bytes of {start!r} in segments {marker:#x}"
        return case(done, good[:2] + extra + good[2:], self.right[name], refusable=False)

    def exif_flood(self) -> bytes:
        """Exif data in which thousands of tags share one large value."""
        count = 5000
        size = self.rng.choice((100, 10_000, 1_000_000))
        entries = (struct.pack("<HHII", 1 + tag, 7, size, 8) for tag in range(count))
        head = struct.pack("<2sHIH", b"II", 42, 8, count)
        return head + b"".join(entries) + bytes(min(size, 100_000))

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
            good = self.rng.choice(self.files["JPEG"])[1]
            place = 5 + max(good.find(b"\xff\xc0"), good.find(b"\xff\xc2"))
            sizes = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
            content = good[:place] + sizes + good[place + 4 :]
        else:
            good = self.rng.choice(self.files["BMP"])[1]
            height = self.rng.choice((height, 2**32 - 1, 2**32 - 120, 2**31))  # negative ones
            content = good[:18] + struct.pack("<II", width, height) + good[26:]
        return case(f"{kind} that claims {width} x {height}", content)

    def large_picture(self) -> Case:
        """Pictures as large as they may be, or a little larger; few bytes on disk."""
        codings = ("PNG L", "PNG 16 bits", "JPEG", "progressive JPEG", "PNG RGBA")
        coding = self.rng.choice((*codings, "GIF", "WEBP", "TIFF tiff_lzw", "TIFF packbits"))
        side = self.rng.choice((5_656, 5_657) if coding == "WEBP" else (8_000, 8_001))
        return case(f"{coding} of {side} x {side}", large(coding, side))

    def large_claim(self) -> Case:
        """GIF, WebP and TIFF files with sizes in the header that they do not have."""
        sides = (1, 2, 89, 91, 5_000, 8_000, 8_001, 16_000, 65_535, 2**24)
        width, height = self.rng.choice(sides), self.rng.choice(sides)
        kind = self.rng.choice(("GIF", "GIF frame", "WebP", "TIFF"))
        if kind.startswith("GIF"):
            content = bytearray(self.rng.choice(self.files["GIF"])[1])
            place = 6 if kind == "GIF" else content.index(b",", 13) + 5
            struct.pack_into("<HH", content, place, width & 0xFFFF, height & 0xFFFF)
        elif kind == "WebP":
            content = bytearray(self.rng.choice(self.files["WebP"])[1])
            if content[12:16] == b"VP8X":
                sizes = ((side - 1 & 0xFFFFFF).to_bytes(3, "little") for side in (width, height))
                content[24:30] = b"".join(sizes)
            else:
                place = 26 if content[12:16] == b"VP8 " else 21
                struct.pack_into("<HH", content, place, width & 0xFFFF, height & 0xFFFF)
        else:
            content = bytearray(self.rng.choice(self.files["TIFF"])[1])
            (place,) = struct.unpack_from("<I", content, 4)
            for at in range(place + 2, min(place + 200, len(content) - 12), 12):
                tag = struct.unpack_from("<H", content, at)[0]
                if tag in (256, 257, 278):
                    struct.pack_into("<HII", content, at + 2, 4, 1, width if tag == 256 else height)
        return case(f"{kind} that claims {width} x {height}", bytes(content))

    def flood(self) -> Case:
        """Parts in great number, and frames in great number behind the first."""
        kind = self.rng.choice(("GIF", "WebP", "TIFF"))
        count = self.rng.choice((1_000, 99_000, 1_000_000))
        if kind == "GIF":
            name, good = self.files["GIF"][0]
            colours = 13 + 3 * (2 << (good[10] & 7))
            comments = min(count, 300_000) * b"!\xfe\1x\0"
            content = good[:colours] + comments + good[colours:]
        elif kind == "WebP":
            name, good = self.rng.choice(self.files["WebP"])
            content = good + min(count, 300_000) * (b"abcd\2\0\0\0xx")
            content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
        else:
            name, good = self.rng.choice(self.files["TIFF"][:-1])
            (place,) = struct.unpack_from("<I", good, 4)
            (tags,) = struct.unpack_from("<H", good, place)
            end = place + 2 + 12 * tags  # where the place of the next directory is told: this one
            content = good[:end] + struct.pack("<I", place) + good[end + 4 :]
            return case(f"{name} in a circle", content, self.right[name])
        return case(f"{name} with {count} parts", content, self.right[name])

    def run_length_flood(self) -> Case:
        width, height = self.rng.choice(
            ((4_000, 4_000), (8_000, 8_000), (16_000_000, 1), (1, 10**6))
        )
        data = self.rng.choice(
            (b"\1\1\0\0" * height, b"\0\2\xff\xff" * 100, b"\1\1" * 3_000_000, b"\xff\1" * 70_000)
        )
        done = f"run-length coded BMP of {width} x {height} in {len(data)} bytes"
        return case(done, bmp(width, height, 1, data))

    # Pictures that are whole but odd

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
        kind = self.rng.choice(("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"))
        return case(f"{kind} of {done}", encoded(image, kind))

    def no_picture(self) -> Case:
        """Another kind of file, or no file."""
        files = {kind: encoded(seven(), kind) for kind in ("PPM", "ICO", "TGA", "PCX", "JPEG2000")}
        files |= {"nothing": b"", "text": b"seven\n", "noise": self.rng.randbytes(5000)}
        files |= {"a start": self.rng.choice((PNG, JPEG, JPEG + b"\xff", b"BM", *STARTS))}
        things = {**NO_FILES, "a hole of a terabyte": self.hole}
        done = self.rng.choice((*files, *things))
        if done in files:
            return case(done, files[done])
        return Case(done, {}, (NAME,), None, place=lambda folder: things[done](folder / NAME))

    def hole(self, path: Path) -> None:
        path.write_bytes(self.rng.choice(self.files["PNG"])[1])
        os.truncate(path, 1 << 40)

    # .npy

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
        return case(f"npy of version {version} with the header {text[:90]}", content)
