"""The figures of the report and of the data: numbers in, matplotlib figures out.

They read the same in colour, in grey and to the colour-blind: every shade runs one way from light
to dark, numbers stand in the cells, lines differ in style and marker as well.

Axes: N examples, K classes. `class_names` are of the K classes, in the order of the labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from cnn_mnist.evaluation.metrics import CalibrationBin, Mistake, row_shares
from cnn_mnist.evaluation.robustness import Robustness
from cnn_mnist.utils.curves import Curve, Curves
from cnn_mnist.utils.drawing import INK, Paper, empty, plain, short

_SHADES = "Blues"
_DARK, _LIGHT = "#08306b", "#9ecae1"  # of _SHADES, far apart in grey too
_ORANGE = "#e69f00"  # M. Okabe, K. Ito, "Color Universal Design", 2008
_MANY_POINTS = 60  # of a curve; with more, markers would hide the line
_MISTAKES_PER_ROW = 5
_MANY_CLASSES = 40  # more have no room for numbers, names and rows of their own
_GAP = 3  # pixels between the images of a sheet


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Which classes were taken for which; counts `int64 [K, K]`, true class by predicted class."""
    shares, names = row_shares(counts), short(class_names)
    many = len(names) > _MANY_CLASSES
    side = max(4.5, 0.52 * min(len(names), _MANY_CLASSES))  # inches
    figure = empty(side + 2, side + 1)
    axes = figure.add_subplot()
    # The cube root lifts an error of 1 % to a fifth of the scale, where it can be seen.
    picture = axes.imshow(shares, cmap=_SHADES, norm=PowerNorm(1 / 3, 0, 1))
    brightness = picture.to_rgba(shares)[..., :3] @ [0.299, 0.587, 0.114]  # ITU-R BT.601, [K, K]
    for (row, column), count in () if many else np.ndenumerate(counts):
        cell = axes.text(column, row, str(count), ha="center", va="center")
        cell.set(fontsize=9 if count < 10_000 else 7, weight="bold" if row == column else "normal")
        cell.set(color="white" if brightness[row, column] < 0.5 else "black")
    shown = range(0, len(names), -(-len(names) // _MANY_CLASSES))
    axes.set_xticks(shown, [names[k] for k in shown])
    axes.set_yticks(shown, [names[k] for k in shown])
    if max(map(len, names)) > 3:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    plain([*axes.get_xticklabels(), *axes.get_yticklabels()])
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title("Confusion matrix: images of each true class, by predicted class", fontsize=11)
    bar = figure.colorbar(picture, ax=axes, ticks=[0, 0.01, 0.1, 0.5, 1], shrink=0.9)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    bar.set_label("share of the true class's images (cube-root scale)")
    return figure


def mistakes(found: Sequence[Mistake], class_names: Sequence[str]) -> Figure:
    """A sheet of misread images, in the order given, each with what it is and was taken for."""
    names = short(class_names)
    rows = max(1, -(-len(found) // _MISTAKES_PER_ROW))
    several = f"The {len(found)} most confident mistakes"
    title = {0: "No mistakes", 1: "The most confident mistake"}.get(len(found), several)
    paper = Paper(1.6 * _MISTAKES_PER_ROW, 1.75 * rows + 0.5)
    paper.title(title)
    for count, mistake in enumerate(found):
        row, column = divmod(count, _MISTAKES_PER_ROW)
        true, predicted = names[mistake.true], names[mistake.predicted]
        text = f"true: {true}\npredicted: {predicted}\nprobability {mistake.probability:.4f}"
        place = (0.25 + 1.6 * column, 0.95 + 1.75 * row, 1.1, 1.1)
        paper.image(mistake.image, place, text, size=8)
    return paper.figure


def calibration(bins: Sequence[CalibrationBin], error: float) -> Figure:
    """How often predictions are right, against the probability that the network gives them.

    Args:
      bins: a `Report`'s.
      error: the expected calibration error, 0 to 1.
    """
    figure = empty(6.4, 6.4, f"Calibration: expected calibration error {error:.4f}")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    filled = [found for found in bins if found.images]
    accuracy = [found.accuracy or 0.0 for found in filled]
    _bars(upper, filled, accuracy)
    _bars(lower, filled, [found.images for found in filled])
    upper.plot([0, 1], [0, 1], "k--", label="where confidence equals accuracy")
    confidence = [found.confidence or 0.0 for found in filled]
    label = "mean confidence and accuracy of a bin"
    upper.plot(confidence, accuracy, "o", color=_DARK, label=label)
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy: share that is right")
    upper.legend(loc="upper left")
    # A symmetric log scale has a 0, and shows the one image beside the thousands.
    lower.set_yscale("symlog", linthresh=1)
    lower.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    lower.set_ylim(0, 3 * max(found.images for found in bins))
    lower.set(ylabel="images", xlabel="confidence: probability of the prediction")
    lower.grid(axis="y", alpha=0.4)
    figure.align_ylabels()
    return figure


def learning_curves(curves: Curves) -> Figure:
    """Loss and accuracy of training and validation against the global step."""
    figure = empty(7.2, 6.4, "Learning curves: training and validation")
    upper, lower = figure.subplots(2, 1, sharex=True)
    # Each key out of the way of its curves: a loss falls, an accuracy rises.
    _curves(upper, curves.train_loss, curves.validation_loss, key="upper right")
    _curves(lower, curves.train_accuracy, curves.validation_accuracy, key="lower right")
    upper.set_ylim(bottom=0)
    upper.set_ylabel("loss (nats)")
    lower.set_ylim(top=1.01)
    lower.set(ylabel="accuracy", xlabel="step")
    lower.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    lower.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    figure.align_ylabels()
    return figure


def robustness(found: Robustness) -> Figure:
    """The accuracy under each corruption, from its weakest strength to its strongest."""
    columns = 4
    lines = -(-len(found.rows) // columns)
    figure = empty(8.2, 2.3 * lines + 0.5, f"Robustness: accuracy on {found.images:,} test images")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, row in zip(panels, found.rows, strict=False):
        places = range(len(row.strengths))
        axes.axhline(found.accuracy, color=_ORANGE, linestyle="--", label="as they are")
        axes.bar(places, row.accuracies, color=_LIGHT, edgecolor=_DARK)
        for place, value in zip(places, row.accuracies, strict=True):
            high = value > 0.2
            text = axes.text(place, value + (-0.03 if high else 0.03), f"{value:.3f}")
            text.set(ha="center", va="top" if high else "bottom", fontsize=8)
        axes.set_xticks(places, [format(each, "g") for each in row.strengths], fontsize=8)
        axes.set_title(row.name, fontsize=10)
        axes.set_xlabel(row.unit, fontsize=8)
        axes.set_ylim(0, 1.05)
    for axes in panels[len(found.rows) :]:
        axes.set_axis_off()
    for axes in panels[::columns]:
        axes.set_ylabel("accuracy")
    panels[0].legend(loc="lower left", fontsize=7)
    return figure


def examples(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], per_class: int = 10
) -> Figure:
    """A sheet of examples, one row for each class: the first of each.

    Args:
      images: `uint8 [N, H, W]`, or `[N, H, W, 3]`.
      labels: integers `[N]`, 0 to K - 1.
      per_class: the length of a row; what a class lacks is left blank.
    """
    names = short(class_names[:_MANY_CLASSES])
    height, width, *channels = images.shape[1:]
    down, right = height + _GAP, width + _GAP  # from one image to the next
    sheet = np.zeros([len(names) * down - _GAP, per_class * right - _GAP, *channels], np.uint8)
    for row in range(len(names)):
        for column, place in enumerate(np.flatnonzero(labels == row)[:per_class]):
            top, left = row * down, column * right
            sheet[top : top + height, left : left + width] = images[place]
    inches = 0.56 * height / max(height, width), 0.56 * width / max(height, width)
    title = "Examples of each class" + _left_out(class_names)
    figure = empty(inches[1] * per_class + 1.4, inches[0] * len(names) + 0.6, title)
    axes = figure.add_subplot()
    axes.imshow(sheet, cmap=INK, vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([row * down + (height - 1) / 2 for row in range(len(names))], names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    plain(axes.get_yticklabels())
    return figure


def label_distribution(counts: Mapping[str, np.ndarray], class_names: Sequence[str]) -> Figure:
    """How many images of each class there are; `counts` has `int [K]` for each split's name."""
    names = short(class_names[:_MANY_CLASSES])
    title = "Label distribution: images of each class" + _left_out(class_names)
    figure = empty(2.9 * len(counts) + 1.2, 0.36 * len(names) + 1.3, title)
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for axes, (split, of_class) in zip(panels, counts.items(), strict=True):
        total, of_class = int(np.sum(of_class)), of_class[: len(names)]
        axes.barh(range(len(names)), of_class, color=_LIGHT, edgecolor=_DARK)
        for row, count in enumerate(np.asarray(of_class).tolist()):
            share = f"{count:,}  ({count / max(total, 1):.1%})"
            axes.annotate(
                share, (count, row), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_xlim(0, 1.8 * max(1, int(np.max(of_class))))  # room for the numbers
        axes.set_title(f"{split}: {total:,}", fontsize=10, loc="left")
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    plain(panels[0].get_yticklabels())
    return figure


def _bars(axes: Axes, bins: Sequence[CalibrationBin], heights: Sequence[float]) -> None:
    left, widths = [b.lower for b in bins], [b.upper - b.lower for b in bins]
    axes.bar(left, heights, widths, align="edge", color=_LIGHT, edgecolor=_DARK)


def _curves(axes: Axes, train: Curve, validation: Curve, key: Any) -> None:
    for curve, name, line, marker, color in (
        (train, "training, one batch", "-", ".", _ORANGE),
        (validation, "validation, all images", "--", "s", _DARK),
    ):
        if curve.steps:
            shown = marker if len(curve.steps) <= _MANY_POINTS else ""
            style: dict[str, Any] = {"ls": line, "marker": shown, "ms": 5, "color": color}
            axes.plot(curve.steps, curve.values, **style, label=name)
    if train.steps or validation.steps:
        axes.legend(loc=key)
    else:
        axes.text(0.5, 0.5, "nothing was recorded", transform=axes.transAxes, ha="center")
    axes.grid(alpha=0.4)


def _left_out(class_names: Sequence[str]) -> str:
    """What a title adds where there are more classes than are shown."""
    if len(class_names) <= _MANY_CLASSES:
        return ""
    return f" (the first {_MANY_CLASSES} of {len(class_names):,})"
