"""SIGTERM and Ctrl-C, which end the program in good order wherever it is."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it


class Ending:
    """The program's handler of both signals.

    The first raises `KeyboardInterrupt` or `SystemExit(143)`, so that what is open is closed. The
    next ends the process on the spot: TensorFlow now and then swallows an exception, and after
    SIGKILL, too, nothing would be lost. In an interactive session every one raises: the process is
    not the program's own.

    Attributes:
      asked: whether a signal came.
    """

    asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Receives a signal."""
        if self.asked and not interactive():
            leave(128 + number)
        self.asked = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


@contextlib.contextmanager
def ending_program() -> Iterator[None]:
    """While entered, an `Ending` receives SIGTERM and Ctrl-C."""
    # Python lets only the main thread listen to signals.
    listening = threading.current_thread() is threading.main_thread()
    ending = Ending()
    before = {number: signal.signal(number, ending) for number in SIGNALS if listening}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interactive() -> bool:
    """Whether a person goes on in this process: Python's prompt, `python -i`, IPython, a kernel."""
    return hasattr(sys, "ps1") or bool(sys.flags.inspect)


def end_program(code: int) -> None:
    """Ends the process, but not that of an interactive session, as after IPython's `%run`."""
    if not interactive():
        leave(code)


def leave(code: int) -> NoReturn:
    """Ends the process, without Python's own end, which takes TensorFlow a second."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # RuntimeError: in a write
            stream.flush()
    if os.isatty(2):
        os.write(2, SHOW_CURSOR)
    os._exit(code)
