"""The measurements of the benchmark: each returns rows of its table."""

import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import duel, flops, processes, recipes
from benchmarks.contender import BATCH_SIZE, PRODUCT_SIDE
from benchmarks.table import Row, Target
from cnn_mnist.utils import processor

PROGRAM = (sys.executable, "-m", "cnn_mnist.main")
STAGES = "benchmarks.stages"  # the profile of a command
MEMORY_STEPS = 401  # as in `against_classic.py`

# What a duel's contenders are there for; `cnn_mnist` is in all of them. A name that ends with @ is
# that of the package as it was before.
STEPS, PRODUCT, OVERHEAD, BEFORE = "steps", "product", "overhead", "before"
AS_IT_COMES = "keras_as_it_comes"  # the same as "keras" where TensorFlow takes oneDNN unasked
OPPONENTS = {
    STEPS: ("keras", *(() if processor.onednn_unasked() else (AS_IT_COMES,)), "torch"),
    PRODUCT: ("product",),
    OVERHEAD: ("bare",),
    BEFORE: ("cnn_mnist@", "small", "small@"),
}
LONG_STEPS = ("accurate", "accurate@")  # as well, in the precision that the recipe takes
DUELS: dict[str, tuple[str, ...]] = {"float32": (STEPS, PRODUCT, OVERHEAD, BEFORE)}
if processor.precision() == "bfloat16":  # without instructions for it, PyTorch takes minutes a step
    DUELS["bfloat16"] = (STEPS, PRODUCT, BEFORE)
WIDE = processor.has_avx512()

# (precision, opponent) -> what it is called there, and how many times as fast we are to be.
PEERS = {
    ("float32", "keras"): ("Keras `fit`", 1.25 if WIDE else 1.5),
    ("float32", AS_IT_COMES): ("Keras `fit` as it comes, without oneDNN", 1.25 if WIDE else 1.5),
    ("float32", "torch"): ("PyTorch eager, channels last", 1.5 if WIDE else 1.6),
    ("bfloat16", "keras"): ("Keras mixed_bfloat16", 1.15),
    ("bfloat16", "torch"): ("PyTorch autocast", 1.25),
}
# The same against before: the recipe, what it is called, how many times as fast we are to be; with
# AVX-512 no slower, but for what two decimals can tell.
AGAINST_BEFORE = {
    "cnn_mnist": ("estimator", "the default recipe", 0.99 if WIDE else 1.25),
    "small": ("fast", "recipe `fast` of before", 0.99 if WIDE else 1.35),
    # Its steps are as many as before, so this is what its training gains.
    "accurate": ("accurate", "recipe `accurate`", 2.0),
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
    before: Path | None = None  # a folder with the package as it was, to measure against


@dataclasses.dataclass(frozen=True)
class Promise:
    """What a recipe is to reach."""

    accuracy: float  # in percent, the mean over the seeds
    seconds: float | None  # of training; None for no target
    whole_seconds: float | None  # from the prompt to the end of the command
    seeds: int  # how many
    # Shares of what it took before: of the training, and of the command.
    share: float | None = None
    whole_share: float | None = None


PROMISES = {
    "fast": Promise(99.0, seconds=8, whole_seconds=16, seeds=10, share=0.5, whole_share=0.6),
    "tiny": Promise(99.0, seconds=None, whole_seconds=None, seeds=5),
    "accurate": Promise(99.7, seconds=20 * 60, whole_seconds=None, seeds=3, share=0.5),
}
EVAL_SHARE = 0.6  # of what `--mode=eval` took before
ONE_EPOCH = {"torch": "PyTorch", "keras": "Keras"}
TIMES_AS_FAST = 3.0  # as one epoch of those


def duels(wanted: Sequence[str], effort: Effort) -> list[Row]:
    """Training steps a second, for each precision: `STEPS`, `PRODUCT` and `OVERHEAD` at a time."""
    rows = []
    for precision, possible in DUELS.items():
        parts = [p for p in possible if p in wanted and (p != BEFORE or effort.before)]
        if parts:
            rates = _duel(precision, parts, effort)
            rows += [row for part in parts for row in duel_rows(part, precision, rates)]
    return rows


def _duel(precision: str, parts: Sequence[str], effort: Effort) -> dict[str, list[float]]:
    names = ["cnn_mnist", *(name for part in parts for name in OPPONENTS[part])]
    if BEFORE in parts and precision == processor.precision():
        names += LONG_STEPS
    with contextlib.ExitStack() as stack:
        contenders, bursts = [], []
        for name in names:  # one after the other: each start has the machine to itself
            given = (effort.before,) if name.endswith("@") and effort.before else ()
            contender = duel.Contender(name.rstrip("@"), precision, *given)
            stack.enter_context(contender)
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
                Row(
                    f"this package against {title}",
                    ratios,
                    "x",
                    2,
                    Target(bound, at_least=True),
                    profile=_of_a_step(precision),
                ),
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
                profile=_of_a_step(precision),
            ),
        ]
    if part == BEFORE:
        return [
            Row(
                f"a step of {title}, {precision}, against before",
                duel.ratios(rates, name, f"{name}@"),
                "x",
                2,
                Target(bound, at_least=True),
                profile=_of_a_step(precision, recipe),
            )
            for name, (recipe, title, bound) in AGAINST_BEFORE.items()
            if name in rates
        ]
    return [
        Row(
            f"overhead of Estimator and hooks, {precision}",
            [100 * (ratio - 1) for ratio in duel.ratios(rates, "bare", "cnn_mnist")],
            "%",
            1,
            Target(2),
            profile=_of_a_step(precision),
        )
    ]


