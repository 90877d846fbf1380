"""The graphs of a recipe that are fed by placeholders: to score, to predict, to export."""

from typing import Any, NamedTuple

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.models.model_fn import cnn_model_fn, params_of
from cnn_mnist.recipes import Recipe


class Fed(NamedTuple):
    """A graph of one mode, for a batch of B images.

    Attributes:
      images: the placeholder `[B, H, W]`, or `[B, H, W, 3]`; or the tensor that was given in its
        place.
      labels: the placeholder `int32 [B]`; None in PREDICT.
      spec: the `EstimatorSpec`.
    """

    images: Any
    labels: Any
    spec: Any


def build(
    recipe: Recipe, mode: str, form: Form = MNIST, *, dtype: str = "uint8", images: Any = None
) -> Fed:
    """Adds the graph of a mode to the default graph; a second one shares the first one's variables.

    Args:
      recipe: what the network is.
      mode: of the Estimator's `ModeKeys`.
      form: what the images are.
      dtype: of the placeholder of the images, `uint8` or `float32`.
      images: a tensor in place of that placeholder.
    """
    tf.compat.v1.train.get_or_create_global_step()
    if images is None:
        images = tf.compat.v1.placeholder(dtype, [None, *form.image_shape], name="images")
    predict = mode == estimator.ModeKeys.PREDICT
    labels = None if predict else tf.compat.v1.placeholder(tf.int32, [None], name="labels")
    with tf.compat.v1.variable_scope("", reuse=tf.compat.v1.AUTO_REUSE):
        params = params_of(recipe, form)
        return Fed(images, labels, cnn_model_fn({"x": images}, labels, mode, params))
