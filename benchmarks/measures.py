"""The measurements of the benchmark: each returns rows of its table."""

import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence

from benchmarks import duel, flops, processes, recipes
from benchmarks.contender import BATCH_SIZE, PRODUCT_SIDE
from benchmarks.table import Row, Target

PROGRAM = (sys.executable, "-m", "cnn_mnist.main")
MEMORY_STEPS = 401  # as in `against_classic.py`

# What a duel's contenders are there for; `cnn_mnist` is in all of them.
STEPS, PRODUCT, OVERHEAD = "steps", "product", "overhead"
OPPONENTS = {STEPS: ("keras", "torch"), PRODUCT: ("product",), OVERHEAD: ("bare",)}
DUELS = {"float32": (STEPS, PRODUCT, OVERHEAD), "bfloat16": (STEPS, PRODUCT)}

# (precision, opponent) -> what it is called there, and how many times as fast we are to be.
PEERS = {
    ("float32", "keras"): ("Keras `fit`", 1.6),
    ("float32", "torch"): ("PyTorch eager, channels last", 1.4),
    ("bfloat16", "keras"): ("Keras mixed_bfloat16", 1.4),
    ("bfloat16", "torch"): ("PyTorch autocast", 1.9),
}
SHARE_OF_PRODUCT = {"float32": 0.85, "bfloat16": 0.50}
EVALUATION_SECONDS = {"float32": 1.8, "bfloat16": 0.6}


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 15  # of a duel
    burst_seconds: float = 2.0  # of a contender in a round
    runs: int = 9  # of everything else that is short
    seeds: int | None = None  # of every recipe; None for the number that its target names


@dataclasses.dataclass(frozen=True)
class Promise:
    """What a recipe is to reach."""

    accuracy: float  # in percent, the mean over the seeds
    seconds: float  # of training
    whole_seconds: float | None  # from the prompt to the end of the command; None for no target
    seeds: int  # how many


PROMISES = {
    "fast": Promise(accuracy=99.0, seconds=8, whole_seconds=16, seeds=10),
    "accurate": Promise(accuracy=99.7, seconds=20 * 60, whole_seconds=None, seeds=3),
}


def duels(wanted: Sequence[str], effort: Effort) -> list[Row]:
    """Training steps a second, for each precision: `STEPS`, `PRODUCT` and `OVERHEAD` at a time."""
    rows = []
    for precision, possible in DUELS.items():
        parts = [part for part in possible if part in wanted]
        if parts:
            rates = _duel(precision, parts, effort)
            rows += [row for part in parts for row in duel_rows(part, precision, rates)]
    return rows


def _duel(precision: str, parts: Sequence[str], effort: Effort) -> dict[str, list[float]]:
    names = ["cnn_mnist", *(name for part in parts for name in OPPONENTS[part])]
    with contextlib.ExitStack() as stack:
        contenders, bursts = [], []
        for name in names:  # one after the other: each start has the machine to itself
            contender = stack.enter_context(duel.Contender(name, precision))
            contender.wait_until_ready()
            contenders.append(contender)
            bursts.append(duel.burst_of(contender, effort.burst_seconds))
        return duel.alternate(contenders, bursts, effort.rounds)


def duel_rows(part: str, precision: str, rates: dict[str, list[float]]) -> list[Row]:
    """What the rates of a duel, steps a second by contender, say about one of its parts."""
    if part == STEPS:
        rows = [Row(f"training, {precision}: this package", rates["cnn_mnist"], "steps/s", 1)]
        for name in OPPONENTS[STEPS]:
            title, bound = PEERS[precision, name]
            ratios = duel.ratios(rates, "cnn_mnist", name)
            rows += [
                Row(f"training, {precision}: {title}", rates[name], "steps/s", 1),
                Row(f"this package against {title}", ratios, "x", 2, Target(bound, at_least=True)),
            ]
        return rows
    if part == PRODUCT:
        step = flops.of_training_step(flops.CLASSIC, BATCH_SIZE)
        product = flops.of_product(PRODUCT_SIDE, PRODUCT_SIDE, PRODUCT_SIDE)
        best = [product * rate / 1e9 for rate in rates["product"]]
        ratios = duel.ratios(rates, "cnn_mnist", "product")
        return [
            Row(f"best matrix product, {precision}", best, "GFLOP/s", 0),
            Row(
                f"training's share of it, {precision}",
                [step / product * ratio for ratio in ratios],
                target=Target(SHARE_OF_PRODUCT[precision], at_least=True, possible=1),
            ),
        ]
    return [
        Row(
            f"overhead of Estimator and hooks, {precision}",
            [100 * (ratio - 1) for ratio in duel.ratios(rates, "bare", "cnn_mnist")],
            "%",
            1,
            Target(2),
        )
    ]


