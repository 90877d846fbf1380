"""A picture of a digit, for the tests that read pictures."""

import io

import numpy as np
from PIL import Image, ImageDraw

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def seven(size=(90, 120), ink=BLACK, paper=WHITE, pen=9, box=(20, 25, 65, 95)):
    """A 7 of straight lines, as a colour image; `box` is left, top, right, bottom."""
    image = Image.new("RGB", size, paper)
    left, top, right, bottom = box
    draw = ImageDraw.Draw(image)
    draw.line(
        [(left, top), (right, top), (left + 0.27 * (right - left), bottom)], ink, pen, joint="curve"
    )
    return image


def saved(image, path, **options):
    image.save(path, **options)
    return path


def encoded(kind):
    stream = io.BytesIO()
    seven().save(stream, kind)
    return stream.getvalue()


def likeness(digit, expected):
    """The correlation, the best of all moves by at most one pixel."""
    moves = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(
        np.corrcoef(np.roll(digit, move, (0, 1)).ravel().astype(float), expected.ravel())[0, 1]
        for move in moves
    )
