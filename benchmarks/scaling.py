"""What bounds training with 1 to 512 workers: the tables of docs/scaling.md.

Nothing is trained. Sizes are counted in the training graph, whose variables TensorFlow places as in
a cluster; times of links are computed from them; the times of a step were measured (`results.md`,
`scaling.json`).

A step has parts that can go on at the same time: the workers compute, the links carry weights and
gradients, the parameter servers add gradients up, images are fetched. It takes at least as long as
the slowest of them. Latency and stragglers come on top, so no cluster exceeds a speed-up from here.

python -m benchmarks.scaling [--recipe=estimator] [--step_ms=25.8] [--write]
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import flops
from benchmarks.processes import ROOT
from benchmarks.table import markdown_table
from cnn_mnist.recipes import RECIPES, Recipe

RESULTS, MEASURED = ROOT / "benchmarks/results.md", ROOT / "benchmarks/scaling.json"
DOCUMENT = ROOT / "docs/scaling.md"
# What the tables stand between in the document.
BEGIN, END = "<!-- python -m benchmarks.scaling -->\n", "<!-- end -->\n"
GIGABIT = 1e9 / 8  # bytes
LINKS = (1, 10, 25, 100)  # Gbit/s, each way at once
SERVERS = (1, 2, 4, 8)
WORKERS = (1, 8, 64, 512)
IMAGE = 28 * 28 + 4  # bytes: pixels, `uint8`, and a label, `int32`


class Sizes(NamedTuple):
    """What a recipe has to compute, to move and to keep."""

    batch_size: int  # images of a step
    parameters: int  # values that are trained
    weights: int  # bytes: what a worker reads in every step, and sends as gradients
    checkpoint: int  # bytes of all variables, the optimizer's too
    flop: int  # floating-point operations of training on one image
    fullest: dict[int, int]  # number of servers -> bytes of weights on the one that has most


def sizes_of(recipe: Recipe, servers: Sequence[int] = SERVERS) -> Sizes:
    """Counts in the training graph, once with each number of parameter servers."""
    import tensorflow as tf

    from cnn_mnist.models.model_fn import cnn_model_fn

    fullest = {}
    for count in servers:
        with tf.Graph().as_default() as graph:
            # As the Estimator places them.
            with graph.device(tf.compat.v1.train.replica_device_setter(count)):
                tf.compat.v1.train.get_or_create_global_step()
                images = tf.zeros([recipe.batch_size, 28, 28], tf.uint8)
                labels = tf.zeros([recipe.batch_size], tf.int32)
                cnn_model_fn({"x": images}, labels, "train", recipe.params())
            trained = tf.compat.v1.trainable_variables()
            checkpoint = sum(map(_bytes, tf.compat.v1.global_variables()))
        devices = {v.device for v in trained}
        fullest[count] = max(sum(_bytes(v) for v in trained if v.device == d) for d in devices)
    return Sizes(
        recipe.batch_size,
        parameters=sum(math.prod(v.shape) for v in trained),
        weights=sum(map(_bytes, trained)),
        checkpoint=checkpoint,
        flop=flops.of_training_step(layers(recipe), 1),
        fullest=fullest,
    )


def layers(recipe: Recipe) -> list[flops.Layer]:
    """The network's products, in the order in which the images pass them."""
    import tensorflow as tf

    from cnn_mnist.data.form import MNIST
    from cnn_mnist.models.networks import logits_of

    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, 28, 28, 1])
        options = {"training": False, "dropout_rate": 0.0, "seed": recipe.seed}
        logits_of(recipe.network, images, MNIST.num_classes, **options)
    found = []
    for op in graph.get_operations():
        if op.type in ("Conv2D", "MatMul"):
            output, kernel = op.outputs[0].shape, op.inputs[1].shape
            filters = output[-1]
            window = math.prod(kernel) // filters
            found.append(flops.Layer(math.prod(output) // filters, window, filters))
    return found


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * variable.dtype.size


class Times(NamedTuple):
    """What was measured, on the machine that the workers are taken to be."""

    images: int  # of a whole batch
    step: float  # seconds of a training step of that batch, in one process
    one_image: float  # seconds of a training step of one image
    sums: float  # seconds of a server in a synchronous step, for a byte of weights and a worker


def step_seconds(results: str) -> float:
    """Seconds of a training step of the default recipe, from the text of `results.md`.

    Raises:
      ValueError: it has no row of it.
    """
    row = r"^\| training, float32: this package \|[^|]*\| ([\d.]+) steps/s"
    found = re.search(row, results, re.MULTILINE)
    if found is None:
        raise ValueError("benchmarks/results.md: no row `training, float32: this package`")
    return 1 / float(found[1])


def times_of(found: Mapping[str, Any], images: int, step: float) -> Times:
    """The times of a batch of so many images that takes `step` seconds; the rest by `scaling.json`.

    What a step of one image takes is scaled with `step`: both were measured on one day.
    """
    rates, server = found["steps_per_second"], found["server"]
    seconds = {int(workers): each for workers, each in server["seconds"].items()}
    few, many = min(seconds), max(seconds)
    sums = (seconds[many] - seconds[few]) / (many - few) / server["bytes"]
    return Times(images, step, rates["100"] / rates["1"] * step, sums)


class Plan(NamedTuple):
    """How the images of a step are shared out."""

    times: Times
    workers: int  # that train, the chief among them
    images: int  # of a step, all workers' together
    in_step: bool  # weights go out and gradients come in one after the other, and are added up

    @property
    def part(self) -> int:
        """Images of a step for the worker that has most."""
        return math.ceil(self.images / self.workers)

    def with_servers(self, weights: float, fullest: float, link: float) -> dict[str, float]:
        """Seconds of each part of a step with parameter servers; `link` in Gbit/s each way.

        `weights` and `fullest` are bytes: of all weights, of those on the server that has most.
        """
        each_way = max(self.workers * fullest, weights) / (link * GIGABIT)
        parts = {**self._parts(link), "links": each_way * (2 if self.in_step else 1)}
        return parts | ({"sums": self.workers * fullest * self.times.sums} if self.in_step else {})

    def with_ring(self, weights: float, link: float) -> dict[str, float]:
        """The same with ring all-reduce (Patarasuk and Yuan, 2009): no parameter servers."""
        sent = 2 * (self.workers - 1) / self.workers * weights  # and received, by every worker
        return {**self._parts(link), "links": sent / (link * GIGABIT)}

    def _parts(self, link: float) -> dict[str, float]:
        whole, one = self.times.step, self.times.one_image
        more = (whole - one) / max(1, self.times.images - 1)  # for each image, on a straight line
        from_one_file_server = self.images * IMAGE / (link * GIGABIT)
        return {"compute": one + more * (self.part - 1), "input": from_one_file_server}

    def speed_up(self, parts: Mapping[str, float]) -> float:
        """Images a second at most, as a multiple of those of one process."""
        return self.images / max(parts.values()) / (self.times.images / self.times.step)


def number(*values: float) -> str:
    """Three digits of each number, or all before the point; just one if all are the same."""
    texts = [f"{v:.2g}" if v < 1 else f"{v:.3g}" if v < 1000 else f"{v:,.0f}" for v in values]
    return texts[0] if len(set(texts)) == 1 else " / ".join(texts)


def networks(sizes: Mapping[str, Sizes]) -> str:
    """The table of all recipes: what they have to compute, to move and to keep."""
    heads = "recipe|parameters|weights, MB|a step and worker: down + up, MB|training on an image, "
    heads += (
        "MFLOP|FLOP a byte moved|checkpoint, MB|weights on the fullest of 1 / 2 / 4 / 8 servers, %"
    )
    rows = [
        (
            f"`{name}`",
            f"{each.parameters:,}",
            number(each.weights / 1e6),
            f"{number(each.weights / 1e6)} + {number(each.weights / 1e6)}",
            number(each.flop / 1e6),
            number(each.batch_size * each.flop / (2 * each.weights)),
            number(each.checkpoint / 1e6),
            " / ".join(f"{100 * each.fullest[count] / each.weights:.0f}" for count in SERVERS),
        )
        for name, each in sizes.items()
    ]
    return markdown_table(heads.split("|"), rows)


def plans(sizes: Sizes, times: Times, *, shared: bool, in_step: bool) -> str:
    """The table of every number of workers on every link.

    Args:
      sizes, times: of the recipe.
      shared: whether all share one batch; otherwise each has one of its own.
      in_step: whether they wait for each other, as all-reduce needs.
    """
    heads = "workers|images each|compute, ms|link, Gbit/s|links of 1 / 2 / 4 / 8 servers, ms|"
    heads += "sums of 1 server, ms|links of all-reduce, ms|" * in_step
    heads += "input, ms|1 server|8 servers|8 servers, even" + "|all-reduce" * in_step
    count = heads.count("|") + 1
    gains = 3 + in_step
    rows = [["1", f"{times.images}", number(1e3 * times.step)]]
    rows[0] += ["-"] * (count - gains - 3) + ["1"] * gains
    for workers in WORKERS[1:]:
        images = times.images if shared else times.images * workers
        if images < workers:
            none = f"none: {images} images for {workers} workers"
            rows.append([f"{workers}", none, *["-"] * (count - 2)])
            continue
        plan = Plan(times, workers, images, in_step)
        for link in LINKS:
            servers = [plan.with_servers(sizes.weights, sizes.fullest[c], link) for c in SERVERS]
            even = plan.with_servers(sizes.weights, sizes.weights / SERVERS[-1], link)
            ring = plan.with_ring(sizes.weights, link)
            choices = [servers[0], servers[-1], even, ring][:gains]
            row = [f"{workers}", f"{plan.part}", number(1e3 * even["compute"]), f"{link}"]
            row.append(number(*(1e3 * each["links"] for each in servers)))
            if in_step:
                row += [number(1e3 * servers[0]["sums"]), number(1e3 * ring["links"])]
            rows.append([*row, number(1e3 * even["input"]), *(_gain(plan, c) for c in choices)])
    return markdown_table(heads.split("|"), rows)


def _gain(plan: Plan, parts: Mapping[str, float]) -> str:
    gain = plan.speed_up(parts)
    share = gain / plan.workers
    efficiency = f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %"
    return f"{number(gain)}, {efficiency}, {max(parts, key=lambda name: parts[name])}"


def text(recipe: str, sizes: Mapping[str, Sizes], times: Times) -> str:
    """All tables, in Markdown: `sizes` of every recipe, and plans for one of them."""
    own, batch = sizes[recipe], f"a batch of {times.images} images for each worker"
    parts = (
        "**Sizes** (an MB is 10^6 bytes).\n",
        networks(sizes),
        f"**Measured**, of recipe `{recipe}`, in ms: a step of {times.images} images "
        f"{number(1e3 * times.step)},\nof one image {number(1e3 * times.one_image)}, a "
        f"server's sums for each worker {number(1e3 * times.sums * own.fullest[1])}.\n",
        f"**In step, one batch of {times.images} images shared by all.**\n",
        plans(own, times, shared=True, in_step=True),
        f"**In step, {batch}** (`--batch_size` N times as large).\n",
        plans(own, times, shared=False, in_step=True),
        f"**Each by itself, {batch}** (asynchronously).\n",
        plans(own, times, shared=False, in_step=False),
    )
    return "\n".join(parts)


def put(document: str, tables: str) -> str:
    """The document with the tables in their place; a `ValueError` where it has none."""
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
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md")
    options = parser.parse_args()
    if options.step_ms is not None and not 0 < options.step_ms < float("inf"):
        parser.error(f"--step_ms: expected milliseconds above 0, found {options.step_ms}")
    if options.step_ms is None and options.recipe != "estimator":
        parser.error(f"--step_ms: expected the milliseconds of a step of {options.recipe}")
    try:
        step = options.step_ms / 1e3 if options.step_ms else step_seconds(RESULTS.read_text())
        images = RECIPES[options.recipe].batch_size
        times = times_of(json.loads(MEASURED.read_text()), images, step)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from cnn_mnist.utils import console

    console.start_tensorflow()
    tables = text(options.recipe, {n: sizes_of(r) for n, r in RECIPES.items()}, times)
    print(tables, end="")
    if options.write:
        DOCUMENT.write_text(put(DOCUMENT.read_text(), tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
