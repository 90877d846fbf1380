import contextlib
import io

import numpy as np
import pytest
from estimators import estimator_of

from cnn_mnist.checkpoints import restore
from cnn_mnist.evaluation.evaluate import evaluate
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import train as training
from conftest import scalars

RECIPE = Recipe(batch_size=20, steps=14, learning_rate=0.05, validation_size=37, seed=3)


def train(recipe, data, model_dir, *, save_checkpoints_steps=100):
    """Trains; returns the Estimator and what was shown."""
    with contextlib.redirect_stderr(io.StringIO()) as screen:
        run = training.train(
            recipe,
            model_dir,
            data=data,
            save_checkpoints_steps=save_checkpoints_steps,
            log_every_n_iter=5,
        )
    assert (run.step, run.checkpoint) == (recipe.steps, f"{model_dir}/model.ckpt-{recipe.steps}")
    return estimator_of(recipe, model_dir), screen.getvalue()


def variables(classifier):
    return {name: classifier.get_variable_value(name) for name in classifier.get_variable_names()}


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """One uninterrupted run: the Estimator, what it showed, its folder."""
    model_dir = tmp_path_factory.mktemp("trained")
    return (*train(RECIPE, small, model_dir), model_dir)


def test_trains_to_the_total_of_steps(trained):
    classifier, _, model_dir = trained
    assert restore.step_of(restore.newest(RECIPE, str(model_dir))) == 14
    assert classifier.get_variable_value("global_step") == 14


def test_the_checkpoint_holds_the_tutorials_variables_and_no_others(trained):
    shapes = {name: tuple(value.shape) for name, value in variables(trained[0]).items()}
    assert shapes == {
        "conv2d/kernel": (5, 5, 1, 32),
        "conv2d/bias": (32,),
        "conv2d_1/kernel": (5, 5, 32, 64),
        "conv2d_1/bias": (64,),
        "dense/kernel": (3136, 1024),
        "dense/bias": (1024,),
        "dense_1/kernel": (1024, 10),
        "dense_1/bias": (10,),
        "global_step": (),
    }


def test_an_interrupted_run_ends_with_the_same_variables(small, trained, tmp_path):
    train(Recipe(**{**RECIPE.params(), "steps": 5}), small, tmp_path)
    train(Recipe(**{**RECIPE.params(), "steps": 9}), small, tmp_path)
    resumed, _ = train(RECIPE, small, tmp_path)
    expected = variables(trained[0])
    for name, value in variables(resumed).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_another_seed_ends_with_other_variables(small, trained, tmp_path):
    other, _ = train(Recipe(**{**RECIPE.params(), "seed": 4}), small, tmp_path)
    expected = variables(trained[0])["dense/kernel"]
    assert (variables(other)["dense/kernel"] != expected).mean() > 0.9


def test_tensorboard_finds_loss_and_accuracy_of_training_and_evaluation_on_one_plot(small, trained):
    model_dir = trained[2]
    evaluate(model_dir, data=small)
    curves = scalars(model_dir)
    assert {"loss", "accuracy"} <= curves.keys()
    assert curves["loss"][0][1] == pytest.approx(np.log(10), abs=0.3)
    for name in ("eval", "eval_validation"):
        scored = scalars(model_dir / name)
        assert {"loss", "accuracy"} <= scored.keys()
        assert scored["accuracy"][-1][0] == 14
    assert (model_dir / "graph.pbtxt").stat().st_size < 1_000_000


def test_steps_a_second_are_written_for_tensorboard(small, tmp_path):
    recipe = Recipe(batch_size=2, steps=205, learning_rate=0.01, seed=3)
    train(recipe, small, tmp_path)
    rates = scalars(tmp_path)["global_step/sec"]
    assert [step for step, _ in rates] == [101, 201]
    assert all(rate > 0 for _, rate in rates)


def test_training_learns(mnist, tmp_path):
    recipe = Recipe(steps=60, learning_rate=0.1, seed=1)
    train(recipe, mnist, tmp_path)
    assert evaluate(tmp_path, data=mnist).accuracy > 0.75
