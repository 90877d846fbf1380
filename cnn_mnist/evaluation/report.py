"""What a person and a program get to see of an evaluation and of the data.

The numbers come from `metrics`, the pictures from `figures`; here they go to the terminal, to
files and to TensorBoard. `figures` loads matplotlib, so it is loaded where it draws.
"""

import json
import os
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_mnist.data.dataset import Dataset
from cnn_mnist.evaluation.entries import OF_ALL, OF_CLASS
from cnn_mnist.evaluation.metrics import Report
from cnn_mnist.evaluation.page import page
from cnn_mnist.evaluation.robustness import Robustness
from cnn_mnist.utils import image_events
from cnn_mnist.utils.curves import Curves
from cnn_mnist.utils.files import write_files
from cnn_mnist.utils.painter import Painter

TITLE = "Test report"
FIGURES = "cnn_mnist.evaluation.figures"


def draw_curves(curves: Curves, painter: Painter) -> dict[str, "Future[bytes]"]:
    """Has the figure of a training drawn, by its name; curves that are empty are shown as such."""
    return {"learning_curves": painter.draw(FIGURES, "learning_curves", curves)}


def draw(report: Report, painter: Painter) -> dict[str, "Future[bytes]"]:
    """Has the figures of a report drawn, by their names."""
    names, bins = report.class_names, (report.calibration, report.calibration_error)
    asked: dict[str, tuple[Any, ...]] = {
        "confusion_matrix": (report.confusion, names),
        "mistakes": (report.mistakes, names),
        "calibration": bins,
    }
    return {name: painter.draw(FIGURES, name, *given) for name, given in asked.items()}


def write(
    report: Report,
    pictures: Mapping[str, bytes],
    folder: str | os.PathLike,
    robustness: Robustness | None = None,
) -> None:
    """Writes `report.json`, `report.html` and the figures as PNG files, all or nothing.

    Args:
      pictures: PNG files by the figures' names, those of `draw` and `draw_curves` at least.
      folder: made if need be.
      robustness: None where it was not measured.

    Raises:
      OSError: a file cannot be written.
    """
    told = report.as_dict()
    if robustness is not None:
        told["robustness"] = robustness.as_dict()
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    html = page(report, pictures, TITLE)
    texts = {"report.json": text.encode(), "report.html": html.encode()}
    write_files(folder, _named(pictures) | texts)


def write_data_figures(data: Dataset, folder: str | os.PathLike) -> dict[str, bytes]:
    """Writes what the data look like: `examples.png` of the training images, and `labels.png`.

    Of images in shards, the examples are from the beginning of the first shard. As `write`.

    Raises:
      DatasetError: a shard is damaged.
      OSError: a file cannot be written.
    """
    from cnn_mnist.evaluation import figures
    from cnn_mnist.utils import drawing

    class_names, classes = data.form.class_names, data.form.num_classes
    counts = {
        name: np.sum([np.bincount(p.labels, minlength=classes) for p in split.pieces()], axis=0)
        for name, split in data.splits().items()
        if len(split)
    }
    shown = next(data.train.pieces())
    examples = figures.examples(shown.images, shown.labels, class_names)
    labels = figures.label_distribution(counts, class_names)
    pictures = {"examples": drawing.png(examples), "labels": drawing.png(labels)}
    write_files(folder, _named(pictures))
    return pictures


def to_tensorboard(
    pictures: Mapping[str, bytes], logdir: str | os.PathLike, step: int, prefix: str = "report"
) -> None:
    """Writes PNG files by name, with the tags `prefix/name`, to an event file of their own.

    Args:
      logdir: best a folder of its own: TensorBoard reads only the newest event file of a folder
        while that is being written.
      step: the global step at which they are shown.

    Raises:
      OSError: it cannot be written.
    """
    write_files(logdir, image_events.event_file(pictures, step, prefix))


def table(report: Report) -> RenderableType:
    """The scores of each class for the terminal, the worst first, and the total."""
    classes = Table("class")
    for metric in OF_CLASS:
        classes.add_column(metric.name, justify="right")
    for score in report.worst_first:
        classes.add_row(Text(score.name), *(metric.text(score) for metric in OF_CLASS))
    classes.add_section()
    of_all = {metric.name: metric.text(report) for metric in OF_ALL}
    of_all["right"] = f"{report.right:,}"
    classes.add_row("all", *(of_all.get(metric.name, "") for metric in OF_CLASS))
    error = f"expected calibration error {of_all['calibration error']}"
    total = Text(f"loss {of_all['loss (nats)']}, {error}")
    lines: list[RenderableType] = [
        Text("Every class, the worst first", style="bold"),
        classes,
        total,
    ]
    if report.doubted:
        accuracy = of_all["without doubted labels"]
        lines.append(
            Text(f"accuracy {accuracy} without the {report.doubted} images whose label is doubted")
        )
    return Group(*lines)


def robustness_table(found: Robustness) -> RenderableType:
    """The accuracy under each corruption for the terminal, from its weakest to its strongest."""
    rows = Table("corruption", "strengths")
    for name in ("first", "second", "third"):
        rows.add_column(name, justify="right")
    for row in found.rows:
        strengths = f"{', '.join(format(each, 'g') for each in row.strengths)} {row.unit}"
        rows.add_row(row.name, strengths, *(f"{value:.4f}" for value in row.accuracies))
    title = (
        f"Accuracy on {found.images:,} test images that got worse; as they are {found.accuracy:.4f}"
    )
    return Group(Text(title, style="bold"), rows)


def _named(pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.png": picture for name, picture in pictures.items()}
