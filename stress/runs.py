"""Training runs that are interrupted: whatever happens, the result is bit for bit the same."""

import functools
import itertools
import math
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cnn_mnist.checkpoints.record import FILE
from cnn_mnist.recipes import PRECISIONS, RECIPES
from stress.driver import MODEL_DIR, START, Point
from stress.program import (
    BEGUN,
    LANES,
    Command,
    Driver,
    Fork,
    HangError,
    Lanes,
    Try,
    curve_points,
    difference,
    finish,
    fresh,
    one_run,
    outcome,
    small_data,
    small_run,
    tally,
    variables,
)
from stress.tally import Tally

STEPS, SAVE, VALIDATE = 120, 8, 9  # of the last step and of step 72 there are both
KILLS_A_RUN = 5
EARLY = 0.2  # share of the kills that come before the training begins


# Kills at random moments.


class Whole(NamedTuple):
    """A run that nothing interrupted: what it left; its seconds until it trains, until its end."""

    outcome: dict[str, str]
    begin: float
    end: float


def kills(count: int, seed: int, folder: Path) -> Tally:
    """SIGKILL at random moments of the whole life of the process, several times in each run."""
    data_dir = small_data(folder / "data")
    flags = {
        optimizer: small_run(data_dir, optimizer, steps=STEPS, save=SAVE, validate=VALIDATE)
        for optimizer in ("adam", "momentum")
    }
    chains = max(min(LANES, count), math.ceil(count / KILLS_A_RUN))
    shares = [count // chains + (index < count % chains) for index in range(chains)]

    def whole(optimizer: str, driver: Driver) -> Whole:
        start = time.monotonic()
        run = Command(flags[optimizer], fresh(folder / optimizer))
        run.wait_for(BEGUN)
        begin = time.monotonic() - start
        problem = finish(run)
        end = time.monotonic() - start
        if problem:
            raise RuntimeError(problem)
        return Whole(outcome(run.output.parent), begin, end)

    def killed(index: int, driver: Driver) -> list[Try]:
        optimizer = list(flags)[index % len(flags)]
        choice = random.Random(f"{seed} kills {index}")
        place = folder / f"kills_{index}"
        return _killed(flags[optimizer], wholes[optimizer], shares[index], choice, place)

    with Lanes() as lanes:
        jobs = [functools.partial(whole, optimizer) for optimizer in flags]
        wholes = dict(zip(flags, lanes.run(jobs), strict=True))
        results = lanes.run(functools.partial(killed, index) for index in range(len(shares)))
    return tally(itertools.chain.from_iterable(results))


def _killed(
    flags: list[str], whole: Whole, kills: int, choice: random.Random, folder: Path
) -> list[Try]:
    """Kills until it has killed often enough; a run that ends before its kill is compared, too."""
    tries: list[Try] = []
    while len(tries) < kills:
        fresh(folder)
        moments: list[str] = []
        problem = ""
        while not problem and len(tries) + len(moments) < kills:
            run = Command(flags, folder)
            try:
                moment = _moment_to_kill(run, whole, choice)
                run.send(signal.SIGKILL)
                code = run.wait()
            except HangError as error:
                code, problem = 0, str(error)
            if code == 0:
                break  # it was done already
            moments.append(moment)
            if code != -signal.SIGKILL:
                problem = f"ended by itself with {code}: {run.tail()}"
        problem = problem or finish(Command(flags, folder), whole.outcome)
        done = f"{' '.join(flags)} killed " + ", then ".join(moments or ["never"])
        tries += one_run(max(len(moments), bool(problem)), done, problem)
    return tries


def _moment_to_kill(run: Command, whole: Whole, choice: random.Random) -> str:
    """Waits for a random moment of a run's life; says which."""
    if choice.random() < EARLY:
        delay = choice.uniform(0, whole.begin)
        run.wait_until(_after(delay))
        return f"{delay:.2f} s after its start"
    line = run.wait_for(BEGUN)
    if line is None:
        return "at its end"
    step = int((re.search(r"step ([\d,]+)", line[1]) or ["0", "0"])[1].replace(",", ""))
    left = max(0.3, 1 - step / STEPS)  # the graph is built however few steps are left
    delay = choice.uniform(0, left * (whole.end - whole.begin))
    run.wait_until(_after(delay))
    return f"{delay:.2f} s after {line[1]!r}"


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


# Kills at every point of a save.


class NamedPoint(NamedTuple):
    """A point of a run; what is done there, in words."""

    point: Point
    name: str


def save_points(count: int, seed: int, folder: Path) -> Tally:
    """SIGKILL before each operation on files: of the start, of a resumed start, of each save."""
    data_dir = small_data(folder / "data")
    flags = small_run(data_dir, "adam", steps=STEPS, save=SAVE, validate=VALIDATE)
    with Lanes() as lanes:

        def known(driver: Driver) -> tuple[dict[str, str], list[list[NamedPoint]]]:
            whole = driver.start(flags, fresh(folder / "whole"))
            problem = finish(whole)
            if problem:
                raise RuntimeError(problem)
            points = _points(whole.log())
            cut = fresh(folder / "cut")
            driver.start(flags, cut, signal=signal.SIGKILL, at=_half_published(points)).wait()
            resumed = driver.start(flags, cut)
            finish(resumed)
            return outcome(folder / "whole"), _kinds(points, _points(resumed.log()))

        [(expected, kinds)] = lanes.run([known])
        rounds = [
            [kind[index] for kind in kinds if index < len(kind)]
            for index in range(max(map(len, kinds)))
        ]
        random.Random(f"{seed} save points").shuffle(rounds)
        sums = itertools.accumulate(map(len, rounds), initial=0)
        chosen = [points for points, before in zip(rounds, sums, strict=False) if before < count]
        jobs = [
            functools.partial(
                _killed_at,
                flags=flags,
                expected=expected,
                points=points,
                folder=folder / f"round_{index}",
            )
            for index, points in enumerate(chosen)
        ]
        return tally(itertools.chain.from_iterable(lanes.run(jobs)))


Points = dict[tuple[str, int], list[NamedPoint]]


def _points(log: list[dict]) -> Points:
    """Every point in the log of a run, by folder and step of the save."""
    found: Points = {}
    for entry in log:
        if "operation" in entry:
            point = Point(entry["folder"], entry["step"], entry["operation"])
            found.setdefault((point.folder, point.step), []).append(
                NamedPoint(point, entry["name"])
            )
    return found


def _half_published(points: Points) -> Point:
    """In the first save of all: some files of the checkpoint are in place, its `.index` is not."""
    return next(
        point
        for point, name in points[MODEL_DIR, 0]
        if name.startswith("os.rename") and name.endswith(".index")
    )


def _kinds(whole: Points, resumed: Points) -> list[list[NamedPoint]]:
    """The points to kill at, by kind, in the order in which one run can be killed at all kinds."""
    steps = [step for folder, step in whole if folder == MODEL_DIR and 0 < step < STEPS]
    middle = next(step for step in steps if step > STEPS / 3 and step % VALIDATE == 0)
    best = [(folder, step) for folder, step in whole if folder != MODEL_DIR]
    resumed_start = resumed[MODEL_DIR, START]
    half = _half_published(whole)
    return [
        whole[MODEL_DIR, START],
        [NamedPoint(half, "so that there is something to clean up")] * len(resumed_start),
        resumed_start,
        whole[MODEL_DIR, 0],
        whole[MODEL_DIR, middle],
        whole[max((save for save in best if save[1] < STEPS), key=lambda save: save[1])],
        whole[MODEL_DIR, STEPS],
    ]


def _killed_at(
    driver: Driver,
    *,
    flags: list[str],
    expected: dict[str, str],
    points: Sequence[NamedPoint],
    folder: Path,
) -> list[Try]:
    fresh(folder)
    problem = ""
    done = []
    for point, name in points:
        step = "before the first save" if point.step == START else f"in the save of {point.step}"
        done.append(f"{step} in {point.folder}, operation {point.operation}, {name!r}")
        run = driver.start(flags, folder, signal=signal.SIGKILL, at=point)
        try:
            code = run.wait()
        except HangError as error:
            code, problem = 0, str(error)
        if code != -signal.SIGKILL:
            problem = problem or f"ended by itself with {code}: {run.tail()}"
            break
    problem = problem or finish(driver.start(flags, folder), expected)
    return one_run(len(points), "killed " + ", then ".join(done), problem)


# Resuming from every checkpoint.


def resume(count: int, seed: int, folder: Path) -> Tally:
    """Resumes from each checkpoint of a run: the same variables, images and curves from there."""
    data_dir = small_data(folder / "data")
    flags = small_run(data_dir, "momentum", steps=STEPS, save=SAVE, validate=VALIDATE)
    keep = fresh(folder / "keep")
    whole_folder = fresh(folder / "whole")
    with Lanes() as lanes:
        [whole] = lanes.run([lambda driver: driver.start(flags, whole_folder, keep=str(keep))])
        problem = finish(whole)
        if problem:
            raise RuntimeError(problem)
        steps = list(range(0, STEPS, SAVE))
        chosen = sorted(random.Random(f"{seed} resume").sample(steps, min(count, len(steps))))

        def resumed(step: int, driver: Driver) -> Try:
            place = fresh(folder / f"resumed_{step}")
            model_dir = fresh(place / MODEL_DIR)
            for file in (*keep.glob(f"model.ckpt-{step}.*"), whole_folder / MODEL_DIR / FILE):
                shutil.copy(file, model_dir)
            state = f'model_checkpoint_path: "model.ckpt-{step}"\n'
            (model_dir / "checkpoint").write_text(state)
            run = driver.start(flags, place)
            problem = finish(run)
            made = [number for number, _ in run.batches()]
            if not problem and made != list(range(step, step + len(made))):
                problem = f"the batches that it made are those of the steps {made}"
            expected, found = _from(step, whole), _from(step, run)
            return Try(f"resumed at step {step}", problem or difference(expected, found))

        return tally(lanes.run(functools.partial(resumed, step) for step in chosen))


def _from(step: int, run: Fork) -> dict[str, str]:
    """What a run made from a step on: the images of each batch, the curves, the variables."""
    model_dir = run.output.parent / MODEL_DIR
    found = {f"batch {n}": images for n, images in run.batches() if step <= n < STEPS}
    for (tag, scored), values in curve_points(model_dir / "eval_validation").items():
        if scored > step:
            found[f"validation {tag} at step {scored}"] = " and ".join(sorted(values))
    return found | variables(model_dir)


# The recipes as they are.

RECIPE_STEPS, RECIPE_SAVE, RECIPE_VALIDATE = 12, 3, 4


def recipes(count: int, seed: int, folder: Path, more_flags: Sequence[str] = ()) -> Tally:
    """A few steps of each recipe, on the embedded data, ended by SIGKILL and by SIGTERM.

    In either precision.

    Args:
      more_flags: further flags of each run.
    """
    kinds = list(itertools.product(RECIPES, PRECISIONS))
    chosen = random.Random(f"{seed} recipes").sample(kinds, min(count, len(kinds)))

    def interrupted(name: str, precision: str, driver: Driver) -> Try:
        flags = [
            *(f"--recipe={name}", f"--precision={precision}"),
            *(f"--steps={RECIPE_STEPS}", *more_flags),
            *(f"--save_checkpoints_steps={RECIPE_SAVE}", f"--eval_every_steps={RECIPE_VALIDATE}"),
            *(f"--model_dir={MODEL_DIR}", "--mode=train"),
        ]
        whole = fresh(folder / f"{name}_{precision}_whole")
        problem = finish(driver.start(flags, whole))
        place = fresh(folder / f"{name}_{precision}")
        for number, code, step in (
            (signal.SIGKILL, -signal.SIGKILL, RECIPE_SAVE),
            (signal.SIGTERM, 128 + signal.SIGTERM, 2 * RECIPE_SAVE),
        ):
            at = Point(MODEL_DIR, step, 1)
            run = driver.start(flags, place, signal=number, at=at)
            try:
                ended = run.wait()
            except HangError as error:
                ended, problem = 0, str(error)
            if ended != code and not problem:
                problem = f"{number.name} at step {step} ended it with {ended}: {run.tail()}"
        problem = problem or finish(driver.start(flags, place), outcome(whole))
        return Try(f"{' '.join(flags)}, SIGKILL and SIGTERM", problem)

    with Lanes() as lanes:
        return tally(lanes.run(functools.partial(interrupted, *kind) for kind in chosen))
