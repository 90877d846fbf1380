"""Session hooks: what a training run shows, and how it ends early."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf
from rich import progress as bars
from rich.console import Console
from rich.text import Text

from cnn_mnist import estimator
from cnn_mnist.checkpoints.saver import non_finite
from cnn_mnist.models import parts
from cnn_mnist.utils.console import shows_bars
from cnn_mnist.utils.process import SIGNALS, Ending, interactive, leave

TRAIN_OP = tf.compat.v1.GraphKeys.TRAIN_OP
WATCHED = "watched"  # the `watched` of each step, where the graph takes several steps a call
SHOWN_NAMES = 10  # of what is not finite


def no_note(text: str) -> None:
    """Where there is no progress bar, its notes go nowhere."""


def softmax_logging_hook(every_n_iter: int, note: Callable[[str], None] = no_note) -> Any:
    """A `LoggingTensorHook` on the op `softmax_tensor`: one short line every so many steps.

    It tells how sure the network is: at first about 0.10 for its favourite of ten digits, which is
    guessing, later up to 1. `note` is given a short form, for a progress bar.
    """

    def line(values: dict[str, np.ndarray]) -> str:
        highest = values["softmax_tensor"].max(axis=1)  # of [B, K]
        note(f"sure {highest.mean():.2f}")
        return (
            f"softmax_tensor: highest probability {highest.mean():.2f} on average, "
            f"from {highest.min():.2f} to {highest.max():.2f}"
        )

    return estimator.LoggingTensorHook(
        {"softmax_tensor": "softmax_tensor"}, every_n_iter=every_n_iter, formatter=line
    )


class ProgressHook(estimator.SessionRunHook):
    """A progress bar: step, loss, steps a second, time left."""

    def __init__(self, total_steps: int, console: Console) -> None:
        self._progress = bars.Progress(
            "training",
            bars.BarColumn(),
            "step {task.completed:,}/{task.total:,}",
            "{task.fields[loss]}",
            "{task.fields[note]}",
            _StepsPerSecond(),
            bars.TimeRemainingColumn(),
            "left",
            console=console,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task("", total=total_steps, loss="", note="")

    def note(self, text: str) -> None:
        """Shows a few words beside the loss."""
        self._progress.update(self._task, note=text)

    def begin(self) -> None:
        self._step = tf.compat.v1.train.get_global_step()
        self._loss = tf.compat.v1.losses.get_losses()[-1]  # the Estimator puts the loss there

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._progress.reset(self._task, completed=int(session.run(self._step)))
        self._progress.start()

    def before_run(self, run_context: Any) -> Any:
        return estimator.SessionRunArgs([self._step, self._loss])

    def after_run(self, run_context: Any, run_values: Any) -> None:
        step, loss = run_values.results
        self._progress.update(self._task, completed=int(step), loss=f"loss {loss:.3f}")

    def end(self, session: Any) -> None:
        self._progress.update(self._task, completed=int(session.run(self._step)))
        self.stop()

    def stop(self) -> None:
        """Takes the bar off the screen's last line, also after an error."""
        self._progress.stop()


@contextlib.contextmanager
def progress(total_steps: int, console: Console) -> Iterator[tuple[list[Any], Callable[..., None]]]:
    """A `ProgressHook` in a list, and what shows a note beside it; off a terminal neither."""
    if not shows_bars(console):
        yield [], no_note
        return
    hook = ProgressHook(total_steps, console)
    try:
        yield [hook], hook.note
    finally:
        hook.stop()


class _StepsPerSecond(bars.ProgressColumn):
    def render(self, task: bars.Task) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "")


def watched(loss: Any) -> Any:
    """The loss, and half of each floating variable's sum of squares: `float32 [1 + variables]`."""

    def half_square(variable: Any) -> Any:
        with tf.device(variable.device):  # it is not copied to another
            return tf.nn.l2_loss(variable.read_value())

    return tf.stack([loss, *map(half_square, _floating_variables())])


def _floating_variables() -> list[Any]:
    return [v for v in tf.compat.v1.global_variables() if v.dtype.is_floating]


