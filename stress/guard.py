"""Calls a function on hostile input in a process of its own.

So a crash, an endless loop or a flood of memory is what came of one try, and not the end of all.
"""

import contextlib
import dataclasses
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

MOST_MEMORY = 6 << 30  # bytes of address space; stops a flood before it takes the machine along


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a call.

    Attributes:
      value: what it returned, if it returned.
      refusal: the message of the one kind of error that it may raise, if it raised that.
      fault: anything else: another error, a crash, no answer in time.
      seconds: how long it took.
      growth: by how many bytes the peak of memory was above the least before any call so far.
    """

    value: Any = None
    refusal: str | None = None
    fault: str | None = None
    seconds: float = 0.0
    growth: int = 0


class Guard:
    """A process that makes calls, and is replaced by a new one when it dies or hangs."""

    def __init__(
        self, function: Callable[..., Any], refusal: type[Exception], patience: float = 30.0
    ) -> None:
        """Starts the process.

        Args:
          function: found by its name in a module; takes and returns what can be pickled.
          refusal: the error that it may raise.
          patience: seconds to wait for an answer.
        """
        self._work = (function, refusal)
        self._patience = patience
        self._start()

    def call(self, *arguments: Any) -> Outcome:
        """Calls the function, whatever comes of it."""
        start = time.monotonic()
        try:
            self._pipe.send(arguments)
            if self._pipe.poll(self._patience):
                return self._pipe.recv()
            fault = f"no answer in {self._patience:g} s"
        except (EOFError, OSError):
            self._process.join()
            fault = f"the process died with exit code {self._process.exitcode}"
        self._stop()
        self._start()
        return Outcome(fault=fault, seconds=time.monotonic() - start)

    def __enter__(self) -> "Guard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self) -> None:
        # Not forked: TensorFlow may be loaded, and its threads do not survive that.
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, *self._work), daemon=True)
        self._process.start()
        far_end.close()

    def _stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, function: Callable[..., Any], refusal: type[Exception]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.RLIM_INFINITY))
    least = sys.maxsize  # what is freed may stay with the process: the idle process is the measure
    while True:
        try:
            arguments = pipe.recv()
        except EOFError:
            return
        least = min(least, _peak_from_now())
        start = time.monotonic()
        outcome = _outcome(function, refusal, arguments)
        seconds = time.monotonic() - start
        pipe.send(dataclasses.replace(outcome, seconds=seconds, growth=_peak() - least))


def _outcome(
    function: Callable[..., Any], refusal: type[Exception], arguments: tuple[Any, ...]
) -> Outcome:
    try:
        return Outcome(value=function(*arguments))
    except refusal as error:
        return Outcome(refusal=str(error))
    except BaseException as error:  # noqa: B036 - it is told to the one who asked
        return Outcome(fault=f"{type(error).__name__}: {error!s:.300}")


def _peak_from_now() -> int:
    """Forgets the peak of memory so far, where the system can; returns the new one, in bytes."""
    with contextlib.suppress(OSError):  # not Linux: then only growth beyond all peaks is seen
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak()


def _peak() -> int:
    """The most memory that this process had in use at once, in bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
