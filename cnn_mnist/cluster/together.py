"""Training in step with the other processes of a cluster, from their meeting to their parting.

All build the same graph, and take the same steps. The chief begins with its newest checkpoint, and
hands its variables on; it alone saves. Whoever is told to end has all end with the step that they
are in. If one is gone, all end: started again, they meet at the newest checkpoint.
"""

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator
from cnn_mnist.checkpoints import record, restore, saver
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import all_reduce, board, peers
from cnn_mnist.cluster.board import Board
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import CHIEF
from cnn_mnist.cluster.watch import Watch
from cnn_mnist.data.dataset import Examples
from cnn_mnist.data.input_fns import index_log_in, naming_shard
from cnn_mnist.estimator.coordinator import at_server
from cnn_mnist.models.model_fn import params_of
from cnn_mnist.training import hooks
from cnn_mnist.training.config import run_config
from cnn_mnist.training.saving import save_first, saving_hook
from cnn_mnist.utils import events, sessions
from cnn_mnist.utils.errors import RunError, reason

LAST_WORDS = 10.0  # seconds, at most, in which workers read that the training is over


class JobError(RunError):
    """The training ended before its last step, for a reason of another process."""


class Member:
    """A process that trains together with the others.

    Args:
      settings: of the cluster.
      target: of this process's server.
      what: what is trained.
      split: the training images.
      screen: where lines are printed.
    """

    def __init__(
        self, settings: Settings, target: str, what: Record, split: Examples, screen: Console
    ) -> None:
        self._settings, self._record, self._split = settings, what, split
        self._target, self._screen, self._others = target, screen, settings.cluster.others
        self._board = Board(target, settings.cluster)
        self._watch = Watch(self._others, settings.cluster_timeout, screen.print)

    def lead(self) -> signal.Signals | None:
        """Trains as the chief; returns the signal that came, or None.

        Raises:
          ClusterError: another process is gone.
          JobError: another process was told to end.
          NonFiniteError, SaveError, CurvesError: as of `training.train`.
        """
        recipe, model_dir = self._record.recipe, self._settings.model_dir
        if not saver.steps(Path(model_dir)):
            save_first(self._record, model_dir)
        self._board.write(trained=self._told())
        events.begin(model_dir)
        every, log_every = self._settings.save_checkpoints_steps, self._settings.log_every_n_iter
        config = run_config(recipe, model_dir, every, session_config=sessions.for_all_reduce())
        with hooks.progress(recipe.steps, self._screen) as (shown, note):
            if log_every:
                shown = [*shown, hooks.softmax_logging_hook(log_every, note)]
            with self._watch.wait_for_all() as watch:
                asked = self._train(watch, config, [*shown, saving_hook(model_dir, every)])
        step = restore.saved_step(model_dir)
        done = board.WELL
        if step < recipe.steps:
            done = (
                f"{' and '.join(asked)} was told to end, and step {step:,} is saved: start the "
                "same commands again, and they resume there"
            )
        self._board.write(trained=self._told(), done=done)
        # Those who are still in the last step would miss who left earlier.
        self._wait(lambda: not self._there(), self._settings.cluster_timeout)
        return self._received(watch, done)

    def tell_done(self) -> None:
        """As the chief, tells workers, if any come, that nothing is left to train."""
        self._board.write(done=board.WELL)
        self._wait(lambda: len(self._there()) == len(self._others), LAST_WORDS)
        self._wait(lambda: not self._there(), LAST_WORDS)

    def follow(self) -> signal.Signals | None:
        """Trains as a worker; as `lead`.

        Raises:
          RecordError: the chief trains something else.
          JobError: the training ended before its last step.
        """
        if self._chief_is_done():
            print("nothing left to train")
            return None
        own = {"save_checkpoints_steps": None, "save_summary_steps": None}
        with tempfile.TemporaryDirectory() as folder:  # of the graph alone
            in_step = sessions.for_all_reduce()
            config = run_config(self._record.recipe, folder, 1, session_config=in_step)
            config = config.replace(**own, log_step_count_steps=None)
            with self._watch.wait_for_all() as watch:
                self._train(watch, config, [])
                with _lost(watch):
                    while (done := self._board.read().get(board.DONE)) is None:
                        time.sleep(peers.LOOK_EVERY)
        return self._received(watch, done)

    def _train(self, watch: Watch, config: Any, more_hooks: list[Any]) -> list[str]:
        """Takes steps until the last, or until somebody is told to end: their names."""
        settings, recipe = self._settings, self._record.recipe
        in_step = all_reduce.InStep(watch.after_last_step)
        with contextlib.ExitStack() as stack:
            index_log = stack.enter_context(
                index_log_in(settings.index_log_dir, settings.cluster.name)
            )
            stack.enter_context(naming_shard(self._split))
            stack.enter_context(_lost(watch))
            # In a graph: else the strategy, and each copy of it, is one for eager execution.
            stack.enter_context(tf.Graph().as_default())
            trainer = all_reduce.Trainer(
                settings, recipe, self._split, lambda: watch.received is not None, index_log
            )
            config = at_server(config, all_reduce.strategy(settings.cluster), self._target)
            params = params_of(recipe, self._record.form)
            classifier = estimator.Estimator(trainer.model_fn, config=config, params=params)
            of_run = [in_step, hooks.FiniteGuard(), *more_hooks]
            classifier.train(trainer.input_fn, hooks=of_run, max_steps=recipe.steps)
        return [list(settings.cluster.trainers)[index] for index in in_step.asked]

    @staticmethod
    def _received(watch: Watch, done: str) -> signal.Signals | None:
        """The signal that ended this process; one of another process is an error."""
        if done != board.WELL and watch.received is None:
            raise JobError(done)
        return watch.received

    def _there(self) -> list[str]:
        """The names of the others that are there."""
        return [name for name, where in self._others.items() if peers.is_there(where)]

    @staticmethod
    def _wait(holds: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            time.sleep(peers.LOOK_EVERY)

    def _chief_is_done(self) -> bool:
        """Waits for the chief to be ready; returns whether nothing is left to train."""
        chief = f"{CHIEF} at {self._settings.cluster.chief}"
        waiting = peers.Waiting(chief, self._settings.cluster_timeout, self._screen.print)
        notice: dict[str, Any] = {}
        while not notice:
            time.sleep(peers.LOOK_EVERY)
            with contextlib.suppress(tf.errors.OpError):  # it has just ended
                if waiting.note(peers.is_there(self._settings.cluster.chief)):
                    notice = self._board.read()
        if board.DONE in notice:
            return True
        record.require_alike(self._told(), notice[board.TRAINED])
        return False

    def _told(self) -> dict[str, Any]:
        """What the chief tells the workers that they train together."""
        return record.noted(self._record) | {"cluster": self._settings.cluster.spec}


@contextlib.contextmanager
def _lost(watch: Watch) -> Iterator[None]:
    """Turns TensorFlow's error on a lost connection into a line that tells who is gone."""
    try:
        yield
    except (all_reduce.LostError, *saver.LOST) as error:
        watch.find_lost()  # where somebody is, this process ends here
        raise peers.ClusterError(
            f"the connection to another process broke: {reason(error, 200)}; the newest checkpoint "
            "is whole: start the same commands again, and they resume there"
        ) from error
