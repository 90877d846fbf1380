"""Damages the files of a trained `model_dir` in every way; looks what the program makes of it."""

import dataclasses
import functools
import itertools
import json
import logging
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnn_mnist.checkpoints import record, restore, saver
from cnn_mnist.training import validation
from cnn_mnist.utils.errors import InputError
from stress.hostile import damaged
from stress.tally import Tally, Try, tally
from stress.trainings import AT_ONCE, SMALL, at_once, digests, ended, fresh, small_data

STEPS = ("--steps=10", "--save_checkpoints_steps=2", "--eval_every_steps=4", "--log_every_n_iter=0")
LATER = "--steps=12"  # so that there is something to go on with
WHOLE_RUNS = 80  # every so many tries, two go through the whole program

# Files of one checkpoint by their suffixes; and the others.
PARTS = (".data-00000-of-00001", ".index", ".meta")
ALONE = (
    "checkpoint",
    "recipe.json",
    "graph.pbtxt",
    "trainer.lock",
    "best/checkpoint",
    "best/recipe.json",
    "best/score.json",
)


def damage(count: int, seed: int, folder: Path) -> Tally:
    """Damages some files, then resumes, evaluates, and scores against the best so far."""
    flags = (*SMALL, *STEPS, f"--data_dir={small_data(folder / 'data')}", "--mode=train")
    trained, longer = folder / "trained", folder / "longer"
    for model_dir, more in ((trained, ()), (longer, (LATER,))):
        if trained.exists():
            shutil.copytree(trained, longer)
        undisturbed = ended(*flags, *more, f"--model_dir={model_dir}")
        if undisturbed.code:
            return tally([Try("undisturbed", undisturbed.told)])
    whole = [number for number in range(count) if number % WHOLE_RUNS < AT_ONCE]
    quick = [number for number in range(count) if number not in whole]
    jobs: list[Callable[[], list[Try]]] = [
        functools.partial(_quick, quick[k::AT_ONCE], seed, trained, folder / f"quick_{k}")
        for k in range(AT_ONCE)
    ]
    for number in whole:
        place = folder / f"whole_{number}"
        jobs.append(
            functools.partial(_through_the_program, number, seed, trained, longer, place, flags)
        )
    return tally(itertools.chain.from_iterable(at_once(jobs)))


def _quick(numbers: list[int], seed: int, trained: Path, folder: Path) -> list[Try]:
    """Makes tries in one process, which says how far it came: a crash is one broken try."""
    tries: list[Try] = []
    while numbers:
        done = fresh(folder) / "done"
        done.touch()
        task = json.dumps([numbers, seed, str(trained), str(folder)])
        run = ended(task, command=("-m", "stress.damage"))
        lines = [json.loads(line) for line in done.read_text().splitlines()]
        tries += [Try(what, "; ".join(trouble)) for what, trouble in lines]
        if len(lines) < len(numbers):
            what = f"try {numbers[len(lines)]} of seed {seed}"
            tries.append(Try(what, f"the process ended: {run.told}"))
        numbers = numbers[len(lines) + 1 :]
    return tries


def _try_all(numbers: list[int], seed: int, trained: str, folder: str) -> None:
    """Makes tries in this process; adds a line to `done` in the folder after each."""
    original = _Original(Path(trained))
    warnings = _Warnings()
    for name in ("cnn_mnist", "tensorflow"):
        logging.getLogger(name).handlers = [warnings]
        logging.getLogger(name).propagate = False
    with Path(folder, "done").open("a") as file:
        for number in numbers:
            model_dir, what = _spoiled(number, seed, Path(trained), Path(folder))
            try:
                trouble = original.differences(model_dir, warnings)
            except Exception as error:
                trouble = [f"raised {type(error).__name__}: {error}"]
            print(json.dumps([f"try {number}: {what}", trouble]), file=file, flush=True)


