"""Fills the disk before each write of a training run in turn."""

import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from stress.programs import ROOT
from stress.tally import Tally, Try, tally
from stress.trainings import AT_ONCE, SMALL, Ended, at_once, digests, ended, small_data

PAGE = 4096  # bytes that a tmpfs takes at a time
PAGES = 4096  # of the disk, far more than a run needs
INODES = 400
INODES_NEEDED = 40  # by a run, roughly
COVERED = 64  # tries with which every kind of write can be expected to have failed

STEPS = ("--steps=6", "--save_checkpoints_steps=2", "--eval_every_steps=2", "--log_every_n_iter=0")

# Where the disk was full, by what the error's line names. Digits stand for any.
KINDS = {
    "the lock": r"m/trainer\.lock:",
    "recipe.json": r"m/recipe\.json:",
    "the training's event file": r"m: No space",
    "the validation's event file": r"m/eval_validation: ",
    "the graph in it": r"m\S*: the curves cannot be written",
    "graph.pbtxt": r"m/graph\.pbtxt",
    "a checkpoint's data": r"m/model\.ckpt-\d+: .*m/\.saving/\S*\.data-",
    "a checkpoint's index": r"m/model\.ckpt-\d+: .*m/\.saving/\S*\.index",
    "a checkpoint's meta": r"m/model\.ckpt-\d+: .*m/\.saving/\S*\.meta",
    "the list of checkpoints": r"m/checkpoint\b",
    "the best checkpoint's recipe.json": r"m/best/recipe\.json",
    "the best checkpoint": r"m/best/model\.ckpt-\d+: .*m/best/\.saving/",
    "the best checkpoint's list": r"m/best/checkpoint\b",
    "score.json": r"m/best/score\.json",
    "the evaluation's event file": r"m/eval: ",
    "a picture of the report": r"m/report/\w+\.png",
    "the report": r"m/report/report\.",
    "the report's event file": r"m/report/events",
}


def full_disk(count: int, seed: int, folder: Path) -> Tally:
    """Runs into a full disk, makes room, runs again, and compares with an undisturbed run."""
    # A mount name space of its own: what is mounted there is gone when the process ends.
    task = json.dumps([count, seed, str(folder)])
    command = [*_namespace(), sys.executable, "-m", "stress.full_disk", task]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return tally([Try("a small disk", f"the process ended: {done.stderr[-1500:]}")])
    tries = [Try(*each) for each in json.loads(done.stdout.splitlines()[-1])]
    if count >= COVERED:
        seen = "\n".join(path.read_text() for path in folder.glob("*/errors"))
        for kind, pattern in KINDS.items():
            if not re.search(pattern, seen):
                tries.append(Try(kind, f"in {count} tries it never failed"))
    return tally(tries)


def _namespace() -> list[str]:
    """The command that gives a process mounts of its own; nothing where that cannot be had."""
    for kind in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run([*kind, "true"], capture_output=True).returncode == 0:
                return kind
    return []


def _fill_all(count: int, seed: int, folder: str) -> list[Try]:
    """Two shares, each on a disk of its own."""
    data = f"--data_dir={small_data(Path(folder, 'data'))}"
    shares = [list(range(count))[half::AT_ONCE] for half in range(min(AT_ONCE, count))]
    jobs = [
        functools.partial(_fill, numbers, seed, Path(folder, f"share{half}"), data)
        for half, numbers in enumerate(shares)
    ]
    return list(itertools.chain.from_iterable(at_once(jobs)))


