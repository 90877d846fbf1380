"""What bounds training with 1 to 512 workers: the tables and the picture of docs/scaling.md.

Nothing is trained: sizes are counted in the graphs, times of links are computed from them, and the
times of a step are read from `results.md` and `scaling.json`, where they were measured.

python -m benchmarks.scaling [--recipe=estimator] [--step_ms=25.8] [--write]
"""

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import scaling_plan
from benchmarks.processes import ROOT
from benchmarks.scaling_plan import GIGABIT, IMAGE, LINKS, SERVERS, WORKERS, Measured, number
from benchmarks.scaling_plan import numbers as several
from benchmarks.table import markdown_table
from cnn_mnist.recipes import RECIPES

RESULTS, MEASURED = ROOT / "benchmarks/results.md", ROOT / "benchmarks/scaling.json"
DOCUMENT, PICTURE = ROOT / "docs/scaling.md", ROOT / "docs/scaling.png"
# What the tables stand between in the document.
BEGIN, END = "<!-- python -m benchmarks.scaling -->\n", "<!-- end -->\n"
# Of `results.md`: the row of the default recipe, in which a step is of 100 images.
STEPS_ROW = re.compile(r"^\| training, float32: this package \|[^|]*\| ([\d.]+) steps/s", re.M)
TRAINING_IMAGES = 55_000  # of the default recipe
DISK = 200e6  # bytes a second: a disk that turns, or a small one of a cloud
NOISE_SCALES = (100, 1_000, 10_000)  # images
WIDTH = 100  # characters of a line


def step_seconds(results: str) -> float:
    """Seconds of a training step of the default recipe, from the text of `results.md`.

    Raises:
      ValueError: it has no row of it.
    """
    found = STEPS_ROW.search(results)
    if found is None:
        raise ValueError("benchmarks/results.md: no row `training, float32: this package`")
    return 1 / float(found[1])


def measured(found: Mapping[str, Any], images: int, step: float) -> Measured:
    """The times that a plan takes.

    Args:
      found: the content of `scaling.json`.
      images: of a step.
      step: its seconds. What a step of one image takes is scaled with it: the two rates in `found`
        were measured together, on one day.

    Raises:
      ValueError: a part was not measured.
    """
    for part in ("steps_per_second", "server"):
        if part not in found:
            raise ValueError(
                f"benchmarks/scaling.json: no {part}: run python -m benchmarks.scaling_measure"
            )
    rates, server = found["steps_per_second"], found["server"]
    share = rates["100"] / rates["1"]
    seconds = {int(workers): each for workers, each in server["seconds"].items()}
    few, many = min(seconds), max(seconds)
    sums = (seconds[many] - seconds[few]) / (many - few) / server["bytes"]
    return Measured(images, step, share * step, sums)


def networks(sizes: Mapping[str, Any]) -> str:
    """The table of all recipes: what they have to compute, to move and to keep."""
    heads = (
        "recipe",
        "parameters",
        "weights, MB",
        "a step and worker: down + up, MB",
        "training on an image, MFLOP",
        "FLOP a byte moved",
        "checkpoint, MB",
        f"weights on the fullest of {' / '.join(map(str, SERVERS))} servers, %",
    )
    rows = [
        (
            f"`{name}`",
            f"{each.parameters:,}",
            _mb(each.weights),
            f"{_mb(each.weights)} + {_mb(each.gradients)}",
            number(each.flop / 1e6),
            number(each.batch_size * each.flop / (each.weights + each.gradients)),
            _mb(each.checkpoint),
            " / ".join(f"{100 * each.fullest[count] / each.weights:.0f}" for count in SERVERS),
        )
        for name, each in sizes.items()
    ]
    return markdown_table(heads, rows)


