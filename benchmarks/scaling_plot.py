"""The picture of `scaling.py`: the speed-up at most against the workers, on logarithmic axes.

Lines differ in style and marker as well as in colour, each with its name beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from benchmarks.growth_plot import BLUE, DOTS_PER_INCH, GREY, NUMBER, ORANGE
from benchmarks.scaling_plan import SERVERS, Measured, Plan, one_batch, own_batches

WORKERS = tuple(2**power for power in range(10))
PANELS = (10, 100)  # Gbit/s
GREEN, BLACK = "#009e73", "#000000"  # of the same palette

# Takes the sizes of a recipe, a plan and a link; gives the seconds of the parts of a step.
Network = Callable[[Any, Plan, float], dict[str, float]]


def one_server(sizes: Any, plan: Plan, link: float) -> dict[str, float]:
    """All weights on one parameter server."""
    return plan.with_servers(sizes.weights, sizes.fullest[1], link)


def even_servers(sizes: Any, plan: Plan, link: float) -> dict[str, float]:
    """Equal shares of the weights on the largest number of parameter servers."""
    return plan.with_servers(sizes.weights, sizes.weights / SERVERS[-1], link)


def all_reduce(sizes: Any, plan: Plan, link: float) -> dict[str, float]:
    """No parameter servers."""
    return plan.with_ring(sizes.weights, link)


def write(sizes: Any, measured: Measured, path: Path) -> None:
    """Draws a panel for each of `PANELS`.

    Args:
      sizes: of the recipe, a `scaling_sizes.Sizes`.
      measured: its times.
      path: of the PNG file.
    """
    figure = Figure(figsize=(5.6 * len(PANELS), 5.6), dpi=DOTS_PER_INCH)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(PANELS), sharey=True, squeeze=False)[0]
    for axes, link in zip(panels, PANELS, strict=True):
        axes.plot(WORKERS, WORKERS, color=GREY, linewidth=1, label="as many times as workers")
        for line in _lines(measured):
            gains = _gains(line, sizes, link)
            axes.plot(
                WORKERS[: len(gains)],
                gains,
                line.style,
                color=line.color,
                markersize=line.marker_size,
                markerfacecolor="none",
                label=line.name,
            )
        _finish(axes, link)
    panels[0].set_ylabel("speed-up at most")
    names, labels = panels[0].get_legend_handles_labels()
    figure.legend(names, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    figure.savefig(path, metadata={"Software": None})


@dataclasses.dataclass(frozen=True)
class Line:
    """One choice: name and look, the plan for a number of workers, and what carries the bytes."""

    name: str
    color: str
    style: str
    marker_size: int
    plan: Callable[[int], Plan]
    network: Network


def _lines(measured: Measured) -> list[Line]:
    def waiting(workers: int) -> Plan:
        return own_batches(measured, workers, in_step=True)

    def free(workers: int) -> Plan:
        return own_batches(measured, workers, in_step=False)

    def shared(workers: int) -> Plan:
        return one_batch(measured, workers)

    even = f"asynchronous, {SERVERS[-1]} servers in even shares"
    return [  # markers that lie on each other differ in size
        Line("all-reduce, a batch each", GREEN, "D-", 8, waiting, all_reduce),
        Line(even, BLUE, "^--", 6, free, even_servers),
        Line("asynchronous, 1 server", BLUE, "o-", 5, free, one_server),
        Line("synchronous, a batch each, 1 server", ORANGE, "s-", 5, waiting, one_server),
        Line("all-reduce, one batch shared", BLACK, "x:", 6, shared, all_reduce),
        Line("synchronous, one batch shared, 1 server", BLACK, "+-.", 7, shared, one_server),
    ]


def _gains(line: Line, sizes: Any, link: float) -> list[float]:
    """The speed-ups of a line, up to as many workers as it can have; one worker is one process."""
    gains = [1.0]
    for workers in WORKERS[1:]:
        try:
            plan = line.plan(workers)
        except ValueError:  # more workers than images
            break
        gains.append(plan.speed_up(line.network(sizes, plan, link)))
    return gains


def _finish(axes: Axes, link: float) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title(f"links of {link} Gbit/s", fontsize=11)
    axes.set_xlabel("workers")
    axes.xaxis.set_major_locator(FixedLocator(WORKERS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(NUMBER)
    axes.yaxis.set_major_locator(LogLocator(10))
    axes.yaxis.set_major_formatter(NUMBER)
    axes.grid(which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
