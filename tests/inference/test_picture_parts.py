"""Frames, lines, tight crops and several digits, against the same digit on plain paper."""

import numpy as np
import pytest
from pictures import frame, large, pixels, tight
from sevens import likeness

from cnn_mnist.inference import ink, paper, parts
from cnn_mnist.inference.ink import SeveralError


@pytest.fixture(scope="module")
def digits(mnist):
    """Two images of each digit that have one part: `[20, 28, 28]`."""
    found = []
    for label in range(10):
        of_label = mnist.test.images[np.flatnonzero(mnist.test.labels == label)[:20]]
        found += [x for x in of_label if parts.connected(x > 76).max() == 0][:2]
    return np.array(found)


def on_plain_paper(darkness):
    return ink.digit_image(pixels(np.pad(darkness, 30)))


INDICES = range(20)


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("index", INDICES)
def test_tight_crops(digits, index, light):
    darkness = tight(large(digits[index]))
    read = ink.digit_image(pixels(darkness, light))
    assert likeness(read, on_plain_paper(darkness)) > 0.97


@pytest.mark.parametrize(("inset", "grey"), [(0, 0.6), (3, 1), (12, 0.6)])
@pytest.mark.parametrize("pen", [1, 4])
@pytest.mark.parametrize("index", INDICES)
def test_frames(digits, index, pen, inset, grey):
    darkness = np.pad(tight(large(digits[index])), ((40, 31), (29, 37)))
    framed = np.maximum(darkness, frame(darkness.shape, inset, pen, grey))
    expected = on_plain_paper(darkness)
    assert likeness(ink.digit_image(pixels(framed)), expected) > 0.97
    assert likeness(ink.digit_image(pixels(framed, light=True)), expected) > 0.97


@pytest.mark.parametrize("pen", [1, 3])
@pytest.mark.parametrize("index", INDICES)
def test_frames_of_small_pictures(digits, index, pen):
    """Where the paper is the border's median, which is the frame."""
    darkness = np.pad(tight(large(digits[index], 42)), 12)
    assert max(darkness.shape) < paper.LIT_SIDE
    framed = np.maximum(darkness, frame(darkness.shape, 0, pen))
    assert likeness(ink.digit_image(pixels(framed)), on_plain_paper(darkness)) > 0.97


def test_the_paper_inside_a_frame():
    inside = np.zeros((40, 50), bool)
    inside[3:37, 3:47] = True
    inside[10:30, 20:26] = False  # a 1
    assert paper.is_framed(inside)
    assert not paper.is_framed(~inside)
    ring = np.zeros((40, 50), bool)
    ring[3:37, 3:47] = True
    ring[8:32, 8:42] = False  # a 0, drawn as a box
    assert not paper.is_framed(ring)


@pytest.mark.parametrize("sides", ["t", "b", "l", "r", "tb", "lr", "tl", "br", "tbl", "blr"])
@pytest.mark.parametrize("index", INDICES[::2])
def test_cell_lines(digits, index, sides):
    darkness = np.pad(tight(large(digits[index])), ((33, 41), (39, 28)))
    lined = np.maximum(darkness, frame(darkness.shape, 0, 3, 0.8, sides))
    assert likeness(ink.digit_image(pixels(lined)), on_plain_paper(darkness)) > 0.97


def test_a_frame_with_gaps(digits):
    darkness = np.pad(tight(large(digits[9])), 35)
    lines = frame(darkness.shape, 6, 3)
    lines[20:32, :20] = lines[-40:-28, -20:] = lines[:20, 30:44] = lines[-20:, 50:60] = 0
    assert parts.connected(lines > 0).max() == 3
    read = ink.digit_image(pixels(np.maximum(darkness, lines)))
    assert likeness(read, on_plain_paper(darkness)) > 0.97


def test_a_digit_that_runs_into_its_frame():
    darkness = frame((90, 70), 5, 2)
    darkness[40:48, 5:65] = 1
    with pytest.raises(SeveralError, match="runs into a frame or lines"):
        ink.digit_image(pixels(darkness))


def test_a_frame_alone():
    with pytest.raises(SeveralError, match="a frame with nothing in it"):
        ink.digit_image(pixels(frame((90, 70), 0, 2)))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_digits_in_a_row(digits, count):
    row = [large(image, 84) for image in digits[1 : 1 + 3 * count : 3]]
    sheet = pixels(np.pad(np.hstack(row), 15))
    with pytest.raises(SeveralError, match=f"^{count} digits "):
        ink.digit_image(sheet)
    read = ink.digit_images(sheet)
    assert len(read) == count
    for one, darkness in zip(read, row, strict=True):
        assert likeness(one, on_plain_paper(darkness)) > 0.97


def test_digits_in_a_frame_are_counted_without_it(digits):
    row = np.pad(np.hstack([large(digits[4], 90), large(digits[8], 90)]), 12)
    with pytest.raises(SeveralError, match="^2 digits "):
        ink.digit_image(pixels(np.maximum(row, frame(row.shape, 0, 3))))


