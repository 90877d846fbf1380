"""Clusters that are disturbed: all end, name who is gone, and come to the same when started again.

Processes are killed, stopped for good, stopped for a while, or cut off from the network for good or
for a while; the last two where this machine has network namespaces.
"""

import contextlib
import functools
import itertools
import json
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_mnist.cluster import launcher
from stress import networks
from stress.networks import Network
from stress.tally import Tally, Try, tally
from stress.trainings import GLANCE, LIMIT, PROGRAM, Run, fresh, load_tensorflow, small_data
from stress.watched import MODEL_DIR

NAMES = ("chief", "worker-0", "worker-1", "evaluator")
TRAINERS = NAMES[:-1]
STEPS, SAVE, WINDOW = 300, 40, 60  # in total, between checkpoints, and until a disturbance
EARLY = 0.2  # share of the disturbances that come while the cluster starts
START = 5.0  # seconds, about as long as that takes
TIMEOUT = 8.0  # seconds of --cluster_timeout, from which on a silent process is gone
WHILE = 4.0  # seconds for which one is silent


class Kind(NamedTuple):
    """A disturbance: how it begins and ends, and whether the training outlives it."""

    begin: str  # of `Training`: signal or link
    end: str = ""
    passes: bool = False


KINDS = {
    "killed": Kind("SIGKILL"),
    "stopped": Kind("SIGSTOP", "SIGCONT"),
    "stopped for a while": Kind("SIGSTOP", "SIGCONT", passes=True),
    "cut off": Kind("down", "up"),
    "cut off for a while": Kind("down", "up", passes=True),
}


class Result(NamedTuple):
    """What a training left: the variables of its last checkpoint, the loss of each step."""

    variables: dict[str, np.ndarray]
    losses: dict[int, float]


def clusters(count: int, seed: int, folder: Path) -> Tally:
    """Each role is disturbed in each way, one role in a training after the other.

    Sixteen tries have all of them: three trainers and five kinds, and an evaluator that is killed.
    """
    load_tensorflow()
    data_dir = small_data(folder / "data")
    choice = random.Random(f"{seed} clusters")
    problem = networks.why_not()
    possible = [kind for kind in KINDS if not (problem and kind.startswith("cut off"))]
    disturbances = [*itertools.product(TRAINERS, possible), ("evaluator", "killed")]
    with contextlib.nullcontext() if problem else networks.made(NAMES) as network:
        whole = Training(data_dir, fresh(folder / "whole"), network)
        whole.start(*NAMES)
        whole.end()
        tries = []
        for number in range(count):
            victim, kind = disturbances[number % len(disturbances)]
            place = fresh(folder / f"training_{number}")
            training = Training(data_dir, place, network)
            tries.append(_disturbed(training, victim, kind, choice, whole.result()))
    return tally(tries)


def _disturbed(
    training: "Training", victim: str, kind: str, choice: random.Random, whole: Result
) -> Try:
    """Disturbs one process, then lets the training end."""
    problem, what = "", ""
    try:
        training.start(*NAMES)
        what = training.disturb(victim, KINDS[kind], choice)
        training.end()
        problem = training.wrong_with_result(whole)
    except BrokenError as error:
        problem = f"{error}; {training.said()}"
    finally:
        training.kill_all()
    return Try(f"{victim} {kind} {what}", problem or training.left_behind())


class BrokenError(Exception):
    """A promise that was not kept."""


