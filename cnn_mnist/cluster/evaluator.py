"""The part of the evaluator: scores every checkpoint that the chief saves, and keeps the best."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from cnn_mnist.checkpoints import record, saver
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import peers
from cnn_mnist.cluster.peers import ClusterError, Waiting
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.data.dataset import Split
from cnn_mnist.training import validation
from cnn_mnist.utils import curves
from cnn_mnist.utils.errors import reason

log = logging.getLogger(__name__)


def watch(
    cluster: Cluster,
    what: Record,
    split: Split,
    model_dir: str,
    timeout: float,
    show: Callable[[str], None],
) -> None:
    """Scores the validation images with each checkpoint, until that of the last step is scored.

    It leaves what `ValidationHook` leaves: curves in `model_dir/eval_validation`, and the best
    checkpoint in `model_dir/best`.

    Args:
      cluster: this process is its evaluator.
      what: what is trained.
      split: the validation images; there may be none.
      model_dir: the chief's.
      timeout: seconds to wait for a chief that is not there.
      show: prints a line.

    Raises:
      ClusterError: the chief is gone, or did not come.
      RecordError: the chief trains something else.
    """
    folder, chief = Path(model_dir), f"the chief at {cluster.chief}"
    waiting = Waiting(timeout, show)
    score, have_begun = None, False
    done = max([0, *curves.read_curves(folder).validation_accuracy.steps])
    while done < what.recipe.steps:
        new = [step for step in saver.steps(folder) if step > done]
        if new and record.read(folder) is not None:
            record.check(what, model_dir)
            waiting.over(chief)
            done = new[0]
            if len(split):
                score = score or _Scoring(what, split, model_dir, show)
                score(done)
            continue
        time.sleep(peers.LOOK_EVERY)
        if peers.reachable(cluster.chief):
            waiting.over(chief)
            have_begun = True
        elif have_begun and not any(map(peers.reachable, cluster.ps)) and not _is_new(folder, done):
            raise ClusterError(
                f"the job has ended at step {done:,} of {what.recipe.steps:,}: neither {chief} nor "
                "a parameter server is there any more; start the same commands again"
            )
        else:
            waiting.still(f"{chief}, and for its checkpoints in {model_dir}")


def _is_new(folder: Path, done: int) -> bool:
    return any(step > done for step in saver.steps(folder))


class _Scoring:
    """Scores checkpoints; the graph is built once."""

    def __init__(
        self, what: Record, split: Split, model_dir: str, show: Callable[[str], None]
    ) -> None:
        self._split, self._folder = split, Path(model_dir)
        self._scores = validation.Scores(what, model_dir, show)
        self._scorer = validation.Scorer(what.recipe)

    def __call__(self, step: int) -> None:
        """Scores the checkpoint of a step, unless the chief has deleted it meanwhile."""
        prefix = self._folder / f"model.ckpt-{step}"
        try:
            values = saver.read(prefix)
        except saver.READ_ERRORS as error:
            if step in saver.steps(self._folder):
                log.warning("%s cannot be read and is passed over: %s", prefix, reason(error))
            return
        own = {name: values[name] for name in self._scorer.variables}
        score = self._scorer.score(own, self._split)
        # The chief may delete the checkpoint now: it cannot become the best then.
        with contextlib.suppress(FileNotFoundError):
            self._scores.add(step, score, lambda: saver.copy(prefix, self._scores.best))
