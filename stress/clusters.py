"""Clusters whose processes are killed: who comes back goes on, and the result is the same."""

import contextlib
import json
import random
import re
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_mnist.cluster import launcher
from stress.tally import Tally, Try, tally
from stress.trainings import GLANCE, LIMIT, Run, fresh, load_tensorflow, small_data
from stress.watched import MODEL_DIR

WORKERS = 2
VICTIMS = ("worker", "chief", "ps", "evaluator")
EARLY = 0.2  # share of the kills that come while the cluster starts
START = 5.0  # seconds, about as long as that takes
AGAIN = 0.2  # share of the kills that are repeated while the process starts again
CLOSE = 1e-5  # in weights and losses, of runs that train on the same images in the same order


class Kind(NamedTuple):
    """How a cluster trains: strategy, steps in total, between checkpoints, and until a kill."""

    strategy: str
    steps: int
    save: int
    window: int


SYNC = Kind("sync", 300, 40, 60)
ALONE = Kind("parameter_server", 3_000, 200, 300)


class Result(NamedTuple):
    """What a training left: the variables of its last checkpoint, the loss of each step."""

    variables: dict[str, np.ndarray]
    losses: dict[int, float]


def clusters(count: int, seed: int, folder: Path) -> Tally:
    """SIGKILL to each role at random moments, in both strategies; one training takes all four."""
    load_tensorflow()
    data_dir = small_data(folder / "data")
    choice = random.Random(f"{seed} clusters")
    tries: list[Try] = []
    whole = None
    while len(tries) < count:
        kind = ALONE if len(tries) // len(VICTIMS) % 2 else SYNC
        if kind is SYNC and whole is None:
            undisturbed = Training(kind, data_dir, fresh(folder / "whole"))
            undisturbed.start_all()
            undisturbed.end()
            whole = undisturbed.result()
        place = fresh(folder / f"training_{len(tries)}")
        victims = choice.sample(VICTIMS, len(VICTIMS))[: count - len(tries)]
        training = Training(kind, data_dir, place)
        tries += _disturbed(training, victims, choice, whole if kind is SYNC else None)
    return tally(tries)


def _disturbed(
    training: "Training", victims: Iterable[str], choice: random.Random, whole: Result | None
) -> list[Try]:
    """Kills one process after the other, then lets the training end; all hold, or all broke."""
    done: list[str] = []
    problem = ""
    try:
        training.start_all()
        for victim in victims:
            done.append(training.disturb(victim, choice))
        training.end()
        problem = training.wrong_with_result(whole)
    except BrokenError as error:
        problem = f"{error}; {training.said()}"
    finally:
        training.kill_all()
    problem = problem or training.left_behind()
    title = f"{training.kind.strategy}: {'; '.join(done)}"
    return [Try(title, problem) for _ in victims]


class BrokenError(Exception):
    """A promise that was not kept."""


