"""Networks that were never trained: checkpoints of initial weights."""

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.data.form import MNIST
from cnn_mnist.models import graphs
from cnn_mnist.models.averaging import variables_to_restore


def untrained(recipe, folder, form=MNIST):
    """The prefix of a checkpoint of a recipe's initial weights, in a folder."""
    prefix = str(folder / "model.ckpt-0")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graphs.build(recipe, estimator.ModeKeys.PREDICT, form)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables_to_restore(recipe)).save(session, prefix)
    return prefix