def test_digits_above_each_other(digits):
    column = np.pad(np.vstack([large(digits[4], 90), large(digits[5], 90)]), 12)
    assert len(ink.digit_images(pixels(column))) == 2


def test_of_mnist_no_digit_becomes_two_and_each_stays_as_it_is(mnist):
    """Also those of several strokes: what a crop, a frame or a pair needs changes none of them."""
    for image in mnist.test.images[:2000]:
        values = image[..., None].astype(np.float32)
        found = ink.ink_on(values, np.zeros(1, np.float32), paper.border_mask(28, 28))
        assert paper.shown(found) is None
        strokes = found > parts.STROKE
        labels = parts.connected(strokes)
        mass = np.bincount(labels, found[strokes])
        whole = ink.only(found, strokes, (mass >= parts.SPECK * mass.max())[labels])
        np.testing.assert_array_equal(ink.digit_image(values), ink.placed(whole))


@pytest.mark.parametrize(
    ("one", "other", "two"),
    [
        ((0, 0, 20, 14), (0, 16, 20, 30), True),  # side by side
        ((0, 0, 20, 14), (0, 13, 20, 30), True),  # their columns touch
        ((0, 0, 20, 4), (0, 10, 20, 14), True),  # 11
        ((0, 0, 12, 8), (2, 9, 20, 12), False),  # a 4 in two strokes
        ((0, 6, 4, 16), (6, 2, 20, 14), False),  # a 5 and its roof
        ((0, 0, 10, 10), (11, 0, 20, 10), False),  # an 8 in two halves
        ((0, 0, 20, 12), (24, 0, 44, 12), True),  # one above the other
        ((0, 0, 10, 3), (12, 2, 22, 5), False),  # a 1 in two pieces
        ((0, 0, 20, 14), (14, 16, 20, 20), False),  # a blot
    ],
)
def test_two_boxes(one, other, two):
    groups = [parts.Group([number], *box) for number, box in enumerate((one, other))]
    assert parts.are_two_digits(*groups) == two
    assert parts.are_two_digits(*groups[::-1]) == two


@pytest.mark.parametrize("pitch", [9, 14])
def test_dots_are_one_digit(pitch):
    sheet = np.zeros((140, 120))
    for row, columns in enumerate(["#####", "#....", "####.", "....#", "....#", "#...#", ".###."]):
        for column, dot in enumerate(columns):
            if dot == "#":
                top, left = 20 + pitch * row, 20 + pitch * column
                sheet[top : top + 6, left : left + 6] = 1
    assert ink.digit_image(pixels(sheet)).shape == (28, 28)


def test_a_dotted_one():
    sheet = np.zeros((130, 60))
    for row in range(7):
        sheet[20 + 14 * row : 26 + 14 * row, 25:31] = 1
    assert len(ink.digit_images(pixels(sheet))) == 1


@pytest.mark.parametrize("light", [False, True])
def test_a_tight_crop_that_shows_more_ink_than_paper(light):
    """A thick 1 that leans: paper is only in two corners."""
    y, x = np.mgrid[:60, :36]
    darkness = (np.abs(x - 35 * (1 - y / 59)) < 18) * 1.0
    assert darkness.mean() > 0.6
    assert paper.is_around_a_cutout(darkness == 0)
    assert not paper.is_around_a_cutout(darkness == 1)
    assert likeness(ink.digit_image(pixels(darkness, light)), on_plain_paper(darkness)) > 0.97


def test_too_many_marks():
    sheet = np.zeros((300, 300))
    for row in range(20, 280, 30):
        for column in range(20, 280, 30):
            sheet[row : row + 12, column : column + 9] = 1
    with pytest.raises(SeveralError, match="^81 marks"):
        ink.digit_image(pixels(sheet))


def test_boxes_and_areas():
    mask = np.zeros((7, 11), bool)
    mask[1:3, 2] = mask[5, 4:10] = True
    found = parts.parts_of(mask)
    assert found.boxes.tolist() == [[1, 2, 3, 3], [5, 4, 6, 10]]
    assert found.areas.tolist() == [2, 6]
    assert found.sizes.tolist() == [[2, 1], [1, 6]]


def test_connected_parts_against_flood_fill():
    mask = np.random.RandomState(3).rand(37, 53) < 0.4
    part = np.full(mask.shape, -1)
    for start in zip(*np.nonzero(mask), strict=True):
        number, queue = part.max() + 1, [start] if part[start] < 0 else []
        while queue:
            y, x = queue.pop()
            if 0 <= y < 37 and 0 <= x < 53 and mask[y, x] and part[y, x] < 0:
                part[y, x] = number
                queue += [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    labels = parts.connected(mask)
    assert labels.max() == part.max()
    pairs = set(zip(labels.tolist(), part[mask].tolist(), strict=True))
    assert len(pairs) == labels.max() + 1
