"""What the report tells of each class and of all images, in the terminal and on the page."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """An entry of `OF_ALL` or `OF_CLASS`: its name, and the number as people read it.

    `of` takes a `Report`, or a `ClassScore`, and returns the number, None where there is none;
    `format` is how Python writes it.
    """

    name: str
    of: Callable[[Any], float | None]
    format: str

    def text(self, source: Any) -> str:
        """The metric of a `Report` or a `ClassScore` for people; "-" where there is none."""
        value = self.of(source)
        return "-" if value is None else format(value, self.format)


# Of each class, in this order.
OF_CLASS = (
    Metric("accuracy", lambda score: score.accuracy, ".4f"),
    Metric("precision", lambda score: score.precision, ".4f"),
    Metric("F1", lambda score: score.f1, ".4f"),
    Metric("images", lambda score: score.images, ","),
    Metric("right", lambda score: score.right, ","),
)
# Of all images; the page has a card for each that there is.
OF_ALL = (
    Metric("accuracy", lambda report: report.accuracy, ".4f"),
    Metric("without doubted labels", lambda report: report.undoubted_accuracy, ".4f"),
    Metric("images", lambda report: report.images, ","),
    Metric("mistakes", lambda report: report.images - report.right, ","),
    Metric("loss (nats)", lambda report: report.loss, ".4f"),
    Metric("calibration error", lambda report: report.calibration_error, ".4f"),
)
