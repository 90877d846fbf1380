import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.models import averaging
from cnn_mnist.models.networks import NETWORKS
from cnn_mnist.recipes import Recipe


def train(recipe, values):
    """A variable that takes these values, one a step: its averages, and names to restore."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.get_or_create_global_step()
        weight = tf.compat.v1.get_variable("dense/kernel", [], initializer=tf.zeros_initializer())
        value = tf.compat.v1.placeholder(tf.float32, [])
        with tf.control_dependencies([weight.assign(value)]):
            update = step.assign_add(1).op
        train_op = averaging.averaged(update, recipe, step)
        session.run(tf.compat.v1.global_variables_initializer())
        names = {v.op.name: v for v in tf.compat.v1.global_variables()}
        scored = names[next(iter(averaging.scored_variables(recipe)))]
        seen = []
        for each in values:
            session.run(train_op, {value: each})
            seen.append(float(session.run(scored)))
        return seen, sorted(averaging.variables_to_restore(recipe))


def test_without_averaging_the_weights_themselves_are_scored():
    seen, names = train(Recipe(), [1.0, 5.0, 2.0])
    assert seen == [1.0, 5.0, 2.0]
    assert names == ["dense/kernel", "global_step"]


def test_the_average_follows_each_step_with_the_decay():
    seen, names = train(Recipe(average_decay=0.2), [1.0, 5.0, 2.0])
    expected, average = [], 0.0
    for step, value in enumerate([1.0, 5.0, 2.0], start=1):
        decay = min(0.2, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * value
        expected.append(average)
    assert seen == pytest.approx(expected, rel=1e-6)
    assert names == ["dense/kernel/ExponentialMovingAverage", "global_step"]
    assert not np.allclose(seen, [1.0, 5.0, 2.0])


def test_what_is_not_trained_is_scored_as_it_is():
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, 28, 28, 1])
        NETWORKS["deep_cnn"](images, num_classes=10, training=False, dropout_rate=0.0, seed=0)
        names = averaging.scored_variables(Recipe(average_decay=0.9))
    assert names["batch_normalization_2/moving_mean"].shape == [128]
    assert names["batch_normalization_2/gamma/ExponentialMovingAverage"].shape == [128]
    assert len(names) == 3 * 5 + 4
