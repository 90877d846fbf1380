"""Signals at random moments, ends on a busy machine, and two trainers in one folder."""

import functools
import itertools
import random
import re
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import NamedTuple

from stress.tally import Tally, Try, tally
from stress.trainings import (
    BEGUN,
    Run,
    Stopwatch,
    Watched,
    at_once,
    finish,
    fresh,
    load_tensorflow,
    outcome,
    small_run,
    undisturbed,
    variables,
)
from stress.watched import MODEL_DIR

STEPS, SAVE, VALIDATE = 480, 60, 36
SOON = 5.0  # seconds from a signal to the end
QUICK = 2.0  # the same after a second Ctrl-C; and from a trainer's start to its refusal

MIDDLE = 0.7  # share of the signals in training that come after its first step
TRAINED = "^trained |nothing left to train"  # the training is over
REPORTED = "^curves "  # the report is there

TERM, INT = signal.SIGTERM, signal.SIGINT
# What the signals hit, in turn; "twice" is a second Ctrl-C shortly after the first.
PHASES = (
    *((TERM, "training"), (INT, "training"), (TERM, "start-up"), (INT, "twice")),
    *((TERM, "training"), (INT, "report"), (TERM, "report"), (INT, "start-up")),
    *((TERM, "training"), (INT, "training")),
)


class Whole(NamedTuple):
    """A run that nothing interrupted: its folder, what it left, how long its parts took."""

    folder: Path
    outcome: dict[str, str]
    training: float
    report: float


def signals(count: int, seed: int, folder: Path) -> Tally:
    """SIGTERM and Ctrl-C at random moments of start-up, training and report."""
    _listen_to_ctrl_c()
    flags = small_run(folder, "adam", steps=STEPS, save=SAVE, validate=VALIDATE)
    in_order = [PHASES[i % len(PHASES)] for i in range(count)]
    load_tensorflow()
    whole = _whole(flags, folder / "whole")

    def signalled(index: int) -> list[Try]:
        choice = random.Random(f"{seed} signals {index}")
        chain = Chain(flags, whole, choice, folder / f"signals_{index}")
        for number, phase in in_order[index::4]:
            chain.interrupt(number, phase)
        chain.end()
        return chain.tries

    jobs = [functools.partial(signalled, index) for index in range(min(4, count))]
    return tally(itertools.chain(*at_once(jobs)))


def _listen_to_ctrl_c() -> None:
    """A shell lets what it starts behind itself ignore Ctrl-C, and so what that starts."""
    if signal.getsignal(INT) is signal.SIG_IGN:
        signal.signal(INT, signal.default_int_handler)


def _whole(flags: list[str], folder: Path) -> Whole:
    run = Run(flags, fresh(folder))
    run.wait_for(BEGUN)
    start = time.monotonic()
    expected = undisturbed(run)
    training = time.monotonic() - start
    start = time.monotonic()
    undisturbed(Run([*flags, "--mode=train_and_eval"], folder))
    return Whole(folder, expected, training, time.monotonic() - start)


