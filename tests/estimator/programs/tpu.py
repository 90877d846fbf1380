"""TPUEstimator on a processor."""

import numpy as np
import tensorflow as tf

tpu = tf.compat.v1.estimator.tpu
X = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
HOST_CALLS = []


def input_fn(params):
    data = tf.data.Dataset.from_tensor_slices(({"x": X}, 2 * X))
    return data.repeat().batch(params["batch_size"], drop_remainder=True)


def model_fn(features, labels, mode, params):
    w = tf.compat.v1.get_variable("w", [], initializer=tf.compat.v1.zeros_initializer())
    found = w * features["x"]
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tpu.TPUEstimatorSpec(mode, predictions={"y": found})
    loss = tf.reduce_mean(tf.square(found - labels))
    optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.01)
    if params["use_tpu"]:
        optimizer = tf.compat.v1.tpu.CrossShardOptimizer(optimizer)
    step = tf.compat.v1.train.get_or_create_global_step()

    def metrics(labels, found):
        return {"error": tf.compat.v1.metrics.mean_absolute_error(labels, found)}

    def host_call(losses):  # without a TPU it is called here, once for each graph
        HOST_CALLS.append(losses.shape.as_list())
        return tf.reduce_mean(losses)

    return tpu.TPUEstimatorSpec(
        mode,
        loss=loss,
        train_op=optimizer.minimize(loss, step),
        eval_metrics=(metrics, [labels, found]),
        host_call=(host_call, [tf.reshape(loss, [1])]),
    )


def main():
    tf.get_logger().setLevel("ERROR")
    made = tpu.TPUEstimator(
        model_fn,
        use_tpu=False,
        params={"use_tpu": False},
        config=tpu.RunConfig(tpu_config=tpu.TPUConfig(iterations_per_loop=2)),
        train_batch_size=4,
        eval_batch_size=4,
        predict_batch_size=2,
    )
    made.train(input_fn, max_steps=5)
    w = 2 * (1 - 0.85**5)
    np.testing.assert_allclose(made.get_variable_value("w"), w, rtol=1e-5)
    metrics = made.evaluate(input_fn, steps=1)
    np.testing.assert_allclose(metrics["error"], 2.5 * (2 - w), rtol=1e-5)
    rows = made.predict(input_fn)
    np.testing.assert_allclose([next(rows)["y"] for _ in X], w * X, rtol=1e-5)
    assert HOST_CALLS == [[1], [1]]  # in training and in evaluation
    print("weight", w)


if __name__ == "__main__":
    main()
