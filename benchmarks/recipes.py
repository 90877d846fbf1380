"""Trains every recipe from nothing, each as a user runs it, and prints one table.

python benchmarks/recipes.py [RECIPE ...]
"""

import json
import os
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


def train(name: str, model_dir: Path) -> tuple[float, float]:
    """Trains and evaluates a recipe; returns its test accuracy and the seconds of the command.

    Raises:
      RuntimeError: if it fails.
    """
    command = [sys.executable, "-m", "cnn_mnist.main", f"--recipe={name}"]
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


def main() -> None:
    """Trains the recipes named on the command line, or all, and prints the table."""
    table = Table("recipe", title="Recipes, trained from nothing")
    for head in ("steps", "published", "measured", "time, s"):
        table.add_column(head, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or RECIPES:
            accuracy, seconds = train(name, Path(folder, name))
            published = f"{PUBLISHED[name]:.1%}" if name in PUBLISHED else "-"
            steps = f"{RECIPES[name].steps:,}"
            table.add_row(name, steps, published, f"{accuracy:.2%}", f"{seconds:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
