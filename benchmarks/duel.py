"""Drives contenders, the processes of `contender.py`, through bursts of steps in turn.

A machine whose speed drifts, or that others use as well, slows all of them alike: what is compared
is measured within seconds of each other, and a ratio is taken in every round anew.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.processes import ROOT, SHOWN, environment

WARM_UP_STEPS = 20
SHORTEST_BURST = 5  # steps


class Contender:
    """A process that takes training steps when it is asked to, and waits otherwise.

    A context manager: the process is ended on the way out, whatever the reason.

    Raises:
      RuntimeError: the process ended; the message holds what it wrote last.
    """

    def __init__(self, name: str, precision: str, tree: Path = ROOT) -> None:
        """Starts it; in another `tree` it takes the package of there, and its name ends with @."""
        self.name = name if tree == ROOT else f"{name}@"
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name, "stderr")
        program = str(ROOT / "benchmarks" / "contender.py")
        command = [sys.executable, program, name, f"--precision={precision}"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, f"--model_dir={self._folder.name}/model"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(tree),
                start_new_session=True,  # Ctrl-C is for the driver, which then ends it
            )

    @property
    def process_id(self) -> int:
        """Of the process."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Returns when its next step would be a training step."""
        while self._line() != "ready\n":
            pass

    def seconds(self, steps: int) -> float:
        """How long a burst of steps takes."""
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return line

    def _ended(self) -> RuntimeError:
        code = self._process.wait()
        wrote = self._log.read_text(errors="replace")[-SHOWN:]
        return RuntimeError(f"contender {self.name} ended with code {code}; it wrote:\n{wrote}")

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


def burst_of(contender: Contender, seconds: float) -> int:
    """Warms a contender up; returns how many of its steps take so many seconds."""
    contender.seconds(WARM_UP_STEPS)
    per_step = contender.seconds(WARM_UP_STEPS) / WARM_UP_STEPS
    return max(SHORTEST_BURST, round(seconds / per_step))


def alternate(
    contenders: Sequence[Contender], bursts: Sequence[int], rounds: int
) -> dict[str, list[float]]:
    """Lets each contender take a burst of steps in every round.

    Every other round goes the other way round, so that no contender is always the first.

    Args:
      contenders: ready ones, of different names.
      bursts: how many steps each of them takes.
      rounds: how many.

    Returns:
      Steps a second of each round, by the contender's name.
    """
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    turns = list(zip(contenders, bursts, strict=True))
    for number in range(rounds):
        for contender, steps in turns if number % 2 == 0 else reversed(turns):
            rates[contender.name].append(steps / contender.seconds(steps))
    return rates


def ratios(rates: Mapping[str, Sequence[float]], ours: str, other: str) -> list[float]:
    """Round by round, how many steps `ours` takes for each step of `other`."""
    return [mine / theirs for mine, theirs in zip(rates[ours], rates[other], strict=True)]
