"""The connected parts of a picture's ink: which are dust, which are lines, and which are a digit.

A frame or a cell's line is long, thin and straight, and lies around the digits or runs from border
to border. Parts side by side, each as high as a digit, are several digits. Parts above each other,
or of unlike height, are the strokes of one.

Axes: H height, W width, P parts. A box is `top, left, bottom, right` in pixels, the last two behind
its end.
"""

import itertools
from typing import NamedTuple

import numpy as np

STROKE = 0.3  # of a full stroke: what makes up the strokes; less is their soft edge
SPECK = 0.05  # of the largest stroke's ink: smaller ones are dust
MOST_PARTS = 60  # that are sorted into digits

# Lines, set with `benchmarks/own_pictures.py`.
LINE_LENGTH = 0.3  # of a side of the picture, at least
LINE_WIDTH = 0.075  # of its length, at most; the strokes of MNIST's 1s have 0.1 and more
SKEW = 0.1  # of its length: how far a line may lie from the sides of its box; 5.7 degrees
NEAR_BORDER = 0.05  # of a side: where a line that leaves the picture ends
BEYOND = 1.15  # times the digits' extent: the length of a line that stays inside
PIECE = 0.06  # of a frame's side: how near to it the rest of its pieces lie
LEAST_DIGIT = 0.15  # of the lines' length: smaller parts inside a ring are dust
JOINED, JOINED_WIDTH = 0.1, 0.085  # of its length: the same, where a digit runs into a frame
COVERED = 0.85  # of a side of its box that a line covers, where a digit runs into it

# Digits side by side. Of MNIST's 65,000 training and test images, 620 have two parts, and these
# take none of them for two digits. Of pairs of test images they miss 1 of 100.
SHARED_COLUMNS = 0.25  # of the narrower: parts that share more are strokes above each other
DIGIT_HEIGHT = 0.5  # of the highest: lower parts are strokes
DIGIT_WIDTH, SHARED_ROWS = 1.15, 0.6  # times the height of both; of the rows of both, at least
WIDE, SHARED_ROWS_WIDE = 1.25, 0.4  # the same, where a gap is between them
LEVEL = 0.8  # of the rows of both, where they are no wider than one digit
GAP = 0.15  # of the height: strokes of one digit are nearer
ONE_WIDTH = 0.42  # of its height, at most: a 1
DOT_FILLED, DOT_LENGTH = 0.6, 1.5  # of its box; times its width
STACKED = 2.2  # times its width: two parts above each other that are higher are two digits


class Parts(NamedTuple):
    """The connected parts of a mask of N pixels.

    Attributes:
      labels: the part of each pixel, row by row, `int64 [N]`.
      places: row and column of each pixel, `int64 [N, 2]`.
      areas: pixels of each part, `int64 [P]`.
      boxes: the smallest rectangle around each part, `int64 [P, 4]`.
    """

    labels: np.ndarray
    places: np.ndarray
    areas: np.ndarray
    boxes: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Height and width of each part, `int64 [P, 2]`."""
        return self.boxes[:, 2:] - self.boxes[:, :2]


def parts_of(mask: np.ndarray) -> Parts:
    """Finds the connected parts of a mask, `bool [H, W]`."""
    labels, places = connected(mask), np.argwhere(mask)
    areas = np.bincount(labels)
    boxes = np.tile([max(mask.shape), max(mask.shape), 0, 0], (len(areas), 1))
    for column, (of, value) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        least_or_most = np.maximum if value else np.minimum
        least_or_most.at(boxes[:, column], labels, places[:, of] + value)
    return Parts(labels, places, areas, boxes)


def connected(mask: np.ndarray) -> np.ndarray:
    """Numbers the connected parts of a mask; neighbours are also those across a corner.

    For `bool [H, W]` with N true pixels, the part of each of them, row by row: `int64 [N]`, from 0.
    """
    number = np.cumsum(mask).reshape(mask.shape) - 1
    pairs = [
        np.stack([number[one], number[other]])[:, mask[one] & mask[other]]
        for one, other in (  # neighbours
            (np.s_[:, :-1], np.s_[:, 1:]),
            (np.s_[:-1], np.s_[1:]),
            (np.s_[:-1, :-1], np.s_[1:, 1:]),
            (np.s_[:-1, 1:], np.s_[1:, :-1]),
        )
    ]
    first, second = np.concatenate(pairs, axis=1)
    label = np.arange(np.count_nonzero(mask))
    while (label[first] != label[second]).any():
        lowest = np.minimum(label[first], label[second])
        for end in (first, second):
            np.minimum.at(label, label[end], lowest)
        while (label != label[label]).any():
            label = label[label]
    return np.unique(label, return_inverse=True)[1].reshape(-1)


def touching(parts: Parts, shape: tuple[int, ...]) -> np.ndarray:
    """Which of the picture's top, left, bottom and right each part touches: `bool [P, 4]`."""
    return parts.boxes == [0, 0, *shape[:2]]


