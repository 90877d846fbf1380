"""Reads the twenty drawn digits of `tests/digits` with a trained model.

python benchmarks/drawn_digits.py --model_dir=model_dir

Ends with 1 if fewer than 18 are read right.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from cnn_mnist.inference.images import find_images, read_image
from cnn_mnist.inference.predict import answers, as_table
from cnn_mnist.utils import console, process

DIGITS = Path(__file__).resolve().parent.parent / "tests" / "digits"
AT_LEAST = 18


def main() -> int:
    """Runs the command and returns its exit code."""
    return process.code_of(_read)


def _read() -> int:
    """Prints the table, and which are wrong; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", default="model_dir")
    options = parser.parse_args()
    console.start_tensorflow()
    from cnn_mnist.inference.predictor import Predictor

    paths = find_images([DIGITS])
    with Predictor(options.model_dir) as predictor:
        _, probabilities = predictor.predict(np.array([read_image(path) for path in paths]))
    rows = answers([Path(path.name) for path in paths], probabilities)
    print(as_table(rows), end="")
    wrong = [row.file for row in rows if row.digit != int(row.file[0])]
    print(f"right: {len(rows) - len(wrong)} of {len(rows)}; wrong: {', '.join(wrong) or 'none'}")
    return 0 if len(rows) - len(wrong) >= AT_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
