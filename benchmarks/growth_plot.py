"""The plot of `growth.py`: time above, memory below, on logarithmic axes.

Lines differ in style and marker as well as in colour, each with its name and its numbers beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

if TYPE_CHECKING:
    from benchmarks.growth import Point

DOTS_PER_INCH = 150
# Of M. Okabe, K. Ito, "Color Universal Design", 2008; far apart in grey too.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#808080"
STEEP = 3  # how many times as high a line ends as it begins, to be drawn as one that rises
NUMBER = FuncFormatter(lambda value, _: f"{value:,g}")


def write(panels: Mapping[str, tuple[str, Sequence[Point]]], path: Path) -> None:
    """Draws two panels for everything that was varied.

    Args:
      panels: by what was varied: what was timed, and the points.
      path: of the PNG file.
    """
    figure = Figure(figsize=(4.2 * len(panels), 6.6), dpi=DOTS_PER_INCH)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, len(panels), sharex="col", squeeze=False)
    for above, below, (varied, (timed, points)) in zip(upper, lower, panels.items(), strict=True):
        _times(above, timed, points)
        _memory(below, points)
        below.set_xlabel(varied)
        below.xaxis.set_major_locator(FixedLocator([point.size for point in points]))
        below.xaxis.set_minor_locator(NullLocator())
        below.xaxis.set_major_formatter(NUMBER)
        below.tick_params(axis="x", labelsize=9)
        below.set_xlim(points[0].size / 1.6, points[-1].size * 1.6)
    upper[0].set_ylabel("time, seconds")
    lower[0].set_ylabel("memory, MB")
    figure.savefig(path, metadata={"Software": None})


def _times(axes: Axes, timed: str, points: Sequence[Point]) -> None:
    sizes, times, starts, _, _ = zip(*points, strict=True)
    _line(axes, sizes, times, timed, BLUE, "o-")
    if times[-1] > STEEP * times[0]:
        proportional = [times[-1] * size / sizes[-1] for size in sizes]
        axes.plot(sizes, proportional, ":", color=GREY, zorder=1)
        middle = len(sizes) // 2
        place = (sizes[middle], proportional[middle])
        _text(axes, "in proportion", place, GREY, (6, -12), 9, "left")
        starts = ()
    else:
        _line(axes, sizes, starts, "from process start to first step", ORANGE, "s--")
    _logarithmic(axes, [*times, *starts])


def _memory(axes: Axes, points: Sequence[Point]) -> None:
    sizes, _, _, peaks, data = zip(*points, strict=True)
    _line(axes, sizes, peaks, "peak of the process", BLUE, "o-")
    _line(axes, sizes, data, "of it images and labels", ORANGE, "s--")
    _logarithmic(axes, [*peaks, *data])


def _line(
    axes: Axes, sizes: Sequence[int], values: Sequence[float], name: str, color: str, style: str
) -> None:
    axes.plot(sizes, values, style, color=color, markersize=5)
    rising = values[-1] > STEEP * values[0]
    for size, value in zip(sizes, values, strict=True):
        text = f"{value:.2g}" if value < 1 else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
        side, offset = ("right", (-4, 4)) if rising else ("center", (0, 6))
        if rising and size == sizes[0]:  # no room on its left
            side, offset = "center", (0, -14)
        _text(axes, text, (size, value), color, offset, 8, side)
    if rising:  # above the line's end, where it leaves room
        _text(axes, name, (sizes[-1], values[-1]), color, (-34, 4), 9, "right")
    else:
        _text(axes, name, (sizes[0], values[0]), color, (-8, 19), 9, "left")


Pair = tuple[float, float]


def _text(
    axes: Axes, text: str, place: Pair, color: str, offset: Pair, size: int, side: str
) -> None:
    """Writes beside a point; offset and size in points, to that side."""
    style = {"textcoords": "offset points", "ha": side, "color": color, "fontsize": size}
    axes.annotate(text, place, offset, **style)  # type: ignore[arg-type]


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(min(values) / 2, max(values) * 4)  # room for the names
    axes.yaxis.set_major_locator(LogLocator(10))
    axes.yaxis.set_major_formatter(NUMBER)
    axes.grid(which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