def plans(
    sizes: Any, times: Measured, plan_of: Callable[[int], scaling_plan.Plan], ring: bool
) -> str:
    """The table of every number of workers on every link.

    Args:
      sizes: of the recipe.
      times: that were measured.
      plan_of: takes the number of workers; raises `ValueError` where there can be no such plan.
      ring: whether workers wait for each other, as all-reduce needs.
    """
    heads = [
        "workers",
        "images each",
        "compute, ms",
        "link, Gbit/s",
        f"links of {' / '.join(map(str, SERVERS))} servers, ms",
        "input, ms",
        "1 server",
        f"{SERVERS[-1]} servers",
        f"{SERVERS[-1]} servers, even",
    ]
    if ring:
        heads[5:5] = ["sums of 1 server, ms", "links of all-reduce, ms"]
        heads.append("all-reduce")
    alone = ["1", f"{times.images}", _ms(times.step), *["-"] * (len(heads) - 3)]
    alone[6 + 2 * ring :] = ["1"] * (len(heads) - 6 - 2 * ring)
    rows = [alone]
    for workers in WORKERS[1:]:
        try:
            plan = plan_of(workers)
        except ValueError as error:
            rows.append([f"{workers}", f"none: {error}", *["-"] * (len(heads) - 2)])
            continue
        for link in LINKS:
            servers = [plan.with_servers(sizes.weights, sizes.fullest[c], link) for c in SERVERS]
            even = plan.with_servers(sizes.weights, sizes.weights / SERVERS[-1], link)
            choices = [servers[0], servers[-1], even]
            row = [f"{workers}", f"{plan.part}", _ms(servers[0]["compute"]), f"{link}"]
            row.append(several([1e3 * each["links"] for each in servers]))
            if ring:
                choices.append(plan.with_ring(sizes.weights, link))
                row += [_ms(servers[0]["sums"]), _ms(choices[-1]["links"])]
            row.append(_ms(servers[0]["input"]))
            rows.append(row + [_gain(plan, parts) for parts in choices])
    return markdown_table(heads, rows)


def _gain(plan: scaling_plan.Plan, parts: dict[str, float]) -> str:
    gain = plan.speed_up(parts)
    share = gain / plan.workers
    efficiency = f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %"
    return f"{number(gain)}, {efficiency}, {max(parts, key=lambda name: parts[name])}"


def memory(sizes: Any) -> str:
    """The table of what grows with the workers: the servers' memory, and an epoch."""
    heads = (
        "workers",
        "accumulators on the servers, GB",
        "weights and optimizer, GB",
        "a batch of each its own: images a step",
        "steps an epoch",
        "staleness, steps",
    )
    rows = [
        (
            f"{workers}",
            number((workers - 1) * sizes.accumulators / 1e9) if workers > 1 else "none",
            number(sizes.checkpoint / 1e9),
            f"{workers * sizes.batch_size:,}",
            number(TRAINING_IMAGES / (workers * sizes.batch_size)),
            f"{workers - 1}",
        )
        for workers in WORKERS
    ]
    return markdown_table(heads, rows)


def links(sizes: Any, times: Measured) -> str:
    """The table of what only depends on the links: a checkpoint, and where one server is full."""
    heads = (
        "link, Gbit/s",
        "a checkpoint to the chief, ms",
        "steps a second that one server can serve, each by itself",
        "workers that fill its link",
        "images a second that one file server can send",
        "workers that fill its link",
    )
    rows = []
    for link in LINKS:
        served = link * GIGABIT / sizes.fullest[1]
        sent = link * GIGABIT / IMAGE
        rows.append(
            (
                f"{link}",
                _ms(sizes.checkpoint / (link * GIGABIT)),
                number(served),
                number(served * times.step),
                f"{sent:,.0f}",
                number(sent * times.step / times.images),
            )
        )
    return markdown_table(heads, rows)


def batches() -> str:
    """The table of what larger batches gain, counted in steps."""
    heads = ("gradient noise scale, images", *(f"{n * 100:,} images" for n in WORKERS[1:]), "most")
    rows = [
        (
            f"{scale:,}",
            *(number(scaling_plan.fewer_steps(scale, 100, n * 100)) for n in WORKERS[1:]),
            number(1 + scale / 100),
        )
        for scale in NOISE_SCALES
    ]
    return markdown_table(heads, rows)


def text(recipe: str, sizes: Mapping[str, Any], times: Measured, source: str) -> str:
    """All tables, in Markdown.

    Args:
      recipe: the name of the one that is planned for.
      sizes: of every recipe.
      times: that were measured.
      source: where the time of a step is from.
    """
    own = sizes[recipe]
    return "\n".join(_sections(recipe, sizes, own, times, source))