def _spoiled(number: int, seed: int, trained: Path, folder: Path) -> tuple[Path, str]:
    """A copy of what was trained, damaged; and what was done to it."""
    model_dir = folder / "m"
    shutil.rmtree(model_dir, ignore_errors=True)
    shutil.copytree(trained, model_dir)
    return model_dir, _spoil(random.Random(f"{seed} {number}"), model_dir)


class _Warnings(logging.Handler):
    """Keeps the log's warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, line: logging.LogRecord) -> None:
        self.lines.append(line.getMessage())


class _Original:
    """What was trained, to compare with."""

    def __init__(self, trained: Path) -> None:
        found = record.read(trained)
        assert found is not None
        self._record = found
        self._later = dataclasses.replace(
            found, recipe=dataclasses.replace(found.recipe, steps=found.recipe.steps + 2)
        )
        self._contents = {p: (trained / p).read_bytes() for p in _files(trained)}
        self._sums = {
            name: {s: digests(trained / name / f"model.ckpt-{s}") for s in steps}
            for name, steps in (("", saver.steps(trained)), ("best", saver.steps(trained / "best")))
        }
        self._best = validation.read_best(trained / "best", found)

    def differences(self, model_dir: Path, warnings: _Warnings) -> list[str]:
        """What is wrong with what the program reads; nothing if all is the same or is told."""
        warnings.lines = []
        trouble = self._of_record(model_dir)
        for reads in (self._newest, self._resume):
            trouble += self._of_checkpoints(model_dir, "", reads, warnings)
        trouble += self._of_checkpoints(model_dir / "best", "best", self._newest, warnings)
        trouble += self._of_best(model_dir, warnings)
        return trouble

    def _of_record(self, model_dir: Path) -> list[str]:
        there = self._answer(lambda: record.read(model_dir))
        if isinstance(there, InputError) or there == self._record:
            return []
        if there is None and not (model_dir / "recipe.json").exists():
            return []
        # It may differ in a field that a resumed run compares: it is refused there.
        refused = self._answer(lambda: record.check(self._later, str(model_dir)))
        steps_alone = dataclasses.replace(there.recipe, steps=self._record.recipe.steps)
        if isinstance(refused, InputError) or steps_alone == self._record.recipe:
            return []
        return [f"another recipe is taken for what was trained: {there}"]

    def _newest(self, folder: Path) -> int:
        return restore.step_of(restore.newest(self._record.recipe, str(folder)))

    def _resume(self, folder: Path) -> int:
        step = restore.resume(self._record.recipe, str(folder))
        import tensorflow as tf

        chosen = tf.train.latest_checkpoint(str(folder))  # by the Estimator
        if step and chosen != str(folder / f"model.ckpt-{step}"):
            raise RuntimeError(f"resumes at step {step}, but with {chosen}")
        return step

    def _of_checkpoints(
        self, folder: Path, name: str, reads: Callable[[Path], int], warnings: _Warnings
    ) -> list[str]:
        sums = self._sums[name]
        intact = [
            s
            for s in sums
            if all(self._is_intact(folder, name, f"model.ckpt-{s}{p}") for p in PARTS[:2])
        ]
        listed = self._is_intact(folder, name, "checkpoint")
        before = {s: any(folder.glob(f"model.ckpt-{s}.*")) for s in sums}
        warnings.lines = []
        step = self._answer(lambda: reads(folder))
        if isinstance(step, InputError):
            return [f"{name}: though {intact} is whole: {step}"] if intact else []
        if step not in sums:
            return [f"{name}: begins at step {step}"]
        trouble = []
        if intact and step < intact[-1]:
            trouble.append(f"{name}: takes step {step}, though {intact[-1]} is whole")
        if digests(folder / f"model.ckpt-{step}") != sums[step]:
            trouble.append(f"{name}: other values at step {step}, and nobody told")
        lost = [s for s in sums if s > step]
        told = " ".join(warnings.lines)
        # Of those that are gone without a trace, the list tells of the newest alone.
        known = [s for s in lost if before[s] or (listed and s == max(sums))]
        trouble += [
            f"{name}: step {s} is passed over in silence"
            for s in known
            if f"model.ckpt-{s}" not in told
        ]
        return trouble

    def _is_intact(self, folder: Path, name: str, file: str) -> bool:
        place = folder / file
        return place.is_file() and place.read_bytes() == self._contents[Path(name) / file]

    def _of_best(self, model_dir: Path, warnings: _Warnings) -> list[str]:
        warnings.lines = []
        best = self._answer(lambda: validation.read_best(model_dir / "best", self._later))
        if best == self._best or warnings.lines:
            return []
        if not (model_dir / "best" / "score.json").exists():  # told by the hook; see the test of it
            return []
        return [f"best: scored {best}, and nobody told"]

    def _answer(self, ask: Callable[[], Any]) -> Any:
        """What a call returns, or the error that a user would read."""
        try:
            return ask()
        except InputError as error:
            if "\n" in str(error):
                raise RuntimeError(f"more than one line: {error}") from error
            return error


def _files(folder: Path) -> list[Path]:
    return [p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file()]


def _spoil(chance: random.Random, model_dir: Path) -> str:
    """Damages files at random, and tells which and how."""
    place = chance.choice([model_dir] * 4 + [model_dir / "best"])
    steps = saver.steps(place)
    kind = chance.choice(["newest", "newest", "several", "all", "alone", "alone"])
    if kind == "alone":
        paths = [model_dir / chance.choice(ALONE)]
    else:
        chosen = {
            "newest": steps[-1:],
            "several": sorted(chance.sample(steps, chance.randint(1, len(steps)))),
            "all": steps,
        }[kind]
        parts = chance.choice([PARTS[:1], PARTS[1:2], PARTS[2:], PARTS[:2], PARTS])
        paths = [place / f"model.ckpt-{step}{part}" for step in chosen for part in parts]
        if kind == "all" and chance.random() < 0.4:
            paths.append(place / "checkpoint")
        paths = [path for path in paths if path.exists()]  # the best has no .meta
    ways = [*[_change] * 5, _delete, _swap, _folder]
    way = chance.choice(ways)
    names = [str(path.relative_to(model_dir)) for path in paths]
    return f"{', '.join(names)}: {'; '.join(way(chance, path) for path in paths)}"


def _change(chance: random.Random, path: Path) -> str:
    """Changes what is in a file, in one of many ways."""
    content = path.read_bytes()
    done, content = damaged(chance, content or b"{", (0, len(content) // 2))
    path.write_bytes(content)
    return done


def _delete(chance: random.Random, path: Path) -> str:
    path.unlink()
    return "gone"


def _swap(chance: random.Random, path: Path) -> str:
    """With the same file of another step, or with any other where there is none."""
    part = next((part for part in PARTS if path.name.endswith(part)), None)
    others = [p for p in path.parent.iterdir() if p.is_file() and p != path]
    others = [p for p in others if part and p.name.endswith(part)] or others
    other = chance.choice(sorted(others))
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)
    return f"with {other.name}"


def _folder(chance: random.Random, path: Path) -> str:
    path.unlink()
    path.mkdir()
    return "a folder"


def _through_the_program(
    number: int, seed: int, trained: Path, longer: Path, folder: Path, flags: tuple[str, ...]
) -> list[Try]:
    """Damages, and runs the same command with some steps more, as a user would."""
    model_dir, what = _spoiled(number, seed, trained, folder)
    run = ended(*flags, LATER, f"--model_dir={model_dir}", fresh=number < AT_ONCE)
    what = f"try {number}, the whole program: {what}: {run.told}"
    if run.error and (run.code == 1 or (run.code == 2 and run.stdout == "")):
        return [Try(what)]
    if run.code or not run.stdout.startswith("resuming at step "):
        return [Try(what, "expected to resume and exit code 0, or one line and 1 or 2")]
    wanted, got = (digests(place / "model.ckpt-12") for place in (longer, model_dir))
    return [Try(what, "" if wanted == got else "it ended with other variables")]


if __name__ == "__main__":
    _try_all(*json.loads(sys.argv[1]))
