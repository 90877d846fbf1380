"""Reads pictures of digits as people have them, made from MNIST's test images, and counts.

They are made from those test images that the network reads right, so that what is counted is the
way from a picture to an image.

python -m benchmarks.own_pictures --model_dir=model_dir/fast

Of each kind of picture it prints how many are read right, how many are refused in a sentence that
is true, and how many are read wrong without a warning or refused in a sentence that is not. Ends
with 1 if more than 3 % of a kind are of the last.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from cnn_mnist.data import dataset
from cnn_mnist.utils import console, process
from cnn_mnist.utils.errors import InputError

MOST_WRONG = 0.03
# What may truly be said of a picture with lines, or with ink at its border.
LINES = r"frame|line|reaches"
CROPPED = r"reaches"


class Sheet(NamedTuple):
    """A picture: darkness `float [H, W]`, 0 (paper) to 1 (ink), and the digits on it."""

    darkness: np.ndarray
    digits: tuple[int, ...]


class Digits:
    """Draws images at random."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int) -> None:
        """Takes MNIST images, `uint8 [N, 28, 28]`, and their labels."""
        self.images, self.labels = images, labels
        self.random = np.random.default_rng(seed)

    def one(self, low: int = 60, high: int = 150) -> Sheet:
        """A digit of a random size, its ink cut out along its edges."""
        index = self.random.integers(len(self.images))
        return self.drawn(self.images[index], int(self.labels[index]), low, high)

    def drawn(self, image: np.ndarray, label: int, low: int = 60, high: int = 150) -> Sheet:
        """An MNIST image, `uint8 [28, 28]`, with a field of `low` to `high` pixels."""
        side = int(self.random.integers(low, high))
        large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        ink = np.asarray(large, np.float64) / 255
        rows, columns = (np.flatnonzero(ink.max(axis=axis) > 0.25) for axis in (1, 0))
        return Sheet(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], (label,))

    def margin(self, sheet: Sheet, low: float = 0.2, high: float = 0.5) -> Sheet:
        """Paper around it, on each side so many times its longer side."""
        longest = max(sheet.darkness.shape)
        widths = (self.random.uniform(low, high, 4) * longest).astype(int) + 1
        pads = ((widths[0], widths[1]), (widths[2], widths[3]))
        return Sheet(np.pad(sheet.darkness, pads), sheet.digits)


def tight(digits: Digits) -> Sheet:
    """Cut along the ink's own edges."""
    return digits.one()


def tight_and_small(digits: Digits) -> Sheet:
    """The same, at the size of MNIST itself."""
    return digits.one(28, 40)


def framed(digits: Digits, inset: int, skewed: bool, broken: bool, joined: bool = False) -> Sheet:
    """A digit in a frame; the lines are 1 to 4 pixels wide."""
    margin = (0.02, 0.03) if joined else (0.2, 0.5)
    sheet = digits.margin(digits.one(), *margin)
    if inset:
        sheet = Sheet(np.pad(sheet.darkness, inset), sheet.digits)
    return with_lines(digits, sheet, inset, (0, 1, 2, 3), skewed, broken)


def with_lines(
    digits: Digits, sheet: Sheet, inset: int, sides: tuple[int, ...], skewed: bool, broken: bool
) -> Sheet:
    """Lines along the top (0), bottom, left and right of a sheet, `inset` pixels away."""
    random = digits.random
    height, width = sheet.darkness.shape
    pen, grey = int(random.integers(1, 5)), random.uniform(0.4, 1)
    lines = np.zeros((height, width))
    far = (height - inset, width - inset)
    alone = len(sides) < 4  # a cell's line goes on beyond the picture
    ends = [(0, side) if alone else (inset, side - inset) for side in (height, width)]
    places = [
        (slice(inset, inset + pen), slice(*ends[1])),
        (slice(far[0] - pen, far[0]), slice(*ends[1])),
        (slice(*ends[0]), slice(inset, inset + pen)),
        (slice(*ends[0]), slice(far[1] - pen, far[1])),
    ]
    for side in sides:
        lines[places[side]] = grey
    if broken:
        for side in sides:
            at = int(random.uniform(0.1, 0.8) * (width if side < 2 else height))
            gap = slice(at, at + int(random.integers(4, 16)))
            lines[(places[side][0], gap) if side < 2 else (gap, places[side][1])] = 0
    if skewed:
        image = Image.fromarray((255 * lines).astype(np.uint8))
        turned = image.rotate(random.uniform(-3, 3), Image.Resampling.BILINEAR)
        lines = np.asarray(turned, np.float64) / 255
    return Sheet(np.maximum(sheet.darkness, lines), sheet.digits)


def edge_frame(digits: Digits) -> Sheet:
    """A frame along the picture's edge."""
    return framed(digits, 0, False, False)


