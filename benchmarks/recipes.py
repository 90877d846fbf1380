"""Trains the recipes of the tutorials from nothing, each as a user runs it, and prints one table.

python -m benchmarks.recipes [--seeds=N] [RECIPE ...]
"""

import argparse
import dataclasses
import json
import re
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import processes
from cnn_mnist.recipes import RECIPES, TUTORIALS

# Test accuracies that the tutorials state; those in the browser state none.
PUBLISHED = {"estimator": 0.973, "keras_mlp": 0.972, "core_mlp": 0.979}


@dataclasses.dataclass(frozen=True)
class Training:
    """What came of training a recipe."""

    accuracy: float  # on the test images, 0 to 1
    training_seconds: float  # of the training alone, as the program prints it
    seconds: float  # of the whole command, from the prompt to the end


def train(name: str, seed: int, tree: Path = processes.ROOT) -> Training:
    """Trains and evaluates a recipe from nothing, as a user does, with the package in a folder.

    Raises:
      RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "cnn_mnist.main", f"--recipe={name}", f"--seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        run = processes.run([*command, f"--model_dir={folder}"], show_progress=True, tree=tree)
        report = json.loads(Path(folder, "report", "report.json").read_text())
    print(run.output, file=sys.stderr, end="")
    return Training(report["accuracy"], training_seconds(run.output), run.seconds)


def training_seconds(output: str) -> float:
    """The seconds that the program says it trained for.

    Raises:
      ValueError: it does not say so.
    """
    found = re.search(r"^trained [\d,]+ steps in ([\d.]+) s$", output, re.MULTILINE)
    if found is None:
        raise ValueError(f"no line `trained N steps in S s` in:\n{output}")
    return float(found[1])


def with_spread(accuracies: list[float]) -> str:
    """The mean and, of several, the lowest and the highest."""
    mean = f"{statistics.mean(accuracies):.2%}"
    if len(accuracies) == 1:
        return mean
    return f"{mean} ({min(accuracies):.2%} to {max(accuracies):.2%})"


def main() -> None:
    """Trains the recipes named on the command line, or the tutorials', and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=list(TUTORIALS), metavar="RECIPE")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each, with seeds from 0")
    options = parser.parse_args()
    table = Table("recipe", title=f"Recipes, trained from nothing; seeds: {options.seeds}")
    for head in ("steps", "published", "measured", "time, s"):
        table.add_column(head, justify="right")
    for name in options.recipes:
        runs = [train(name, seed) for seed in range(options.seeds)]
        table.add_row(
            name,
            f"{RECIPES[name].steps:,}",
            f"{PUBLISHED[name]:.1%}" if name in PUBLISHED else "-",
            with_spread([run.accuracy for run in runs]),
            f"{statistics.median(run.seconds for run in runs):.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