class Training:
    """One training of a cluster."""

    def __init__(
        self, data_dir: Path, folder: Path, network: Network | None, *more: str, steps: int = STEPS
    ) -> None:
        """Sets what is trained, on `small_data`, in an empty folder; nothing is started.

        Without a `network`, all processes have addresses of the loopback.
        """
        self._folder, self._network, self._steps = folder, network, steps
        self._configs = launcher.tf_configs(len(TRAINERS) - 1, evaluator=True)
        if network:
            own = [network.addresses[name] for name in TRAINERS]
            spec = {"chief": own[:1], "worker": own[1:]}
            for name, text in self._configs.items():
                self._configs[name] = json.dumps({**json.loads(text), "cluster": spec})
        self._flags = [
            *("--recipe=tfjs", "--batch_size=18", "--learning_rate=0.01", "--seed=3"),
            *(f"--data_dir={data_dir}", "--validation_size=37", "--train_size=0"),
            *("--optimizer=adam", "--dropout_rate=0.2", "--eval_every_steps=1"),
            *(f"--steps={steps}", f"--save_checkpoints_steps={SAVE}", "--log_every_n_iter=0"),
            *(f"--index_log_dir={folder / 'indices'}", f"--cluster_timeout={TIMEOUT}"),
            *("--mode=train", *more),
        ]
        self._running: dict[str, Run] = {}
        for name in NAMES:
            fresh(folder / name)

    @property
    def model_dir(self) -> Path:
        """Where it is saved."""
        return self._folder / MODEL_DIR

    def start(self, *names: str, **options: Any) -> None:
        """Starts processes; `options` are further ones of `programs.start`."""
        more = options.pop("env", {})
        self._started = time.monotonic()
        for name in names:
            # The folder of each is its own, so that what it writes there can be told.
            reads = name in ("chief", "evaluator")
            place = self._folder / MODEL_DIR if reads else MODEL_DIR
            command: tuple[str, ...] = PROGRAM
            if self._network:
                command = ("-m", "stress.networks", self._network.space(name))
            variables = {"TF_CONFIG": self._configs[name], **more}
            flags = [*self._flags, f"--model_dir={place}"]
            self._running[name] = Run(flags, self._folder / name, command, env=variables, **options)

    def disturb(self, victim: str, kind: Kind, choice: random.Random) -> str:
        """Disturbs a process at a random moment, and sees to what follows; says when it was.

        Raises:
          BrokenError: another process did what it must not do, or not what it must.
        """
        if choice.random() < EARLY and not kind.passes:
            self._wait_until(self._started + choice.uniform(0, START))
        else:
            target = min(self.step() + choice.randrange(1, WINDOW), self._steps - 1)
            self._wait(lambda: self.step() >= target, f"step {target}")
        done = f"at step {self.step()}"
        self.do(victim, kind.begin)
        if kind.passes:
            self._wait_until(time.monotonic() + WHILE)
            self.do(victim, kind.end)
        elif victim == "evaluator":
            self._running[victim].wait()
            self.start(victim)
        else:
            self._others_end(victim)
            if kind.end:
                self.do(victim, kind.end)
                self._running[victim].wait()  # which has lost the others
            # The evaluator may have lost a chief that was silent for so long.
            self.do("evaluator", "SIGKILL")
            self._running["evaluator"].wait()
            self.start(*NAMES)
        return done

    def do(self, name: str, what: str) -> None:
        """Sends a process a signal, by its name, or sets its link to "up" or "down"."""
        if what in ("up", "down"):
            assert self._network
            self._network.link(name, what)
        else:
            self._running[name].send(getattr(signal, what))

    def end(self) -> None:
        """Waits for the end of all, which is to be a good one.

        Raises:
          BrokenError: it is not.
        """
        for name, run in self._running.items():
            if code := run.wait():
                raise BrokenError(f"{name} ended with {code}")

    def ends_with(self, code: int, *names: str) -> dict[str, str]:
        """Waits for the end of processes; the error line of each, by name.

        Raises:
          BrokenError: one has ended with another code, or with more or less than one such line.
        """
        found = {}
        for name in names:
            own, said = self._running[name].wait(), self._running[name].text()
            lines = re.findall(r"^error: .*", said, re.MULTILINE)
            if own != code or len(lines) != 1 or "Traceback" in said:
                raise BrokenError(f"{name} ended with {own}, and said {lines}")
            found[name] = lines[0]
        return found

    @functools.cache  # noqa: B019
    def result(self) -> Result:
        """What it left."""
        from cnn_mnist.checkpoints import saver
        from cnn_mnist.utils import curves

        model_dir = self._folder / MODEL_DIR
        curve = curves.read_curves(model_dir).train_loss
        variables = saver.read(model_dir / f"model.ckpt-{self._steps}")
        return Result(variables, dict(zip(curve.steps, curve.values, strict=True)))

    def wrong_with_result(self, whole: Result) -> str:
        """Tells what is wrong with what it left, compared with one that nothing disturbed."""
        from cnn_mnist.checkpoints import saver
        from cnn_mnist.utils import curves

        model_dir = self._folder / MODEL_DIR
        if saver.steps(model_dir)[-1:] != [self._steps]:
            return f"its checkpoints are of the steps {saver.steps(model_dir)}"
        found = self.result()
        for name, value in whole.variables.items():
            if not np.array_equal(found.variables[name], value):
                return f"{name} differs by {np.abs(value - found.variables[name]).max():.2g}"
        if found.losses != whole.losses:
            return "its losses differ"
        scored = curves.read_curves(model_dir).validation_accuracy
        if scored.steps[-1:] != (self._steps,):
            return f"the last checkpoint that was scored is of step {scored.steps[-1:]}"
        return "" if scored.values[-1] > 0.5 else f"its accuracy is {scored.values[-1]}"

    def left_behind(self) -> str:
        """Tells of what it left that should not be there, of processes and files."""
        end = time.monotonic() + 5
        while self._processes() and time.monotonic() < end:
            time.sleep(GLANCE)
        if self._processes():
            return f"left behind: {self._processes()}"
        for name in NAMES:
            files = [path.name for path in (self._folder / name).iterdir()]
            if strange := [each for each in files if not re.match(r"output_\d+\.txt", each)]:
                return f"{name} wrote {strange}"
        return ""

    def text(self, name: str) -> str:
        """What a process has printed so far."""
        return self._running[name].text()

    def said(self) -> str:
        """The end of what each process printed."""
        return ", ".join(f"{name}: {run.tail()}" for name, run in self._running.items())

    def kill_all(self) -> None:
        """Ends what still runs, and mends the network."""
        for name, run in self._running.items():
            run.send(signal.SIGKILL)
            run.wait()
            if self._network:
                self._network.link(name, "up")

    def step(self) -> int:
        """The latest step that anybody has begun, as their lines of `--index_log_dir` tell it."""
        latest = 0
        for path in (self._folder / "indices").glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 1_000))
                for line in file.read().splitlines():
                    if match := re.match(rb'\{"step": (\d+),', line):
                        latest = max(latest, int(match[1]))
        return latest

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

    def _others_end(self, victim: str) -> None:
        """Waits for the end of the other trainers, each of which has to name who is gone."""
        who = "the chief" if victim == "chief" else victim.replace("-", " ")
        others = [name for name in TRAINERS if name != victim]
        for name, line in self.ends_with(1, *others).items():
            if who not in line:
                raise BrokenError(f"{victim} was disturbed, and {name} said {line}")

    def _processes(self) -> list[str]:
        """Processes whose working directory is below the folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "cwd").readlink().is_relative_to(self._folder):
                    found.append((path / "comm").read_text().strip())
        return found
