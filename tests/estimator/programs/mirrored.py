"""MirroredStrategy over two processors that are cut out of one."""

import numpy as np
import tensorflow as tf

X = np.array([1.0, 2.0, 3.0, 4.0], np.float32)


def input_fn():
    data = tf.data.Dataset.from_tensor_slices(({"x": X}, 2 * X))
    return data.repeat().batch(2)


def model_fn(features, labels, mode):
    w = tf.compat.v1.get_variable("w", [], initializer=tf.compat.v1.zeros_initializer())
    loss = tf.reduce_mean(tf.square(w * features["x"] - labels))
    step = tf.compat.v1.train.get_or_create_global_step()
    train_op = tf.compat.v1.train.GradientDescentOptimizer(0.01).minimize(loss, step)
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def main():
    tf.get_logger().setLevel("ERROR")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    # An Estimator's session counts its own devices; without the second one, the collectives hang.
    session = tf.compat.v1.ConfigProto(device_count={"CPU": 2})
    config = tf.estimator.RunConfig(train_distribute=strategy, session_config=session)
    made = tf.estimator.Estimator(model_fn, config=config)
    made.train(input_fn, steps=5)
    np.testing.assert_allclose(made.get_variable_value("w"), 2 * (1 - 0.85**5), rtol=1e-6)
    print("replicas", strategy.num_replicas_in_sync)


if __name__ == "__main__":
    main()