class Chain:
    """One run that is interrupted by one signal after another, and resumed after each."""

    def __init__(self, flags: list[str], whole: Whole, choice: random.Random, folder: Path) -> None:
        self.tries: list[Try] = []  # what came of each signal
        self._flags = flags
        self._whole = whole
        self._choice = choice
        self._folder = fresh(folder)
        self._compared = 0  # the tries before this one were compared with the whole run

    def interrupt(self, number: signal.Signals, phase: str) -> None:
        """Sends a signal in a phase of the program."""
        if phase == "start-up":
            self._start_up(number)
        elif phase == "report":
            self._report(number)
        else:
            # A signal that comes when all is done is none; the next run begins anew.
            while not self._training(number, twice=phase == "twice"):
                self.end()

    def end(self) -> None:
        """Lets the run come to its end and compares it with the whole run."""
        problem = finish(Run(self._flags, self._folder), self._whole.outcome)
        if problem:
            for i in range(self._compared, len(self.tries)):
                done, broken = self.tries[i]
                self.tries[i] = Try(done, broken or f"the run that it belongs to: {problem}")
        self._compared = len(self.tries)
        fresh(self._folder)

    def _start_up(self, number: signal.Signals) -> None:
        run = Run(self._flags, self._folder, fresh=True)
        # Before the program's first lines the signal is Python's; two seconds are enough for them.
        end = time.monotonic() + QUICK
        run.wait_until(lambda: time.monotonic() > end or _listens(run.pid, TERM))
        run.pause(self._choice.uniform(0, 4), until=BEGUN)
        printed = run.text()
        problem = _end_by(run, number, SOON)
        self.tries.append(Try(f"{number.name} at start-up, {printed!r} printed", problem))

    def _report(self, number: signal.Signals) -> None:
        place = self._folder.with_name(f"{self._folder.name}_report")
        left = self._whole.report
        while True:
            fresh(place)
            shutil.copytree(self._whole.folder / MODEL_DIR, place / MODEL_DIR)
            run = Run([*self._flags, "--mode=train_and_eval"], place)
            run.wait_for("nothing left to train")
            delay = self._choice.uniform(0, left)
            run.pause(delay, until=REPORTED)
            problem = _end_by(run, number, SOON)
            if not run.said(REPORTED):
                break
            left *= 0.7  # too late: the report was there
        if not problem and outcome(place) != self._whole.outcome:
            problem = "it changed what had been trained"
        self.tries.append(Try(f"{number.name} {delay:.2f} s into the report", problem))

    def _training(self, number: signal.Signals, *, twice: bool) -> bool:
        """Returns whether the signal came before the end."""
        run = Watched(self._flags, self._folder)
        line = run.wait_for(BEGUN)
        if self._choice.random() < MIDDLE:
            run.wait_until(lambda: bool(run.done()))
        run.pause(self._choice.uniform(0, 0.5 * self._whole.training), until=TRAINED)
        if twice:
            run.send(number)
            run.pause(self._choice.uniform(0, 0.05))
        problem = _end_by(run, number, QUICK if twice else SOON)
        if line is None or run.done()[-1:] == [STEPS]:
            return False
        done = f"{number.name}{' twice' * twice} {len(run.done())} steps after {line[1]!r}"
        if not problem and not twice:
            problem = _saved(run, number, self._folder)
        self.tries.append(Try(done, problem))
        return True


def _end_by(run: Run, number: signal.Signals, seconds: float) -> str:
    """Sends a signal; tells what is wrong with the end that follows."""
    watch = Stopwatch(run)
    run.send(number)
    run.wait_until(watch.look)
    code, took = run.poll(), watch.seconds()
    if code != 128 + number:
        return f"ended with {code}, expected {128 + number}: {run.tail()}"
    if took > seconds:
        return f"ended {took:.1f} s after the signal"
    if "Traceback" in run.text():
        return f"a traceback: {run.tail()}"
    return ""


def _saved(run: Watched, number: signal.Signals, folder: Path) -> str:
    """Tells what is wrong with what a run says and has saved after a signal while it trained."""
    said = run.said(rf"^{number.name}: saved at step ([\d,]+); ")
    done = run.done()
    if said is None and not done:  # before the first step there is nothing to save
        said = run.said(r"^resuming at step ([\d,]+):")
        if said is None:
            return ""
    if said is None:
        return f"did not say what it saved: {run.tail()}"
    step = int(said[1].replace(",", ""))
    if done and done[-1] != step:
        return f"says that it saved step {step}; the last that it trained was {done[-1]}"
    if done and done != list(range(done[0], step + 1)):
        return f"trained the steps {done}"
    if not (folder / MODEL_DIR / f"model.ckpt-{step}.index").exists():
        return f"left no checkpoint of step {step}"
    newest = variables(folder / MODEL_DIR)["checkpoint"]
    return "" if newest == f"model.ckpt-{step}" else f"its newest checkpoint is {newest}"


