"""Feature columns by the three ways to make a layer of them."""

import json
import sys

import numpy as np
import tensorflow as tf

fc = tf.feature_column
NUMBER = fc.numeric_column("size")
WORD = fc.categorical_column_with_vocabulary_list("colour", ["red", "green", "blue"])
COLUMNS = [NUMBER, fc.indicator_column(WORD), fc.bucketized_column(NUMBER, [2.0, 5.0])]


def input_fn():
    features = {"size": [[1.0], [3.0], [7.0]], "colour": [["red"], ["blue"], ["grey"]]}
    return tf.data.Dataset.from_tensors((features, [[1.0], [2.0], [4.0]])).repeat(4)


def model_fn(features, labels, mode, params):
    ones = tf.compat.v1.ones_initializer()
    if params["way"] == "input_layer":
        row = tf.compat.v1.feature_column.input_layer(features, COLUMNS)
    elif params["way"] == "DenseFeatures":
        row = tf.keras.layers.DenseFeatures(COLUMNS)(features)
    if params["way"] == "linear_model":
        found = tf.compat.v1.feature_column.linear_model(features, [NUMBER, WORD])
    else:
        w = tf.compat.v1.get_variable("w", [row.shape[1], 1], initializer=ones)
        found = tf.matmul(row, w)
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions={"found": found})
    loss = tf.reduce_mean(tf.square(found - labels))
    step = tf.compat.v1.train.get_or_create_global_step()
    train_op = tf.compat.v1.train.GradientDescentOptimizer(0.01).minimize(loss, step)
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def main():
    tf.get_logger().setLevel("ERROR")
    results = {}
    for way in ("input_layer", "linear_model", "DenseFeatures"):
        made = tf.estimator.Estimator(model_fn, params={"way": way})
        made.train(input_fn, steps=3)
        rows = [row["found"] for row in made.predict(input_fn)][:3]
        results[way] = np.round(np.concatenate(rows), 4).tolist()
    assert results["input_layer"] == results["DenseFeatures"]
    print(json.dumps(results))
    sys.exit(0)


if __name__ == "__main__":
    main()