def _of_a_step(precision: str, recipe: str = "estimator") -> tuple[str, ...]:
    """The profile of a training step."""
    return ("benchmarks.breakdown", f"--recipe={recipe}", f"--precision={precision}", "--shown=9")


def reading(wanted: Sequence[str], effort: Effort) -> list[Row]:
    """A `Predictor` whose graph is built: `evaluation` of 10,000 images, and one image."""
    rows = []
    for precision, bound in EVALUATION_SECONDS.items():
        if precision not in DUELS or ("evaluation" not in wanted and precision != "float32"):
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
    if effort.before is None or not (promise and promise.share):
        return recipe_rows(name, [recipes.train(name, seed) for seed in range(seeds)])
    runs, earlier = [], []
    for seed in range(seeds):
        runs.append(recipes.train(name, seed))
        earlier.append(recipes.train(name, seed, effort.before))
    return recipe_rows(name, runs) + share_rows(name, runs, earlier)


def recipe_rows(name: str, runs: Sequence[recipes.Training]) -> list[Row]:
    """What trainings of a recipe, with the seeds from 0 on, came to."""
    promise = PROMISES.get(name)
    whole = promise.whole_seconds if promise else None
    accuracy = Target(promise.accuracy, at_least=True) if promise else None
    training = Target(promise.seconds) if promise and promise.seconds else None
    percents = [100 * run.accuracy for run in runs]
    seconds = [run.training_seconds for run in runs]
    end = Target(whole) if whole else None
    title = f"recipe `{name}`"
    return [
        Row(f"{title}: test accuracy, mean", percents, "%", 2, accuracy, statistics.mean),
        Row(f"{title}: training", seconds, "s", 1, training),
        Row(f"{title}: from the prompt to the result", [r.seconds for r in runs], "s", 1, end),
    ]


def share_rows(
    name: str, runs: Sequence[recipes.Training], earlier: Sequence[recipes.Training]
) -> list[Row]:
    """What trainings of a recipe took, as shares of what those before took, seed by seed."""
    promise, pairs = PROMISES[name], list(zip(runs, earlier, strict=True))
    shares = {
        "training": ([run.training_seconds / was.training_seconds for run, was in pairs]),
        "from the prompt to the result": ([run.seconds / was.seconds for run, was in pairs]),
    }
    bounds = (promise.share, promise.whole_share)
    profile: tuple[str, ...] = (STAGES, f"--recipe={name}")
    if promise.whole_share is None:  # it trains too long to be watched
        profile = _of_a_step(processor.precision(), name)
    return [
        Row(
            f"recipe `{name}`: {what}, against before",
            values,
            "x",
            2,
            Target(bound),
            profile=profile,
        )
        for (what, values), bound in zip(shares.items(), bounds, strict=True)
        if bound
    ]


def evaluation_command(effort: Effort) -> list[Row]:
    """`--mode=eval` of a network of recipe `fast`, from the prompt to the report."""
    with tempfile.TemporaryDirectory() as folder:
        trees = [processes.ROOT, *([effort.before] if effort.before else [])]
        command = [*PROGRAM, "--recipe=fast", f"--model_dir={folder}"]
        processes.run(command, tree=trees[-1])  # which both can read
        command = [*PROGRAM, "--mode=eval", f"--model_dir={folder}"]
        rounds = [
            [processes.run(command, tree=t).seconds for t in trees] for _ in range(effort.runs)
        ]
    rows = [Row("`--mode=eval`, from the prompt to the report", [r[0] for r in rounds], "s", 1)]
    if effort.before:
        shares = [mine / was for mine, was in rounds]
        what, profile = "`--mode=eval`, against before", (STAGES, "--mode=eval")
        rows.append(Row(what, shares, "x", 2, Target(EVAL_SHARE), profile=profile))
    return rows


def one_epoch(effort: Effort) -> list[Row]:
    """Recipe `fast` beside one epoch as others publish it; both reach 99 %."""
    rows: list[Row] = []
    runs: dict[str, list[float]] = {name: [] for name in ("ours", *ONE_EPOCH)}
    accuracies: dict[str, list[float]] = {name: [] for name in ONE_EPOCH}
    for seed in range(effort.seeds or effort.runs):
        runs["ours"].append(recipes.train("fast", seed).training_seconds)
        for name in ONE_EPOCH:
            program = str(processes.ROOT / "benchmarks" / "one_epoch.py")
            done = processes.run([sys.executable, program, name, f"--seed={seed}"])
            found = json.loads(done.output)
            runs[name].append(found["seconds"])
            accuracies[name].append(100 * found["accuracy"])
    for name, title in ONE_EPOCH.items():
        times = [theirs / mine for mine, theirs in zip(runs["ours"], runs[name], strict=True)]
        rows += [
            Row(f"one epoch in {title}: accuracy, mean", accuracies[name], "%", 2),
            Row(f"one epoch in {title}: training", runs[name], "s", 1),
            Row(
                f"training of recipe `fast` against that in {title}",
                times,
                "x",
                2,
                Target(TIMES_AS_FAST, at_least=True),
                profile=(STAGES, "--recipe=fast"),
            ),
        ]
    return rows


SINGLE: dict[str, Callable[[Effort], list[Row]]] = {
    "eval": evaluation_command,
    "one_epoch": one_epoch,
    "start": start,
    "memory": memory,
}
