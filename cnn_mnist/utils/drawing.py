"""What all figures share: their paper, how images and names are shown, and their files."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from PIL import Image

DOTS_PER_INCH = 120
TITLE_GAP = 0.08  # inches between a title and its picture
NAME_WIDTH = 7.5  # of a class name, in ems, for which there is room: about 13 letters
INK = "gray_r"  # of images: 0, the background, is white; 255 is black


Place = tuple[float, float, float, float]  # left, top, width, height


def empty(width: float, height: float, title: str = "") -> Figure:
    """An empty figure; width and height in inches."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


class Paper:
    """A figure on which things have places in inches from the top left.

    To find places by matplotlib's layout engine takes several times as long as the drawing, and to
    give each picture axes of its own twice as long: all stand on the same.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = empty(width, height)
        self.figure.set_layout_engine("none")
        self.width, self.height = width, height
        self._page = self.axes((0, 0, width, height))
        self._page.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self._page.set_axis_off()

    def title(self, text: str) -> None:
        """One line at the top."""
        plain([self.figure.suptitle(text, fontsize=12, y=1 - 0.2 / self.height, va="center")])

    def image(self, image: np.ndarray, place: Place, title: str = "", size: float = 9) -> None:
        """Shows an image, `uint8 [H, W]` or `[H, W, 3]`, as `picture` does."""
        self.picture(image, place, title, size, cmap=INK, vmin=0, vmax=255)

    def picture(
        self,
        values: np.ndarray,
        place: Place,
        title: str = "",
        size: float = 9,
        ink: np.ndarray | None = None,
        frame: bool = True,
        **style: Any,
    ) -> AxesImage:
        """Shows pixels `[H, W]` or `[H, W, 3]` as large as they fit, in the middle of a place.

        Args:
          title: above it; `size` in points.
          ink: an image, `uint8 [H, W]`, of whose ink a thin line shows the edge.
          frame: whether it has one.
          style: of matplotlib's `imshow`.
        """
        left, top, width, height = place
        pixel = min(width / values.shape[1], height / values.shape[0])
        wide, high = pixel * values.shape[1], pixel * values.shape[0]
        left, top = left + (width - wide) / 2, top + (height - high) / 2
        sides = (left, left + wide, top + high, top)
        drawn = self._page.imshow(values, extent=sides, aspect="auto", **style)
        if frame:
            self._page.add_patch(Rectangle((left, top), wide, high, fill=False, linewidth=0.8))
        if ink is not None:
            across, down = ((np.arange(n) + 0.5) * pixel for n in reversed(ink.shape))
            edge: dict[str, Any] = {"levels": [127.5], "colors": "#707070", "linewidths": 0.7}
            self._page.contour(left + across, top + down, ink, **edge)
        if title:
            above = (left + wide / 2, top - TITLE_GAP)
            plain([self._page.text(*above, title, fontsize=size, ha="center", va="baseline")])
        return drawn

    def axes(self, place: Place, title: str = "", size: float = 9) -> Axes:
        """Axes at a place."""
        left, top, width, height = place
        down, across = self.height, self.width
        box = left / across, 1 - (top + height) / down, width / across, height / down
        axes = self.figure.add_axes(box)
        if title:
            plain([axes.set_title(title, fontsize=size)])
        return axes

    def bar(self, drawn: Any, left: float, top: float, height: float, label: str = "") -> None:
        """The upright colour bar of a picture."""
        bar = self.figure.colorbar(drawn, cax=self.axes((left, top, 0.1, height)))
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7 if height < 1.5 else 8)

    def aside(self, right: float, middle: float, text: str, size: float = 8, turn: int = 0) -> None:
        """Text that ends at `right`, `middle` being that of its height."""
        shown = self._page.text(right, middle, text, ha="right", va="center", fontsize=size)
        shown.set(rotation=turn, multialignment="center" if turn else "right")
        plain([shown])


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; drawn anew from the same numbers, it has the same bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # `savefig` would draw twice, the first time for the size alone
    file, dots = io.BytesIO(), (DOTS_PER_INCH, DOTS_PER_INCH)
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(file, "png", dpi=dots)
    return file.getvalue()


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