def _listens(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal; False where it cannot be seen."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


# Ends of real trainings.

SHORT, LONG = 20, 10**6  # steps of a run that ends by itself, and of one that is interrupted
LONGEST = 12.0  # seconds of training before Ctrl-C
ENDS_AT_ONCE = 4  # trainings, each of which would take two cores


def ends(count: int, seed: int, folder: Path) -> Tally:
    """Trainings of `fast`, four at a time; Ctrl-C ends every other one."""
    _listen_to_ctrl_c()
    choice = random.Random(f"{seed} ends")
    delays = [None if index % 2 else choice.uniform(0, LONGEST) for index in range(count)]
    jobs = [functools.partial(_end, folder / f"{i}", delay) for i, delay in enumerate(delays)]
    return tally(at_once(jobs, ENDS_AT_ONCE))


def _end(folder: Path, delay: float | None) -> Try:
    """One training, which Ctrl-C ends after some seconds, or which ends by itself."""
    steps = SHORT if delay is None else LONG
    flags = ["--recipe=fast", "--mode=train", "--learning_rate_schedule=constant"]
    flags += [f"--steps={steps}", f"--model_dir={MODEL_DIR}"]
    run = Run(flags, fresh(folder), fresh=True)
    done = "a normal end" if delay is None else f"Ctrl-C after {delay:.1f} s of training"
    run.wait_for(BEGUN)
    if delay is None:
        run.wait_until((folder / MODEL_DIR / f"model.ckpt-{SHORT}.index").exists)
    else:
        run.pause(delay)
        run.send(INT)
    start = time.monotonic()
    code = run.wait()
    took = time.monotonic() - start
    problem = "" if took <= SOON else f"took {took:.1f} s"  # as a person counts them
    if delay is None and (code or not run.said("^trained 20 steps")):
        problem = f"ended with {code}: {run.tail()}"
    saved = "SIGINT: saved at step" in run.text()
    if delay is not None and (code != 130 or ("SIGINT: saving" in run.text() and not saved)):
        problem = f"ended with {code}: {run.tail()}"
    shutil.rmtree(folder)
    return Try(done, problem)


# Two trainers in one folder.

LATE = 0.2  # share of the races whose winner goes on for a while
REFUSED = 2  # exit code
SIDE_BY_SIDE = 20  # races between two evaluations beside the winner


def races(count: int, seed: int, folder: Path) -> Tally:
    """Two trainers start at the same moment in one `model_dir`, again and again: one trains.

    The winner of each race is killed, so the next race shows that nothing of it is in the way.
    """
    flags = small_run(folder, "adam", steps=10**6, save=500, validate=500)
    choice = random.Random(f"{seed} races")
    place = fresh(folder / "race")
    load_tensorflow()
    tries = []
    for race in range(count):
        beside = race % SIDE_BY_SIDE == min(count, SIDE_BY_SIDE) - 1
        seconds = choice.uniform(0, 6) if choice.random() < LATE or beside else 0.0
        stagger = choice.choice([0, 0, choice.uniform(0, 0.3)])
        both: list[Run] = []
        watches: list[Stopwatch] = []
        try:
            for i in range(2):
                both.append(Run(flags, place, fresh=True))
                watches.append(Stopwatch(both[i]))
                time.sleep(stagger * (i == 0))
            problem = _race(both, watches, seconds)
            if not problem and beside:
                problem = _evaluated_beside(both, flags, place)
        finally:
            for run in both:
                run.send(signal.SIGKILL)
                run.wait()
        tries.append(Try(f"race {race}, {stagger:.2f} s apart, {seconds:.1f} s long", problem))
    return tally(tries)


def _race(both: list[Run], watches: list[Stopwatch], seconds: float) -> str:
    """Tells what is wrong with a race; its winner goes on for some seconds."""

    def settled() -> bool:
        for watch in watches:
            watch.look()
        return both[1].poll() is not None or all(w.seconds() > 2 * QUICK for w in watches)

    both[0].wait_until(settled)
    times = [watch.seconds() for watch in watches]
    ended = [run for run in both if run.poll() is not None]
    if not ended:
        return f"both still run after {times[1]:.1f} s: {both[0].tail()}, {both[1].tail()}"
    [loser, *others] = ended
    if others:
        return f"both ended: {both[0].tail()}, {both[1].tail()}"
    winner = next(run for run in both if run is not loser)
    said = loser.text()
    if loser.poll() != REFUSED:
        return f"the loser ended with {loser.poll()}, expected {REFUSED}: {loser.tail()}"
    took = times[both.index(loser)]
    if took > QUICK:
        return f"the loser took {took:.1f} s"
    if not re.fullmatch(r"error: [^\n]*--model_dir[^\n]*\n", said):
        return f"expected one line that names --model_dir, found {said!r}"
    for name in (str(winner.pid), socket.gethostname()):
        if not re.search(rf"\b{re.escape(name)}\b", said):
            return f"expected the winner's {name} in {said!r}"
    winner.pause(seconds)
    code = winner.poll()
    return "" if code is None else f"the winner ended with {code}: {winner.tail()}"


def _evaluated_beside(both: list[Run], flags: list[str], place: Path) -> str:
    """Evaluates while the winner of a race trains; tells what is wrong."""
    winner = next(run for run in both if run.poll() is None)
    winner.wait_until(lambda: "checkpoint" in variables(place / MODEL_DIR))
    data = next(flag for flag in flags if flag.startswith("--data_dir"))
    run = Run([data, "--mode=eval", f"--model_dir={MODEL_DIR}"], place, fresh=True)
    problem = finish(run)
    if problem:
        return f"--mode=eval beside it: {problem}"
    if "test accuracy" not in run.text():
        return f"--mode=eval beside it printed {run.tail()}"
    code = winner.poll()
    return "" if code is None else f"the winner ended with {code} beside an evaluation"
