"""Runs a program as a user does, and tells what it took."""

import dataclasses
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = 2000  # characters of what a program that failed wrote last


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a program."""

    output: str  # what it wrote to stdout
    seconds: float  # from the moment it was started to its end
    peak_memory_mb: float  # the largest resident size of the process, in units of 10^6 bytes


def environment(tree: Path = ROOT) -> dict[str, str]:
    """Of a program that takes its modules from a folder, wherever it runs."""
    return {**os.environ, "PYTHONPATH": str(tree)}


def run(
    command: Sequence[str],
    expected_code: int = 0,
    show_progress: bool = False,
    tree: Path = ROOT,
) -> Run:
    """Runs a program to its end, or ends it if this process is to end.

    The system counts the size of the process that starts a program as the program's own, so the
    caller must be small: nothing that calls this loads TensorFlow.

    Args:
      command: program and arguments.
      expected_code: the exit code.
      show_progress: whether its stderr is the caller's.
      tree: the folder that it runs in and takes its modules from.

    Raises:
      RuntimeError: it ended with another code; the message holds what it wrote last.
    """
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=stdout,
            stderr=None if show_progress else stderr,
            cwd=tree,
            env=environment(tree),
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        output = stdout.read()
        if process.returncode != expected_code:
            wrote = (output + stderr.read())[-SHOWN:]
            raise RuntimeError(
                f"{' '.join(command)}: expected exit code {expected_code}, found "
                f"{process.returncode}; it wrote:\n{wrote}"
            )
    return Run(output, seconds, usage.ru_maxrss * 1024 / 1e6)  # Linux counts in KiB
