"""Training runs that are interrupted: whatever happens, the result is bit for bit the same."""

import functools
import itertools
import math
import random
import re
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cnn_mnist.checkpoints.record import FILE
from cnn_mnist.recipes import PRECISIONS, RECIPES
from stress.tally import Tally, Try, tally
from stress.trainings import (
    AT_ONCE,
    BEGUN,
    Run,
    Watched,
    at_once,
    curve_points,
    difference,
    finish,
    fresh,
    load_tensorflow,
    outcome,
    small_run,
    undisturbed,
    variables,
)
from stress.watched import MODEL_DIR, START, Point

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
    adam = small_run(folder, "adam", steps=STEPS, save=SAVE, validate=VALIDATE)
    kinds = [adam, [*adam, "--optimizer=momentum"]]
    chains = max(min(AT_ONCE, count), math.ceil(count / KILLS_A_RUN))
    shares = [count // chains + (index < count % chains) for index in range(chains)]

    def whole(index: int) -> Whole:
        start = time.monotonic()
        run = Run(kinds[index], fresh(folder / f"whole_{index}"), fresh=True)
        run.wait_for(BEGUN)
        begin = time.monotonic() - start
        run.wait()
        end = time.monotonic() - start
        return Whole(undisturbed(run), begin, end)

    def killed(index: int) -> list[Try]:
        choice = random.Random(f"{seed} kills {index}")
        kind = index % len(kinds)
        return _killed(kinds[kind], wholes[kind], shares[index], choice, folder / f"kills_{index}")

    wholes = at_once(functools.partial(whole, index) for index in range(len(kinds)))
    tries = at_once(functools.partial(killed, index) for index in range(chains))
    return tally(itertools.chain(*tries))


def one_run(times: int, done: str, broken: str) -> list[Try]:
    """The tries that were made of one run, in which all held or all broke."""
    return [Try(done if i == 0 else "another try of the same run", broken) for i in range(times)]


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
            run = Run(flags, folder, fresh=True)
            moment = _moment_to_kill(run, whole, choice)
            run.send(signal.SIGKILL)
            code = run.wait()
            if code == 0:
                break  # it was done already
            moments.append(moment)
            if code != -signal.SIGKILL:
                problem = f"ended by itself with {code}: {run.tail()}"
        problem = problem or finish(Run(flags, folder, fresh=True), whole.outcome)
        done = f"{' '.join(flags)} killed " + ", then ".join(moments or ["never"])
        tries += one_run(max(len(moments), bool(problem)), done, problem)
    return tries


def _moment_to_kill(run: Run, whole: Whole, choice: random.Random) -> str:
    """Waits for a random moment of a run's life; says which."""
    if choice.random() < EARLY:
        delay = choice.uniform(0, whole.begin)
        run.pause(delay)
        return f"{delay:.2f} s after its start"
    line = run.wait_for(BEGUN)
    if line is None:
        return "at its end"
    step = int((re.search(r"step ([\d,]+)", line[1]) or ["0", "0"])[1].replace(",", ""))
    left = max(0.3, 1 - step / STEPS)  # the graph is built however few steps are left
    delay = choice.uniform(0, left * (whole.end - whole.begin))
    run.pause(delay)
    return f"{delay:.2f} s after {line[1]!r}"


# Kills at every point of a save.


class NamedPoint(NamedTuple):
    """A point of a run; what is done there, in words."""

    point: Point
    name: str


def save_points(count: int, seed: int, folder: Path) -> Tally:
    """SIGKILL before each operation on files: of the start, of a resumed start, of each save."""
    flags = small_run(folder, "adam", steps=STEPS, save=SAVE, validate=VALIDATE)
    load_tensorflow()
    whole = Watched(flags, fresh(folder / "whole"))
    expected = undisturbed(whole)
    points = _points(whole.log())
    cut = fresh(folder / "cut")
    Watched(flags, cut, signal=signal.SIGKILL, at=_half_published(points)).wait()
    resumed = Watched(flags, cut)
    finish(resumed)
    rounds = itertools.zip_longest(*_kinds(points, _points(resumed.log())))
    each_round = [[point for point in points if point] for points in rounds]
    random.Random(f"{seed} save points").shuffle(each_round)
    sums = itertools.accumulate(map(len, each_round), initial=0)
    chosen = [points for points, before in zip(each_round, sums, strict=False) if before < count]
    one = functools.partial(_killed_at, flags, expected)
    jobs = [
        functools.partial(one, points, folder / f"round_{index}")
        for index, points in enumerate(chosen)
    ]
    return tally(itertools.chain(*at_once(jobs)))


Points = dict[tuple[str, int], list[NamedPoint]]


def _points(log: list[dict]) -> Points:
    """Every point in the log of a run, by folder and step of the save."""
    found: Points = {}
    for entry in (entry for entry in log if "operation" in entry):
        save = entry["folder"], entry["step"]
        point = NamedPoint(Point(*save, entry["operation"]), entry["name"])
        found.setdefault(save, []).append(point)
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
    flags: list[str], expected: dict[str, str], points: Sequence[NamedPoint], folder: Path
) -> list[Try]:
    fresh(folder)
    problem = ""
    done = []
    for point, name in points:
        step = "before the first save" if point.step == START else f"in the save of {point.step}"
        done.append(f"{step} in {point.folder}, operation {point.operation}, {name!r}")
        run = Watched(flags, folder, signal=signal.SIGKILL, at=point)
        code = run.wait()
        if code != -signal.SIGKILL:
            problem = f"ended by itself with {code}: {run.tail()}"
            break
    problem = problem or finish(Run(flags, folder), expected)
    return one_run(len(points), "killed " + ", then ".join(done), problem)


