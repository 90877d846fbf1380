"""The training step of a recipe in a bare session: the same graph and input, no Estimator."""

from typing import Any

import tensorflow as tf

from cnn_mnist.data import dataset
from cnn_mnist.data.input_fns import train_input_fn
from cnn_mnist.models.model_fn import cnn_model_fn
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import sessions


def training_step(recipe: Recipe) -> tuple[Any, Any]:
    """A session with initial weights, and the op in it that takes the next step."""
    data = dataset.load(None, recipe.validation_size, recipe.train_size)
    with tf.Graph().as_default():
        tf.compat.v1.train.get_or_create_global_step()
        batches = train_input_fn(data.train, recipe.batch_size, recipe.seed)()
        iterator = tf.compat.v1.data.make_initializable_iterator(batches)
        features, labels = iterator.get_next()
        train_op = cnn_model_fn(features, labels, "train", recipe.params()).train_op
        session = tf.compat.v1.Session(config=sessions.config())
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(iterator.initializer)
    return session, train_op
