"""The other processes of a cluster: how each of them is, and waiting for them."""

import socket
import time
from collections.abc import Callable

from cnn_mnist.utils.errors import RunError
from cnn_mnist.utils.listening import host_and_port

LOOK_EVERY = 0.5  # seconds
ANSWER_WITHIN = 2.0  # seconds
TELL_AFTER, TELL_EVERY = 3.0, 30.0  # seconds
# RFC 9113, 3.4: what a client sends first, with an empty frame of settings, and the type of the
# frame that a server sends first. TensorFlow's server speaks HTTP/2.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
FRAME_HEADER, SETTINGS = 9, 4
THERE, SILENT, GONE = "there", "silent", "gone"


class ClusterError(RunError):
    """Another process of the cluster is gone, or did not come."""


def look(address: str) -> str:
    """How the process at an address is; that costs it next to nothing, however busy it is.

    Returns:
      THERE: its server answers. GONE: its machine says that nothing listens there. SILENT: neither;
      the process is stopped, or its machine or the network between is down.
    """
    try:
        with socket.create_connection(host_and_port(address), ANSWER_WITHIN) as connection:
            connection.sendall(PREFACE)
            answer = connection.recv(FRAME_HEADER, socket.MSG_WAITALL)
    except ConnectionError:
        return GONE
    except OSError:
        return SILENT
    return THERE if len(answer) == FRAME_HEADER and answer[3] == SETTINGS else GONE


def is_there(address: str) -> bool:
    """Whether the server of a process answers."""
    return look(address) == THERE


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
