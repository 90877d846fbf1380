"""Draws the twenty digits of `tests/digits`, in other ways than MNIST's: two of each.

A digit is one or more strokes, each a smooth curve through a few points, drawn with a round pen
whose path and width waver a little. The first character of a file's name is the digit.

python tests/draw_digits.py
"""

import dataclasses
import math
import random
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).with_name("digits")
FINER = 4  # drawn this much larger and then made smaller, so that edges are soft

WHITE, BLACK = (255, 255, 255), (0, 0, 0)

# Points (x to the right, y down) of a digit one unit high. "A": as most Europeans write it;
# "B": as most Americans do.
STROKES = {
    "0A": [[(0.55, 0.02), (0.22, 0.2), (0.13, 0.55), (0.25, 0.9), (0.5, 1), (0.76, 0.82),
            (0.84, 0.45), (0.74, 0.12), (0.5, 0)]],
    "0B": [[(0.5, 0), (0.25, 0.13), (0.2, 0.5), (0.28, 0.87), (0.48, 1), (0.68, 0.86),
            (0.75, 0.5), (0.67, 0.1), (0.44, 0.02)]],
    "1A": [[(0.25, 0.33), (0.42, 0.18), (0.56, 0), (0.55, 0.35), (0.53, 1)]],
    "1B": [[(0.56, 0), (0.53, 0.3), (0.48, 0.65), (0.45, 1)]],
    "2A": [[(0.2, 0.25), (0.32, 0.06), (0.56, 0), (0.76, 0.14), (0.74, 0.36), (0.52, 0.64),
            (0.2, 0.97)], [(0.2, 0.97), (0.5, 0.95), (0.82, 0.96)]],
    "2B": [[(0.18, 0.2), (0.4, 0.01), (0.7, 0.08), (0.76, 0.3), (0.58, 0.6), (0.3, 0.9),
            (0.17, 0.96), (0.15, 0.84), (0.32, 0.82), (0.56, 0.95), (0.86, 0.93)]],
    "3A": [[(0.22, 0.13), (0.45, 0), (0.71, 0.1), (0.7, 0.33), (0.42, 0.46), (0.7, 0.56),
            (0.79, 0.77), (0.6, 0.97), (0.36, 0.99), (0.18, 0.87)]],
    "3B": [[(0.2, 0.06), (0.5, 0), (0.72, 0.14), (0.64, 0.36), (0.44, 0.45), (0.72, 0.53),
            (0.77, 0.8), (0.52, 1), (0.2, 0.93)]],
    "4A": [[(0.36, 0), (0.27, 0.28), (0.16, 0.58), (0.5, 0.57), (0.86, 0.54)],
           [(0.66, 0.26), (0.63, 0.6), (0.6, 1)]],
    "4B": [[(0.2, 0.02), (0.19, 0.25), (0.22, 0.47), (0.45, 0.52), (0.72, 0.47)],
           [(0.74, 0), (0.72, 0.5), (0.7, 1)]],
    "5A": [[(0.29, 0.04), (0.27, 0.22), (0.24, 0.44)],
           [(0.24, 0.44), (0.48, 0.36), (0.73, 0.5), (0.76, 0.76), (0.56, 0.98), (0.2, 0.92)],
           [(0.29, 0.04), (0.55, 0.03), (0.8, 0.01)]],
    "5B": [[(0.78, 0.02), (0.55, 0.02), (0.34, 0.05)], [(0.34, 0.05), (0.3, 0.24), (0.27, 0.42)],
           [(0.27, 0.42), (0.52, 0.4), (0.74, 0.57), (0.7, 0.84), (0.46, 1), (0.18, 0.9)]],
    "6A": [[(0.66, 0), (0.4, 0.2), (0.22, 0.52), (0.22, 0.82), (0.44, 1), (0.7, 0.9),
            (0.74, 0.68), (0.54, 0.54), (0.32, 0.62), (0.22, 0.78)]],
    "6B": [[(0.54, 0), (0.33, 0.3), (0.21, 0.62), (0.28, 0.92), (0.52, 1), (0.73, 0.84),
            (0.66, 0.62), (0.45, 0.58), (0.25, 0.74)]],
    "7A": [[(0.16, 0.06), (0.5, 0.04), (0.82, 0.02)], [(0.82, 0.02), (0.6, 0.4), (0.4, 1)],
           [(0.36, 0.5), (0.56, 0.49), (0.74, 0.47)]],
    "7B": [[(0.18, 0.08), (0.48, 0.05), (0.79, 0.03)], [(0.79, 0.03), (0.66, 0.34), (0.52, 0.66),
            (0.44, 1)]],
    "8A": [[(0.66, 0.1), (0.46, 0), (0.27, 0.14), (0.34, 0.36), (0.58, 0.52), (0.73, 0.76),
            (0.54, 0.99), (0.29, 0.9), (0.28, 0.68), (0.5, 0.47), (0.7, 0.28), (0.66, 0.1)]],
    "8B": [[(0.5, 0.46), (0.3, 0.3), (0.34, 0.07), (0.55, 0), (0.71, 0.14), (0.66, 0.36),
            (0.5, 0.46), (0.27, 0.66), (0.29, 0.92), (0.52, 1), (0.73, 0.88), (0.72, 0.64),
            (0.5, 0.46)]],
    "9A": [[(0.72, 0.16), (0.52, 0), (0.29, 0.12), (0.27, 0.36), (0.48, 0.47), (0.68, 0.34),
            (0.72, 0.16), (0.71, 0.5), (0.66, 0.82), (0.44, 1), (0.24, 0.92)]],
    "9B": [[(0.7, 0.12), (0.48, 0), (0.28, 0.16), (0.32, 0.4), (0.53, 0.43), (0.7, 0.22),
            (0.71, 0.1), (0.67, 0.5), (0.6, 1)]],
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How a digit is drawn.

    Attributes:
      strokes: a key of `STROKES`.
      size: width and height of the picture in pixels.
      height: of the digit, as a share of the picture's height.
      pen: width of the stroke, as a share of the digit's height.
      centre: of the digit, as shares of the picture's width and height.
      slant: how far the top leans to the right, as a share of the digit's height.
      ink: its colour; with `paper` None the paper is transparent.
      shade: how much darker the lower right corner is than the upper left, 0 to 1.
      grain: standard deviation of the paper's noise, of 255.
    """

    strokes: str
    size: tuple[int, int] = (120, 120)
    height: float = 0.65
    pen: float = 0.1
    centre: tuple[float, float] = (0.5, 0.5)
    slant: float = 0.0
    ink: tuple[int, int, int] = BLACK
    paper: tuple[int, int, int] | None = WHITE
    shade: float = 0.0
    grain: float = 0.0


DRAWINGS = {
    "0_thick": Drawing("0A", pen=0.2),
    "0_thin_off_centre": Drawing("0B", pen=0.03, height=0.4, centre=(0.25, 0.3), slant=0.1),
    "1_inverted": Drawing("1A", ink=WHITE, paper=BLACK),
    "1_large": Drawing("1B", size=(600, 900), height=0.9, pen=0.08, slant=0.12),
    "2_coloured": Drawing("2A", ink=(200, 30, 40), paper=(250, 240, 190)),
    "2_thin": Drawing("2B", pen=0.025, ink=(60, 60, 60)),
    "3_thick_inverted": Drawing("3A", pen=0.19, ink=(240, 240, 240), paper=(25, 25, 25)),
    "3_small_off_centre": Drawing("3B", size=(200, 150), height=0.25, centre=(0.8, 0.75)),
    "4_large": Drawing("4A", size=(800, 700), height=0.92, pen=0.11),
    "4_coloured_paper": Drawing("4B", ink=(250, 250, 120), paper=(30, 90, 160), slant=0.1),
    "5_thin_inverted": Drawing("5A", pen=0.03, ink=(230, 230, 230), paper=(20, 40, 30)),
    "5_thick": Drawing("5B", pen=0.17, slant=0.08),
    "6_transparent": Drawing("6A", paper=None, ink=(20, 20, 120)),
    "6_uneven_light": Drawing("6B", size=(160, 160), shade=0.55, grain=2, ink=(50, 50, 70)),
    "7_coloured": Drawing("7A", ink=(20, 130, 60), paper=(240, 200, 220)),
    "7_thin_large": Drawing("7B", size=(700, 800), height=0.85, pen=0.015, slant=0.05),
    "8_off_centre": Drawing("8A", size=(220, 120), centre=(0.82, 0.42), height=0.6),
    "8_thick_coloured": Drawing("8B", pen=0.15, ink=(230, 110, 0), paper=(60, 20, 80)),
    "9_noisy_paper": Drawing("9A", ink=(70, 70, 90), paper=(215, 210, 200), grain=9),
    "9_tiny": Drawing("9B", size=(24, 30), height=0.75, pen=0.13, slant=0.06),
}


def smooth(points: list[tuple[float, float]], pieces: int = 40) -> list[tuple[float, float]]:
    """A curve through all points: a Catmull-Rom spline, `pieces` steps from point to point."""
    padded = [points[0], *points, points[-1]]
    curve = []
    for i in range(len(points) - 1):
        p0, p1, p2, p3 = padded[i : i + 4]
        for step in range(pieces + (i == len(points) - 2)):
            t = step / pieces
            curve.append(
                tuple(
                    (
                        2 * b
                        + (c - a) * t
                        + (2 * a - 5 * b + 4 * c - d) * t**2
                        + (3 * b - a - 3 * c + d) * t**3
                    )
                    / 2
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                )
            )
    return curve


def mask_of(drawing: Drawing, rng: random.Random) -> Image.Image:
    """Where the pen has been: grey, 0 to 255."""
    width, height = (side * FINER for side in drawing.size)
    unit = drawing.height * height
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for stroke in STROKES[drawing.strokes]:
        jittered = [(x + rng.gauss(0, 0.012), y + rng.gauss(0, 0.012)) for x, y in stroke]
        phase = rng.uniform(0, 2 * math.pi)
        path = [
            (
                drawing.centre[0] * width + (x - 0.5 + drawing.slant * (0.5 - y)) * unit,
                drawing.centre[1] * height + (y - 0.5) * unit,
            )
            for x, y in smooth(jittered)
        ]
        for i, (x, y) in enumerate(path):
            radius = drawing.pen * unit / 2 * (1 + 0.12 * math.sin(phase + i / 25))
            draw.line([path[max(i - 1, 0)], (x, y)], 255, max(1, round(2 * radius)))
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], 255)
    return mask.resize(drawing.size, Image.Resampling.BOX)


def drawn(name: str) -> Image.Image:
    """One of `DRAWINGS`; the same at every call."""
    drawing = DRAWINGS[name]
    rng = random.Random(name)
    mask = mask_of(drawing, rng)
    if drawing.paper is None:
        image = Image.new("RGBA", drawing.size, (*drawing.ink, 255))
        image.putalpha(mask)
        return image
    image = Image.new("RGB", drawing.size, drawing.paper)
    image.paste(drawing.ink, mask=mask)
    if drawing.shade or drawing.grain:
        image = lit(image, drawing, rng)
    return image


def lit(image: Image.Image, drawing: Drawing, rng: random.Random) -> Image.Image:
    """The image under uneven light and with grain."""
    pixels = image.load()
    width, height = image.size
    for y in range(height):
        for x in range(width):
            light = 1 - drawing.shade * (x / width + y / height) / 2
            grain = rng.gauss(0, drawing.grain)
            pixels[x, y] = tuple(
                min(max(round(value * light + grain), 0), 255) for value in pixels[x, y]
            )
    return image


def main() -> None:
    """Writes all twenty."""
    FOLDER.mkdir(exist_ok=True)
    for name in DRAWINGS:
        drawn(name).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
