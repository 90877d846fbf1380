"""Trains every recipe from nothing, each as a user runs it, and prints one table.

python benchmarks/recipes.py [--seeds=N] [RECIPE ...]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cnn_mnist.recipes import RECIPES

ROOT = Path(__file__).resolve().parent.parent
# Test accuracies that the tutorials state; those in the browser state none.
PUBLISHED = {"estimator": 0.973, "keras_mlp": 0.972, "core_mlp": 0.979}


def train(name: str, seed: int, model_dir: Path) -> tuple[float, float]:
    """Trains and evaluates a recipe; returns its test accuracy and the seconds of the command.

    Raises:
      CalledProcessError: if it fails.
    """
    command = [sys.executable, "-m", "cnn_mnist.main", f"--recipe={name}", f"--seed={seed}"]
    start = time.monotonic()
    subprocess.run(
        [*command, f"--model_dir={model_dir}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=sys.stderr,
        check=True,
    )
    seconds = time.monotonic() - start
    report = json.loads((model_dir / "report" / "report.json").read_text())
    return report["accuracy"], seconds


def with_spread(accuracies: list[float]) -> str:
    """The mean and, of several, the lowest and the highest."""
    mean = f"{statistics.mean(accuracies):.2%}"
    if len(accuracies) == 1:
        return mean
    return f"{mean} ({min(accuracies):.2%} to {max(accuracies):.2%})"


def main() -> None:
    """Trains the recipes named on the command line, or all, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each, with seeds from 0")
    options = parser.parse_args()
    table = Table("recipe", title=f"Recipes, trained from nothing; seeds: {options.seeds}")
    for head in ("steps", "published", "measured", "time, s"):
        table.add_column(head, justify="right")
    for name in options.recipes:
        runs = []
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(train(name, seed, Path(folder)))
        table.add_row(
            name,
            f"{RECIPES[name].steps:,}",
            f"{PUBLISHED[name]:.1%}" if name in PUBLISHED else "-",
            with_spread([accuracy for accuracy, _ in runs]),
            f"{statistics.median(seconds for _, seconds in runs):.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