def _sections(
    recipe: str, sizes: Mapping[str, Any], own: Any, times: Measured, source: str
) -> Iterator[str]:
    images, server = times.images, _ms(times.sums * own.fullest[1])
    rate = images / times.step
    yield _paragraph(
        "**Sizes**, counted in the graph that the chief trains with (an MB is 10^6 bytes)."
    )
    yield networks(sizes)
    yield _paragraph(
        f"**Measured**: a training step of recipe `{recipe}` takes {_ms(times.step)} ms for "
        f"{images} images ({source}), {_ms(times.one_image)} ms for one, and a parameter server "
        f"computes {server} ms in a step for each worker (`benchmarks/scaling.json`). Everything "
        f"below is computed. A worker trains on {rate:,.0f} images a second, which are "
        f"{rate * IMAGE / 1e6:.1f} MB; a disk that reads an assumed {DISK / 1e6:.0f} MB a second "
        f"takes {_ms(images * IMAGE / DISK)} ms a step for them."
    )
    yield _paragraph(
        f"**One batch of {images} images shared by all, in step** (strong scaling; "
        "`--strategy=sync`). A cell such as `2.5, 31 %, links` is: speed-up at most, efficiency, "
        "the slowest part."
    )
    yield plans(own, times, lambda n: scaling_plan.one_batch(times, n), True)
    yield _paragraph(
        f"**A batch of {images} images for each worker, in step** (weak scaling; "
        f"`--strategy=sync` with a `--batch_size` of {images} N)."
    )
    yield plans(own, times, lambda n: scaling_plan.own_batches(times, n, True), True)
    yield _paragraph(
        f"**A batch of {images} images for each worker, each by itself** (weak scaling; "
        "`--strategy=parameter_server`)."
    )
    yield plans(own, times, lambda n: scaling_plan.own_batches(times, n, False), False)
    yield _paragraph("**What grows with the workers.**")
    yield memory(own)
    yield _paragraph("**What the links bound.**")
    yield links(own, times)
    yield _paragraph(
        "**What larger batches gain at most**: how many times as many steps 100 images take to the "
        "same loss."
    )
    yield batches()


def _paragraph(words: str) -> str:
    return textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


def _mb(size: int) -> str:
    return number(size / 1e6)


def _ms(seconds: float) -> str:
    return number(1e3 * seconds)


def put(document: str, tables: str) -> str:
    """The document with the tables in their place.

    Raises:
      ValueError: it has no such place.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN.strip()!r} and {END.strip()!r}")
    return f"{before}{begin}\n{tables}\n{end}{after}"


def main() -> int:
    """Prints the tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", choices=RECIPES, default="estimator")
    parser.add_argument("--step_ms", type=float, help="left out: that of benchmarks/results.md")
    parser.add_argument("--write", action="store_true", help="docs/scaling.md and docs/scaling.png")
    options = parser.parse_args()
    if options.step_ms is not None and not 0 < options.step_ms < float("inf"):
        parser.error(f"--step_ms: expected milliseconds above 0, found {options.step_ms}")
    if options.step_ms is None and options.recipe != "estimator":
        parser.error(
            f"--step_ms: expected the milliseconds of a step of {options.recipe}, found nothing; "
            "benchmarks/results.md tells those of estimator alone"
        )
    source = "`--step_ms`" if options.step_ms else "`benchmarks/results.md`"
    try:
        step = options.step_ms / 1e3 if options.step_ms else step_seconds(RESULTS.read_text())
        images = RECIPES[options.recipe].batch_size
        times = measured(json.loads(MEASURED.read_text()), images, step)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from cnn_mnist.utils import console

    console.start_tensorflow()
    from benchmarks import scaling_sizes

    sizes = {name: scaling_sizes.of(recipe, SERVERS) for name, recipe in RECIPES.items()}
    tables = text(options.recipe, sizes, times, source)
    print(tables, end="")
    if options.write:
        from benchmarks import scaling_plot

        _write(DOCUMENT, tables)
        scaling_plot.write(sizes[options.recipe], times, PICTURE)
    return 0


def _write(path: Path, tables: str) -> None:
    path.write_text(put(path.read_text(), tables))


if __name__ == "__main__":
    sys.exit(main())
