"""The report on the test images: scored, drawn, written."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnn_mnist.checkpoints import record
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.evaluation.metrics import Report
from cnn_mnist.evaluation.robustness import Robustness, measured
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console, curves, pages
from cnn_mnist.utils.curves import Curves
from cnn_mnist.utils.painter import Painter


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Report):
    """The report on a checkpoint. A notebook shows it as the page `report.html`.

    Attributes:
      step, checkpoint: the checkpoint's global step, and its prefix.
      curves: of the training that led there.
      pictures: the figures as PNG files, by name.
      robustness: the accuracy on corrupted images; None where it was not asked for.
      page: the file `report.html`, beside which are the figures and `report.json`; None if it
        could not be written.
      write_protected: the folder for which that could not be.
    """

    step: int
    checkpoint: str
    curves: Curves
    pictures: Mapping[str, bytes]
    robustness: Robustness | None
    page: Path | None
    write_protected: Path | None

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of step {self.step:,}: accuracy {self.accuracy:.4f}, "
            f"loss {self.loss:.4f} on {self.images:,} images>"
        )

    def _repr_html_(self) -> str:
        from cnn_mnist.evaluation import report

        return pages.frame(report.page(self, self.pictures, report.TITLE), report.TITLE)


def evaluate(
    model_dir: str | Path = "model_dir",
    *,
    recipe: str | Recipe | None = None,
    checkpoint: str | None = None,
    data: Dataset | None = None,
    data_dir: str | None = None,
    class_names: Sequence[str] | None = None,
    robustness: bool = False,
    painter: Painter | None = None,
) -> Evaluation:
    """Reports on the test images, with the newest whole checkpoint of a folder.

    On disk it leaves in `model_dir/report` the page, its figures and `report.json`, and in
    `model_dir/eval` a point of the curves. Where that may not be written, it is left out.

    Args:
      model_dir: the folder of a training.
      recipe: what was trained there; None for what is noted there.
      checkpoint: the prefix of another checkpoint, which is known to be whole.
      data: the images; None for those of `data_dir`.
      data_dir: a folder that `load` can read; None for the MNIST inside the package.
      class_names: in the order of the labels; None for those of the data, or, if these are mere
        numbers, those noted in `model_dir`.
      robustness: whether to measure it, too; see `robustness.measured`.
      painter: what draws the figures; None for one that is started now.

    Raises:
      CheckpointError: no checkpoint can be used.
      RecordError: images of another form than those that were trained on.
      DatasetError: images that cannot be read.
      CurvesError, OSError: the disk is full.
    """
    model_dir = str(model_dir)
    known, data = record.trained(model_dir, recipe, data, data_dir, class_names)
    form = data.form
    # Started first: it gets ready while TensorFlow loads.
    own = Painter() if painter is None else contextlib.nullcontext(painter)
    with own as painter, console.shown(progress=False):
        from cnn_mnist.checkpoints import restore
        from cnn_mnist.evaluation import inside, report, scoring
        from cnn_mnist.explanations.network import OpenNetwork

        checkpoint = checkpoint or restore.newest(known, model_dir, form)
        learned = curves.read_curves(model_dir)
        drawn = report.draw_curves(learned, painter)
        protected = _write_protected(Path(model_dir))
        # The Estimator always writes a curve: where it cannot, into a folder that is deleted again.
        scratch = tempfile.TemporaryDirectory() if protected else None
        with scratch or contextlib.nullcontext(model_dir) as place:
            scores, step = scoring.score(known, checkpoint, data.test, form, place)
        drawn |= report.draw(scores, painter)
        with OpenNetwork(known, checkpoint, form) as network:
            drawn |= inside.draw(network, scores.mistakes, painter)
            classify = lambda images: network.probabilities(images).argmax(axis=1)  # noqa: E731
            robust = measured(data.test, classify) if robustness else None
        if robust is not None:
            drawn["robustness"] = painter.draw(report.FIGURES, "robustness", robust)
        pictures = {name: figure.result() for name, figure in drawn.items()}
        page = None
        if not protected:
            folder = Path(model_dir) / "report"
            report.write(scores, pictures, folder, robust)
            report.to_tensorboard(pictures, folder, step)
            page = folder / "report.html"
    return Evaluation(
        **vars(scores),
        step=step,
        checkpoint=checkpoint,
        curves=learned,
        pictures=pictures,
        robustness=robust,
        page=page,
        write_protected=protected,
    )


def _write_protected(model_dir: Path) -> Path | None:
    """The first folder of a report that is there and cannot be written to; or None."""
    places = (model_dir, model_dir / "eval", model_dir / "report")
    return next((p for p in places if p.exists() and not os.access(p, os.W_OK | os.X_OK)), None)
