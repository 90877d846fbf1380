import io

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from cnn_mnist import training
from cnn_mnist.dataset import Split
from cnn_mnist.recipes import Recipe

RECIPE = Recipe(batch_size=20, steps=14, learning_rate=0.05, validation_size=37, seed=3)


def train(recipe, data, model_dir, *, save_checkpoints_steps=100):
    """Trains; returns the Estimator and what was shown."""
    screen = io.StringIO()
    classifier = training.build_estimator(recipe, str(model_dir), save_checkpoints_steps)
    received = training.train(classifier, recipe, data, Console(file=screen, width=200), 5)
    assert received is None
    return classifier, screen.getvalue()


def variables(classifier):
    return {name: classifier.get_variable_value(name) for name in classifier.get_variable_names()}


def scalars(folder):
    """Every scalar in the event files of a folder: `{tag: [(step, value), ...]}`."""
    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """One uninterrupted run: the Estimator, what it showed, its folder."""
    model_dir = tmp_path_factory.mktemp("trained")
    return (*train(RECIPE, small, model_dir), model_dir)


def test_trains_to_the_total_of_steps(trained):
    classifier, _, model_dir = trained
    assert training.reached_step(RECIPE, str(model_dir)) == 14
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


def test_evaluate_counts_every_image(small, trained):
    classifier, _, _ = trained
    metrics = training.evaluate(classifier, small.test)
    predictions = list(
        classifier.predict(lambda: tf.data.Dataset.from_tensors({"x": small.test.images}))
    )
    assert len(predictions) == len(small.test)
    right = [p["classes"] == t for p, t in zip(predictions, small.test.labels, strict=True)]
    losses = [
        -np.log(p["probabilities"][t]) for p, t in zip(predictions, small.test.labels, strict=True)
    ]
    assert metrics["accuracy"] == pytest.approx(np.mean(right))
    assert metrics["average_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert metrics["global_step"] == 14


def test_evaluate_without_a_checkpoint_names_the_folder(small, tmp_path):
    classifier = training.build_estimator(RECIPE, str(tmp_path))
    with pytest.raises(training.CheckpointError, match=rf"^--model_dir={tmp_path}: holds no check"):
        training.evaluate(classifier, small.test)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_network_is_told_with_its_variable(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.get_or_create_global_step()
        tf.compat.v1.get_variable("conv2d/kernel", [3, 3, 1, 8])
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), global_step=7)
    message = r"another network: its variable conv2d/kernel is of the shape \[3, 3, 1, 8\], "
    message += r"expected \[5, 5, 1, 32\]; name another folder$"
    with pytest.raises(training.CheckpointError, match=message):
        training.reached_step(RECIPE, str(tmp_path))


def test_each_checkpoint_is_scored_on_the_validation_images(small, tmp_path):
    classifier, shown = train(RECIPE, small, tmp_path, save_checkpoints_steps=4)
    lines = [line for line in shown.splitlines() if "validation" in line]
    steps = [int(line.split(":")[0].removeprefix("step ")) for line in lines]
    assert steps[-1] == 14 and len(steps) >= 4 and steps == sorted(set(steps))
    score = classifier.evaluate(
        lambda: tf.data.Dataset.from_tensors(
            ({"x": small.validation.images}, small.validation.labels)
        ),
        name="again",
    )
    assert lines[-1] == (
        f"step 14: validation accuracy {score['accuracy']:.4f}, loss {score['average_loss']:.4f}"
    )


def test_without_validation_images_nothing_is_scored(small, tmp_path):
    nothing = Split(small.train.images[:0], small.train.labels[:0])
    data = type(small)(small.train, nothing, small.test)
    classifier, shown = train(RECIPE, data, tmp_path)
    assert "validation" not in shown
    assert not (tmp_path / "eval_validation").exists()
    assert classifier.get_variable_value("global_step") == 14


def test_tensorboard_finds_loss_and_accuracy_of_training_and_evaluation_on_one_plot(small, trained):
    classifier, _, model_dir = trained
    training.evaluate(classifier, small.test)
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
    classifier, _ = train(recipe, mnist, tmp_path)
    assert training.evaluate(classifier, mnist.test)["accuracy"] > 0.75