# Resuming from every checkpoint.


def resume(count: int, seed: int, folder: Path) -> Tally:
    """Resumes from each checkpoint of a run: the same variables, images and curves from there."""
    flags = small_run(folder, "momentum", steps=STEPS, save=SAVE, validate=VALIDATE)
    keep = fresh(folder / "keep")
    load_tensorflow()
    whole = Watched(flags, fresh(folder / "whole"), keep=str(keep))
    undisturbed(whole)
    steps = list(range(0, STEPS, SAVE))
    chosen = sorted(random.Random(f"{seed} resume").sample(steps, min(count, len(steps))))

    def resumed(step: int) -> Try:
        place = fresh(folder / f"resumed_{step}")
        model_dir = fresh(place / MODEL_DIR)
        for file in (*keep.glob(f"model.ckpt-{step}.*"), whole.folder / MODEL_DIR / FILE):
            shutil.copy(file, model_dir)
        (model_dir / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{step}"\n')
        run = Watched(flags, place)
        problem = finish(run)
        made = [number for number, _ in run.batches()]
        if not problem and made != list(range(step, step + len(made))):
            problem = f"the batches that it made are those of the steps {made}"
        return Try(
            f"resumed at step {step}", problem or difference(_from(step, whole), _from(step, run))
        )

    return tally(at_once(functools.partial(resumed, step) for step in chosen))


def _from(step: int, run: Watched) -> dict[str, str]:
    """What a run made from a step on: the images of each batch, the curves, the variables."""
    model_dir = run.folder / MODEL_DIR
    found = {f"batch {n}": images for n, images in run.batches() if step <= n < STEPS}
    for (tag, scored), values in curve_points(model_dir / "eval_validation").items():
        if scored > step:
            found[f"validation {tag} at step {scored}"] = " and ".join(sorted(values))
    return found | variables(model_dir)


# The recipes as they are.

RECIPE_STEPS, RECIPE_SAVE, RECIPE_VALIDATE = 12, 3, 4


def recipes(count: int, seed: int, folder: Path) -> Tally:
    """A few steps of each recipe in either precision, ended by SIGKILL and by SIGTERM."""
    kinds = list(itertools.product(RECIPES, PRECISIONS))
    chosen = random.Random(f"{seed} recipes").sample(kinds, min(count, len(kinds)))

    def interrupted(name: str, precision: str) -> Try:
        flags = [
            *(f"--recipe={name}", f"--precision={precision}", f"--steps={RECIPE_STEPS}"),
            *(f"--save_checkpoints_steps={RECIPE_SAVE}", f"--eval_every_steps={RECIPE_VALIDATE}"),
            *(f"--model_dir={MODEL_DIR}", "--mode=train"),
        ]
        whole = fresh(folder / f"{name}_{precision}_whole")
        problem = finish(Run(flags, whole))
        place = fresh(folder / f"{name}_{precision}")
        for number, code, step in (
            (signal.SIGKILL, -signal.SIGKILL, RECIPE_SAVE),
            (signal.SIGTERM, 128 + signal.SIGTERM, 2 * RECIPE_SAVE),
        ):
            run = Watched(flags, place, signal=number, at=Point(MODEL_DIR, step, 1))
            if (ended := run.wait()) != code and not problem:
                problem = f"{number.name} at step {step} ended it with {ended}: {run.tail()}"
        problem = problem or finish(Run(flags, place), outcome(whole))
        return Try(f"{' '.join(flags)}, SIGKILL and SIGTERM", problem)

    return tally(at_once(functools.partial(interrupted, *kind) for kind in chosen))
