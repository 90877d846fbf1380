"""The program in processes of its own: started, watched, signalled, and what it left behind."""

import contextlib
import dataclasses
import hashlib
import json
import os
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cnn_mnist.data import dataset
from cnn_mnist.utils import console
from stress.driver import MODEL_DIR, Plan
from stress.tally import Tally

ROOT = Path(__file__).resolve().parent.parent
LANES = 2  # processes at once
# Seconds; a process that takes longer hangs. Where a processor has no instructions for bfloat16,
# twelve steps of `accurate` in it take 120 s.
LIMIT = 600.0
GLANCE = 0.004  # seconds between two looks at a process
BEGUN = r"^(starting|resuming at step [\d,]+):.*\n"

T = TypeVar("T")


class HangError(Exception):
    """A process that did not end, or did not do in time what it was waited for."""


class Try(NamedTuple):
    """One try: what was done, and what broke; nothing if it held."""

    done: str
    broken: str = ""


def one_run(times: int, done: str, broken: str) -> list[Try]:
    """The tries that were made of one run, in which all held or all broke."""
    return [Try(done if i == 0 else "another try of the same run", broken) for i in range(times)]


def tally(tries: Iterable[Try]) -> Tally:
    """Counts them."""
    counted = Tally()
    for done, broken in tries:
        counted.add(holds=not broken, else_say=f"{done}: {broken}")
    return counted


class Process:
    """A running process of the program.

    Attributes:
      pid: its process id.
      output: the file of its stdout and stderr.
    """

    pid: int
    output: Path

    def poll(self) -> int | None:
        """The exit code, as `subprocess` tells it; None while it runs."""
        raise NotImplementedError

    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def send(self, number: int) -> None:
        """Sends a signal, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float = LIMIT) -> int:
        """Waits for the end; returns the exit code.

        Raises:
          HangError: it took longer; it was killed.
        """
        self.wait_until(lambda: False, seconds)
        code = self.poll()
        assert code is not None
        return code

    def wait_for(self, pattern: str) -> re.Match | None:
        """Waits until it has printed a pattern; None if it ended without."""
        self.wait_until(lambda: re.search(pattern, self.text(), re.MULTILINE) is not None)
        return re.search(pattern, self.text(), re.MULTILINE)

    def wait_until(self, holds: Callable[[], bool], seconds: float = LIMIT) -> None:
        """Waits until something holds or the process ends.

        Raises:
          HangError: neither came in time; it was killed.
        """
        end = time.monotonic() + seconds
        while self.poll() is None and not holds():
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
                raise HangError(f"still running after {seconds:.0f} s; printed {self.tail()}")
            time.sleep(GLANCE)

    def tail(self) -> str:
        """The end of what it printed, on one line."""
        return repr(self.text()[-200:])


class Stopwatch:
    """How long a process takes, as if the machine did nothing else.

    The time for which one of its threads was ready and had to wait for a processor does not count,
    where the system tells it.
    """

    def __init__(self, process: Process) -> None:
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
        for path in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, LookupError):  # the thread has ended
                found[path.parent.name] = int(path.read_text().split()[1]) / 1e9
        return found


class Command(Process):
    """`python -m cnn_mnist.main`, as a user starts it."""

    def __init__(self, flags: Iterable[str], folder: Path, name: str = "output") -> None:
        self.output = folder / f"{name}.txt"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cnn_mnist.main", *flags],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()


class Fork(Process):
    """The same in a fork of a `Driver`, which watches it."""

    def __init__(self, plan: Plan, pid: int, answers: Any) -> None:
        self.output = Path(plan.output)
        self.pid = pid
        self._log = Path(plan.log)
        self._answers = answers
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and select.select([self._answers], [], [], 0)[0]:
            self._code = int(self._answers.readline())
        return self._code

    def log(self) -> list[dict[str, Any]]:
        """What it did; `driver.Log` wrote it."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def done(self) -> list[int]:
        """The steps that it trained, in order, each by its number after training it."""
        return [entry["done"] for entry in self.log() if "done" in entry]

    def batches(self) -> list[tuple[int, str]]:
        """Step and digest of the image indices of each batch that was made, in order."""
        return [(entry["batch"], entry["images"]) for entry in self.log() if "batch" in entry]


