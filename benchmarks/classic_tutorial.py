"""The classic tutorial's program, the yardstick: `tf.layers`, `numpy_input_fn`, float32 images.

Written anew after the layers tutorial of TensorFlow 1.x, with the same layers, input pipeline,
hooks and hyper-parameters. It runs where `tf.compat.v1.layers` does: on TensorFlow 2.15 as it is,
on later ones with `tf-keras` installed and `TF_USE_LEGACY_KERAS=1`.

python benchmarks/classic_tutorial.py --model_dir=DIR --steps=N [--evaluate]
"""

import argparse
import json
import os
import sys
import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.data import dataset

warnings.filterwarnings("ignore", message=".*tf.layers.*")  # that they are old is why they are here


def model_fn(features: Any, labels: Any, mode: str) -> Any:
    """The tutorial's model function: `features["x"]` is `float32 [B, 784]`."""
    layers = tf.compat.v1.layers
    net = tf.reshape(features["x"], [-1, 28, 28, 1])
    for filters in (32, 64):
        net = layers.conv2d(net, filters, 5, padding="same", activation=tf.nn.relu)
        net = layers.max_pooling2d(net, pool_size=2, strides=2)
    net = layers.dense(tf.reshape(net, [-1, 7 * 7 * 64]), 1024, activation=tf.nn.relu)
    net = layers.dropout(net, rate=0.4, training=mode == estimator.ModeKeys.TRAIN)
    logits = layers.dense(net, 10)
    predictions = {
        "classes": tf.argmax(logits, axis=1),
        "probabilities": tf.nn.softmax(logits, name="softmax_tensor"),
    }
    if mode == estimator.ModeKeys.PREDICT:
        return estimator.EstimatorSpec(mode, predictions=predictions)
    loss = tf.compat.v1.losses.sparse_softmax_cross_entropy(labels, logits)
    if mode == estimator.ModeKeys.TRAIN:
        optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.001)
        train_op = optimizer.minimize(loss, tf.compat.v1.train.get_global_step())
        return estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)
    accuracy = tf.compat.v1.metrics.accuracy(labels, predictions["classes"])
    return estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops={"accuracy": accuracy})


def as_floats(images: np.ndarray) -> np.ndarray:
    """`uint8 [N, 28, 28]` -> `float32 [N, 784]`, 0 to 1, as the tutorial's reader made them."""
    return images.reshape(len(images), 784).astype(np.float32) / np.float32(255)


def train(model_dir: str, steps: int, hooks: list[Any]) -> Any:
    """Trains for `steps` more steps, as the tutorial's `main` did; returns the Estimator."""
    split = dataset.in_memory(dataset.load().train)
    classifier = estimator.Estimator(model_fn, model_dir)
    input_fn = estimator.inputs.numpy_input_fn(
        {"x": as_floats(split.images)},
        split.labels,
        batch_size=100,
        num_epochs=None,
        shuffle=True,
    )
    logging_hook = estimator.LoggingTensorHook({"probabilities": "softmax_tensor"}, every_n_iter=50)
    classifier.train(input_fn, steps=steps, hooks=[logging_hook, *hooks])
    return classifier


def evaluate(model_dir: str) -> dict[str, float]:
    """Scores the newest checkpoint of `model_dir` on the 10,000 test images."""
    test = dataset.load().test
    input_fn = estimator.inputs.numpy_input_fn(
        {"x": as_floats(test.images)}, test.labels, batch_size=100, num_epochs=1, shuffle=False
    )
    metrics = estimator.Estimator(model_fn, model_dir).evaluate(input_fn)
    return {name: float(value) for name, value in metrics.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_dir", required=True)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--evaluate", action="store_true")
    options = parser.parse_args()
    if options.steps:
        train(options.model_dir, options.steps, hooks=[])
    if options.evaluate:
        print(json.dumps(evaluate(options.model_dir)))
    sys.stdout.flush()
    # The tutorial's input queues have threads that outlive their session. Where one of them comes
    # back to Python while Python shuts down, the process aborts.
    os._exit(0)
