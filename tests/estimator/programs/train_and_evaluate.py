"""`train_and_evaluate` with three exporters and early stopping; a warm start; a hook."""

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

X = np.array([1.0, 2.0, 3.0, 4.0], np.float32)


def model_fn(features, labels, mode, params):
    w = tf.compat.v1.get_variable("w", [], initializer=tf.compat.v1.zeros_initializer())
    found = w * features["x"]
    if mode == tf.estimator.ModeKeys.PREDICT:
        outputs = {"serving_default": tf.estimator.export.PredictOutput({"y": found})}
        return tf.estimator.EstimatorSpec(mode, predictions={"y": found}, export_outputs=outputs)
    loss = tf.reduce_mean(tf.square(found - labels))
    step = tf.compat.v1.train.get_or_create_global_step()
    optimizer = tf.compat.v1.train.GradientDescentOptimizer(params["rate"])
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=optimizer.minimize(loss, step))


def train_input_fn():
    return tf.data.Dataset.from_tensors(({"x": X}, 2 * X)).repeat()


def eval_input_fn():
    return tf.data.Dataset.from_tensors(({"x": X}, 2 * X))


def main():
    folder = Path(sys.argv[1])
    receiver = tf.estimator.export.build_raw_serving_input_receiver_fn({"x": tf.zeros([1])})
    config = tf.estimator.RunConfig(str(folder / "first"), save_checkpoints_steps=2)
    first = tf.estimator.Estimator(model_fn, config=config, params={"rate": 0.01})
    # The loss falls by the same share at every step; that of step 20 is below 0.1.
    hook = tf.estimator.experimental.stop_if_lower_hook(
        first, "loss", 0.1, run_every_secs=None, run_every_steps=1
    )
    in_memory = tf.estimator.experimental.InMemoryEvaluatorHook(
        first, eval_input_fn, every_n_iter=5
    )
    tf.estimator.train_and_evaluate(
        first,
        tf.estimator.TrainSpec(train_input_fn, max_steps=40, hooks=[hook, in_memory]),
        tf.estimator.EvalSpec(
            eval_input_fn,
            start_delay_secs=0,
            throttle_secs=0,
            exporters=[
                tf.estimator.LatestExporter("latest", receiver, exports_to_keep=2),
                tf.estimator.BestExporter("best", receiver),
                tf.estimator.FinalExporter("final", receiver),
            ],
        ),
    )
    step = int(first.get_variable_value("global_step"))
    kept = {place.name: len(list(place.iterdir())) for place in (folder / "first/export").iterdir()}
    print("stopped at", step, "exports", dict(sorted(kept.items())))
    newest = max((folder / "first/export/latest").iterdir())
    served = tf.saved_model.load(os.fspath(newest)).signatures["serving_default"]
    np.testing.assert_allclose(served(x=tf.constant(X))["y"], first.get_variable_value("w") * X)

    second = tf.estimator.Estimator(
        model_fn, params={"rate": 0.0}, warm_start_from=str(folder / "first")
    )
    second.train(train_input_fn, steps=1)
    assert second.get_variable_value("w") == first.get_variable_value("w")


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