class Driver:
    """A process of `driver.py`, started when it is first needed. It runs one thing at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._runs = 0
        self._running: Fork | None = None

    def load(self) -> None:
        """Starts the process, if that was not done, without waiting until it is ready."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stress.driver"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,  # so that `select` sees every answer
            )

    def start(self, flags: Iterable[str], folder: Path, **plan: Any) -> Fork:
        """Starts a run in a folder; `plan` are further fields of a `driver.Plan`."""
        self.load()
        assert self._process is not None
        assert self._process.stdin is not None and self._process.stdout is not None
        if self._running is not None:
            self._running.wait()
        self._runs += 1
        output, log = (str(folder / f"{name}_{self._runs}.txt") for name in ("output", "log"))
        whole = Plan(list(flags), str(folder), output, log, **plan)
        self._process.stdin.write((json.dumps(dataclasses.asdict(whole)) + "\n").encode())
        pid = self._process.stdout.readline()
        if not pid:
            raise RuntimeError("stress/driver.py cannot run; `python -m stress.driver` says why")
        self._running = Fork(whole, int(pid), self._process.stdout)
        return self._running

    def stop(self) -> None:
        """Ends it, and what it still runs."""
        if self._running is not None:
            self._running.send(signal.SIGKILL)
        if self._process is not None:
            self._process.communicate()


class Lanes(contextlib.ExitStack):
    """Does jobs, two at a time; each is given a `Driver`. A context manager."""

    def __init__(self) -> None:
        super().__init__()
        load_tensorflow()
        self._free: queue.SimpleQueue[Driver] = queue.SimpleQueue()
        for _ in range(LANES):
            driver = Driver()
            self.callback(driver.stop)
            self._free.put(driver)

    def run(self, jobs: Iterable[Callable[[Driver], T]]) -> list[T]:
        """What the jobs return, in their order."""

        def do(job: Callable[[Driver], T]) -> T:
            driver = self._free.get()
            try:
                return job(driver)
            finally:
                self._free.put(driver)

        with ThreadPoolExecutor(LANES) as pool:
            return list(pool.map(do, jobs))


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


def small_run(data_dir: Path, optimizer: str, *, steps: int, save: int, validate: int) -> list[str]:
    """The flags of a run of a few seconds, whose batches begin new epochs in their middle.

    Args:
      data_dir: of `small_data`.
      optimizer: one that has slots: `momentum` or `adam`.
      steps: in total.
      save: steps between two checkpoints.
      validate: steps between two validations.
    """
    return [
        *("--recipe=tfjs", "--batch_size=20", "--learning_rate=0.01", "--seed=3"),
        *(f"--data_dir={data_dir}", "--validation_size=37", "--train_size=0"),
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
            if (model_dir / place / file).exists():
                found[place + file] = (model_dir / place / file).read_text()
    for (tag, step), values in curve_points(model_dir / "eval_validation").items():
        found[f"validation {tag} at step {step}"] = " and ".join(sorted(values))
    return found


def variables(folder: Path) -> dict[str, str]:
    """The variables of a folder's newest checkpoint: name -> digest of dtype, shape and bytes."""
    import tensorflow as tf

    newest = tf.train.latest_checkpoint(str(folder))
    if newest is None:
        return {}
    reader = tf.train.load_checkpoint(newest)
    found = {"checkpoint": Path(newest).name}
    for name in reader.get_variable_to_shape_map():
        value = np.asarray(reader.get_tensor(name))
        head = f"{value.dtype} {value.shape} ".encode()
        found[name] = hashlib.sha256(head + value.tobytes()).hexdigest()[:16]
    return found


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


def finish(process: Process, expected: dict[str, str] | None = None) -> str:
    """Waits for a run that nothing interrupts; tells what is wrong, also with its outcome."""
    try:
        code = process.wait()
    except HangError as error:
        return str(error)
    if code != 0 or "Traceback" in process.text():
        return f"a run that nothing interrupted ended with {code}: {process.tail()}"
    if expected is None:
        return ""
    try:
        return difference(expected, outcome(process.output.parent))
    except Exception as error:  # TensorFlow's reader raises anything
        return f"what it left cannot be read: {error!r}"


def fresh(folder: Path) -> Path:
    """Makes a folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
