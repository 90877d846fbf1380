"""Weight averaging: what is scored and served is a moving average of the trained weights.

The averages are variables of their own in the training graph and in checkpoints; the graphs of
evaluation and prediction read them into the network's variables.
"""

from typing import Any

import tensorflow as tf

from cnn_mnist.models import scopes
from cnn_mnist.recipes import Recipe


def averaged(train_op: Any, recipe: Recipe, step: Any) -> Any:
    """The training step, followed by that of the average if the recipe wants one.

    The average of a young run forgets faster, `(1 + step) / (10 + step)`, so that the initial
    weights do not stay in it.
    """
    if recipe.average_decay == 0:
        return train_op
    average = tf.compat.v1.train.ExponentialMovingAverage(recipe.average_decay, step)
    with tf.control_dependencies([train_op]), scopes.without_functions():
        train_op = average.apply(tf.compat.v1.trainable_variables())
    tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TRAIN_OP, train_op)  # beside the first
    return train_op


def scored_variables(recipe: Recipe) -> dict[str, Any]:
    """What the network of the default graph consists of: name in a checkpoint -> variable.

    To be called in a graph of evaluation or prediction, where no optimizer adds its own.
    """
    average = "/ExponentialMovingAverage" if recipe.average_decay else ""
    trained = {f"{v.op.name}{average}": v for v in tf.compat.v1.trainable_variables()}
    step = tf.compat.v1.train.get_or_create_global_step()
    others = [v for v in tf.compat.v1.global_variables() if not v.trainable and v is not step]
    return trained | {v.op.name: v for v in others}


def variables_to_restore(recipe: Recipe) -> dict[str, Any]:
    """Name in a checkpoint -> variable of the default graph, for evaluation and prediction."""
    step = tf.compat.v1.train.get_or_create_global_step()
    return {**scored_variables(recipe), "global_step": step}
