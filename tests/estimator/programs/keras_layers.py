"""Keras layers in a model function: dropout, batch normalization, unnamed layers, Sequential."""

import sys

import numpy as np
import tensorflow as tf

layers = tf.keras.layers


def input_fn():
    return tf.data.Dataset.from_tensors(({"x": [[5.0, 1.0], [7.0, 3.0]]}, [[1.0], [2.0]])).repeat()


def model_fn(features, labels, mode):
    training = mode == tf.estimator.ModeKeys.TRAIN
    normalization = layers.BatchNormalization(momentum=0.5)
    x = normalization(features["x"], training=training)
    x = tf.keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(8)])(x)
    mask = layers.Dropout(0.5)(tf.ones([2, 16]), training=training)
    found = layers.Dense(1)(x)
    loss = tf.reduce_mean(tf.square(found - labels))
    step = tf.compat.v1.train.get_or_create_global_step()
    updates = normalization.updates or normalization.get_updates_for(features["x"])
    with tf.control_dependencies(updates if training else []):
        train_op = tf.compat.v1.train.GradientDescentOptimizer(0.01).minimize(loss, step)
    return tf.estimator.EstimatorSpec(
        mode,
        predictions={"mask": mask, "found": found},
        loss=loss,
        train_op=train_op,
        training_hooks=[Masks(mask)],
    )


class Masks(tf.estimator.SessionRunHook):
    """Keeps the dropout's mask of each step."""

    seen = []

    def __init__(self, mask):
        self._mask = mask

    def before_run(self, run_context):
        return tf.estimator.SessionRunArgs(self._mask)

    def after_run(self, run_context, run_values):
        self.seen.append(run_values.results.tobytes())


def main():
    made = tf.estimator.Estimator(model_fn, sys.argv[1])
    made.train(input_fn, steps=6)
    print("masks", len(set(Masks.seen)), "of", len(Masks.seen))
    assert len(set(Masks.seen)) == len(Masks.seen) == 6
    mean = made.get_variable_value("batch_normalization/moving_mean")
    np.testing.assert_allclose(mean, np.array([6.0, 2.0]) * (1 - 0.5**6), rtol=1e-5)
    again = tf.estimator.Estimator(model_fn, sys.argv[1])
    first, second = made.evaluate(input_fn, steps=1), again.evaluate(input_fn, steps=1)
    assert first == second and first["global_step"] == 6
    again.train(input_fn, steps=1)


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
