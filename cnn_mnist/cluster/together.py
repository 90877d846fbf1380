"""Training in step with the other processes of a cluster, from their meeting to their parting.

All build the same graph, and take the same steps. The chief begins with its newest checkpoint, and
hands its variables on; it alone saves. Whoever is told to end has all end with the step that they
are in. If one is gone, all end: started again, they meet at the newest checkpoint.
"""

import contextlib
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator
from cnn_mnist.checkpoints import record, restore, saver
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import all_reduce, board, peers
from cnn_mnist.cluster.board import Board
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.watch import Watch
from cnn_mnist.data.dataset import Examples
from cnn_mnist.data.input_fns import naming_shard
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
        self._target, self._screen, self._cluster = target, screen, settings.cluster
        self._others = peers.addresses(settings.cluster)
        self._board = Board(target, settings.cluster)

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
        self._board.write(board.TRAINED, json.dumps(self._told()))
        events.begin(model_dir)
        every, log_every = self._settings.save_checkpoints_steps, self._settings.log_every_n_iter
        config = run_config(recipe, model_dir, every, session_config=sessions.for_all_reduce())
        with hooks.progress(recipe.steps, self._screen) as (shown, note):
            if log_every:
                shown = [*shown, hooks.softmax_logging_hook(log_every, note)]
            with self._watched() as watch:
                asked = self._train(watch, config, [*shown, saving_hook(model_dir, every)])
        step = restore.saved_step(model_dir)
        # Who left earlier would be missed by those who are still in the last step.
        self._wait(self._all_are_through, self._settings.cluster_timeout)
        done = board.WELL
        if step < recipe.steps:
            done = (
                f"{' and '.join(asked)} was told to end, and step {step:,} is saved: start the "
                "same commands again, and they resume there"
            )
        self._board.write(board.DONE, done)
        self._wait(lambda: not self._there(), LAST_WORDS)
        return self._received(watch, done)

    def tell_done(self) -> None:
        """As the chief, tells workers, if any come, that nothing is left to train."""
        self._board.write(board.DONE, board.WELL)
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
            config = run_config(
                self._record.recipe, folder, 1, session_config=sessions.for_all_reduce()
            )
            config = config.replace(**own, log_step_count_steps=None)
            with self._watched() as watch:
                self._train(watch, config, [])
                with _lost(watch):
                    self._board.write(self._cluster.name, board.WELL)
                    while (done := self._board.read(board.DONE)) is None:
                        time.sleep(peers.LOOK_EVERY)
        return self._received(watch, done)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[Watch]:
        """Waits for the others; while entered, ends this process if one of them is gone."""
        timeout, show = self._settings.cluster_timeout, self._screen.print
        peers.wait_for(self._others, timeout, show)
        with Watch(self._others, timeout, show) as watch:
            yield watch

    def _train(self, watch: Watch, config: Any, more_hooks: list[Any]) -> list[str]:
        """Takes steps until the last, or until somebody is told to end: their names."""
        settings, recipe = self._settings, self._record.recipe
        chief = "" if settings.cluster.role == "chief" else peers.CHIEF
        in_step = all_reduce.InStep(lambda: watch.after_last_step(chief))
        with contextlib.ExitStack() as stack:
            index_log = stack.enter_context(self._index_log())
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
        names = [
            peers.CHIEF,
            *(f"worker {index}" for index in range(len(settings.cluster.workers))),
        ]
        return [names[index] for index in in_step.asked]

    @staticmethod
    def _received(watch: Watch, done: str) -> signal.Signals | None:
        """The signal that ended this process; one of another process is an error."""
        if done != board.WELL and watch.received is None:
            raise JobError(done)
        return watch.received

    def _there(self) -> list[str]:
        """The names of the others that are there."""
        return [name for name, where in self._others.items() if peers.is_there(where)]

    def _all_are_through(self) -> bool:
        """Whether every worker that is there has taken its last step."""
        return all(self._board.read(name) for name in self._there())

    @staticmethod
    def _wait(holds: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            time.sleep(peers.LOOK_EVERY)

    def _chief_is_done(self) -> bool:
        """Waits for the chief to be ready; returns whether nothing is left to train."""
        chief = f"{peers.CHIEF} at {self._settings.cluster.chief}"
        waiting = peers.Waiting(chief, self._settings.cluster_timeout, self._screen.print)
        told = None
        while told is None:
            time.sleep(peers.LOOK_EVERY)
            with contextlib.suppress(tf.errors.OpError):  # it has just ended
                if waiting.note(peers.is_there(self._settings.cluster.chief)):
                    if self._board.read(board.DONE) is not None:
                        return True
                    told = self._board.read(board.TRAINED)
        record.require_alike(self._told(), json.loads(told))
        return False

    def _told(self) -> dict[str, Any]:
        """What the chief tells the workers that they train together."""
        return record.noted(self._record) | {"cluster": self._settings.cluster.spec}

    @contextlib.contextmanager
    def _index_log(self) -> Iterator[IO[str] | None]:
        if self._settings.index_log_dir is None:
            yield None
            return
        folder = Path(self._settings.index_log_dir)
        folder.mkdir(parents=True, exist_ok=True)
        name = self._settings.cluster.name.replace(" ", "_")
        with (folder / f"{name}.jsonl").open("a", buffering=1) as file:  # each line at once
            yield file


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
