"""Several steps a call against one step a call: the same bits, and hooks at the same steps."""

import dataclasses
import io
import logging
import re
import signal

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import loop
from cnn_mnist.training import train as training
from cnn_mnist.utils import console
from conftest import scalars
from stress import programs

RECIPE = Recipe(batch_size=8, steps=23, eval_every_steps=6, validation_size=37, seed=3)
ACCURATE = dataclasses.replace(
    RECIPE,
    network="committee",
    optimizer="momentum",
    learning_rate=0.1,
    learning_rate_schedule="one_cycle",
    dropout_rate=0.5,
    augment="affine",
    average_decay=0.9,
)
ADAM = dataclasses.replace(RECIPE, network="small_cnn", optimizer="adam", precision="bfloat16")


def train(recipe, data, model_dir, steps_per_call, *, save=5, log=4, hooks=()):
    """Trains; returns everything that is to be the same, and the lines of TensorFlow's log."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        training.train(
            recipe,
            model_dir,
            data=data,
            save_checkpoints_steps=save,
            log_every_n_iter=log,
            hooks=hooks,
            steps_per_call=steps_per_call,
        )
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    told = [
        re.sub(r"\([\d.]+ sec\)|(?<=/sec: ).*|(?<= into ).*", "", line)
        for line in lines.getvalue().splitlines()
        if line.startswith(("loss = ", "softmax_tensor: ", "global_step/sec", "Saving"))
    ]
    return left_in(model_dir), told


def left_in(model_dir):
    """What a run left: the bytes of every variable of every checkpoint, and the curves."""
    left = {}
    for folder in (model_dir, model_dir / "best"):
        for step in saver.steps(folder):
            for name, value in saver.read(folder / f"model.ckpt-{step}").items():
                left[folder.name == "best", step, name] = value.shape, value.tobytes()
    for folder in (model_dir, model_dir / "eval_validation"):
        for tag, points in scalars(folder).items():
            speed = tag == "global_step/sec"
            left[folder == model_dir, tag] = [step for step, _ in points] if speed else points
    return left


def differing(one, other):
    return sorted(str(key) for key in {*one, *other} if one.get(key) != other.get(key))


class Calls(estimator.SessionRunHook):
    """Notes the step after each call."""

    def begin(self):
        self._step = tf.compat.v1.train.get_global_step()
        self.steps = []

    def after_run(self, run_context, run_values):
        self.steps.append(int(run_context.session.run(self._step)))


@pytest.fixture(scope="module")
def accurate(small, tmp_path_factory):
    """What one step a call leaves: in the folder, and in the log."""
    return train(ACCURATE, small, tmp_path_factory.mktemp("accurate"), 1)


@pytest.mark.long
@pytest.mark.parametrize("steps_per_call", [2, 7, 10_000])
def test_every_bit_and_every_hook_is_as_with_one_step_a_call(
    small, accurate, tmp_path, steps_per_call
):
    calls = Calls()
    left, told = train(ACCURATE, small, tmp_path, steps_per_call, hooks=[calls])
    assert differing(left, accurate[0]) == []
    # In the log the line on the loss comes after the others of its step, or before them.
    assert sorted(told) == sorted(accurate[1])
    names = {key[2] for key in left if len(key) == 3}
    for member in ("column_0", "column_1"):
        kernel = f"{member}/conv2d/kernel"
        assert {kernel, f"{kernel}/ExponentialMovingAverage", f"{kernel}/Momentum"} <= names
        assert f"{member}/batch_normalization/moving_mean" in names
    assert {step for best, step, *_ in (k for k in left if len(k) == 3) if not best} == {
        *(5, 10, 15, 20, 23)
    }
    due = {1, *(5, 10, 15, 20), *(6, 12, 18), *(7, 13, 19), *(5, 9, 13, 17, 21), 23}
    assert due <= set(calls.steps)
    if steps_per_call > 2:
        assert set(calls.steps) == due


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(ACCURATE, marks=pytest.mark.long),
        ADAM,
        dataclasses.replace(RECIPE, learning_rate=0.05),
    ],
    ids=lambda recipe: recipe.network,
)
def test_long_calls_leave_the_same_bits(small, tmp_path, recipe):
    recipe = dataclasses.replace(recipe, eval_every_steps=0, average_decay=0.9)
    calls = Calls()
    one, _ = train(recipe, small, tmp_path / "one", 1, save=50, log=0)
    several, _ = train(recipe, small, tmp_path / "several", 9, save=50, log=0, hooks=[calls])
    assert calls.steps == [1, 10, 19, 23]
    assert differing(one, several) == []
    assert len([key for key in one if key[1] == 23]) > 10


def test_curves_have_their_points_at_the_same_steps(small, tmp_path):
    recipe = dataclasses.replace(RECIPE, network="keras_mlp", steps=205, eval_every_steps=0)
    one, told = train(recipe, small, tmp_path / "one", 1, save=90, log=60)
    several, again = train(recipe, small, tmp_path / "several", 50, save=90, log=60)
    assert differing(one, several) == []
    assert sorted(told) == sorted(again)
    assert several[True, "global_step/sec"] == [101, 201]
    assert [step for step, _ in several[True, "loss"]] == [1, 101, 201]
    assert [line for line in again if line.startswith("loss")][1].endswith(", step = 100 ")


@pytest.mark.long
def test_a_run_goes_on_with_any_other_steps_per_call(small, accurate, tmp_path):
    class Interrupt(estimator.SessionRunHook):
        """Ends the run as a signal does, in the call that reaches a step."""

        def __init__(self, step):
            self.at = step

        def begin(self):
            self.step = tf.compat.v1.train.get_global_step()

        def after_run(self, run_context, run_values):
            if run_context.session.run(self.step) >= self.at:
                run_context.request_stop()

    for steps_per_call, until in ((7, 4), (1, 8), (3, 11), (1000, 14), (2, 99)):
        left, _ = train(ACCURATE, small, tmp_path, steps_per_call, hooks=[Interrupt(until)])
    for key in [key for key in accurate[0] if len(key) == 3]:
        if key[1] == 23:
            assert left[key] == accurate[0][key], key
    for tag in ("accuracy", "loss"):
        assert left[False, tag] == accurate[0][False, tag]


def poison_the_loss(monkeypatch, at):
    """Makes the loss NaN in the step that begins at the global step `at`, and nothing else."""
    real = loop.cnn_model_fn

    def cnn_model_fn(*args):
        now = tf.equal(tf.compat.v1.train.get_global_step().read_value(), at)
        with tf.control_dependencies([now]):
            spec = real(*args)
        return spec._replace(loss=tf.where(now, np.nan, spec.loss))

    monkeypatch.setattr(loop, "cnn_model_fn", cnn_model_fn)


@pytest.mark.parametrize("steps_per_call", [1, 7])
def test_a_loss_of_nan_inside_a_call_stops_it_and_nothing_of_it_is_saved(
    small, tmp_path, monkeypatch, steps_per_call
):
    poison_the_loss(monkeypatch, 9)  # the second step of a call that takes 9 to 12
    recipe = dataclasses.replace(RECIPE, network="tfjs", eval_every_steps=0)
    message = r"^step 10: NaN or infinity in the loss \(nan\); nothing of it was saved\."
    with pytest.raises(saver.NonFiniteError, match=message):
        train(recipe, small, tmp_path, steps_per_call, save=4, log=0)
    assert saver.steps(tmp_path) == [0, 4, 8]


def test_weights_that_overflow_inside_a_call_are_named_with_their_step(small, tmp_path):
    recipe = dataclasses.replace(RECIPE, network="core_mlp", learning_rate=30.0, eval_every_steps=0)
    messages = []
    for steps_per_call in (1, 20):
        folder = tmp_path / str(steps_per_call)
        with pytest.raises(saver.NonFiniteError) as raised:
            train(recipe, small, folder, steps_per_call, save=100, log=0)
        messages.append(str(raised.value))
        assert saver.steps(folder) == [0]
    assert messages[0] == messages[1]
    # Inside the second call, which ends at step 21.
    assert 2 < int(re.match(r"step (\d+): ", messages[0])[1]) < 20


def test_the_progress_bar_counts_steps(small, tmp_path, monkeypatch):
    text = io.StringIO()
    screen = Console(file=text, force_terminal=True, width=160, color_system=None)
    recipe = dataclasses.replace(RECIPE, network="keras_mlp")
    monkeypatch.setattr(console, "stderr_console", lambda: screen)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # of tests before
    train(recipe, small, tmp_path, 7)
    last = text.getvalue().rsplit("training", 1)[1]
    assert "step 23/23" in last and "loss " in last and "sure " in last


def command(data_dir, *flags):
    return [
        *("-m", "cnn_mnist.main", f"--data_dir={data_dir}", "--mode=train"),
        *("--validation_size=37", "--train_size=0", "--batch_size=5", "--recipe=tfjs"),
        *("--augment=shift", "--average_decay=0.9", "--eval_every_steps=70", *flags),
    ]


def test_killed_and_gone_on_with_another_value_it_ends_with_the_same_bits(small_data_dir, tmp_path):
    flags = ["--steps=900", "--save_checkpoints_steps=40", "--log_every_n_iter=0"]
    undisturbed = programs.run(*command(small_data_dir, *flags, "--model_dir=whole"), cwd=tmp_path)
    assert undisturbed.returncode == 0, undisturbed.stderr
    for steps_per_call, kill_after in ((50, 120), (3, 240)):
        flag = f"--steps_per_call={steps_per_call}"
        with programs.start(*command(small_data_dir, *flags, flag), cwd=tmp_path) as process:
            while f"Saving checkpoints for {kill_after} " not in process.stderr.readline():
                assert process.poll() is None
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert max(saver.steps(tmp_path / "model_dir")) < 900
    flags.append("--steps_per_call=16")
    resumed = programs.run(*command(small_data_dir, *flags), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    whole, again = (left_in(tmp_path / name) for name in ("whole", "model_dir"))
    assert [key for key in whole if len(key) == 3 and whole[key] != again.get(key)] == []
    assert (tmp_path / "whole" / "recipe.json").read_text() == (
        tmp_path / "model_dir" / "recipe.json"
    ).read_text()
