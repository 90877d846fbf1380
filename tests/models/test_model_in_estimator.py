"""`cnn_model_fn` in an Estimator of the user's own, as the layers tutorial calls it."""

import inspect

import numpy as np
import pytest

import cnn_mnist
from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.recipes import Recipe

TRAINED, SCORED = 130, 67


def as_floats(images):
    """As the tutorial's reader made them: `float32 [N, 784]`, 0 to 1."""
    return images.reshape(len(images), 784).astype(np.float32) / np.float32(255)


def input_fn(split, **options):
    return estimator.inputs.numpy_input_fn(
        {"x": as_floats(split.images)}, split.labels, batch_size=20, **options
    )


def test_it_takes_what_an_estimator_hands_over_and_nothing_else():
    taken = inspect.signature(cnn_mnist.cnn_model_fn).parameters
    assert list(taken) == ["features", "labels", "mode", "params"]


def test_the_tutorials_program_trains_evaluates_and_predicts(small, tmp_path):
    classifier = estimator.Estimator(model_fn=cnn_mnist.cnn_model_fn, model_dir=str(tmp_path))
    looks = []
    hook = estimator.LoggingTensorHook(
        {"probabilities": "softmax_tensor"}, every_n_iter=2, formatter=looks.append
    )
    forever = input_fn(small.train, num_epochs=None, shuffle=True)
    classifier.train(forever, steps=3, hooks=[hook])
    assert [look["probabilities"].shape for look in looks] == [(20, 10), (20, 10)]
    classifier.train(forever, steps=2)
    assert saver.steps(tmp_path)[-1] == 5

    scored_once = input_fn(small.test, num_epochs=1, shuffle=False)
    metrics = classifier.evaluate(scored_once)
    predictions = list(classifier.predict(scored_once))
    assert len(predictions) == SCORED
    classes = np.array([each["classes"] for each in predictions])
    probabilities = np.array([each["probabilities"] for each in predictions])
    assert classes.dtype == np.int64
    assert probabilities.dtype == np.float32 and probabilities.shape == (SCORED, 10)
    assert metrics["global_step"] == 5
    assert metrics["accuracy"] == pytest.approx(np.mean(classes == small.test.labels))
    of_label = probabilities[np.arange(SCORED), small.test.labels]
    assert metrics["average_loss"] == pytest.approx(-np.log(of_label).mean(), rel=1e-4)
    # What it trained is of the classic network, and this package reads it.
    with cnn_mnist.Predictor(str(tmp_path)) as predictor:
        np.testing.assert_array_equal(predictor.predict(small.test.images)[0], classes)


def test_params_are_fields_of_a_recipe(small, tmp_path):
    params = Recipe(network="tfjs", optimizer="adam", learning_rate=0.01).params()
    classifier = estimator.Estimator(cnn_mnist.cnn_model_fn, str(tmp_path), params=params)
    train = estimator.TrainSpec(input_fn(small.train, num_epochs=None, shuffle=True), max_steps=40)
    evaluate = estimator.EvalSpec(input_fn(small.test, num_epochs=1, shuffle=False), steps=None)
    metrics, _ = estimator.train_and_evaluate(classifier, train, evaluate)
    assert metrics["global_step"] == 40
    assert classifier.get_variable_value("conv2d/kernel").shape == (5, 5, 1, 8)
    assert metrics["accuracy"] > 0.3  # it learns: guessing gives 0.1


def test_a_recipe_whose_precision_is_open_trains(small, tmp_path):
    params = {"network": "tfjs", "precision": "auto"}
    classifier = estimator.Estimator(cnn_mnist.cnn_model_fn, str(tmp_path), params=params)
    classifier.train(input_fn(small.train, num_epochs=None, shuffle=True), steps=1)
    assert saver.steps(tmp_path)[-1] == 1
