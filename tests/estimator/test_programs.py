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
import tensorflow as tf
from works import GONE, ROWS

from cnn_mnist import estimator
from cnn_mnist.estimator import VersionError
from conftest import ROOT
from stress import programs

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
HAS_ESTIMATOR = tf.__version__.startswith("2.15.")


def run(command: str, folder: Path | str = "", **options):
    arguments = [*shlex.split(command), *([folder] if folder else [])]
    return programs.run("-m", "cnn_mnist.estimator", *arguments, cwd=PROGRAMS, **options)


@pytest.mark.parametrize("program", dict.fromkeys(row.program for row in ROWS))
def test_runs(program, tmp_path):
    rows = [row for row in ROWS if row.program == program]
    done = run(program, tmp_path / "made" if rows[0].folder else "")
    assert done.returncode == 0, done.stderr
    for row in rows:
        assert row.prints in done.stdout
    if program == "canned.py":
        as_on_tensorflow_2_15(json.loads(done.stdout))
    if program == "serving.py":
        served(done.stdout.strip())


def as_on_tensorflow_2_15(metrics: dict) -> None:
    """Compares them with what TensorFlow 2.15.1 gave, with its own Estimator and Keras 2.15."""
    expected = json.loads((HERE / "canned_on_2.15.json").read_text())
    assert metrics.keys() == expected.keys() and len(expected) == 31
    for name, values in expected.items():
        for metric, value in values.items():
            assert metrics[name][metric] == pytest.approx(value, rel=1e-4), (name, metric)


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


# With Keras 3, which is what `tf.keras` is in this process.


@pytest.mark.skipif(HAS_ESTIMATOR, reason="TensorFlow 2.15 has no Keras 3")
@pytest.mark.parametrize("name", [name for row in ROWS for name in row.refused])
def test_keras_3_is_refused_in_one_sentence(name):
    def call():
        if name == "model_to_estimator":
            from tensorflow_estimator.python.estimator import keras_lib

            keras_lib.model_to_estimator(None)
        elif name == "a model function with one":
            trained(lambda x: tf.keras.layers.Dense(1)(x))
        elif name == "tf.compat.v1.layers.dense":
            trained(lambda x: tf.compat.v1.layers.dense(x, 1))
        elif name == "tf.keras.layers.DenseFeatures":
            trained(lambda x: tf.keras.layers.DenseFeatures([])({"x": x}))
        else:
            found = estimator
            for part in name.split("."):
                found = getattr(found, part)
            found()

    with pytest.raises(ImportError, match="legacy Keras|Keras 3") as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert "run the program by `python -m cnn_mnist.estimator PROGRAM.py`" in message


def trained(network, steps=1):
    """Trains a model function that has a network in it."""

    def model_fn(features, labels, mode):
        loss = tf.reduce_mean(tf.square(network(features["x"]) - labels))
        w = tf.compat.v1.get_variable("w", [])
        step = tf.compat.v1.train.get_or_create_global_step()
        train_op = tf.compat.v1.train.GradientDescentOptimizer(0.01).minimize(loss + w, step)
        return estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)

    def input_fn():
        return tf.data.Dataset.from_tensors(({"x": tf.ones([2, 3])}, tf.ones([2, 1]))).repeat()

    return estimator.Estimator(model_fn).train(input_fn, steps=steps)


@pytest.mark.skipif(HAS_ESTIMATOR, reason="TensorFlow 2.15 has no Keras 3")
@pytest.mark.parametrize(
    "made, named",
    [
        (lambda x: tf.keras.layers.Dropout(0.5)(x, training=True), "`Dropout`"),
        (lambda x: tf.keras.layers.BatchNormalization()(x, training=True), "`BatchNormalization`"),
        (lambda x: tf.keras.layers.GaussianNoise(1.0)(x, training=True), "`GaussianNoise`"),
        (lambda x: tf.keras.Sequential([tf.keras.layers.Dense(1)])(x), "`Sequential`"),
        (lambda x: tf.keras.random.dropout(x, 0.5), "`SeedGenerator`"),
        (lambda x: x * tf.keras.metrics.Mean()(x), "`Mean`"),
        (lambda x: OUTSIDE(x, training=True), "a layer that was made outside of it"),
    ],
)
def test_what_keras_3_would_do_wrong_is_refused(made, named):
    sentence = f"this model function uses {named} of Keras 3, which would be wrong in it"
    with pytest.raises(VersionError, match=re.escape(sentence)):
        trained(made)


OUTSIDE = None if HAS_ESTIMATOR else tf.keras.layers.Dropout(0.5)


def test_what_keras_does_right_in_a_model_function_is_not_refused():
    made = trained(lambda x: tf.keras.layers.ReLU()(tf.keras.layers.Flatten()(x)), steps=3)
    assert made.get_variable_value("global_step") == 3


@pytest.mark.skipif(HAS_ESTIMATOR, reason="TensorFlow 2.15 hands out its own Estimator")
@pytest.mark.parametrize("tied", [True, False])
def test_averages_that_no_step_moves_are_told(tied, caplog):
    def normalized(x):
        mean = tf.compat.v1.get_variable("moving_mean", [3], trainable=False)
        update = tf.compat.v1.assign(mean, tf.reduce_mean(x, 0))
        with tf.control_dependencies([update] if tied else []):
            return tf.identity(x - tf.reduce_mean(x, 0))

    trained(normalized)
    told = (
        "the training does not move moving_mean: let `train_op` depend on the updates"
        in caplog.text
    )
    assert told is not tied


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
