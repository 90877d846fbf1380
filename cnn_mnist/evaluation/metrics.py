"""What a classifier got right and wrong, tallied chunk by chunk; numpy only.

Axes: B examples of a chunk, H height, W width, K classes. A confusion matrix is
`[true class, predicted class]`.

Memory does not grow with the number of images, and no figure depends on how they are cut into
chunks: sums of real numbers are kept as whole multiples of 2^-32, which add up exactly.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_mnist.data.form import MNIST

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
    """How one class was recognised. A share of nothing is None: a 0 would look like a result.

    Attributes:
      index, name: the label, and what people call it.
      images, predicted, right: how many are of this class, were taken for it, and are both.
      accuracy: right / images, the recall of the class.
      precision: right / predicted.
      f1: 2 right / (images + predicted), the harmonic mean of both.
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
      true, predicted: its label, and the class with the highest probability.
      probability, true_probability: the predicted class's, and the true one's.
      image: `uint8 [H, W]`, or `[H, W, 3]`.
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
      accuracy: the share of their predictions that is right; None without images.
    """

    lower: float
    upper: float
    images: int
    confidence: float | None
    accuracy: float | None


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
      calibration_error: how far confidence and accuracy are apart, 0 to 1; see the function.
      calibration: the bins.
      doubted, doubted_right: how many of the images have a label that people doubt, and how many of
        these were taken for that label.
    """

    images: int
    accuracy: float
    loss: float
    classes: tuple[ClassScore, ...]
    confusion: np.ndarray
    mistakes: tuple[Mistake, ...]
    calibration_error: float
    calibration: tuple[CalibrationBin, ...]
    doubted: int
    doubted_right: int

    @property
    def undoubted_accuracy(self) -> float | None:
        """The share of the other images that was recognised; None where no label is doubted."""
        if not self.doubted:
            return None
        return _share(self.right - self.doubted_right, self.images - self.doubted)

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
            "accuracy_without_doubted_labels": self.undoubted_accuracy,
            "doubted_labels": self.doubted,
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
      image_shape: of an image: `(H, W)`, or `(H, W, 3)`.
      doubted: places, in the split, of the images whose labels people doubt.

    Raises:
      ValueError: no class.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        worst: int = 30,
        image_shape: tuple[int, ...] = MNIST.image_shape,
        doubted: Sequence[int] = (),
    ) -> None:
        if not class_names:
            raise ValueError("class_names: expected at least one name, found none")
        self._class_names, self._worst = tuple(class_names), worst
        self._image_shape = tuple(image_shape)
        self._doubted_places = np.asarray(doubted, np.int64)
        self._doubted = self._doubted_right = 0
        self._images = 0
        self._loss = 0  # in units of _UNIT
        self._confusion = np.zeros([len(class_names), len(class_names)], np.int64)
        self._mistakes: list[Mistake] = []
        # Of each bin: images, those that are right, and the sum of confidences in units of _UNIT.
        self._bins = np.zeros([CALIBRATION_BINS, 3], object)  # of Python's integers

    def add(self, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Counts the next images of the split. Of equal probabilities the lowest class is taken.

        Args:
          images: `uint8 [B, H, W]`, or `[B, H, W, 3]`.
          labels: integers `[B]`, 0 to K - 1.
          probabilities: `float32 [B, K]`.

        Raises:
          ValueError: arrays that do not fit; nothing of them is counted.
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
        # The bins are open below and closed above, as in Guo et al.
        places = np.searchsorted(_EDGES[1:-1], confidence, side="left")  # [B]
        right = predicted == labels
        self._bins += [
            [inside.sum(), (inside & right).sum(), _units(confidence[inside])]
            for inside in (places == place for place in range(CALIBRATION_BINS))
        ]

        doubted = np.isin(self._images + rows, self._doubted_places)
        self._doubted += int(doubted.sum())
        self._doubted_right += int((doubted & right).sum())
        wrong = np.flatnonzero(~right)
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][: self._worst]
        mistakes = [
            Mistake(
                index=self._images + place,
                true=int(labels[place]),
                predicted=int(predicted[place]),
                probability=float(confidence[place]),
                true_probability=float(of_true[place]),
                image=images[place].copy(),  # a view would keep the whole chunk
            )
            for place in wrong.tolist()
        ]
        mistakes = sorted(self._mistakes + mistakes, key=lambda m: (-m.probability, m.index))
        self._mistakes = mistakes[: self._worst]
        self._images += len(labels)

    def report(self) -> Report:
        """What was found so far.

        Raises:
          ValueError: nothing was added yet.
        """
        if self._images == 0:
            raise ValueError("a report needs at least one image, found none")
        edges = itertools.pairwise(_EDGES.tolist())
        bins = tuple(
            CalibrationBin(*ends, images, _share(confidence * _UNIT, images), _share(right, images))
            for ends, (images, right, confidence) in zip(edges, self._bins.tolist(), strict=True)
        )
        return Report(
            images=self._images,
            accuracy=int(self._confusion.trace()) / self._images,
            loss=self._loss * _UNIT / self._images,
            classes=class_scores(self._confusion, self._class_names),
            confusion=self._confusion.copy(),
            mistakes=tuple(self._mistakes),
            calibration_error=calibration_error(bins),
            calibration=bins,
            doubted=self._doubted,
            doubted_right=self._doubted_right,
        )

    def _check(self, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        classes, rows = len(self._class_names), images.shape[:1]
        fits = images.dtype == np.uint8 and images.shape[1:] == self._image_shape
        shape = ", ".join(map(str, self._image_shape))
        _require(fits, "images", images, f"uint8 [B, {shape}]")
        fits = labels.dtype.kind in "iu" and labels.shape == rows
        _require(fits, "labels", labels, f"integers {[*rows]}")
        fits = probabilities.dtype.kind == "f" and probabilities.shape == (*rows, classes)
        _require(fits, "probabilities", probabilities, f"float32 {[*rows, classes]}")
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
            place = broken[0]
            lowest, highest = probabilities[place].min(), probabilities[place].max()
            raise ValueError(
                f"probabilities: expected 0 to 1, adding up to 1, found {lowest:.3g} to "
                f"{highest:.3g}, adding up to {sums[place]:.3g}, at image {self._images + place:,}"
            )


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


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error, 0 to 1 (Guo et al. 2017, equation 3).

    How far confidence and accuracy are apart: the mean over the bins, weighted by their images.
    """
    images = sum(found.images for found in bins)
    gaps = (found.images * abs((found.accuracy or 0) - (found.confidence or 0)) for found in bins)
    return sum(gaps) / images


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _units(values: np.ndarray) -> int:
    """The sum of real numbers, each rounded to a multiple of `_UNIT`, in that unit."""
    return int(np.rint(values / _UNIT).astype(np.int64).sum())


def _require(fits: bool, name: str, array: np.ndarray, expected: str) -> None:
    if not fits:
        raise ValueError(f"{name}: expected {expected}, found {array.dtype} {list(array.shape)}")
