"""Damaged and hostile files: made, read in a process of their own, and judged.

So a crash, an endless loop or a flood of memory is what came of one try, and not the end of all.
"""

import contextlib
import dataclasses
import io
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from stress.tally import Tally, Try, tally

MOST_MEMORY = 6 << 30  # bytes of address space; stops a flood before it takes the machine along


@dataclasses.dataclass
class Case:
    """A folder of files, and what may come of reading it."""

    done: str  # what was done to good files
    files: dict[str, bytes]  # name -> content
    culprits: tuple[str, ...]  # names of which the refusal must tell at least one
    allowed: set[str] | None = dataclasses.field(default_factory=set)  # None: whatever is read
    refusable: bool = True
    place: Callable[[Path], None] | None = None  # makes what is no plain content, in the folder


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a refusal must look like, and what reading may take."""

    says: str  # a pattern of the refusal
    seconds: float  # of the processor: other programs may run beside it
    memory: int  # bytes beyond the idle process


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    value: Any = None  # what it returned, if it returned
    refusal: str | None = None  # the message of the one kind of error that it may raise
    fault: str | None = None  # anything else: another error, a crash, no answer in time
    seconds: float = 0.0  # that the processor took, or of waiting for a process that died or hung
    growth: int = 0  # bytes of the peak of memory above the least before any call so far


def tries(
    count: int,
    case: Callable[[], Case],
    read: Callable[[str], str],
    refusal: type[Exception],
    folder: Path,
    limits: Limits,
) -> Tally:
    """Lets a function read so many cases, each a new one: it must refuse them or be right.

    Args:
      count: how many.
      case: makes the next one.
      read: takes the folder; what it read, in words that can be compared.
      refusal: the error that it may raise.
      folder: empty.
      limits: of the refusal, time and memory.
    """

    def one() -> Iterator[Try]:
        target = folder / "data"
        with Guard(read, refusal) as guard:
            guard.call(str(folder))  # loads what the first call loads
            for _ in range(count):
                each = case()
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir()
                for name, content in each.files.items():
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    (target / name).write_bytes(content)
                if each.place:
                    each.place(target)
                yield Try(each.done, _fault_of(guard.call(str(target)), each, target, limits))

    return tally(one())


def _fault_of(outcome: Outcome, case: Case, folder: Path, limits: Limits) -> str:
    """What is wrong with the outcome; empty if nothing is."""
    if outcome.fault:
        return outcome.fault
    if outcome.growth > limits.memory:
        return f"took {outcome.growth >> 20} MiB of memory"
    if outcome.seconds > limits.seconds:
        return f"took {outcome.seconds:.1f} s"
    message = outcome.refusal
    if message is None:
        right = case.allowed is None or outcome.value in case.allowed
        return "" if right else "was read as something else"
    if not case.refusable:
        return f"is good but was refused: {message}"
    if message.splitlines() != [message] or len(message) > 1000:
        return f"not one line: {message!r:.300}"
    if not any(str(folder / name) in message for name in case.culprits):
        return f"names none of {case.culprits}: {message}"
    return "" if re.search(limits.says, message) else f"not clear: {message}"


# What is no file where a file should be.
NO_FILES: dict[str, Callable[[Path], None]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to endless zeros": lambda path: path.symlink_to("/dev/zero"),
}


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

    def __exit__(self, *error: object) -> None:
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
        start = time.process_time()
        outcome = _outcome(function, refusal, arguments)
        seconds = time.process_time() - start
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


def damaged(
    rng: random.Random, content: bytes, edges: list[int] | tuple[int, ...], header: int = 0
) -> tuple[str, bytes]:
    """Damages a file in one of many ways; returns what was done, and the file.

    Args:
      edges: offsets at which one part of the file ends and the next begins.
      header: where the header ends; half of the flips come before. 0: anywhere.
    """
    size = len(content)
    mutable = bytearray(content)
    choice = rng.randrange(10)
    if choice < 4:
        end = header if header and rng.random() < 0.5 else size
        places = [rng.randrange(end) for _ in range(rng.choice((1, 1, 1, 2, 4)))]
        bits = rng.random() < 0.5
        for place in places:
            mutable[place] ^= 1 << rng.randrange(8) if bits else rng.randint(1, 255)
        return f"{'bits' if bits else 'bytes'} changed at {places}", bytes(mutable)
    if choice == 4:
        cut = rng.randrange(size)
        return f"cut at {cut}", content[:cut]
    if choice == 5:
        cut = min(max(0, rng.choice(edges) + rng.choice((-1, 0, 1))), size - 1)
        return f"cut at the edge {cut}", content[:cut]
    if choice == 6:
        rubbish = rng.choice((rng.randbytes(rng.randint(1, 2000)), bytes(rng.randint(1, 2000))))
        return f"{len(rubbish)} bytes appended", content + rubbish
    if choice == 7:
        return rng.choice((("emptied", b""), ("doubled", content + content)))
    place = rng.choice((rng.randrange(size), min(rng.choice(edges), size)))
    length = rng.randint(1, 50)
    if choice == 8:
        return f"{length} bytes missing at {place}", content[:place] + content[place + length :]
    inserted = rng.randbytes(length)
    return f"{length} bytes inserted at {place}", content[:place] + inserted + content[place:]


def npy_file(array: np.ndarray) -> bytes:
    """The `.npy` file of an array."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()
