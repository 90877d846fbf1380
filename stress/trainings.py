"""Runs of the program: started, watched, signalled, and what they left behind."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cnn_mnist.data import dataset
from cnn_mnist.utils import console
from stress import programs
from stress.watched import MODEL_DIR, Plan

AT_ONCE = 2  # processes
# Seconds; a process that takes longer hangs. Where a processor has no instructions for bfloat16,
# twelve steps of `accurate` in it take 120 s.
LIMIT = 600.0
GLANCE = 0.004  # seconds between two looks at a process
BEGUN = r"^(starting|resuming at step [\d,]+):.*\n"
PROGRAM = ("-m", "cnn_mnist.main")
SMALL = ("--recipe=tfjs", "--batch_size=20", "--train_size=0", "--validation_size=37")

T = TypeVar("T")


class Run:
    """A run of the program.

    Attributes:
      pid: its process id.
      folder: where it runs.
      output: the file of its stdout and stderr.
    """

    _numbers = itertools.count(1)

    def __init__(
        self, flags: Iterable[str], folder: Path, command: Iterable[str] = PROGRAM, **options: Any
    ) -> None:
        """Starts it; `options` are further ones of `programs.start`."""
        self.folder = folder
        self.output = folder / f"output_{next(self._numbers)}.txt"
        everything = (*command, *flags)
        self._program = programs.start(*everything, cwd=folder, output=self.output, **options)
        self.pid: int = self._program.pid

    def poll(self) -> int | None:
        """The exit code, as `subprocess` tells it; None while it runs."""
        return self._program.poll()

    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def send(self, number: int) -> None:
        """Sends a signal, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self) -> int:
        """Waits for the end; returns the exit code. A run that hangs is ended by SIGABRT."""
        self.wait_until(lambda: False)
        code = self.poll()
        assert code is not None
        return code

    def wait_for(self, pattern: str) -> re.Match | None:
        """Waits until it has printed a pattern; None if it ended without."""
        self.wait_until(lambda: self.said(pattern) is not None)
        return self.said(pattern)

    def said(self, pattern: str) -> re.Match | None:
        """The first place where it printed a pattern."""
        return re.search(pattern, self.text(), re.MULTILINE)

    def pause(self, seconds: float, until: str = r"\Z.") -> None:
        """Waits so long, while it runs and has not printed a pattern."""
        end = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() > end or self.said(until) is not None)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Waits until something holds or the process ends, by itself or as one that hangs."""
        end = time.monotonic() + LIMIT
        while self.poll() is None and not holds():
            if time.monotonic() > end:
                self.send(signal.SIGABRT)
                with self.output.open("a") as file:
                    file.write(f"\nit did not go on for {LIMIT:g} s")
                end = math.inf
            time.sleep(GLANCE)

    def tail(self) -> str:
        """The end of what it printed, on one line."""
        return repr(self.text()[-200:])


class Stopwatch:
    """How long a process takes, as if the machine did nothing else.

    The time for which one of its threads was ready and had to wait for a processor does not count,
    where the system tells it.
    """

    def __init__(self, process: Run) -> None:
        self._process = process
        self._start = self._looked = time.monotonic()
        self._before = self._now = self._waits()

    def look(self) -> bool:
        """To be called again and again while the process runs; returns False."""
        if self._process.poll() is None and time.monotonic() > self._looked + 0.05:
            self._looked = time.monotonic()
            self._now = self._now | self._waits()
        return False

    def seconds(self) -> float:
        """Seconds since it was made."""
        waited = (seconds - self._before.get(t, 0) for t, seconds in self._now.items())
        return time.monotonic() - self._start - max(waited, default=0)

    def _waits(self) -> dict[str, float]:
        """Of each thread, how many seconds it has waited for a processor."""
        found = {}
        with contextlib.suppress(FileNotFoundError):  # the process has ended
            for path in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError, LookupError):  # the thread has ended
                    found[path.parent.name] = int(path.read_text().split()[1]) / 1e9
        return found


class Watched(Run):
    """A run that notes what it does."""

    def __init__(self, flags: Iterable[str], folder: Path, **plan: Any) -> None:
        """Starts it; `plan` are further fields of a `watched.Plan`."""
        self._log = folder / f"log_{next(self._numbers)}.txt"
        whole = json.dumps(dataclasses.asdict(Plan(str(self._log), **plan)))
        super().__init__(flags, folder, ("-m", "stress.watched", whole))

    def log(self) -> list[dict[str, Any]]:
        """What it did; `watched.Log` wrote it."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines]

    def done(self) -> list[int]:
        """The steps that it trained, in order, each by its number after training it."""
        return [entry["done"] for entry in self.log() if "done" in entry]

    def batches(self) -> list[tuple[int, str]]:
        """Step and digest of the image indices of each batch that was made, in order."""
        return [(entry["batch"], entry["images"]) for entry in self.log() if "batch" in entry]


