"""The figures of an explanation: arrays in, matplotlib figures out.

What speaks for a class is blue, what speaks against it orange, and white is nothing. In grey, blue
is dark and orange is light. Where images have one channel, a thin line shows where their ink ends.

Axes: H height, W width, C channels, K classes, U units or filters, k neighbours.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from cnn_mnist.explanations.shown import Compared, Filters, Shown
from cnn_mnist.utils.drawing import Paper, Place, plain, short

# From orange by white to dark blue: M. Okabe, K. Ito, "Color Universal Design", 2008, has both.
_ORANGE, _BLUE = "#e08214", "#08306b"
FOR_AND_AGAINST = LinearSegmentedColormap.from_list(
    "for_and_against", [_ORANGE, "#f9dcb8", "#ffffff", "#9ecae1", _BLUE]
)
_SHADES = "Blues"
_MOST_FILTERS = 32
_FILTERS_PER_ROW = 8
_MOST_CHANNELS, _CHANNELS_PER_ROW = 16, 8
_MOST_LAYERS = 12


def compared(rows: Sequence[Compared]) -> Figure:
    """A sheet of mistakes, each beside what speaks for the predicted class and for the true one."""
    columns, side = 3, 1.28  # of images, in inches
    lines = -(-len(rows) // columns)
    paper = Paper(8.2, 1.78 * lines + 1.0)
    paper.title("Which pixels speak for the class that a mistake was taken for")
    drawn: Any = None
    for place, row in enumerate(rows):
        line, column = divmod(place, columns)
        left, top = 0.1 + 2.72 * column, 0.85 + 1.78 * line
        true, predicted = short([row.true, row.predicted])
        paper.image(row.image, (left, top, side, side), f"true: {true}", size=8)
        beside = (left + side + 0.04, top, side, side)
        title = f"taken for: {predicted}\nprobability {row.probability:.4f}"
        drawn = _map(paper, beside, row.map / _largest(row.map), row.image, 1, title, size=8)
    at = paper.axes((1.6, paper.height - 0.42, 5.0, 0.1))
    bar = paper.figure.colorbar(drawn, cax=at, orientation="horizontal")
    bar.set_ticks([-1, 0, 1], labels=["for the true class", "0", "for the class it was taken for"])
    bar.ax.tick_params(labelsize=8)
    return paper.figure


def picture(shown: Shown) -> Figure:
    """One image, what decides for two classes by both methods, and the nearest training images."""
    side, columns, rows = 2.1, (0.55, 2.9, 5.15), (0.9, 3.55)  # inches
    count = len(shown.neighbours)
    paper = Paper(8.1, 7.4 if count else 5.8)
    paper.title(shown.title)
    paper.image(shown.image, (columns[0], rows[0], side, side), "the picture")
    _bars(paper.axes((columns[0], rows[1], side, side), "probability"), shown.probabilities)
    names = short([name for name, _ in shown.classes])
    methods = (
        ("integrated gradients", shown.gradients, "adds to the score"),
        ("occlusion", shown.occlusions, "score lost when covered"),
    )
    for top, (method, maps, label) in zip(rows, methods, strict=True):
        largest = _largest(maps)
        for place, ((_, what), name) in enumerate(zip(shown.classes, names, strict=True)):
            title = f"{method}\nfor {name} ({what})"
            at = (columns[1 + place], top, side, side)
            drawn = _map(paper, at, maps[place], shown.image, largest, title)
        paper.bar(drawn, 7.36, top, side, label)
    for column, image in enumerate(shown.neighbours):
        (name,) = short([shown.labels[column]])
        title = f"{name}\ndistance {shown.distances[column]:.3g}"
        paper.image(image, (0.75 + 1.2 * column, 6.25, 1.05, 1.05), title, size=8)
    if count:
        paper.aside(0.7, 6.775, "nearest training\nimages", size=9, turn=90)
    return paper.figure


def filters(found: Sequence[Filters]) -> Figure:
    """The weights of a first layer, one picture for each unit; of many, the largest ones."""
    weights = np.concatenate([each.weights for each in found], axis=3)  # [h, w, C, U]
    height, width, channels, units = weights.shape
    kept = np.arange(units)
    if units > _MOST_FILTERS:
        sizes = (weights.astype(np.float64) ** 2).sum(axis=(0, 1, 2))
        kept = np.sort(np.argsort(-sizes, kind="stable")[:_MOST_FILTERS])
    members = f" of {len(found)} members" if len(found) > 1 else ""
    size = f"{height} x {width}" + (f" x {channels}" if channels > 1 else "")
    title = f"The first layer{members}: {units} filters of {size} weights"
    if units > len(kept):
        title += f", the {len(kept)} largest"
    wide, high = 0.78, 0.78 * min(3.0, height / width)  # inches
    lines = -(-len(kept) // _FILTERS_PER_ROW)
    paper = Paper(7.6, (high + 0.08) * lines + 0.65)
    paper.title(title)
    largest = _largest(weights)
    for place, unit in enumerate(kept):
        line, column = divmod(place, _FILTERS_PER_ROW)
        at = (0.1 + 0.84 * column, 0.5 + (high + 0.08) * line, wide, high)
        if channels == 1:
            drawn = paper.picture(weights[:, :, 0, unit], at, **_signed(largest))
        else:  # mid-grey is a weight of 0
            paper.picture((weights[..., unit] / (2 * largest) + 0.5).clip(0, 1), at)
    if channels == 1:
        paper.bar(drawn, 6.9, 0.5, (high + 0.08) * lines - 0.08, "weight of a pixel")
    return paper.figure


def activations(
    image: np.ndarray, layers: Mapping[str, np.ndarray], class_names: Sequence[str], title: str
) -> Figure:
    """What each layer makes of an image, from the first to the last.

    Args:
      image: `uint8 [H, W]`, or `[H, W, 3]`.
      layers: the outputs by name, `float32 [h, w, U]` or `[U]`; of an ensemble only the first
        member's layers are drawn, and none that only arranges another's values anew.
    """
    drawn = _drawn_layers(layers)
    left, wide, top = 1.35, 5.5, 0.5  # inches
    heights = {name: _height(values) for name, values in drawn.items()}
    paper = Paper(7.6, top + 1.2 + sum(heights.values()) + 0.25 * len(heights) + 0.35)
    paper.title(title)
    paper.image(image, (left, top, wide, 1.2))
    paper.aside(1.0, top + 0.6, "the picture")
    top += 1.2
    for name, values in drawn.items():
        top, height = top + 0.25, heights[name]
        shape = " x ".join(map(str, values.shape))
        if values.size == len(class_names) <= 40:
            _class_bars(paper.axes((left, top, wide, height)), values.ravel(), class_names)
        else:
            sheet, note = _sheet(values)
            signed = bool(values.min() < 0)
            largest = max(float(np.abs(values).max()), 1e-12)
            picture = paper.picture(
                np.ma.masked_invalid(sheet),
                (left, top, wide, height),
                frame=False,
                interpolation="nearest",
                **(
                    _signed(largest) if signed else {"cmap": _SHADES, "norm": Normalize(0, largest)}
                ),
            )
            paper.bar(picture, left + wide + 0.1, top, height)
            shape += note
        paper.aside(1.0, top + height / 2, f"{' '.join(short([name]))}\n{shape}")
        top += height
    return paper.figure


def _drawn_layers(layers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    scope, before = None, None
    for name, values in layers.items():
        if "/" in name:  # a member's
            scope = scope or name.partition("/")[0]
            if name.partition("/")[0] != scope:
                continue
        if before is None or before.size != values.size or not np.array_equal(before, values.flat):
            found[name] = values
        before = values.ravel()
    names = list(found)
    # Of very deep networks the first ones, and always the last.
    kept = names if len(names) <= _MOST_LAYERS else [*names[: _MOST_LAYERS - 1], names[-1]]
    return {name: found[name] for name in kept}


def _height(values: np.ndarray) -> float:
    """Inches for a layer's row."""
    if values.ndim < 3:
        return 0.85 if values.size <= 40 else 0.55
    across = min(values.shape[2], _CHANNELS_PER_ROW)
    down = -(-min(values.shape[2], _MOST_CHANNELS) // _CHANNELS_PER_ROW)
    return min(2.0, max(0.5, 5.6 / across * down * values.shape[0] / values.shape[1]))


def _sheet(values: np.ndarray) -> tuple[np.ndarray, str]:
    """A layer's values side by side, `float32 [rows, columns]`, NaN between; and what is left out.

    Of `[h, w, U]` a picture for each of the first channels; of `[U]` rows of cells.
    """
    if values.ndim < 3:
        values = values.ravel()
        columns = math.ceil(math.sqrt(values.size * 12))
        sheet = np.full(-(-values.size // columns) * columns, np.nan, np.float32)
        sheet[: values.size] = values
        return sheet.reshape(-1, columns), ""
    height, width, units = values.shape
    kept = min(units, _MOST_CHANNELS)
    columns = min(kept, _CHANNELS_PER_ROW)
    rows = -(-kept // columns)
    gap = max(1, width // 12)
    down, across = height + gap, width + gap  # from one to the next
    sheet = np.full([rows * down - gap, columns * across - gap], np.nan, np.float32)
    for place in range(kept):
        row, column = divmod(place, columns)
        top, left = row * down, column * across
        sheet[top : top + height, left : left + width] = values[..., place]
    return sheet, f"\n(the first {kept})" if kept < units else ""


def _map(
    paper: Paper,
    place: Place,
    values: np.ndarray,
    image: np.ndarray,
    largest: float,
    title: str,
    size: float = 9,
) -> Any:
    has_edge = image.ndim == 2 and image.min() < 128 <= image.max()
    ink = image if has_edge else None
    return paper.picture(values, place, title, size, ink, **_signed(largest))


def _bars(axes: Axes, probabilities: Sequence[tuple[str, float]]) -> None:
    names = short([name for name, _ in probabilities])
    values = [value for _, value in probabilities]
    axes.barh(range(len(values)), values, color="#9ecae1", edgecolor=_BLUE)
    axes.set_yticks(range(len(values)), names, fontsize=9)
    axes.invert_yaxis()
    for place, value in enumerate(values):
        inside = value > 0.5
        side, at = ("right", value - 0.03) if inside else ("left", value + 0.03)
        axes.text(at, place, f"{value:.4f}", ha=side, va="center", fontsize=8)
    axes.set(xlim=(0, 1))
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=8)
    plain(axes.get_yticklabels())


def _class_bars(axes: Axes, values: np.ndarray, class_names: Sequence[str]) -> None:
    colors = [_BLUE if value > 0 else _ORANGE for value in values]
    axes.bar(range(len(values)), values, color=colors)
    axes.axhline(0, color="#707070", linewidth=0.7)
    axes.set_xticks(range(len(values)), short(class_names), fontsize=8)
    axes.tick_params(axis="y", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    if max(map(len, class_names)) > 2:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
    plain(axes.get_xticklabels())


def _largest(values: np.ndarray) -> float:
    """The end of a scale around 0: a few pixels may lie beyond it, lest the others pale."""
    return max(float(np.quantile(np.abs(values), 0.995)), 1e-12)


def _signed(largest: float) -> dict[str, Any]:
    """The shades of values around 0."""
    return {"cmap": FOR_AND_AGAINST, "norm": TwoSlopeNorm(0, -largest, largest)}