class FiniteGuard(estimator.SessionRunHook):
    """Ends training at the step that brings NaN or infinity, before anything is saved.

    It looks at the loss and, by their sums of squares, at every variable, those of the optimizer
    too, as each step leaves them: a gradient that is not finite makes its variable so in the same
    step. Any of them can be the first, and a ReLU, a maximum or a division may hide it from the
    loss. Sums of squares overflow beyond 1e19, from which no training recovers either. Must come
    before the hook that saves.

    Raises:
      NonFiniteError: from the training; it names the step and what is not finite.
    """

    def begin(self) -> None:
        self._variables = [v.op.name for v in _floating_variables()]
        if of_each_step := tf.compat.v1.get_collection(WATCHED):
            self._watched = of_each_step[0]
        else:
            loss = tf.compat.v1.losses.get_losses()[-1]  # the Estimator puts the loss there
            after_the_step = tf.compat.v1.get_collection(TRAIN_OP)
            with tf.name_scope("train/finite_guard"), tf.control_dependencies(after_the_step):
                self._watched = watched(loss)
        # In a cluster, others take steps too.
        self._given = [parts.step()] if parts.is_set() else []
        self._step = tf.compat.v1.train.get_global_step()

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._steps_done = int(session.run(self._step))

    def before_run(self, run_context: Any) -> Any:
        return estimator.SessionRunArgs([self._watched, *self._given])

    def after_run(self, run_context: Any, run_values: Any) -> None:
        watched, *given = run_values.results
        if given:
            self._steps_done = int(given[0])
        for values in np.atleast_2d(watched):  # of each step of the call
            self._steps_done += 1
            if not np.isfinite(values).all():
                self._stop(values)

    def _stop(self, values: np.ndarray) -> None:
        loss = f"the loss ({values[0]})"
        names = [loss, *(f"the variable {v}" for v in self._variables)]
        names = [n for n, value in zip(names, values, strict=True) if not np.isfinite(value)]
        others = f" and {len(names) - SHOWN_NAMES} more" * (len(names) > SHOWN_NAMES)
        raise non_finite(f"step {self._steps_done:,}", ", ".join(names[:SHOWN_NAMES]) + others)


class StopOnSignal(estimator.SessionRunHook):
    """Ends training after the current step on SIGTERM or Ctrl-C, so that the Estimator saves it.

    A context manager, which listens while entered. A second signal ends at once; so does the first
    before any step is trained, when there is nothing to save.

    Attributes:
      received: the signal that came, or None.
    """

    received: signal.Signals | None = None
    _has_begun = False  # the first step

    def __init__(self, show: Callable[[str], None] = no_note, alone: bool = False) -> None:
        """`show` prints the line that tells, at once, that the step is being saved.

        `alone`: no other process waits for this one, so that it can end on the spot.
        """
        self._show = show
        self._alone = alone

    def __enter__(self) -> "StopOnSignal":
        # Python lets only the main thread listen to signals.
        listening = threading.current_thread() is threading.main_thread()
        # All of them before the first is replaced: a signal may come at once.
        self._before = {s: signal.getsignal(s) for s in SIGNALS if listening}
        for number in self._before:
            if self.received is None:
                signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        for each, handler in self._before.items():
            signal.signal(each, handler)
        before = self._before[self.received]
        if not self._has_begun and callable(before):
            if self._alone and isinstance(before, Ending) and not interactive():
                leave(128 + number)  # an exception can hang where TensorFlow builds the graph
            before(number, frame)
            return
        for handler in self._before.values():
            if isinstance(handler, Ending):
                handler.asked = True
        text = f"{self.received.name}: saving the step; a second one ends at once, without it"
        # From a thread: this one may be in the midst of printing, and hold the screen's lock.
        threading.Thread(target=self._show, args=[text]).start()

    def pass_on(self, saved: str) -> None:
        """Hands the signal that came, if any, to its handler of before; `saved` is told with it."""
        if self.received is None:
            return
        for handler in self._before.values():
            if isinstance(handler, Ending):
                handler.asked = False
        try:
            signal.raise_signal(self.received)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(saved) from None

    def before_run(self, run_context: Any) -> None:
        self._has_begun = True

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if self.received is not None:
            run_context.request_stop()
