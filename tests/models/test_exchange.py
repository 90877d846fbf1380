"""Checkpoints go both ways between this package and the classic tutorial's own code."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from estimators import estimator_of

from cnn_mnist.checkpoints import restore
from cnn_mnist.data.input_fns import train_input_fn
from cnn_mnist.evaluation.evaluate import evaluate
from cnn_mnist.recipes import Recipe
from conftest import ROOT

DIGITS = list("0123456789")
CLASSIC = ROOT / "benchmarks" / "classic_tutorial.py"


def classic(*flags):
    # The tutorial's layers need Keras 2; without the variable, TensorFlow 2.16 on brings Keras 3.
    result = subprocess.run(
        [sys.executable, str(CLASSIC), *map(str, flags)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.long
def test_the_tutorials_checkpoint_evaluates_and_trains_on_here(mnist, tmp_path):
    scored_there = json.loads(classic(f"--model_dir={tmp_path}", "--steps=3", "--evaluate"))
    recipe = Recipe(steps=5)
    here = estimator_of(recipe, tmp_path)
    scored_here = evaluate(tmp_path, recipe=recipe, data=mnist)
    assert scored_there["accuracy"] == pytest.approx(scored_here.accuracy, abs=1e-6)  # float32
    assert scored_there["loss"] == pytest.approx(scored_here.loss, rel=1e-5)
    assert scored_here.step == scored_there["global_step"] == 3

    before = here.get_variable_value("dense/kernel")
    here.train(train_input_fn(mnist.train, 100, 0), max_steps=5)
    change = np.abs(here.get_variable_value("dense/kernel") - before).max()
    assert restore.step_of(restore.newest(Recipe(), str(tmp_path))) == 5
    assert 0 < change < 0.01  # trained on, not started anew


@pytest.mark.long
def test_our_checkpoint_evaluates_and_trains_on_in_the_tutorials_code(mnist, tmp_path):
    recipe = Recipe(learning_rate=0.1, steps=4)
    here = estimator_of(recipe, tmp_path)
    here.train(train_input_fn(mnist.train, 100, 0), max_steps=4)
    scored_here = evaluate(tmp_path, recipe=recipe, data=mnist)
    scored_there = json.loads(classic(f"--model_dir={tmp_path}", "--evaluate"))
    assert scored_there["accuracy"] == pytest.approx(scored_here.accuracy, abs=1e-6)  # float32
    assert scored_there["loss"] == pytest.approx(scored_here.loss, rel=1e-5)

    classic(f"--model_dir={tmp_path}", "--steps=2")
    assert restore.step_of(restore.newest(Recipe(), str(tmp_path))) == 6
    names = [name for name, _ in tf.train.list_variables(str(tmp_path))]
    assert sorted(names) == sorted(here.get_variable_names())
