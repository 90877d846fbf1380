"""Programs of other people's kind, run as they are: `python -m cnn_mnist.estimator PROGRAM.py`.

What is run is a table, `works.py`, which is the table of docs/estimator.md, too.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from works import GONE, ROWS

from conftest import ROOT
from stress import programs

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SLOW = ("canned.py", "train_and_evaluate.py", "serving.py")


def run(command: str, folder: Path | str = "", **options):
    arguments = [*shlex.split(command), *([folder] if folder else [])]
    return programs.run("-m", "cnn_mnist.estimator", *arguments, cwd=PROGRAMS, **options)


def slow(program):
    return pytest.param(program, marks=pytest.mark.long) if program in SLOW else program


@pytest.mark.parametrize("program", [*map(slow, dict.fromkeys(row.program for row in ROWS))])
def test_runs(program, tmp_path):
    rows = [row for row in ROWS if row.program == program]
    done = run(program, tmp_path / "made" if rows[0].folder else "")
    assert done.returncode == 0, done.stderr
    for row in rows:
        assert row.prints in done.stdout
    if program == "canned.py":
        assert as_on_tensorflow_2_15(json.loads(done.stdout)) == 31
    if program == "serving.py":
        served(done.stdout.strip())


def test_canned_estimators_of_each_kind():
    """One of each, of both interfaces and with heads; the long test has all."""
    some = ["BaselineClassifier", "DNNLinearCombinedRegressor", "MultiHead", "v1.DNNClassifier"]
    done = run(" ".join(["canned.py", *some, "v1.LinearEstimator"]))
    assert done.returncode == 0, done.stderr
    assert as_on_tensorflow_2_15(json.loads(done.stdout)) == 5


def as_on_tensorflow_2_15(metrics: dict) -> int:
    """Compares them with what TensorFlow 2.15.1 gave, with its own Estimator and Keras 2.15."""
    expected = json.loads((HERE / "canned_on_2.15.json").read_text())
    for name, values in metrics.items():
        for metric, value in expected[name].items():
            assert values[metric] == pytest.approx(value, rel=1e-4), (name, metric)
    return len(metrics)


def served(path: str) -> None:
    """Reads an exported model with TensorFlow's own program."""
    example = "inputs=[{'x': [1.0, 2.0]}, {'x': [3.0, 4.0]}]"
    done = subprocess.run(
        [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", path]
        + ["--tag_set", "serve", "--signature_def", "predict", "--input_examples"]
        + [example.replace("inputs", "examples", 1)],
        capture_output=True,
        text=True,
    )
    assert "Result for output key probabilities:" in done.stdout, done.stderr
    rows = re.findall(r"\[([\d.e+-]+) +([\d.e+-]+) *\]", done.stdout.split("probabilities:")[1])
    assert len(rows) >= 2
    for row in rows[:2]:
        assert sum(map(float, row)) == pytest.approx(1)


# The table of the documentation.


def table() -> str:
    lines = [
        "| what | by the runner, or after `install()` | with Keras 3 |",
        "|---|---|---|",
    ]
    for row in ROWS:
        keras_3 = "refused, in one sentence" if row.refused else "works"
        lines.append(f"| {row.what} | works | {keras_3} |")
    lines += ["", "| what does not work | why |", "|---|---|"]
    lines += [f"| {what} | {why} |" for what, why in GONE]
    return "\n".join(lines) + "\n"


def test_the_documentation_has_this_table():
    assert table() in (ROOT / "docs" / "estimator.md").read_text()