def _fill(numbers: list[int], seed: int, folder: Path, data: str) -> list[Try]:
    """A half of all sizes of the disk; where they fail differently, most.

    Writes the error lines that it saw into `folder/errors`.
    """
    disk = folder / "disk"
    disk.mkdir(parents=True)
    size = f"size={PAGES * PAGE},nr_inodes={INODES}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        why = f"a small disk cannot be made, which needs root or user name spaces: {said}"
        return [Try(f"try {number}", why) for number in numbers]
    trials = [_Trial(disk, data, report=report) for report in (False, True)]
    of_report = {number: number // AT_ONCE % 4 == 3 for number in numbers}
    for trial in trials[: 1 + any(of_report.values())]:
        trial.learn(numbers[0] % AT_ONCE)
    tries = []
    for number in numbers:
        trial = trials[of_report[number]]
        inodes = number % 12 >= 10
        free = (number * 7 + seed) % INODES_NEEDED if inodes else trial.next()
        run, trouble = trial.run(free, inodes=inodes)
        with (folder / "errors").open("a") as file:
            print(run.error, file=file)
        what = f"{free} {'inodes' if inodes else 'pages'} free: {run.told}"
        tries.append(Try(what, "; ".join(trouble)))
    return tries


class _Trial:
    """A disk for one part of the program, training or reporting, and what is left there at last."""

    def __init__(self, disk: Path, data: str, *, report: bool) -> None:
        self._disk, self._model_dir = disk, disk / "m"
        mode = "--mode=train_and_eval" if report else "--mode=train"
        self._flags = (*SMALL, *STEPS, data, f"--model_dir={self._model_dir}", mode)
        self._trained = disk.parent / "trained" if report else None
        self._ends: dict[int, str] = {}  # pages that were free -> the error's line

    def learn(self, half: int) -> None:
        """Runs undisturbed, and chooses which half of the disk's sizes to try.

        Raises:
          RuntimeError: that failed.
        """
        self._begin()
        before = os.statvfs(self._disk)
        levels = self._disk.parent / "levels"
        levels.write_text("")
        note = f"from stress import full_disk; full_disk.note_levels({f'{self._disk}'!r})"
        run = ended(*self._flags, before=note)
        if run.code:
            raise RuntimeError(f"undisturbed: {run.told}")
        self._wanted = _state(self._model_dir)
        space = os.statvfs(self._disk)
        # At most 60 pages more were there for a while: a checkpoint on its way.
        pages = before.f_bfree - space.f_bfree + 60
        self._ends = {half * pages // 2: "?", pages - (1 - half) * (pages - pages // 2): "!"}
        # The files that Python writes, each when just nothing is left for it.
        first: dict[str, int] = {}
        for line in levels.read_text().splitlines():
            used, name = line.split(" ", 1)
            first.setdefault(name, int(used))
        self._levels = sorted(first.values())[half::AT_ONCE]
        if self._trained is None:
            shutil.copytree(self._model_dir, self._disk.parent / "trained")

    def next(self) -> int:
        """The next size: of those learned, or in the widest gap between two different ends."""
        if self._levels:
            return self._levels.pop()
        sizes = sorted(self._ends)
        for size in sizes:
            if self._ends[size] in "?!":
                return size
        gaps = zip(sizes, sizes[1:], strict=False)
        _, _, low, high = max(
            (self._ends[a] != self._ends[b] and b - a > 1, b - a, a, b) for a, b in gaps
        )
        return (low + high) // 2

    def run(self, free: int, *, inodes: bool) -> tuple[Ended, list[str]]:
        """Runs on a disk with so much free space, and again with room; tells what was wrong."""
        self._begin()
        ballast = self._disk / "ballast"
        ballast.mkdir()
        space = os.statvfs(self._disk)
        if inodes:
            for number in range(space.f_ffree - free):
                (ballast / str(number)).touch()
        elif space.f_bfree > free:
            with (ballast / "pages").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, (space.f_bfree - free) * PAGE)
        run = ended(*self._flags)
        if not inodes:
            self._ends[free] = re.sub(r"tmp[0-9a-f]{32}|tempstate\d+|[\d,]+ ", "", f"{run.error}")
        trouble = []
        if run.code not in (0, 1) or (run.code == 1 and not _is_clear(run)):
            trouble.append("expected exit code 0, or 1 and one line that names the file")
        try:
            there, wanted = _state(self._model_dir)["checkpoints"], self._wanted["checkpoints"]
            if any(wanted.get(Path(path).name) != values for path, values in there.items()):
                trouble.append("a checkpoint that it left is not that of an undisturbed run")
            shutil.rmtree(ballast)
            again = ended(*self._flags)
            if again.code or again.error:
                return run, [*trouble, f"with room again: {again.told}"]
            found = _state(self._model_dir)
        except Exception as error:  # TensorFlow's reader raises anything
            return run, [*trouble, f"what it left cannot be read: {error!r}"]
        different = [key for key in self._wanted if found[key] != self._wanted[key]]
        trouble += [f"with room again, other {key}: {found[key]}" for key in different]
        return run, trouble

    def _begin(self) -> None:
        shutil.rmtree(self._model_dir, ignore_errors=True)
        if self._trained:
            shutil.copytree(self._trained, self._model_dir)


def note_levels(disk: str) -> None:
    """Lets this process note, for each file that it begins to write, how full the disk is then.

    For files that TensorFlow writes, which does not tell, it notes it once they are there.
    """
    import tensorflow as tf

    start = os.statvfs(disk).f_bfree
    notes = os.open(Path(disk).parent / "levels", os.O_WRONLY | os.O_APPEND)

    def used() -> int:
        return start - os.statvfs(disk).f_bfree

    def note(pages: int, path: str | Path) -> None:
        name = re.sub(r"\d+", "", str(Path(path).relative_to(disk)))
        os.write(notes, f"{pages} {name}\n".encode())

    def hook(event: str, arguments: tuple) -> None:
        if event == "open" and str(arguments[0]).startswith(disk) and arguments[2] & 3:
            # A probe takes more than what was written, and deleted, before it.
            note(used() + 8 * (".probe" in str(arguments[0])), arguments[0])

    def save(self: Any, session: Any, path: str, **options: Any) -> Any:
        before = used()
        result = real_save(self, session, path, **options)
        data = next(Path(path).parent.glob("*.data-*"))
        pages = -(-data.stat().st_size // PAGE)
        for suffix, level in ((".data", 0), (".index", pages), (".meta", pages + 1)):
            note(before + level, f"{path}{suffix}")
        return result

    real_save = tf.compat.v1.train.Saver.save
    tf.compat.v1.train.Saver.save = save
    sys.addaudithook(hook)


def _is_clear(run: Ended) -> bool:
    line = run.error or ""
    saving = "cannot be saved" in line
    why = "No space left" in line or "curves cannot be written: truncated record" in line
    return why and "disk/m" in line and (not saving or "bytes" in line)


def _state(model_dir: Path) -> dict:
    """What counts in a folder: bits of the variables, scores, curves, nothing half-written."""
    from cnn_mnist.utils import curves

    names = [path.with_suffix("") for path in sorted(model_dir.rglob("model.ckpt-*.index"))]
    notes = ("recipe.json", "best/recipe.json", "best/score.json", "report/report.json")
    files = [path.relative_to(model_dir) for path in sorted(model_dir.rglob("*"))]
    return {
        "checkpoints": {str(p.relative_to(model_dir)): digests(p) for p in names},
        "notes": {n: (model_dir / n).read_text() for n in notes if (model_dir / n).exists()},
        "curves": curves.read_curves(model_dir),
        "files": sorted({str(path) for path in files if "tfevents" not in path.name}),
    }


if __name__ == "__main__":
    print(json.dumps(_fill_all(*json.loads(sys.argv[1]))), flush=True)
