"""What an export is worth: its own runtime reads test images, and is compared with the network.

Axes: N images, K classes.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

from cnn_mnist.utils.errors import RunError

IMAGES = 1_000  # of the test images, the first
BATCH = 100  # images that are timed together
SECONDS = 0.5  # for timing one call again and again
TOLERANCE = 1e-5  # of a probability: two libraries sum up in another order
POINTS = 0.2  # of accuracy, that quantized weights may cost

# Images, `uint8 [N, H, W]` -> classes, `int64 [N]`, probabilities, `float32 [N, K]`.
Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class ProofError(RunError):
    """An export that does not compute what the network does."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """A row of the table: the network as it was trained, or an export of it.

    Attributes:
      format: a name of `FORMATS`, or `Predictor`.
      runtime: what computed it.
      size: of the files, in bytes.
      images: how many were read.
      difference: the largest of a probability, from the Predictor's.
      differing: the images that were given another class than by the Predictor.
      accuracy: the share of the images that were given their label; None where they are no images
        of what was trained on.
      one_seconds, batch_seconds: the median time of one image, and of up to 100 together.
    """

    format: str
    runtime: str
    size: int
    images: int
    difference: float
    differing: int
    accuracy: float | None
    one_seconds: float
    batch_seconds: float


class Yardstick(NamedTuple):
    """What an export is compared with: test images, and what the network makes of them."""

    images: np.ndarray  # uint8 [N, H, W], or [N, H, W, 3]
    labels: np.ndarray | None  # int32 [N]; None where they are of other things
    classes: np.ndarray  # int64 [N]
    probabilities: np.ndarray  # float32 [N, K]
    proof: Proof  # the network's own row


def yardstick(
    predict: Predict, images: np.ndarray, labels: np.ndarray | None, runtime: str, size: int
) -> Yardstick:
    """The network's answers to the first 1,000 test images."""
    images, labels = images[:IMAGES], None if labels is None else labels[:IMAGES]
    classes, probabilities = predict(images)
    proof = Proof(
        *("Predictor", runtime, size, len(images), 0.0, 0),
        _accuracy(classes, labels),
        *_times(predict, images),
    )
    return Yardstick(images, labels, classes, probabilities, proof)


def prove(
    name: str, runtime: str, folder: Path, predict: Predict, known: Yardstick, quantized: bool
) -> Proof:
    """Reads the test images with an export and compares.

    Args:
      name: of the format, and how it is quantized.
      runtime: what computes.
      folder: of the export.
      predict: the export, opened.
      known: what the network makes of the images.
      quantized: whether the weights are rounded, and only the accuracy counts.

    Raises:
      ProofError: it differs by more than 1e-5, or, quantized, by more than 0.2 points of accuracy.
    """
    classes, probabilities = predict(known.images)
    differences = np.abs(probabilities - known.probabilities)
    # NaN, which no comparison finds, counts as the largest difference there is
    difference = float(np.nan_to_num(differences, nan=1.0).max(initial=0))
    accuracy, other = _accuracy(classes, known.labels), int((classes != known.classes).sum())
    if accuracy is None or known.proof.accuracy is None:
        lost, told = 100 * other / len(classes), f"{other:,} other classes than the network"
    else:
        lost = 100 * abs(accuracy - known.proof.accuracy)
        told = f"{100 * accuracy:.2f} % right, the network {100 * known.proof.accuracy:.2f} %"
    start = f"--format={name.partition(',')[0]}: the export, opened by {runtime}, "
    if quantized and lost > POINTS + 1e-9:
        raise ProofError(
            f"{start}reads {len(classes):,} test images: {told}; expected at most {POINTS} points "
            "between them; nothing was written; take --quantize=dynamic or none"
        )
    if not quantized and not difference <= TOLERANCE:
        raise ProofError(
            f"{start}gives a probability that differs by {difference:.2g} from the network's; "
            f"expected at most {TOLERANCE:g}; nothing was written"
        )
    return Proof(
        *(name, runtime, size_of(folder), len(classes), difference),
        other,
        accuracy,
        *_times(predict, known.images),
    )


def _accuracy(classes: np.ndarray, labels: np.ndarray | None) -> float | None:
    return None if labels is None else float((classes == labels).mean())


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _times(predict: Predict, images: np.ndarray) -> tuple[float, float]:
    """Median seconds of one image, and of a batch."""
    return _median(predict, images[:1]), _median(predict, images[:BATCH])


def _median(predict: Predict, images: np.ndarray) -> float:
    predict(images)  # once, which some runtimes take to get ready for this size
    seconds: list[float] = []
    while sum(seconds) < SECONDS and len(seconds) < 50:
        start = time.perf_counter()
        predict(images)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def table(proofs: Sequence[Proof]) -> Any:
    """The proofs for the terminal, a row each."""
    images = max(proof.images for proof in proofs)
    title = Text(f"Each export, opened and asked about {images:,} test images", style="bold")
    shown = Table(title=title, title_justify="left")
    for name in ("format", "runtime"):
        shown.add_column(name, min_width=11)  # longer ones wrap, so that 80 columns are enough
    together = f"{min(BATCH, images)},\nms"
    for name in ("kB", "differs\nby", "other\ndigits", "right", "one,\nms", together):
        shown.add_column(name, justify="right")
    for proof in proofs:
        shown.add_row(
            proof.format,
            proof.runtime,
            f"{proof.size / 1000:,.0f}",
            f"{proof.difference:.1e}" if proof.difference else "0",
            f"{proof.differing:,}",
            "-" if proof.accuracy is None else f"{proof.accuracy:.4f}",
            f"{1000 * proof.one_seconds:.2f}",
            f"{1000 * proof.batch_seconds:.1f}",
        )
    return shown
