import numpy as np
import pytest
import tensorflow as tf
from estimators import estimator_of

from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST
from cnn_mnist.data.input_fns import EVAL_BATCH_SIZE, train_input_fn
from cnn_mnist.evaluation import scoring
from cnn_mnist.recipes import Recipe
from conftest import scalars

NAMES = list("abcdefghij")


def test_the_report_counts_every_image_once(mnist, tmp_path):
    recipe = Recipe(network="tfjs", optimizer="adam", learning_rate=0.01, steps=40)
    classifier = estimator_of(recipe, tmp_path)
    classifier.train(train_input_fn(mnist.train, 100, 0), max_steps=40)
    split = type(mnist.test)(mnist.test.images[:701], mnist.test.labels[:701])
    assert len(split) % EVAL_BATCH_SIZE != 0
    checkpoint = str(tmp_path / "model.ckpt-40")
    report, step = scoring.score(
        recipe, checkpoint, split, limits.named(MNIST, NAMES), str(tmp_path)
    )
    assert step == 40

    feed = lambda: tf.data.Dataset.from_tensors({"x": split.images})  # noqa: E731
    probabilities = np.array([p["probabilities"] for p in classifier.predict(feed)])
    predicted = probabilities.argmax(axis=1)
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (split.labels, predicted), 1)
    np.testing.assert_array_equal(report.confusion, expected)
    assert report.accuracy == pytest.approx((predicted == split.labels).mean())
    losses = -np.log(probabilities[np.arange(701), split.labels])
    assert report.loss == pytest.approx(losses.mean(), rel=1e-5)
    for mistake in report.mistakes:
        assert mistake.true == split.labels[mistake.index]
        assert mistake.predicted == predicted[mistake.index] != mistake.true
        np.testing.assert_array_equal(mistake.image, split.images[mistake.index])
    assert scalars(tmp_path / "eval")["accuracy"][-1] == (40, pytest.approx(report.accuracy))
