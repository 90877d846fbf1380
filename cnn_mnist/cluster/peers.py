"""The other processes of a cluster: waits for them, and notices when one is gone.

A process is there if something listens at its address; that costs one connection a look, and
tells even where the process is busy with a long step.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType

from cnn_mnist.cluster.tf_config import Cluster, host_and_port
from cnn_mnist.utils.errors import RunError
from cnn_mnist.utils.process import SIGNALS, leave

LOOK_EVERY = 0.5  # seconds
CONNECT_WITHIN = 2.0  # seconds
GONE_AFTER = 3  # looks in a row, lest a moment without network end a job
TELL_AFTER, TELL_EVERY = 3.0, 30.0  # seconds
GRACE = 10.0  # seconds that the others go on after a signal, so that the chief can save


class ClusterError(RunError):
    """Another process of the cluster is gone, or did not come."""


def reachable(address: str) -> bool:
    """Whether something listens at `host:port`."""
    try:
        with socket.create_connection(host_and_port(address), CONNECT_WITHIN):
            return True
    except OSError:
        return False


def addresses(cluster: Cluster, *roles: str) -> dict[str, str]:
    """The processes of some roles, without this one: name -> address."""
    return {
        ("the chief" if role == "chief" else f"{role} {index}"): address
        for role in roles
        for index, address in enumerate(cluster.spec.get(role, []))
        if address != cluster.address
    }


class Waiting:
    """A wait that tells what for, and gives up after a time.

    Args:
      timeout: seconds, `--cluster_timeout`.
      show: prints a line.
    """

    def __init__(self, timeout: float, show: Callable[[str], None]) -> None:
        self._timeout, self._show = timeout, show
        self._since: float | None = None
        self._told = 0.0

    def still(self, what: str) -> None:
        """Notes that what is waited for is not there.

        Raises:
          ClusterError: it has not been there for too long.
        """
        now = time.monotonic()
        if self._since is None:
            self._since, self._told = now, now + TELL_AFTER - TELL_EVERY
        if now - self._since >= self._timeout:
            raise ClusterError(
                f"waited {self._timeout:g} s (--cluster_timeout) for {what}: look whether it "
                "runs, and whether its address is right; then start this process again"
            )
        if now - self._told >= TELL_EVERY:
            self._show(f"waiting for {what}, for {now - self._since:.0f} s so far")
            self._told = now

    def over(self, what: str) -> None:
        """Notes that it is there."""
        if self._since is not None and self._told >= self._since:
            self._show(f"{what} is there")
        self._since = None


def wait_for(others: dict[str, str], timeout: float, show: Callable[[str], None]) -> None:
    """Waits until all of them listen.

    Args:
      others: name -> address.
      timeout: seconds, `--cluster_timeout`.
      show: prints a line.

    Raises:
      ClusterError: one does not, for too long.
    """
    for name, address in others.items():
        waiting = Waiting(timeout, show)
        while not reachable(address):
            waiting.still(f"{name} at {address}")
            time.sleep(LOOK_EVERY)
        waiting.over(f"{name} at {address}")


class Watch:
    """Looks after the others, in a thread, while this process trains; a context manager.

    TensorFlow's runtime waits without end for a process that is gone, in the midst of a call that
    neither an exception nor a signal's handler can end. So this thread ends the process, which
    loses nothing: a checkpoint is whole whenever its writer ends.

    Attributes:
      received: the signal that came, or None.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        fatal: Iterable[str],
        awaited: Iterable[str],
        told: Iterable[str],
        timeout: float,
        show: Callable[[str], None],
        keep_on: bool,
    ) -> None:
        """Sets what the absence of a process means.

        Args:
          fatal: names of roles without which the job is lost.
          awaited: of roles that may come back within `timeout` seconds.
          told: of roles that may come back or not.
          timeout: seconds, `--cluster_timeout`.
          show: prints a line.
          keep_on: after a signal, whether to go on as long as the chief does, for `GRACE` seconds;
            otherwise the caller ends on the signal, and this thread only if it cannot.
        """
        self._cluster = cluster
        self._fatal = addresses(cluster, *fatal)
        self._awaited = addresses(cluster, *awaited)
        self._told = addresses(cluster, *told)
        self._timeout, self._show, self._keep_on = timeout, show, keep_on
        self._over = threading.Event()
        self._misses: dict[str, int] = {}
        self._waiting: dict[str, Waiting] = {}
        self.received: signal.Signals | None = None

    def __enter__(self) -> "Watch":
        # A signal's number comes out of the pipe at once, though the main thread, which Python has
        # call the handlers, be in a call.
        self._wakeups, end = os.pipe()
        os.set_blocking(self._wakeups, False)
        os.set_blocking(end, False)
        self._old_end, self._end = signal.set_wakeup_fd(end, warn_on_full_buffer=False), end
        self._handlers = {}
        if self._keep_on:
            self._handlers = {number: signal.signal(number, _ignore) for number in SIGNALS}
        self._thread = threading.Thread(target=self._look_until_over, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_end)
        os.close(self._wakeups)
        os.close(self._end)

    def _look_until_over(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            try:
                self._look()
            except ClusterError as error:
                self._end_with(1, f"error: {error}")

    def _look(self) -> None:
        self._look_for_signals()
        for name, address in self._fatal.items():
            if self._is_gone(name, address):
                raise ClusterError(gone(name, address))
        for name, address in self._awaited.items():
            waiting = self._waiting.setdefault(name, Waiting(self._timeout, self._show))
            if self._is_gone(name, address):
                waiting.still(f"{name} at {address}")
            else:
                waiting.over(f"{name} at {address}")
        for name, address in self._told.items():
            was_gone = self._misses.get(name, 0) >= GONE_AFTER
            is_gone = self._is_gone(name, address)
            if is_gone != was_gone:
                what = "is not there; the training goes on without it" if is_gone else "is there"
                self._show(f"{name} at {address} {what}")

    def _is_gone(self, name: str, address: str) -> bool:
        misses = 0 if reachable(address) else self._misses.get(name, 0) + 1
        self._misses[name] = misses
        return misses >= GONE_AFTER

    def _look_for_signals(self) -> None:
        try:
            numbers = [n for n in os.read(self._wakeups, 64) if n in SIGNALS]
        except BlockingIOError:
            numbers = []
        for number in numbers:
            if self.received is not None:
                self._end_with(128 + number, "")
            self.received, self._received_at = signal.Signals(number), time.monotonic()
        if self.received is None:
            return
        late = time.monotonic() - self._received_at >= GRACE
        chief_gone = self._keep_on and not reachable(self._cluster.chief)
        if chief_gone or late:
            why = (
                "" if self._keep_on else ": the step could not be ended, the others are waited for"
            )
            self._end_with(128 + self.received, f"{self.received.name}{why}")

    def _end_with(self, code: int, message: str) -> None:
        if self._over.is_set():
            return
        if message:
            print(message, file=sys.stderr)
        leave(code)


def gone(name: str, address: str) -> str:
    """The line that tells that a process is gone without which the job is lost."""
    return (
        f"{name} at {address} is gone, and with it the weights that it held; the newest checkpoint "
        "is whole: start the same commands again, and they resume there"
    )


def _ignore(number: int, frame: FrameType | None) -> None:
    """Leaves a signal to the `Watch`."""
