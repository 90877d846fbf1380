"""Looks after the other processes while this one trains, and after signals to this one."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping

from cnn_mnist.cluster import peers
from cnn_mnist.cluster.peers import ClusterError, Waiting
from cnn_mnist.cluster.tf_config import CHIEF
from cnn_mnist.utils.process import leave, noting_signals

GONE_AFTER = 3  # looks in a row, lest a moment end a job
# Seconds after a signal in which the step that all are in should have ended.
GRACE = 20.0


class Watch:
    """Looks after the others, in a thread, while this process trains; a context manager.

    TensorFlow's runtime may wait without end for a process that is gone, in the midst of a call
    that neither an exception nor a signal's handler can end. So this thread ends the process, with
    a line that names who is gone. It loses nothing: a checkpoint is whole whenever its writer ends.

    After a signal, the step that all are in is the last (`all_reduce.InStep`). Where that does
    not come to an end within `GRACE` seconds, or after a second signal, this thread ends the
    process.

    Attributes:
      received: the signal that came, or None.
    """

    received: signal.Signals | None = None

    def __init__(
        self, others: Mapping[str, str], timeout: float, show: Callable[[str], None]
    ) -> None:
        """Sets whom to watch, name -> address; `show` prints a line.

        A process that is gone ends this one at once; one that is silent, after `timeout` seconds.
        """
        self._others = dict(others)
        self._waiting = {
            name: Waiting(f"{name} at {address}", timeout, show) for name, address in others.items()
        }
        self._misses = dict.fromkeys(others, 0)  # looks in a row at which a process was gone
        self._over, self._stepping = threading.Event(), True

    def wait_for_all(self) -> "Watch":
        """Waits until all others answer; before the watch is entered.

        Raises:
          ClusterError: one does not, for too long.
        """
        names = self._others.items()
        while False in [self._waiting[name].note(peers.is_there(where)) for name, where in names]:
            time.sleep(peers.LOOK_EVERY)
        return self

    def __enter__(self) -> "Watch":
        self._signals = contextlib.ExitStack()
        self._come = self._signals.enter_context(noting_signals())
        self._thread = threading.Thread(target=self._look_until_over, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._look_for_signals()  # of one that came with another process's, since the last look
        self._signals.close()

    def after_last_step(self) -> None:
        """From now on only the chief is needed: the others may leave."""
        self._others = {name: where for name, where in self._others.items() if name == CHIEF}
        self._stepping = False

    def find_lost(self) -> None:
        """Gives the thread the time to see who is gone, and to end this process."""
        self._over.wait((GONE_AFTER + 1) * peers.LOOK_EVERY + peers.ANSWER_WITHIN)

    def _look_until_over(self) -> None:
        while not self._over.wait(peers.LOOK_EVERY):
            self._look_for_signals()
            try:
                self._look()
            except ClusterError as error:
                self._end_with(1, f"error: {error}")

    def _look(self) -> None:
        for name, address in self._others.copy().items():
            found = peers.look(address)
            self._misses[name] = self._misses[name] + 1 if found == peers.GONE else 0
            if found != peers.GONE:
                self._waiting[name].note(found == peers.THERE, " to answer")
        others = self._others.items()
        gone = [f"{name} at {where}" for name, where in others if self._misses[name] >= GONE_AFTER]
        if gone:
            raise ClusterError(
                f"{' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} gone; the newest "
                "checkpoint is whole: start the same commands again, and they resume there"
            )

    def _look_for_signals(self) -> None:
        for number in self._come():
            if self.received is not None:
                self._end_with(128 + number)
            self.received, self._received_at = number, time.monotonic()
        if self.received and self._stepping and time.monotonic() - self._received_at >= GRACE:
            name = self.received.name
            self._end_with(128 + self.received, f"{name}: the step could not be ended")

    def _end_with(self, code: int, message: str = "") -> None:
        if self._over.is_set():
            return
        if message:
            print(message, file=sys.stderr)
        leave(code)
