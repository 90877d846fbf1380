"""Every canned estimator and every head, of both interfaces; prints their metrics as JSON.

Of those that are named on the command line, or of all.
"""

import itertools
import json
import sys

import numpy as np
import tensorflow as tf
from tensorflow_estimator.python.estimator.canned.head import (
    _regression_head as first_head,
)

KINDS = ("Baseline", "DNN", "DNNLinearCombined", "Linear")
COLUMNS = [tf.feature_column.numeric_column("x", shape=(3,))]
ARGUMENTS = {
    "Baseline": {},
    "DNN": {"feature_columns": COLUMNS, "hidden_units": [4]},
    "DNNLinearCombined": {
        "linear_feature_columns": COLUMNS,
        "dnn_feature_columns": COLUMNS,
        "dnn_hidden_units": [4],
    },
    "Linear": {"feature_columns": COLUMNS},
}


def input_fn(kind=tf.int64, width=None):
    """Sixty-four rows of three numbers; labels by their sum."""
    rows = np.random.RandomState(0).rand(64, 3).astype(np.float32)
    labels = (rows.sum(1) > 1.5).astype(np.int64)
    if width:
        labels = np.stack([labels] + [1 - labels] * (width - 1), axis=1)
    data = tf.data.Dataset.from_tensor_slices(({"x": rows}, labels))
    return data.batch(16).repeat(4).map(lambda x, y: (x, tf.cast(y, kind)))


def run(made, data):
    """Trains, evaluates and predicts; returns the metrics."""
    made.train(data, steps=8)
    metrics = made.evaluate(data, steps=4)
    assert len(next(iter(made.predict(data)))) > 0
    return {name: float(value) for name, value in sorted(metrics.items())}


def canned(api, config):
    """Makes one of each kind; for those that take a head, a regression's."""
    for kind in KINDS:
        for name in ("Classifier", "Regressor", "Estimator"):
            arguments = dict(ARGUMENTS[kind], config=config)
            if name == "Estimator":
                first = api is not tf.estimator  # the first interface has heads of its own
                arguments["head"] = first_head() if first else tf.estimator.RegressionHead()
                sgd = (
                    tf.compat.v1.train.GradientDescentOptimizer(0.05)
                    if first
                    else tf.keras.optimizers.legacy.SGD(0.05)
                )
                if kind == "DNNLinearCombined":
                    arguments.update(linear_optimizer=sgd, dnn_optimizer=sgd)
                else:
                    arguments["optimizer"] = sgd
            data = input_fn if name == "Classifier" else lambda: input_fn(tf.float32)
            yield kind + name, getattr(api, kind + name)(**arguments), data


def heads(config):
    """Gives each head to a DNNEstimator."""
    named = tf.estimator
    several = [named.RegressionHead(name="a"), named.RegressionHead(name="b")]
    for head, data in (
        (named.BinaryClassHead(), input_fn),
        (named.LogisticRegressionHead(), lambda: input_fn(tf.float32)),
        (named.MultiClassHead(3), input_fn),
        (named.MultiLabelHead(2), lambda: input_fn(width=2)),
        (named.PoissonRegressionHead(), lambda: input_fn(tf.float32)),
        (named.RegressionHead(), lambda: input_fn(tf.float32)),
        (
            named.MultiHead(several),
            lambda: input_fn(tf.float32).map(lambda x, y: (x, {"a": y, "b": 2 * y})),
        ),
    ):
        optimizer = tf.keras.optimizers.legacy.SGD(0.05)
        made = named.DNNEstimator(
            head, [4], COLUMNS, optimizer=optimizer, config=config, activation_fn=tf.nn.tanh
        )
        yield type(head).__name__, made, data


def main():
    tf.get_logger().setLevel("ERROR")
    config = tf.estimator.RunConfig(tf_random_seed=1)
    first = (("v1." + name, *rest) for name, *rest in canned(tf.compat.v1.estimator, config))
    found = {}
    for name, made, data in itertools.chain(canned(tf.estimator, config), heads(config), first):
        if name in sys.argv[1:] or not sys.argv[1:]:
            found[name] = run(made, data)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
