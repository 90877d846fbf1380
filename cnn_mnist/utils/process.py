"""A process of the program: how it starts, and how it ends.

It ends by SIGTERM, by Ctrl-C, or with one line for what went wrong.
"""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from cnn_mnist.utils.errors import InputError, RunError, reason

SIGNALS = (signal.SIGINT, signal.SIGTERM)
OBJECTS = 100_000  # new ones, until Python looks for garbage
PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal that a child gets when its parent ends
SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it


class Ending:
    """The program's handler of both signals.

    The first signal raises `KeyboardInterrupt` or `SystemExit(143)`, so that open files are closed.
    The next ends the process at once, because TensorFlow sometimes swallows an exception. In an
    interactive session every signal raises: the process is not the program's own.
    """

    asked = False  # whether a signal came

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


@contextlib.contextmanager
def noting_signals() -> Iterator[Callable[[], list[signal.Signals]]]:
    """While entered, SIGTERM and Ctrl-C are noted and do nothing else; in the main thread.

    Gives what tells which have come since it was asked last. It can be asked in any thread, and
    knows of a signal at once, though the main thread, which Python has call the handlers, be in a
    call.
    """
    with contextlib.ExitStack() as stack:
        numbers, end = os.pipe()
        for each in (numbers, end):
            os.set_blocking(each, False)
            stack.callback(os.close, each)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(end, warn_on_full_buffer=False))
        for number in SIGNALS:
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: None))

        def come() -> list[signal.Signals]:
            try:
                return [signal.Signals(n) for n in os.read(numbers, 64) if n in SIGNALS]
            except BlockingIOError:
                return []

        yield come


def interactive() -> bool:
    """Whether a person goes on in this process: Python's prompt, `python -i`, IPython, a kernel."""
    return hasattr(sys, "ps1") or bool(sys.flags.inspect)


def collect_rarely() -> None:
    """Lets Python look for garbage after 100,000 new objects; it does after 700 otherwise.

    TensorFlow's modules and a graph are so many objects that looking takes a tenth of a start.
    """
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])


def end_program(code: int) -> None:
    """Ends the process, but not that of an interactive session, as after IPython's `%run`."""
    if not interactive():
        leave(code)


def end_with_parent() -> None:
    """Called in a child: it gets SIGTERM when its parent ends, were it by SIGKILL; on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def leave(code: int) -> NoReturn:
    """Ends the process, without Python's own end, which takes TensorFlow a second."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # RuntimeError: in a write
            stream.flush()
    if os.isatty(2):
        os.write(2, SHOW_CURSOR)
    os._exit(code)


def code_of(command: Callable[[], int]) -> int:
    """Runs a command, tells its error on stderr, and returns the exit code.

    That is the command's own, as a rule 0; 1: failed while running; 2: wrong flag, file or folder,
    nothing was written; 143 and 130: ended by SIGTERM or Ctrl-C. Other errors are raised.
    """
    try:
        with ending_program():
            code = command()
            sys.stdout.flush()
            return code
    except (InputError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt as interrupt:
        # Off a terminal nothing else tells that it has arrived; a training has told.
        if interactive() and not interrupt.args:
            print("KeyboardInterrupt", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as ended:  # `--help`, SIGTERM
        return int(ended.code or 0)
    except BrokenPipeError:  # the reader of stdout has gone: `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        return 1
    except OSError as error:  # a full disk, a folder that may not be written to
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    except Exception as error:
        tf = sys.modules.get("tensorflow")
        # An error of TensorFlow's C++ code, such as of a file that cannot be written.
        if tf is None or not isinstance(error, tf.errors.OpError):
            raise
        print(f"error: {reason(error, 300)}", file=sys.stderr)
        return 1
