"""A model function of one weight, whose training can be told from a formula.

The model is one weight, `prediction = w * x`, with `label = 2 * x` and x = 1, 2, 3, 4. Its loss is
7.5 (w - 2)^2, so that each step of gradient descent at 0.01 takes w from 0 towards 2 by 15 % of
what is left: after k steps w = 2 (1 - 0.85^k), whatever the Estimator did around it.
"""

import textwrap

import numpy as np
import tensorflow as tf

from stress import programs

TF_HAS_ESTIMATOR = tf.__version__.startswith("2.15.")
X = np.array([1.0, 2.0, 3.0, 4.0], np.float32)

TINY = """
import numpy as np
import tensorflow as tf
from cnn_mnist import estimator

X = np.array([1.0, 2.0, 3.0, 4.0], np.float32)

def model_fn(features, labels, mode, params):
    w = tf.compat.v1.get_variable("w", [], initializer=tf.compat.v1.zeros_initializer())
    prediction = w * features["x"]
    if mode == estimator.ModeKeys.PREDICT:
        output = estimator.export.PredictOutput({"y": prediction})
        return estimator.EstimatorSpec(
            mode, predictions={"y": prediction}, export_outputs={"serving_default": output}
        )
    loss = tf.reduce_mean(tf.square(prediction - labels))
    optimizer = tf.compat.v1.train.GradientDescentOptimizer(params["learning_rate"])
    step = tf.compat.v1.train.get_or_create_global_step()
    return estimator.EstimatorSpec(
        mode,
        loss=loss,
        train_op=optimizer.minimize(loss, global_step=step),
        eval_metric_ops={"error": tf.compat.v1.metrics.mean_absolute_error(labels, prediction)},
    )

def input_fn(batch_size=4, repeat=None):
    data = tf.data.Dataset.from_tensor_slices(({"x": X}, 2 * X))
    return data.repeat(repeat).batch(batch_size)

def eval_input_fn():
    return input_fn(repeat=1)

def half_input_fn(input_context):  # one of two tasks: the same two of the four examples each time
    index, count = input_context.input_pipeline_id, input_context.num_input_pipelines
    assert count == 2
    return input_fn(batch_size=2).shard(count, index)

def build(model_dir=None, learning_rate=0.01, warm_start_from=None, **config):
    return estimator.Estimator(
        model_fn,
        config=estimator.RunConfig(model_dir=model_dir and str(model_dir), **config),
        params={"learning_rate": learning_rate},
        warm_start_from=warm_start_from,
    )
"""
_tiny: dict = {}
exec(TINY, _tiny)  # here, and in the processes that some tests start
model_fn, build = _tiny["model_fn"], _tiny["build"]
input_fn, eval_input_fn = _tiny["input_fn"], _tiny["eval_input_fn"]


def weight(steps: int) -> float:
    return 2 * (1 - 0.85**steps)


def run_fresh(code: str, **environment: str) -> tuple[str, str]:
    """Runs code in a new interpreter, for what depends on how the door is loaded."""
    done = programs.run("-c", textwrap.dedent(code), env=environment, fresh=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr
