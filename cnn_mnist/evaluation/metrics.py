"""What a classifier got right and wrong, tallied chunk by chunk; numpy only.

Axes: B examples of a chunk, H = W = 28 pixels, K classes. In a confusion matrix the first axis is
the true class, the second the predicted one.

Memory does not grow with the number of images, and no figure depends on how they are cut into
chunks: sums of real numbers are kept as whole multiples of 2^-32, which add up exactly.
"""

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

# Of the true class; below it a float32 loses precision. No image's loss is above 87.34 nats.
LOWEST_PROBABILITY = float(np.finfo(np.float32).tiny)
# C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", 2017.
CALIBRATION_BINS = 15
# How far from 1 the probabilities of an image may add up to: half precision is that coarse.
SUM_TOLERANCE = 0.01

_EDGES = np.linspace(0, 1, CALIBRATION_BINS + 1)
_UNIT = 2.0**-32  # a chunk of 2^24 images at 87.34 nats still fits an int64


@dataclasses.dataclass(frozen=True)
class ClassScore:
    """How one class was recognised.

    A share of nothing has no value; it is None, where scikit-learn, asked with
    `zero_division=numpy.nan`, says NaN, and by default a 0 that looks like a result.

    Attributes:
      index: the label.
      name: what people call it.
      images: how many are of this class.
      predicted: how many were taken for it.
      right: how many are both.
      accuracy: right / images, the recall of the class; None without images.
      precision: right / predicted; None if nothing was taken for it.
      f1: 2 right / (images + predicted), the harmonic mean of both; None where that is 0 / 0.
    """

    index: int
    name: str
    images: int
    predicted: int
    right: int
    accuracy: float | None
    precision: float | None
    f1: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class Mistake:
    """An image that was taken for another class.

    Attributes:
      index: its place in the split, from 0.
      true: its label.
      predicted: the class with the highest probability.
      probability: the predicted class's.
      true_probability: the true class's.
      image: `uint8 [28, 28]`.
    """

    index: int
    true: int
    predicted: int
    probability: float
    true_probability: float
    image: np.ndarray


@dataclasses.dataclass(frozen=True)
class CalibrationBin:
    """The images whose prediction has a probability above `lower` and up to `upper`.

    Attributes:
      lower, upper: of the probability.
      images: how many there are.
      confidence: the mean probability of their predictions; None without images.
      accuracy: the share of their predictions that are right; None without images.
    """

    lower: float
    upper: float
    images: int
    confidence: float | None
    accuracy: float | None


class Metric(NamedTuple):
    """An entry of `OF_ALL` or `OF_CLASS`.

    Attributes:
      name: for people.
      of: takes a `Report`, or a `ClassScore`; returns the number, None where there is none.
      shown: writes it for people.
    """

    name: str
    of: Callable[[Any], float | None]
    shown: Callable[[Any], str]

    def text(self, source: Any) -> str:
        """The metric of a `Report` or a `ClassScore` for people; "-" where there is none."""
        value = self.of(source)
        return "-" if value is None else self.shown(value)


def _share_text(value: float) -> str:
    return f"{value:.4f}"


def _count_text(value: float) -> str:
    return f"{value:,}"


