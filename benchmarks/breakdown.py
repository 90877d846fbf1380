"""Where the time of a training step goes: its operations, the longest first.

TensorFlow's own trace of every operation, over a few steps after some that warm up. The program
runs one operation at a time, so the times add up to the step's.

python -m benchmarks.breakdown [--recipe=estimator] [--precision=float32]
"""

import argparse
import collections
import dataclasses
import os

from rich.console import Console
from rich.table import Table

from cnn_mnist.recipes import PRECISIONS, RECIPES, Recipe
from cnn_mnist.utils import console

WARM_UP_STEPS = 20
TRACED_STEPS = 30
WIDTH = 140


def milliseconds(recipe: Recipe) -> dict[tuple[str, str], float]:
    """How long each operation takes in a step: (its name, its kernel) -> milliseconds, the mean."""
    import tensorflow as tf

    from benchmarks.bare import training_step

    session, train_op = training_step(recipe)
    for _ in range(WARM_UP_STEPS):
        session.run(train_op)
    spent: collections.Counter[tuple[str, str]] = collections.Counter()
    for _ in range(TRACED_STEPS):
        trace = tf.compat.v1.RunMetadata()
        full = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
        session.run(train_op, options=full, run_metadata=trace)
        for device in trace.step_stats.dev_stats:
            for node in device.node_stats:
                # The label reads `name = Kernel(inputs)`.
                kernel = node.timeline_label.partition("= ")[2].partition("(")[0]
                microseconds = node.op_end_rel_micros - node.op_start_rel_micros
                spent[node.node_name, kernel] += microseconds / 1000 / TRACED_STEPS
    return dict(spent.most_common())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", choices=RECIPES, default="estimator")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--shown", type=int, default=20, help="how many operations")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # or each trace says that there is none of a GPU
    console.start_tensorflow()
    recipe = dataclasses.replace(RECIPES[options.recipe], precision=options.precision)
    spent = milliseconds(recipe)
    total = sum(spent.values())
    title = f"recipe {options.recipe}, {options.precision}: {total:.1f} ms in operations"
    table = Table("operation", "kernel", title=title)
    for head in ("ms", "share", "so far"):
        table.add_column(head, justify="right")
    so_far = 0.0
    for (name, kernel), each in list(spent.items())[: options.shown]:
        so_far += each
        table.add_row(name, kernel, f"{each:.2f}", f"{each / total:.1%}", f"{so_far / total:.0%}")
    Console(width=WIDTH).print(table)


if __name__ == "__main__":
    main()
