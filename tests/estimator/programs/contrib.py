"""Names of `tf.contrib`, by several spellings."""

import numpy as np
import tensorflow as tf
import tensorflow.contrib.slim as slim
from tensorflow.contrib import layers, lookup
from tensorflow.contrib.training import HParams
from tensorflow.examples.tutorials.mnist import input_data


def main():
    tf.logging.set_verbosity(tf.logging.ERROR)
    mnist = input_data.read_data_sets("nowhere", one_hot=True)
    assert [len(part.images) for part in mnist] == [55000, 5000, 10000]
    images, labels = mnist.train.next_batch(7)
    assert images.shape == (7, 784) and labels.shape == (7, 10)
    parameters = HParams(rate=0.1, sizes=[3, 5], name="a").parse("rate=0.5,sizes=[7,9],name=b")
    assert parameters.values() == {"rate": 0.5, "sizes": [7, 9], "name": "b"}
    data = tf.data.Dataset.range(10).apply(tf.contrib.data.batch_and_drop_remainder(4))
    data = data.apply(tf.contrib.data.map_and_batch(lambda x: x, 1))
    assert data.make_one_shot_iterator().get_next().shape.as_list() == [None, 4]

    x = tf.constant(images)
    with slim.arg_scope([slim.fully_connected], weights_regularizer=layers.l2_regularizer(0.1)):
        y = slim.fully_connected(x, 5, scope="one")
    y = layers.layer_norm(layers.fully_connected(y, 3, scope="two"))
    words = lookup.index_table_from_tensor(["a", "b"])
    accuracy, update = tf.contrib.metrics.streaming_accuracy(
        tf.constant([1, 2]), tf.constant([1, 0])
    )
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        session.run(tf.tables_initializer())
        assert session.run(y).shape == (7, 3)
        assert session.run(words.lookup(tf.constant(["b", "c"]))).tolist() == [1, -1]
        session.run(update)
        assert session.run(accuracy) == 0.5
    assert len(tf.losses.get_regularization_losses()) == 1

    head = tf.contrib.estimator.regression_head()
    column = tf.feature_column.numeric_column("x")
    made = tf.contrib.estimator.DNNEstimator(head, [2], [column])
    rows = {"x": np.ones([4, 1], np.float32)}
    inputs = tf.estimator.inputs.numpy_input_fn(rows, np.ones([4, 1]), shuffle=False)
    made.train(inputs, hooks=[tf.contrib.estimator.stop_if_lower_hook(made, "loss", 0.0)])
    assert tf.contrib.tpu.TPUConfig().iterations_per_loop == 2
    cell = tf.contrib.rnn.BasicLSTMCell(3)
    assert cell.state_size.c == 3
    try:
        print(tf.contrib.crf.crf_log_likelihood)
    except AttributeError as error:
        print(error)


if __name__ == "__main__":
    main()
