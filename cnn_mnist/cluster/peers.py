"""The other processes of a cluster: waits for them, and notices when one is gone.

A process is there if something listens at its address; that costs one connection a look, and
tells even where the process is busy with a long step.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster, host_and_port
from cnn_mnist.utils.errors import RunError
from cnn_mnist.utils.process import SIGNALS, leave

LOOK_EVERY = 0.5  # seconds
CONNECT_WITHIN = 2.0  # seconds
GONE_AFTER = 3  # looks in a row, lest a moment without network end a job
TELL_AFTER, TELL_EVERY = 3.0, 30.0  # seconds
CHIEF = "the chief"
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
    """A wait that tells for whom, and gives up after a time."""

    def __init__(self, who: str, timeout: float, show: Callable[[str], None]) -> None:
        """Takes who is to come, `--cluster_timeout` in seconds, and what prints a line."""
        self._who, self._timeout, self._show = who, timeout, show
        self._since: float | None = None
        self._told = 0.0

    def note(self, is_there: bool, more: str = "") -> bool:
        """Notes whether somebody is there, and returns it; `more` says what else is waited for.

        Raises:
          ClusterError: nobody has been there for too long.
        """
        now = time.monotonic()
        if is_there:
            if self._since is not None and self._told >= self._since:
                self._show(f"{self._who} is there")
            self._since = None
            return True
        if self._since is None:
            self._since, self._told = now, now + TELL_AFTER - TELL_EVERY
        if now - self._since >= self._timeout:
            raise ClusterError(
                f"waited {self._timeout:g} s (--cluster_timeout) for {self._who}{more}: look "
                "whether it runs, and whether its address is right; then start this process again"
            )
        if now - self._told >= TELL_EVERY:
            self._show(f"waiting for {self._who}{more}, for {now - self._since:.0f} s so far")
            self._told = now
        return False


def wait_for(others: dict[str, str], timeout: float, show: Callable[[str], None]) -> None:
    """Waits until all of `others`, name -> address, listen; the rest as of a `Waiting`.

    Raises:
      ClusterError: one does not, for too long.
    """
    for name, address in others.items():
        waiting = Waiting(f"{name} at {address}", timeout, show)
        while not waiting.note(reachable(address)):
            time.sleep(LOOK_EVERY)


class Watch:
    """Looks after the others, in a thread, while this process works; a context manager.

    TensorFlow's runtime waits without end for a process that is gone, in the midst of a call that
    neither an exception nor a signal's handler can end. So this thread ends the process, which
    loses nothing: a checkpoint is whole whenever its writer ends.

    For a trainer, the job is lost without a parameter server. The chief may come back within
    `--cluster_timeout`, and so may a worker with the strategy "sync"; without it, the chief only
    tells of a worker that goes or comes. A parameter server watches nobody here.

    After a signal the others go on as long as the chief does, for `GRACE` seconds. The chief ends
    by itself; this thread ends it only if it has not within `GRACE` seconds. A second signal ends
    each of them at once.

    Attributes:
      received: the signal that came, or None.
    """

    def __init__(self, settings: Settings, show: Callable[[str], None]) -> None:
        """Sets whom to watch; `show` prints a line."""
        self._cluster, self._show = settings.cluster, show
        self._is_chief = self._cluster.role == "chief"
        fatal, awaited, told = ["ps"], ["chief"], ["worker"] if self._is_chief else []
        if settings.strategy == "sync":
            awaited, told = ["chief", "worker"], []
        if self._cluster.role == "ps":
            fatal, awaited = [], []
        self._fatal = addresses(self._cluster, *fatal)
        self._awaited = {
            name: (address, Waiting(f"{name} at {address}", settings.cluster_timeout, show))
            for name, address in addresses(self._cluster, *awaited).items()
        }
        self._told = addresses(self._cluster, *told)
        self._misses: dict[str, int] = {}  # looks in a row in which a process was not there
        self._over = threading.Event()
        self.received: signal.Signals | None = None

    def __enter__(self) -> "Watch":
        # A signal's number comes out of the pipe at once, though the main thread, which Python has
        # call the handlers, be in a call.
        self._wakeups, self._end = os.pipe()
        for end in (self._wakeups, self._end):
            os.set_blocking(end, False)
        self._old_end = signal.set_wakeup_fd(self._end, warn_on_full_buffer=False)
        own = () if self._is_chief else SIGNALS  # on which this thread alone acts
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in own}
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
                self._look_for_signals()
                self._look()
            except ClusterError as error:
                self._end_with(1, f"error: {error}")

    def _look(self) -> None:
        for name, address in self._fatal.items():
            if self._is_gone(name, address):
                raise ClusterError(gone(name, address))
        for name, (address, waiting) in self._awaited.items():
            waiting.note(not self._is_gone(name, address))
        for name, address in self._told.items():
            was_gone = self._misses.get(name, 0) >= GONE_AFTER
            is_gone = self._is_gone(name, address)
            if is_gone != was_gone:
                what = "is not there; the training goes on without it" if is_gone else "is there"
                self._show(f"{name} at {address} {what}")

    def _is_gone(self, name: str, address: str) -> bool:
        self._misses[name] = 0 if reachable(address) else self._misses.get(name, 0) + 1
        return self._misses[name] >= GONE_AFTER

    def _look_for_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):  # none has come
            numbers = [number for number in os.read(self._wakeups, 64) if number in SIGNALS]
            for number in numbers:
                if self.received is not None:
                    self._end_with(128 + number)
                self.received, self._received_at = signal.Signals(number), time.monotonic()
        if self.received is None:
            return
        code, name = 128 + self.received, self.received.name
        late = time.monotonic() - self._received_at >= GRACE
        if late and self._is_chief:
            self._end_with(code, f"{name}: the step could not be ended, the others are waited for")
        elif late or not (self._is_chief or reachable(self._cluster.chief)):
            self._end_with(code, name)

    def _end_with(self, code: int, message: str = "") -> None:
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
