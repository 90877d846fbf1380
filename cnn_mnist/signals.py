"""SIGTERM, which ends the program in good order wherever it is."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def sigterm_exits() -> Iterator[None]:
    """While entered, SIGTERM raises `SystemExit(143)`, as Ctrl-C raises `KeyboardInterrupt`."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread listen to signals
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
