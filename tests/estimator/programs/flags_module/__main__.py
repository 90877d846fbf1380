"""A program of TensorFlow 1 that is a module with flags."""

import tensorflow as tf

from . import model

flags = tf.flags
FLAGS = flags.FLAGS
flags.DEFINE_integer("steps", 2, "How long to train.")
flags.DEFINE_string("model_dir", None, "Where to keep it.")
flags.mark_flag_as_required("model_dir")


def main(_):
    estimator = tf.estimator.Estimator(model.model_fn, FLAGS.model_dir)
    estimator.train(model.input_fn, max_steps=FLAGS.steps)
    print("weight", estimator.get_variable_value("w"))


if __name__ == "__main__":
    tf.app.run(main)
