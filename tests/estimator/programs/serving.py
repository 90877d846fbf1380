"""`export_saved_model`; the test reads what is exported with `saved_model_cli`."""

import sys

import tensorflow as tf

COLUMNS = [tf.feature_column.numeric_column("x", shape=(2,))]


def input_fn():
    return tf.data.Dataset.from_tensors(({"x": [[1.0, 2.0], [3.0, 4.0]]}, [[0], [1]])).repeat(3)


def main():
    made = tf.estimator.LinearClassifier(COLUMNS)
    made.train(input_fn)
    parsed = tf.feature_column.make_parse_example_spec(COLUMNS)
    receiver = tf.estimator.export.build_parsing_serving_input_receiver_fn(parsed)
    print(made.export_saved_model(sys.argv[1], receiver).decode())


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
