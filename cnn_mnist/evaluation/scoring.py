"""Scores a trained network: the Estimator's evaluation, and everything that the report tells."""

from collections.abc import Sequence
from typing import Any

from cnn_mnist import estimator
from cnn_mnist.data.dataset import Split
from cnn_mnist.data.input_fns import eval_input_fn, eval_steps
from cnn_mnist.evaluation.metrics import Report, Tally
from cnn_mnist.utils import events


class TallyHook(estimator.SessionRunHook):
    """Adds the probabilities of each evaluated batch to a tally."""

    def __init__(self, tally: Tally, split: Split) -> None:
        self._tally = tally
        self._split = split
        self._done = 0

    def before_run(self, run_context: Any) -> Any:
        return estimator.SessionRunArgs("softmax_tensor:0")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        probabilities = run_values.results  # [B, K], in the split's order
        batch = slice(self._done, self._done + len(probabilities))
        self._tally.add(self._split.images[batch], self._split.labels[batch], probabilities)
        self._done = batch.stop


def evaluate(
    classifier: Any, split: Split, class_names: Sequence[str], checkpoint: str | None = None
) -> tuple[Report, int]:
    """Scores a checkpoint, by default the newest, in one pass over `split`.

    On disk it adds a point to the curves in `model_dir/eval`.

    Returns:
      The report, and the global step of the checkpoint.

    Raises:
      OSError, CurvesError: the curves cannot be written, on a full disk.
    """
    events.begin(classifier.eval_dir())
    tally = Tally(class_names)
    hook = TallyHook(tally, split)
    # With the number of steps given: TensorFlow 2.16 warns where a data set comes to its end.
    metrics = classifier.evaluate(
        eval_input_fn(split), eval_steps(split), hooks=[hook], checkpoint_path=checkpoint
    )
    step = int(metrics["global_step"])
    events.flush(events.writer_of_hooks(classifier.eval_dir()), step)
    return tally.report(), step
