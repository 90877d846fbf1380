"""The classic tutorial's kind of program: layers, losses, hooks and data of TensorFlow 1."""

import sys

import numpy as np
import tensorflow as tf

tf.logging.set_verbosity(tf.logging.INFO)


def model_fn(features, labels, mode):
    images = tf.reshape(features["x"], [-1, 28, 28, 1])
    maps = tf.layers.conv2d(images, 4, [5, 5], padding="same", activation=tf.nn.relu)
    maps = tf.layers.max_pooling2d(maps, pool_size=[2, 2], strides=2)
    row = tf.reshape(maps, [-1, 14 * 14 * 4])
    row = tf.layers.dense(row, 32, activation=tf.nn.relu)
    row = tf.layers.dropout(row, rate=0.4, training=mode == tf.estimator.ModeKeys.TRAIN)
    logits = tf.layers.dense(row, 10)
    predictions = {
        "classes": tf.argmax(logits, axis=1),
        "probabilities": tf.nn.softmax(logits, name="softmax_tensor"),
    }
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode=mode, predictions=predictions)
    loss = tf.losses.sparse_softmax_cross_entropy(labels=labels, logits=logits)
    if mode == tf.estimator.ModeKeys.TRAIN:
        optimizer = tf.train.GradientDescentOptimizer(learning_rate=0.1)
        train_op = optimizer.minimize(loss, global_step=tf.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode=mode, loss=loss, train_op=train_op)
    accuracy = tf.metrics.accuracy(labels=labels, predictions=predictions["classes"])
    return tf.estimator.EstimatorSpec(mode=mode, loss=loss, eval_metric_ops={"accuracy": accuracy})


def main(argv):
    mnist = tf.contrib.learn.datasets.load_dataset("mnist")
    classifier = tf.estimator.Estimator(model_fn=model_fn, model_dir=argv[1])
    hook = tf.train.LoggingTensorHook({"probabilities": "softmax_tensor"}, every_n_iter=1000)
    classifier.train(
        tf.estimator.inputs.numpy_input_fn(
            x={"x": mnist.train.images},
            y=np.asarray(mnist.train.labels, dtype=np.int32),
            batch_size=100,
            num_epochs=None,
            shuffle=True,
        ),
        steps=100,
        hooks=[hook],
    )
    metrics = classifier.evaluate(
        tf.estimator.inputs.numpy_input_fn(
            x={"x": mnist.test.images},
            y=np.asarray(mnist.test.labels, dtype=np.int32),
            num_epochs=1,
            shuffle=False,
        )
    )
    print("step", metrics["global_step"], "accuracy", metrics["accuracy"])
    assert not isinstance(tf.constant(1).shape, tuple) and tf.zeros([3]).shape[0].value == 3
    sys.exit(0 if metrics["accuracy"] > 0.7 else 1)


if __name__ == "__main__":
    tf.app.run()
