"""One weight: `label = 2 x`."""

import tensorflow as tf


def model_fn(features, labels, mode):
    w = tf.get_variable("w", [], initializer=tf.zeros_initializer())
    loss = tf.reduce_mean(tf.square(w * features["x"] - labels))
    optimizer = tf.train.GradientDescentOptimizer(0.01)
    train_op = optimizer.minimize(loss, global_step=tf.train.get_or_create_global_step())
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def input_fn():
    x = [1.0, 2.0, 3.0, 4.0]
    data = tf.data.Dataset.from_tensor_slices(({"x": x}, [2 * one for one in x]))
    return data.repeat().batch(4).make_one_shot_iterator().get_next()