def reading(wanted: Sequence[str], effort: Effort) -> list[Row]:
    """A `Predictor` whose graph is built: `evaluation` of 10,000 images, and one image."""
    rows = []
    for precision, bound in EVALUATION_SECONDS.items():
        if "evaluation" not in wanted and precision != "float32":
            continue
        command = [sys.executable, "-m", "benchmarks.predict_rate", "--json"]
        run = processes.run([*command, f"--precision={precision}", f"--runs={effort.runs}"])
        measured = json.loads(run.output)
        if "evaluation" in wanted:
            what, values = f"evaluation of 10,000 images, {precision}", measured["evaluation"]
            rows.append(Row(what, values, "s", 2, Target(bound)))
        if "predictor" in wanted:
            milliseconds = [1000 * seconds for seconds in measured["one_image"]]
            target = Target(2) if precision == "float32" else None
            rows.append(Row(f"one image, {precision}", milliseconds, "ms", 2, target))
    return rows


def start(effort: Effort) -> list[Row]:
    """What does not need TensorFlow: `--help` and a bad flag."""
    rows = []
    for what, flag, code in (("--help", "--help", 0), ("a bad flag", "--no_such_flag", 2)):
        runs = [processes.run([*PROGRAM, flag], code) for _ in range(1 + effort.runs)]
        seconds = [run.seconds for run in runs[1:]]  # the first may have to read the disk
        rows.append(Row(what, seconds, "s", 2, Target(0.3)))
    return rows


def memory(effort: Effort) -> list[Row]:
    """Peak memory of training, with the default recipe."""
    peaks = []
    for _ in range(min(effort.runs, 3)):
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--mode=train", f"--steps={MEMORY_STEPS}", f"--model_dir={folder}"]
            peaks.append(processes.run([*PROGRAM, *flags]).peak_memory_mb)
    return [Row("peak memory of training", peaks, "MB", 0, Target(850))]


def recipe(name: str, effort: Effort) -> list[Row]:
    """Trains a recipe over seeds; the rows have targets if there is a `Promise`."""
    promise = PROMISES.get(name)
    seeds = effort.seeds or (promise.seeds if promise else 1)
    # TensorFlow is read from the disk here, and not in the first run that counts.
    processes.run([*PROGRAM, "--mode=summary", f"--recipe={name}"])
    return recipe_rows(name, [recipes.train(name, seed) for seed in range(seeds)])


def recipe_rows(name: str, runs: Sequence[recipes.Training]) -> list[Row]:
    """What trainings of a recipe, with the seeds from 0 on, came to."""
    promise = PROMISES.get(name)
    whole = promise.whole_seconds if promise else None
    accuracy = Target(promise.accuracy, at_least=True) if promise else None
    training = Target(promise.seconds) if promise else None
    percents = [100 * run.accuracy for run in runs]
    seconds = [run.training_seconds for run in runs]
    end = Target(whole) if whole else None
    title = f"recipe `{name}`"
    return [
        Row(f"{title}: test accuracy, mean", percents, "%", 2, accuracy, statistics.mean),
        Row(f"{title}: training", seconds, "s", 1, training),
        Row(f"{title}: from the prompt to the result", [r.seconds for r in runs], "s", 1, end),
    ]


SINGLE: dict[str, Callable[[Effort], list[Row]]] = {"start": start, "memory": memory}
