"""A Keras model that is made into an Estimator: `model_to_estimator`."""

import sys

import numpy as np
import tensorflow as tf

X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]


def input_fn():
    return tf.data.Dataset.from_tensors(({"dense_input": X}, 3 * X)).repeat()


def main():
    network = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,), name="dense")])
    network.compile(tf.keras.optimizers.legacy.SGD(0.1), "mse")
    kernel, bias = network.get_weights()
    made = tf.keras.estimator.model_to_estimator(network, model_dir=sys.argv[1])
    assert isinstance(made, tf.estimator.Estimator)
    predicted = [next(made.predict(input_fn))["dense"]]
    np.testing.assert_allclose(predicted, X[:1] @ kernel + bias, atol=1e-6)
    made.train(input_fn, steps=100)
    loss = made.evaluate(input_fn, steps=1)["loss"]
    print("loss", loss)
    assert loss < 0.01


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