# Lines


def lines(parts: Parts, mass: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which parts are lines, frames or pieces of them: `bool [P]`; never all.

    Args:
      parts: of the picture's strokes.
      mass: the ink of each, `float [P]`.
      shape: height and width of the picture.
    """
    straight = is_straight(parts)
    long = straight & (parts.sizes >= LINE_LENGTH * np.array(shape[:2])).any(axis=1)
    digits = ~straight
    if not digits.any():  # but a thin 1 in a frame, or alone
        digits = inside_another(parts.boxes)
    digits &= mass >= SPECK * mass[digits].max(initial=0)
    if not digits.any():
        return digits
    found = bars(parts, shape) & ~inside_another(parts.boxes)
    if not long.any():
        return found
    outer = box_around(parts.boxes[long])
    size = outer[2:] - outer[:2]
    pieces = along(parts, outer, PIECE * size.max() + 3) & (parts.sizes < size).any(axis=1)
    if not (digits & ~pieces).any():
        pieces[:] = False
    inner = box_around(parts.boxes[digits & ~pieces])
    extent = inner[2:] - inner[:2]
    margin = NEAR_BORDER * np.array(shape[:2])
    ends = np.r_[outer[:2] <= margin, outer[2:] >= shape[:2] - margin]
    holds = np.r_[outer[:2] <= inner[:2], outer[2:] >= inner[2:]]
    is_around = ends.sum() >= 2 or holds.sum() >= 3 or (size >= BEYOND * extent).any()
    if is_around and extent.max() >= LEAST_DIGIT * size.max():
        found |= pieces | (straight & ~digits & outside(parts.boxes, inner))
    return found


def is_straight(parts: Parts) -> np.ndarray:
    """Which parts are thin and follow the sides of their own boxes: lines, corners and rings."""
    sizes, longest = parts.sizes, parts.sizes.max(axis=1)
    reach = np.maximum(2, (SKEW + LINE_WIDTH / 2) * longest)  # [P]
    length = np.where(sizes.min(axis=1) > 3 * reach, 2 * sizes.sum(axis=1), longest)
    thin = parts.areas <= LINE_WIDTH * longest * length
    return thin & along(parts, parts.boxes[parts.labels], reach[parts.labels])


def along(parts: Parts, boxes: np.ndarray, reach: np.ndarray | float) -> np.ndarray:
    """Which parts lie along the sides of a box, within `reach` pixels: `bool [P]`.

    Both may be given for each pixel: `int64 [N, 4]` and `float [N]`.
    """
    first, last = boxes[..., :2], boxes[..., 2:] - 1
    off = np.minimum(parts.places - first, last - parts.places).min(axis=1)
    near = np.bincount(parts.labels, off <= reach, len(parts.areas))
    return np.asarray(near >= 0.95 * parts.areas)


def outside(boxes: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Which boxes lie beside the inner one, or around it."""
    starts, ends = boxes[:, :2], boxes[:, 2:]
    beside = (ends <= inner[:2]) | (starts >= inner[2:])
    return np.asarray((beside | (starts <= inner[:2]) | (ends >= inner[2:])).any(axis=1))


def bars(parts: Parts, shape: tuple[int, ...]) -> np.ndarray:
    """Which parts take more than half of a side of the picture, where no other touches it."""
    touches = touching(parts, shape)
    found = np.zeros(len(parts.areas), bool)
    for axis, at in ((0, 0), (1, 0), (0, shape[0] - 1), (1, shape[1] - 1)):
        on_side = parts.labels[parts.places[:, axis] == at]
        found |= np.bincount(on_side, minlength=len(found)) > shape[1 - axis] / 2
    found &= ~touches.all(axis=1)
    return found if not touches[~found].any() else np.zeros_like(found)


def inside_another(boxes: np.ndarray) -> np.ndarray:
    """Which boxes lie inside the largest one."""
    outer = boxes[(boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax()]
    return (boxes[:, :2] > outer[:2]).all(axis=1) & (boxes[:, 2:] < outer[2:]).all(axis=1)


def box_around(boxes: np.ndarray) -> np.ndarray:
    """The smallest box that holds all: `int64 [4]`."""
    return np.r_[boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]


def runs_into_lines(mask: np.ndarray) -> bool:
    """Whether one part, `bool [H, W]` in its own box, is a digit joined with a frame or a line.

    That is so if thin lines cover three of the box's sides, and more is inside.
    """
    longest = max(mask.shape)
    reach = int(max(2, JOINED * longest))
    if min(mask.shape) < 4 * reach:
        return False
    sides = [mask[:reach], mask[-reach:], mask[:, :reach].T, mask[:, -reach:].T]
    covered = [
        side.any(axis=0).mean() >= COVERED and _median_span(side) <= JOINED_WIDTH * longest
        for side in sides
    ]
    inside = mask[reach:-reach, reach:-reach].sum()
    return sum(covered) >= 3 and bool(inside >= SPECK * mask.sum())


def _median_span(side: np.ndarray) -> float:
    """From the first to the last true row of those columns that have any, the median."""
    taken = side[:, side.any(axis=0)]
    return float(np.median(len(taken) - taken[::-1].argmax(axis=0) - taken.argmax(axis=0)))


# Digits


def dots(parts: Parts) -> np.ndarray:
    """Which parts are filled and about as high as wide: those of a dotted digit are."""
    sizes = parts.sizes
    filled = parts.areas >= DOT_FILLED * sizes.prod(axis=1)
    return filled & (sizes.max(axis=1) <= DOT_LENGTH * sizes.min(axis=1))


def digits(boxes: np.ndarray, dotted: np.ndarray) -> list[list[int]]:
    """Sorts parts into digits: for each digit the indices of its parts, from left to right.

    Args:
      boxes: of the parts, `int64 [P, 4]`, P up to MOST_PARTS.
      dotted: which are dots, `bool [P]`; two of them are never two digits.
    """
    groups = [Group([number], *map(int, box)) for number, box in enumerate(boxes)]
    while True:
        best, nearest = None, np.inf
        for one, other in itertools.combinations(groups, 2):
            if (distance := one.distance(other)) < nearest and (
                dotted[one.parts + other.parts].all() or not are_two_digits(one, other)
            ):
                best, nearest = (one, other), distance
        if best is None:
            return [group.parts for group in sorted(groups, key=lambda group: group.left)]
        groups = [group for group in groups if group not in best] + [best[0].with_(best[1])]


class Group(NamedTuple):
    """Parts of one digit: their indices, and the box around them."""

    parts: list[int]
    top: int
    left: int
    bottom: int
    right: int

    def distance(self, other: "Group") -> int:
        """The gap between the boxes, in rows and columns together."""
        rows = max(self.top, other.top) - min(self.bottom, other.bottom)
        return max(rows, 0) + max(max(self.left, other.left) - min(self.right, other.right), 0)

    def with_(self, other: "Group") -> "Group":
        """Both as one."""
        return Group(
            self.parts + other.parts,
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


def are_two_digits(one: Group, other: Group) -> bool:
    """Whether the boxes are apart as those of two digits are, beside or above each other."""
    heights, widths = zip(
        *((each.bottom - each.top, each.right - each.left) for each in (one, other)), strict=True
    )
    if min(heights) < DIGIT_HEIGHT * max(heights):
        return False
    both = one.with_(other)
    height, width = both.bottom - both.top, both.right - both.left
    rows = (min(one.bottom, other.bottom) - max(one.top, other.top)) / height
    gap = max(one.left, other.left) - min(one.right, other.right)  # negative: shared columns
    if rows <= 0 and height >= STACKED * width:
        return any(2 * w > h for h, w in zip(heights, widths, strict=True))
    if gap < -SHARED_COLUMNS * min(widths):
        return False
    if width >= DIGIT_WIDTH * height and rows >= SHARED_ROWS:
        return True
    if width >= WIDE * height and rows >= SHARED_ROWS_WIDE and gap >= 0:
        return True
    has_one = any(w <= ONE_WIDTH * h for h, w in zip(heights, widths, strict=True))
    level = min(rows, min(heights) / max(heights)) >= LEVEL
    return level and (gap >= GAP * height or has_one)