def edge_frame_skewed(digits: Digits) -> Sheet:
    """The same, skewed by up to 3 degrees, so that it partly leaves the picture."""
    return framed(digits, int(digits.random.integers(0, 4)), True, False)


def edge_frame_broken(digits: Digits) -> Sheet:
    """The same, with gaps, half of them skewed."""
    return framed(digits, 0, bool(digits.random.integers(2)), True)


def inner_frame(digits: Digits) -> Sheet:
    """A frame with a margin around."""
    return framed(digits, int(digits.random.integers(6, 25)), False, False)


def inner_frame_skewed(digits: Digits) -> Sheet:
    """The same, skewed by up to 3 degrees."""
    return framed(digits, int(digits.random.integers(10, 25)), True, False)


def inner_frame_broken(digits: Digits) -> Sheet:
    """The same, with gaps, half of them skewed."""
    return framed(
        digits, int(digits.random.integers(10, 25)), bool(digits.random.integers(2)), True
    )


def joined_frame(digits: Digits) -> Sheet:
    """A frame that the digit touches, or nearly."""
    return framed(digits, int(digits.random.choice([0, 0, 12])), False, False, joined=True)


def cell_lines(digits: Digits) -> Sheet:
    """Lines on one to three sides, at the border or a little inside, half of them skewed."""
    random = digits.random
    sides = tuple(random.permutation(4)[: random.integers(1, 4)].tolist())
    inset, skewed = int(random.choice([0, 0, 3, 8])), bool(random.integers(2))
    return with_lines(digits, digits.margin(digits.one()), inset, sides, skewed, False)


def shadow(digits: Digits) -> Sheet:
    """The shadow of a page's fold along one side, and light that falls off over the page."""
    random = digits.random
    sheet = digits.margin(digits.one())
    turns = int(random.integers(4))
    turned = np.rot90(sheet.darkness, turns)
    x = np.linspace(0, 1, turned.shape[1])[None, :]
    reach, dark = random.uniform(0.05, 0.15), random.uniform(0.3, 0.7)
    light = (1 - dark * np.exp(-x / reach)) * (1 - random.uniform(0, 0.3) * x)
    return Sheet(np.rot90(1 - (1 - 0.9 * turned) * light, -turns), sheet.digits)


