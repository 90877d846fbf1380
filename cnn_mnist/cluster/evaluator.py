"""The part of the evaluator: scores every checkpoint that the chief saves, and keeps the best."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from cnn_mnist.checkpoints import record, saver
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import CHIEF
from cnn_mnist.data.dataset import Split
from cnn_mnist.training.validation import Scorer, Scores
from cnn_mnist.utils import curves
from cnn_mnist.utils.errors import reason

log = logging.getLogger(__name__)


def watch(settings: Settings, what: Record, split: Split, show: Callable[[str], None]) -> None:
    """Scores the validation images with each checkpoint, until that of the last step is scored.

    It leaves what `ValidationHook` leaves: curves in `model_dir/eval_validation`, and the best
    checkpoint in `model_dir/best`. `split` may be without images.

    Raises:
      ClusterError: the chief is gone, or did not come.
      RecordError: the chief trains something else.
    """
    cluster, folder = settings.cluster, Path(settings.model_dir)
    waiting = peers.Waiting(f"{CHIEF} at {cluster.chief}", settings.cluster_timeout, show)
    scoring = None
    done = max([0, *curves.read_curves(folder).validation_accuracy.steps])
    while done < what.recipe.steps:
        new = [step for step in saver.steps(folder) if step > done]
        if new and record.read(folder) is not None:
            record.check(what, settings.model_dir)
            waiting.note(True)
            done = new[0]
            if len(split):  # both are made once, and not before the chief has begun
                scoring = scoring or (
                    Scores(what, settings.model_dir, show),
                    Scorer(what.recipe, what.form),
                )
                _score(folder, done, split, *scoring)
            continue
        time.sleep(peers.LOOK_EVERY)
        more = f", and for its checkpoints in {settings.model_dir}"
        waiting.note(peers.is_there(cluster.chief), more)


def _score(folder: Path, step: int, split: Split, scores: Scores, scorer: Scorer) -> None:
    """Scores the checkpoint of a step, unless the chief has deleted it meanwhile."""
    prefix = folder / f"model.ckpt-{step}"
    try:
        values = saver.read(prefix)
    except saver.READ_ERRORS as error:
        if step in saver.steps(folder):
            log.warning("%s cannot be read and is passed over: %s", prefix, reason(error))
        return
    score = scorer.score({name: values[name] for name in scorer.variables}, split)
    # The chief may delete the checkpoint now: it cannot become the best then.
    with contextlib.suppress(FileNotFoundError):
        scores.add(step, score, lambda: saver.copy(prefix, scores.best))
