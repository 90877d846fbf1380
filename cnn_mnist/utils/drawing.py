"""What all figures share: their paper, how images and names are shown, and their files."""

import io
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

DOTS_PER_INCH = 120
NAME_WIDTH = 7.5  # of a class name, in ems, for which there is room: about 13 letters
INK = "gray_r"  # of images: 0, the background, is white; 255 is black


def empty(width: float, height: float, title: str = "") -> Figure:
    """An empty figure; width and height in inches."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; drawn anew from the same numbers, it has the same bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def show(axes: Axes, image: np.ndarray) -> None:
    """Shows an image, `uint8 [H, W]` or `[H, W, 3]`, without ticks."""
    axes.imshow(image, cmap=INK, vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])


def short(names: Iterable[str]) -> list[str]:
    """The names on one line each, and no wider than there is room for."""
    em = FontProperties(size=1)

    def fitted(name: str) -> str:
        shown = " ".join(name.split())[:100]  # of any font, more than there is room for
        while text_to_path.get_text_width_height_descent(shown, em, ismath=False)[0] > NAME_WIDTH:
            shown = shown.removesuffix("…")[:-1] + "…"
        return shown

    return [fitted(name) for name in names]


def plain(texts: Iterable[Text]) -> None:
    """Shows a name that a user gave as it is: `$` would start a formula."""
    for text in texts:
        text.set_parse_math(False)