def several(digits: Digits, count: int) -> Sheet:
    """Digits in a row, of like sizes, apart by a fifteenth of their size or more."""
    random = digits.random
    low = int(random.integers(60, 120))
    row = [digits.one(low, low + low // 4) for _ in range(count)]
    height = max(len(each.darkness) for each in row)
    field = np.zeros((height, 0))
    for number, each in enumerate(row):
        above = int(random.integers(0, height - len(each.darkness) + 1))
        below = height - len(each.darkness) - above
        gap = int(random.uniform(1 / 15, 1 / 2) * low) if number else 0
        field = np.hstack([field, np.pad(each.darkness, ((above, below), (gap, 0)))])
    return digits.margin(Sheet(field, tuple(each.digits[0] for each in row)), 0.1, 0.4)


def two_digits(digits: Digits) -> Sheet:
    """Two in a row."""
    return several(digits, 2)


def three_digits(digits: Digits) -> Sheet:
    """Three in a row."""
    return several(digits, 3)


def parts_of(image: np.ndarray) -> list[int]:
    """How much ink each connected part of an MNIST image has, the most first."""
    from cnn_mnist.inference.parts import connected

    strokes = image > 76
    return sorted(np.bincount(connected(strokes), image[strokes]).tolist(), reverse=True)


def two_strokes(digits: Digits) -> Sheet:
    """A test image that has two parts by itself."""
    while True:
        index = digits.random.integers(len(digits.images))
        parts = parts_of(digits.images[index])
        if len(parts) > 1 and parts[1] > 0.06 * parts[0]:
            label = int(digits.labels[index])
            return digits.margin(digits.drawn(digits.images[index], label))


def cut(digits: Digits, label: int, axis: int, least: float) -> Sheet:
    """A digit that is cut in two by a gap of 1 or 2 of MNIST's pixels."""
    of_label = np.flatnonzero(digits.labels == label)
    while True:
        image = digits.images[digits.random.choice(of_label)]
        if len(parts_of(image)) > 1:
            continue
        for at in digits.random.permutation(np.arange(7, 15)):
            broken = image.copy()
            gap = slice(at, at + digits.random.integers(1, 3))
            broken[gap if axis == 0 else (slice(None), gap)] = 0
            parts = parts_of(broken)
            if len(parts) == 2 and least * sum(parts) < parts[1]:
                return digits.margin(digits.drawn(broken, label))


def five_and_roof(digits: Digits) -> Sheet:
    """A 5 whose roof does not touch the rest."""
    return cut(digits, 5, 0, 0.1)


def broken_four(digits: Digits) -> Sheet:
    """A 4 whose two strokes do not touch."""
    return cut(digits, 4, 1, 0.2)


def specks(digits: Digits) -> Sheet:
    """Dust: 5 to 40 specks of a few pixels."""
    sheet = digits.margin(digits.one())
    darkness = sheet.darkness.copy()
    for _ in range(digits.random.integers(5, 40)):
        y, x = (digits.random.integers(side) for side in darkness.shape)
        size = digits.random.integers(1, 4)
        darkness[y : y + size, x : x + size] = digits.random.uniform(0.3, 1)
    return Sheet(darkness, sheet.digits)


def plain(digits: Digits) -> Sheet:
    """A digit with paper around it, and nothing else."""
    return digits.margin(digits.one())


class Kind(NamedTuple):
    """A kind of picture, and what a refusal of it must say; None: it must be read."""

    make: Callable[[Digits], Sheet]
    true: str | None
    light: bool = False  # light on dark
    split: bool = False  # each digit is read, as with --split


KINDS: dict[str, Kind] = {
    "plain": Kind(plain, None),
    "tight crop": Kind(tight, CROPPED),
    "tight crop, light on dark": Kind(tight, CROPPED, True),
    "tight crop, about 28x28": Kind(tight_and_small, CROPPED),
    "tight crop, about 28x28, light": Kind(tight_and_small, CROPPED, True),
    "frame at the edge": Kind(edge_frame, LINES),
    "frame at the edge, light": Kind(edge_frame, LINES, True),
    "frame at the edge, skewed": Kind(edge_frame_skewed, LINES),
    "frame at the edge, broken": Kind(edge_frame_broken, LINES),
    "frame inside": Kind(inner_frame, LINES),
    "frame inside, skewed": Kind(inner_frame_skewed, LINES),
    "frame inside, broken": Kind(inner_frame_broken, LINES),
    "frame that touches the digit": Kind(joined_frame, LINES),
    "cell lines": Kind(cell_lines, LINES),
    "cell lines, light": Kind(cell_lines, LINES, True),
    "page shadow": Kind(shadow, LINES),
    "two digits": Kind(two_digits, r"found 2 digits"),
    "three digits": Kind(three_digits, r"found 3 digits"),
    "two digits, --split": Kind(two_digits, None, split=True),
    "three digits, --split": Kind(three_digits, None, split=True),
    "two strokes, as MNIST has them": Kind(two_strokes, None),
    "5 with a separate roof": Kind(five_and_roof, None),
    "4 in two strokes": Kind(broken_four, None),
    "specks": Kind(specks, None),
}


def saved(sheet: Sheet, kind: Kind, random: np.random.Generator, path: Path) -> None:
    """Writes the picture as PNG, with a little noise, in random greys."""
    paper, ink = random.uniform(200, 255), random.uniform(0, 70)
    if kind.light:
        paper, ink = ink, paper
    pixels = paper + (ink - paper) * sheet.darkness
    pixels += random.normal(0, random.uniform(0, 3), pixels.shape)
    Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8)).save(path)


def main() -> int:
    """Runs the command and returns its exit code."""
    return process.code_of(_measure)


def _measure() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--model_dir", default="model_dir")
    parser.add_argument("--count", type=int, default=60, help="pictures of a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="a folder to write the pictures that went wrong to")
    options = parser.parse_args()
    console.start_tensorflow()
    from cnn_mnist.inference.images import read_image, read_images
    from cnn_mnist.inference.predictor import Predictor

    table = Table("kind", title="Own pictures")
    for heading in ("pictures", "right", "refused", "wrong"):
        table.add_column(heading, justify="right")
    too_many = False
    with tempfile.TemporaryDirectory() as folder, Predictor(options.model_dir) as predictor:
        test = dataset.load().test
        known = predictor.predict(test.images)[0] == test.labels
        for name, kind in KINDS.items():
            digits = Digits(test.images[known], test.labels[known], options.seed)
            counts = {"right": 0, "refused": 0, "wrong": 0}
            for number in range(options.count):
                sheet, path = kind.make(digits), Path(folder, "picture.png")
                saved(sheet, kind, digits.random, path)
                try:
                    images = read_images(path) if kind.split else [read_image(path)]
                    read = tuple(predictor.predict(np.array(images))[0].tolist())
                    came, said = "right" if read == sheet.digits else "wrong", str(read)
                except InputError as error:
                    said = str(error).partition(": ")[2]
                    true = kind.true and re.search(kind.true, said)
                    came = "refused" if true else "wrong"
                counts[came] += 1
                if options.keep and came == "wrong":
                    label = "".join(map(str, sheet.digits))
                    target = Path(options.keep, f"{name}_{number}_{label}.png".replace(" ", "_"))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.rename(target)
                    print(f"{target.name}: {said}")
            table.add_row(name, str(options.count), *map(str, counts.values()))
            too_many |= counts["wrong"] > MOST_WRONG * options.count
    Console().print(table)
    return 1 if too_many else 0


if __name__ == "__main__":
    sys.exit(main())