class Training:
    """One training of a cluster.

    Attributes:
      kind: how it trains.
    """

    def __init__(self, kind: Kind, data_dir: Path, folder: Path) -> None:
        """Sets what is trained, on `small_data`, in an empty folder; nothing is started."""
        self.kind = kind
        self._folder = folder
        self._configs = launcher.tf_configs(WORKERS, 1, evaluator=True)
        self._flags = [
            *("--recipe=tfjs", "--batch_size=18", "--learning_rate=0.01", "--seed=3"),
            *(f"--data_dir={data_dir}", "--validation_size=37", "--train_size=0"),
            *("--optimizer=adam", "--dropout_rate=0.2", "--eval_every_steps=1"),
            *(f"--strategy={kind.strategy}", f"--steps={kind.steps}"),
            *(f"--save_checkpoints_steps={kind.save}", "--log_every_n_iter=0", "--mode=train"),
            *(f"--index_log_dir={folder / 'indices'}", "--cluster_timeout=60"),
        ]
        self._running: dict[str, Run] = {}
        for name in self._configs:
            fresh(folder / name)

    def start_all(self) -> None:
        """Starts every process."""
        self._started = time.monotonic()
        for name in self._configs:
            self._start(name)

    def disturb(self, victim: str, choice: random.Random) -> str:
        """Kills a process of a role at a random moment, and starts it again; says what it did.

        A parameter server takes the others along, so all are started again.

        Raises:
          BrokenError: another process did what it must not do, or not what it must.
        """
        name = f"{victim}-{choice.randrange(WORKERS)}" if victim == "worker" else victim
        name = "ps-0" if victim == "ps" else name
        if choice.random() < EARLY:
            self._wait_until(self._started + choice.uniform(0, START))
        else:
            target = min(self._step() + choice.randrange(self.kind.window), self.kind.steps - 1)
            self._wait(lambda: self._step() >= target, f"step {target}")
        done = f"{name} killed at step {self._step()}"
        self._kill(name)
        if victim == "ps":
            self._all_end_over(name)
            self.start_all()
            return done
        self._start(name)
        if choice.random() < AGAIN:
            self._wait_until(time.monotonic() + choice.uniform(0, START))
            self._kill(name)
            self._start(name)
            done += " and again at its start"
        if victim == "worker":
            size = self._log_size(name)
            self._wait(lambda: self._log_size(name) > size, f"{name} to train again")
        return done

    def end(self) -> None:
        """Waits for the end of all, which is to be a good one.

        Raises:
          BrokenError: it is not.
        """
        for name, run in self._running.items():
            if code := run.wait():
                raise BrokenError(f"{name} ended with {code}")

    def result(self) -> Result:
        """What it left."""
        from cnn_mnist.checkpoints import saver
        from cnn_mnist.utils import curves

        model_dir = self._folder / MODEL_DIR
        curve = curves.read_curves(model_dir).train_loss
        variables = saver.read(model_dir / f"model.ckpt-{self.kind.steps}")
        return Result(variables, dict(zip(curve.steps, curve.values, strict=True)))

    def wrong_with_result(self, whole: Result | None) -> str:
        """Tells what is wrong with what it left, compared with one that nothing disturbed.

        `whole` is None where the variables and losses may differ.
        """
        from cnn_mnist.checkpoints import saver
        from cnn_mnist.utils import curves

        model_dir, steps = self._folder / MODEL_DIR, self.kind.steps
        if saver.steps(model_dir)[-1:] != [steps]:
            return f"its checkpoints are of the steps {saver.steps(model_dir)}, expected {steps}"
        found = self.result()
        if found.variables["global_step"] != steps:
            return f"its last checkpoint holds step {found.variables['global_step']}"
        for name, value in found.variables.items():
            if not np.isfinite(value).all():
                return f"{name} is not finite"
            if whole and np.abs(value - whole.variables[name]).max() > CLOSE:
                return f"{name} differs by {np.abs(value - whole.variables[name]).max():.2g}"
        for step, loss in (whole.losses if whole else {}).items():
            if not abs(found.losses.get(step, np.inf) - loss) <= CLOSE:
                return f"the loss of step {step} is {found.losses.get(step)}, expected {loss}"
        scored = curves.read_curves(model_dir).validation_accuracy
        if scored.steps[-1:] != (steps,):
            return f"the last checkpoint that was scored is of step {scored.steps[-1:]}"
        return "" if scored.values[-1] > 0.5 else f"its accuracy is {scored.values[-1]}"

    def left_behind(self) -> str:
        """Tells of what it left that should not be there, of processes and files."""
        end = time.monotonic() + 5
        while self._processes() and time.monotonic() < end:
            time.sleep(GLANCE)
        if self._processes():
            return f"left behind: {self._processes()}"
        for name in self._configs:
            files = [path.name for path in (self._folder / name).iterdir()]
            if strange := [each for each in files if not re.match(r"output_\d+\.txt", each)]:
                return f"{name} wrote {strange}"
        return ""

    def said(self) -> str:
        """The end of what each process printed."""
        return ", ".join(f"{name}: {run.tail()}" for name, run in self._running.items())

    def kill_all(self) -> None:
        """Ends what still runs."""
        for name in self._running:
            self._kill(name)

    def _start(self, name: str) -> None:
        # The folder of each is its own, so that what it writes there can be told.
        flags = [*self._flags, f"--model_dir={self._folder / MODEL_DIR}"]
        if name.startswith(("worker", "ps")):
            flags[-1] = f"--model_dir={MODEL_DIR}"
        config = {"TF_CONFIG": self._configs[name]}
        self._running[name] = Run(flags, self._folder / name, env=config)

    def _kill(self, name: str) -> None:
        self._running[name].send(signal.SIGKILL)
        self._running[name].wait()

    def _wait_until(self, end: float) -> None:
        self._wait(lambda: time.monotonic() >= end, "a moment")

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        """Waits until something holds, while all processes run."""
        end = time.monotonic() + LIMIT
        while not holds():
            for name, run in self._running.items():
                if run.poll() is not None:
                    raise BrokenError(f"{name} ended with {run.poll()}, waiting for {what}")
            if time.monotonic() > end:
                raise BrokenError(f"waited for {what} for {LIMIT:g} s")
            time.sleep(GLANCE)

    def _all_end_over(self, name: str) -> None:
        """Waits for the end of all others, each of which has to tell of the process that is gone.

        The evaluator, which talks to nobody, may tell of the chief or of the whole job instead.
        """
        address = json.loads(self._configs[name])["cluster"]["ps"][0]
        for other, run in self._running.items():
            if other == name:
                continue
            code = run.wait()
            said = run.text()
            tells = address in said or (
                other == "evaluator" and re.search("^error: .*chief", said, re.M)
            )
            if code != 1 or not tells or "Traceback" in run.text():
                raise BrokenError(f"{name} was killed, and {other} ended with {code}")

    def _step(self) -> int:
        """The latest step that anybody has begun, as their lines of `--index_log_dir` tell it."""
        latest = 0
        for path in (self._folder / "indices").glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 1_000))
                for line in file.read().splitlines():
                    if match := re.match(rb'\{"step": (\d+),', line):
                        latest = max(latest, int(match[1]))
        return latest

    def _log_size(self, name: str) -> int:
        path = self._folder / "indices" / f"{name.replace('-', '_')}.jsonl"
        return path.stat().st_size if path.exists() else 0

    def _processes(self) -> list[str]:
        """Processes whose working directory is below the folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "cwd").readlink().is_relative_to(self._folder):
                    found.append((path / "comm").read_text().strip())
        return found