# What the report tells of each class, in this order, in the terminal and on the page.
OF_CLASS = (
    Metric("accuracy", lambda score: score.accuracy, _share_text),
    Metric("precision", lambda score: score.precision, _share_text),
    Metric("F1", lambda score: score.f1, _share_text),
    Metric("images", lambda score: score.images, _count_text),
    Metric("right", lambda score: score.right, _count_text),
)
# And of all images; the page has a card for each.
OF_ALL = (
    Metric("accuracy", lambda report: report.accuracy, _share_text),
    Metric("images", lambda report: report.images, _count_text),
    Metric("mistakes", lambda report: report.images - report.right, _count_text),
    Metric("loss (nats)", lambda report: report.loss, _share_text),
    Metric("calibration error", lambda report: report.calibration_error, _share_text),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """What a `Tally` found.

    Attributes:
      images: how many were scored.
      accuracy: the share that was recognised.
      loss: the mean cross entropy in nats; a probability of the true class below
        `LOWEST_PROBABILITY` counts as that.
      classes: a score for each class, in the order of the labels.
      confusion: `int64 [K, K]`, how many images of each true class were taken for each class.
      mistakes: the most confident ones, the most confident first.
      calibration_error: the expected calibration error, 0 to 1: how far confidence and accuracy
        are apart, as the mean over the bins, weighted by images (Guo et al. 2017, equation 3).
      calibration: the bins.
    """

    images: int
    accuracy: float
    loss: float
    classes: tuple[ClassScore, ...]
    confusion: np.ndarray
    mistakes: tuple[Mistake, ...]
    calibration_error: float
    calibration: tuple[CalibrationBin, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, in the order of the labels."""
        return tuple(score.name for score in self.classes)

    @property
    def right(self) -> int:
        """How many images were recognised."""
        return sum(score.right for score in self.classes)

    @property
    def worst_first(self) -> list[ClassScore]:
        """The classes from the lowest accuracy to the highest; those without images at the end."""
        return sorted(
            self.classes,
            key=lambda score: (2.0 if score.accuracy is None else score.accuracy, score.index),
        )

    def as_dict(self) -> dict[str, Any]:
        """The report in JSON's own types; the pictures of the mistakes are left out."""
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "expected_calibration_error": self.calibration_error,
            "classes": [dataclasses.asdict(score) for score in self.worst_first],
            "confusion_matrix": self.confusion.tolist(),
            "confusion_matrix_by_row": row_shares(self.confusion).tolist(),
            "calibration": [dataclasses.asdict(found) for found in self.calibration],
            "mistakes": [
                {name: value for name, value in vars(mistake).items() if name != "image"}
                for mistake in self.mistakes
            ],
        }


class Tally:
    """Counts predictions, chunk by chunk.

    Args:
      class_names: of the K classes, in the order of the labels.
      worst: how many of the most confident mistakes are kept.

    Raises:
      ValueError: no class.
    """

    def __init__(self, class_names: Sequence[str], worst: int = 30) -> None:
        if not class_names:
            raise ValueError("class_names: expected at least one name, found none")
        self._class_names = tuple(class_names)
        self._worst = worst
        classes = len(self._class_names)
        self._images = 0
        self._loss = 0  # in units of _UNIT
        self._confusion = np.zeros([classes, classes], np.int64)
        self._mistakes: list[Mistake] = []
        self._bin_images = np.zeros(CALIBRATION_BINS, np.int64)
        self._bin_right = np.zeros(CALIBRATION_BINS, np.int64)
        self._bin_confidence = [0] * CALIBRATION_BINS  # in units of _UNIT

    def add(self, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Counts the next images of the split. Of equal probabilities the lowest class is taken.

        Args:
          images: `uint8 [B, 28, 28]`.
          labels: integers `[B]`, at least 0 and below K.
          probabilities: `float32 [B, K]`.

        Raises:
          ValueError: arrays that do not fit each other, the classes or probabilities; nothing is
            counted then.
        """
        images, labels, probabilities = map(np.asarray, (images, labels, probabilities))
        self._check(images, labels, probabilities)
        labels = labels.astype(np.int64)
        probabilities = np.minimum(probabilities.astype(np.float64), 1)  # 1 + rounding occurs
        predicted = probabilities.argmax(axis=1)  # [B]
        rows = np.arange(len(labels))
        of_true = probabilities[rows, labels]  # [B]
        confidence = probabilities[rows, predicted]  # [B]

        classes = len(self._class_names)
        cells = np.bincount(labels * classes + predicted, minlength=classes**2)
        self._confusion += cells.reshape(classes, classes)
        self._loss += _units(-np.log(np.maximum(of_true, LOWEST_PROBABILITY)))
        self._add_to_bins(confidence, predicted == labels)
        self._mistakes = heapq.nsmallest(
            self._worst,
            itertools.chain(
                self._mistakes,
                self._mistakes_of(images, labels, predicted, confidence, of_true),
            ),
            key=lambda mistake: (-mistake.probability, mistake.index),
        )
        self._images += len(labels)

    def report(self) -> Report:
        """What was found so far.

        Raises:
          ValueError: nothing was added yet.
        """
        if self._images == 0:
            raise ValueError("a report needs at least one image, found none")
        bins = self._bins()
        return Report(
            images=self._images,
            accuracy=int(self._confusion.trace()) / self._images,
            loss=self._loss * _UNIT / self._images,
            classes=class_scores(self._confusion, self._class_names),
            confusion=self._confusion.copy(),
            mistakes=tuple(self._mistakes),
            calibration_error=calibration_error(bins),
            calibration=bins,
        )

    def _check(self, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        classes = len(self._class_names)
        if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
            raise ValueError(
                f"images: expected uint8 [B, 28, 28], found {images.dtype} {list(images.shape)}"
            )
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise ValueError(
                f"labels: expected integers [{len(images)}], found {labels.dtype} "
                f"{list(labels.shape)}"
            )
        if probabilities.dtype.kind != "f" or probabilities.shape != (len(images), classes):
            raise ValueError(
                f"probabilities: expected float32 [{len(images)}, {classes}], found "
                f"{probabilities.dtype} {list(probabilities.shape)}"
            )
        outside = np.flatnonzero((labels < 0) | (labels >= classes))
        if outside.size:
            raise ValueError(
                f"labels: expected 0 to {classes - 1}, found {labels[outside[0]]} at image "
                f"{self._images + outside[0]:,}"
            )
        # `~`, so that NaN, for which every comparison is false, is refused as well.
        sums = probabilities.sum(axis=1, dtype=np.float64)
        sound = (probabilities >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE)
        broken = np.flatnonzero(~sound)
        if broken.size:
            raise ValueError(
                "probabilities: expected 0 to 1, adding up to 1, found "
                f"{probabilities[broken[0]].min():.3g} to {probabilities[broken[0]].max():.3g}, "
                f"adding up to {sums[broken[0]]:.3g}, at image {self._images + broken[0]:,}"
            )

    def _mistakes_of(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        predicted: np.ndarray,
        confidence: np.ndarray,
        of_true: np.ndarray,
    ) -> Iterable[Mistake]:
        """The most confident mistakes of a chunk, not more than the tally keeps."""
        wrong = np.flatnonzero(predicted != labels)
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][: self._worst]
        for place in wrong.tolist():
            yield Mistake(
                index=self._images + place,
                true=int(labels[place]),
                predicted=int(predicted[place]),
                probability=float(confidence[place]),
                true_probability=float(of_true[place]),
                image=images[place].copy(),  # a view would keep the whole chunk
            )

    def _add_to_bins(self, confidence: np.ndarray, right: np.ndarray) -> None:
        # The bins are open below and closed above, as in Guo et al.
        places = np.searchsorted(_EDGES[1:-1], confidence, side="left")  # [B]
        self._bin_images += np.bincount(places, minlength=CALIBRATION_BINS)
        self._bin_right += np.bincount(places[right], minlength=CALIBRATION_BINS)
        for place in range(CALIBRATION_BINS):
            self._bin_confidence[place] += _units(confidence[places == place])

    def _bins(self) -> tuple[CalibrationBin, ...]:
        found = []
        for place, images in enumerate(self._bin_images.tolist()):
            confidence = self._bin_confidence[place] * _UNIT
            found.append(
                CalibrationBin(
                    lower=float(_EDGES[place]),
                    upper=float(_EDGES[place + 1]),
                    images=images,
                    confidence=_share(confidence, images),
                    accuracy=_share(int(self._bin_right[place]), images),
                )
            )
        return tuple(found)


def class_scores(confusion: np.ndarray, class_names: Sequence[str]) -> tuple[ClassScore, ...]:
    """The score of each class, in the order of the labels, from `int64 [K, K]`."""
    images, predicted = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    right = confusion.diagonal().tolist()
    return tuple(
        ClassScore(
            index=k,
            name=name,
            images=images[k],
            predicted=predicted[k],
            right=right[k],
            accuracy=_share(right[k], images[k]),
            precision=_share(right[k], predicted[k]),
            f1=_share(2 * right[k], images[k] + predicted[k]),
        )
        for k, name in enumerate(class_names)
    )


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """Each row divided by its sum, `float64 [K, K]`; a row without images is all 0."""
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def calibration_error(bins: Iterable[CalibrationBin]) -> float:
    """The expected calibration error, 0 to 1 (Guo et al. 2017, equation 3)."""
    filled = [
        (found.images, abs(found.accuracy - found.confidence))
        for found in bins
        if found.accuracy is not None and found.confidence is not None
    ]
    return sum(images * gap for images, gap in filled) / sum(images for images, _ in filled)


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _units(values: np.ndarray) -> int:
    """The sum of real numbers, each rounded to a multiple of `_UNIT`, in that unit."""
    return int(np.rint(values / _UNIT).astype(np.int64).sum())
