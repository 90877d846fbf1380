"""Scores the validation images while training goes on, and keeps the best checkpoint."""

import functools
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import record, restore, saver
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.checkpoints.restore import BEST
from cnn_mnist.data.calls import Calls
from cnn_mnist.data.dataset import Split
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.input_fns import EVAL_BATCH_SIZE
from cnn_mnist.models import graphs
from cnn_mnist.models.averaging import scored_variables
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import events, sessions
from cnn_mnist.utils.curves import VALIDATION
from cnn_mnist.utils.files import write_files

SCORE = "score.json"  # beside the best checkpoint
CHECK = "sha256"  # in it: of the rest of its content

Show = Callable[[str], None]  # prints a line

log = logging.getLogger(__name__)


class Scorer:
    """The model in EVAL mode, built once, for variables that change.

    Attributes:
      variables: the names of those that `score` takes.
    """

    def __init__(self, recipe: Recipe, form: Form = MNIST) -> None:
        with tf.Graph().as_default():
            graph = graphs.build(recipe, estimator.ModeKeys.EVAL, form)
            self._images, self._labels = graph.images, graph.labels
            metrics = graph.spec.eval_metric_ops
            self._metrics = {name: value for name, (value, _) in metrics.items()}
            self._updates = [update for _, update in metrics.values()]
            self._reset = tf.compat.v1.local_variables_initializer()
            variables = scored_variables(recipe)
            self._initializers = {name: v.initializer for name, v in variables.items()}
            self._run = tf.compat.v1.Session(config=sessions.config()).run
        self.variables = list(self._initializers)

    def score(self, values: dict[str, Any], split: Split) -> dict[str, float]:
        """Returns `accuracy` and `average_loss` of the variables' values, over all of `split`."""
        feeds = {self._initializers[name].inputs[1]: value for name, value in values.items()}
        self._run([list(self._initializers.values()), self._reset], feeds)
        for start in range(0, len(split), EVAL_BATCH_SIZE):
            batch = slice(start, start + EVAL_BATCH_SIZE)
            feeds = {self._images: split.images[batch], self._labels: split.labels[batch]}
            self._run(self._updates, feeds)
        return {name: float(value) for name, value in self._run(self._metrics).items()}


class Scores:
    """The scores of a run so far, on disk.

    The curves `loss` and `accuracy` are in `model_dir/eval_validation`. In `model_dir/best` is the
    checkpoint with the highest validation accuracy (of equal ones that with the lowest loss), its
    `score.json` and `recipe.json`.

    Attributes:
      best: the folder of the best checkpoint.
    """

    def __init__(self, what: Record, model_dir: str, show: Show) -> None:
        self._record, self._show = what, show
        self.best = Path(model_dir) / BEST
        self._curves = events.writer(Path(model_dir) / VALIDATION)
        self._best_score = read_best(self.best, what)

    def add(self, step: int, score: dict[str, float], save: Callable[[], object]) -> None:
        """Notes the score of a step; `save` puts its checkpoint into `best`.

        The point of the curves comes last: whoever finds it knows that the step is done with.
        """
        accuracy, loss = score["accuracy"], score["average_loss"]
        self._show(f"step {step:,}: validation accuracy {accuracy:.4f}, loss {loss:.4f}")
        if best_first(score) < best_first(self._best_score):
            self._keep_as_best(step, score, save)
        write_scalars(self._curves, {"accuracy": accuracy, "loss": loss}, step)

    def _keep_as_best(self, step: int, score: dict[str, float], save: Callable[[], object]) -> None:
        """Replaces the best checkpoint; whenever that is cut short, one of the two stays."""
        record.write(self._record, self.best)
        save()
        noted = {"global_step": step, **score}
        text = json.dumps({**noted, CHECK: _digest(noted)}, indent=2)
        write_files(self.best, {SCORE: text.encode()})
        for other in set(saver.files_of(self.best)) - {step}:
            saver.delete(self.best, other)
        self._best_score = score


class ValidationHook(estimator.SessionRunHook):
    """Scores the validation images every so many steps, and when the last step is reached.

    A run that is interrupted is scored where it would have been anyway, and nowhere else: so the
    best checkpoint does not depend on interruptions. What it leaves on disk, `Scores` tells.
    """

    def __init__(
        self, what: Record, split: Split, model_dir: str, show: Show, calls: Calls
    ) -> None:
        self._recipe, self._form = what.recipe, what.form
        self._split, self._calls = split, calls
        self._open_scores = functools.partial(Scores, what, model_dir, show)

    def begin(self) -> None:
        self._scores = self._open_scores()
        self._scorer = Scorer(self._recipe, self._form)
        self._step = tf.compat.v1.train.get_global_step()
        every = {v.op.name: v for v in tf.compat.v1.global_variables()}
        self._variables = {name: every[name] for name in self._scorer.variables}
        self._saver = saver.Saver(keep=2, name="save/best")

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._steps_done = int(session.run(self._step))
        self._ends = self._calls.ends(self._steps_done)
        noted = self._scores.best / SCORE
        if self._steps_done >= self._recipe.eval_every_steps and not noted.exists():
            log.warning(
                "%s is missing: the best checkpoint up to step %d is lost, that of the steps to "
                "come will be kept",
                noted,
                self._steps_done,
            )

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._steps_done = next(self._ends)
        # Here and not in `end`: a checkpoint of the last step may be saved before `end` is called.
        last = self._steps_done >= self._recipe.steps
        if last or self._steps_done % self._recipe.eval_every_steps == 0:
            self._score(run_context.session)

    def _score(self, session: Any) -> None:
        step, values = session.run([self._step, self._variables])
        score = self._scorer.score(values, self._split)
        place = (session, str(self._scores.best / "model.ckpt"), int(step))
        save = functools.partial(self._saver.save, *place, write_meta_graph=False)
        self._scores.add(int(step), score, save)


def best_first(score: dict[str, float]) -> tuple[float, float]:
    """The key that sorts scores, the best first."""
    return -score["accuracy"], score["average_loss"]


def read_best(folder: Path, what: Record) -> dict[str, float]:
    """The score of the best checkpoint so far; one that any other beats if there is none.

    So too if it is damaged or of another run, which is told in the log.
    """
    none = {"accuracy": -1.0, "average_loss": float("inf")}
    if not (folder / SCORE).exists():
        return none
    try:
        score = json.loads((folder / SCORE).read_bytes())
        if score.pop(CHECK) != _digest(score):
            raise ValueError(f"{SCORE} does not have the {CHECK} that it names")
        best = {name: float(score[name]) for name in none}
        if record.read(folder) is None:
            raise ValueError(f"{record.FILE} is missing")
        record.check(what, str(folder))
        restore.require_whole(folder / f"model.ckpt-{score['global_step']}")
    except (OSError, TypeError, AttributeError, *saver.READ_ERRORS) as error:
        reason = " ".join(str(error).split())
        log.warning("%s cannot be used and will be replaced: %.300s", folder, reason)
        return none
    return best


def _digest(score: dict[str, float]) -> str:
    return hashlib.sha256(json.dumps(score, sort_keys=True).encode()).hexdigest()


def write_scalars(writer: Any, values: dict[str, float], step: int) -> None:
    """Adds a point to each of the curves that a `FileWriter` writes.

    Raises:
      CurvesError: it cannot be written, on a full disk.
    """
    summary = tf.compat.v1.Summary(
        value=[tf.compat.v1.Summary.Value(tag=t, simple_value=v) for t, v in values.items()]
    )
    writer.add_summary(summary, step)
    events.flush(writer, step)