class Ended(NamedTuple):
    """How a run ended: its exit code, or the negative number of a signal; what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str | None:
        """The one line of its error; None if there is not exactly one, or anything like a trace."""
        lines = [line for line in self.stderr.splitlines() if not line.startswith("INFO:")]
        found = [line for line in lines if line.startswith("error: ")]
        quiet = all(line.startswith(("error: ", "WARNING:", "step ")) for line in lines)
        return found[0] if len(found) == 1 and quiet else None

    @property
    def told(self) -> str:
        """Its end, for a line of the tally."""
        last = " | ".join(self.stderr.strip().splitlines()[-6:])
        return f"exit code {self.code}, stderr: {last:.900}"


def ended(
    *flags: str, before: str = "", fresh: bool = False, command: Iterable[str] = PROGRAM
) -> Ended:
    """Runs the program, or another, to its end.

    Args:
      flags: of the program.
      before: Python code that runs first in the program's process.
      fresh: whether it gets an interpreter of its own.
      command: of another program.
    """
    if before:
        code = f"import sys; {before}\nfrom cnn_mnist import main\nsys.exit(main.main(sys.argv))"
        command = ("-c", code)
    try:
        done = programs.run(*command, *flags, fresh=fresh, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return Ended(-signal.SIGKILL, "", f"no end after {LIMIT:g} s")
    return Ended(done.returncode, done.stdout, done.stderr)


def at_once(jobs: Iterable[Callable[[], T]], workers: int = AT_ONCE) -> list[T]:
    """Does jobs, some at a time; what they return, in their order."""
    load_tensorflow()
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: job(), jobs))


def load_tensorflow() -> None:
    """Does without noise, and once, what `variables` needs."""
    with console.quiet_start():
        import tensorflow  # noqa: F401


def small_data(folder: Path) -> Path:
    """Writes real images for short runs, 37 + 130 for training and 67 for the test."""
    whole = dataset.load()
    train = dataset.in_memory(whole.train)
    folder.mkdir()
    np.savez(
        folder / "mnist.npz",
        x_train=train.images[:167],
        y_train=train.labels[:167].astype(np.uint8),
        x_test=whole.test.images[:67],
        y_test=whole.test.labels[:67].astype(np.uint8),
    )
    return folder


def small_run(folder: Path, optimizer: str, *, steps: int, save: int, validate: int) -> list[str]:
    """The flags of a run of a few seconds, whose batches begin new epochs in their middle.

    Args:
      folder: where `small_data` gets a folder.
      optimizer: one that has slots: `momentum` or `adam`.
      steps: in total.
      save: steps between two checkpoints.
      validate: steps between two validations.
    """
    return [
        *(*SMALL, "--learning_rate=0.01", "--seed=3", f"--data_dir={small_data(folder / 'data')}"),
        *(f"--optimizer={optimizer}", f"--steps={steps}"),
        *(f"--save_checkpoints_steps={save}", f"--eval_every_steps={validate}"),
        *(f"--model_dir={MODEL_DIR}", "--log_every_n_iter=0", "--mode=train"),
    ]


def outcome(folder: Path) -> dict[str, str]:
    """All that a training run promises to leave in `folder/model_dir`, whatever interrupted it.

    Returns:
      Name of a thing -> its value or digest: each variable of the newest checkpoint and of the
      best, the files beside them, each point of the validation curves.
    """
    model_dir = folder / MODEL_DIR
    found: dict[str, str] = {}
    for place in ("", "best/"):
        found |= {f"{place}{name}": digest for name, digest in variables(model_dir / place).items()}
        for file in ("recipe.json", "score.json"):
            if (path := model_dir / place / file).exists():
                found[place + file] = path.read_text()
    for (tag, step), values in curve_points(model_dir / "eval_validation").items():
        found[f"validation {tag} at step {step}"] = " and ".join(sorted(values))
    return found


def variables(folder: Path) -> dict[str, str]:
    """The variables of a folder's newest checkpoint: name -> digest of dtype, shape and bytes."""
    import tensorflow as tf

    newest = tf.train.latest_checkpoint(str(folder))
    return {"checkpoint": Path(newest).name, **digests(newest)} if newest else {}


def digests(prefix: str | Path) -> dict[str, str]:
    """The variables of a checkpoint: name -> digest of dtype, shape and bytes."""
    from cnn_mnist.checkpoints import saver

    found = {name: np.asarray(value) for name, value in saver.read(prefix).items()}
    contents = {n: f"{v.dtype} {v.shape} ".encode() + v.tobytes() for n, v in found.items()}
    return {name: hashlib.sha256(each).hexdigest()[:16] for name, each in contents.items()}


def curve_points(folder: Path) -> dict[tuple[str, int], set[str]]:
    """The points in a folder's event files: (curve, step) -> every value that is noted there."""
    from tensorboard.backend.event_processing import event_file_loader

    points: dict[tuple[str, int], set[str]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        # It ends at a record that is not whole, as a process leaves that is killed while it writes.
        for event in event_file_loader.LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                number = float(value.simple_value).hex()
                points.setdefault((value.tag, event.step), set()).add(number)
    return points


def difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """How two outcomes differ, in words; empty if they do not."""
    differing = [
        f"{name} is {found.get(name, 'missing')}, expected {expected.get(name, 'nothing')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    return "; ".join(differing[:3]) + (f"; and {len(differing) - 3} more" * (len(differing) > 3))


def finish(run: Run, expected: dict[str, str] | None = None) -> str:
    """Waits for a run that nothing interrupts; tells what is wrong, also with its outcome."""
    code = run.wait()
    if code != 0 or "Traceback" in run.text():
        return f"a run that nothing interrupted ended with {code}: {run.tail()}"
    if expected is None:
        return ""
    try:
        return difference(expected, outcome(run.folder))
    except Exception as error:  # TensorFlow's reader raises anything
        return f"what it left cannot be read: {error!r}"


def undisturbed(run: Run) -> dict[str, str]:
    """The outcome of a run to compare others with.

    Raises:
      RuntimeError: it went wrong by itself.
    """
    if problem := finish(run):
        raise RuntimeError(problem)
    return outcome(run.folder)


def fresh(folder: Path) -> Path:
    """Makes a folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
