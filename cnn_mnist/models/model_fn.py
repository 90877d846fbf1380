"""The model function: one forward pass, three returns.

Axes: B batch, H height, W width, C channels, K classes, M members of an ensemble.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.models import scopes
from cnn_mnist.models.augment import augmented
from cnn_mnist.models.averaging import averaged, variables_to_restore
from cnn_mnist.models.networks import logits_of
from cnn_mnist.models.optimizers import OPTIMIZERS, SCHEDULES
from cnn_mnist.models.tables import require_known
from cnn_mnist.recipes import Recipe

UPDATE_OPS = tf.compat.v1.GraphKeys.UPDATE_OPS


def minimized(descent: Any, objective: Any, loss: Any, step: Any, recipe: Recipe) -> Any:
    """The op that takes one training step, and `step` forward by 1.

    Args:
      descent: an optimizer of `tf.compat.v1.train`.
      objective, loss: what it makes smaller, and what is shown; both are scalars.
      step: the global step.
      recipe: whether the weights are averaged.
    """
    # Replicas make the optimizer's variables in another thread, which `variables_outside` does not
    # reach: with no name scope around it, they are named as those of one process.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    outside = tf.compat.v1.name_scope(None) if replicas > 1 else contextlib.nullcontext()
    with outside, tf.control_dependencies(tf.compat.v1.get_collection(UPDATE_OPS)):
        return averaged(descent.minimize(objective, step), recipe, step)


def cnn_model_fn(
    features: Any, labels: Any, mode: str, params: dict[str, Any] | None = None
) -> Any:
    """The model function of an Estimator: builds one mode's graph.

    `Estimator(model_fn=cnn_model_fn, model_dir=...)` trains, evaluates and predicts with it.

    Args:
      features: `{"x": images}`; images `uint8` 0 to 255 or `float32` 0 to 1, of shape
        `[B, H, W]` (of one channel), `[B, H, W, C]` or `[B, H * W * C]`.
      labels: `int32 [B]`, 0 to K - 1; None in PREDICT.
      mode: `ModeKeys.TRAIN`, `EVAL` or `PREDICT` of the Estimator.
      params: fields of a `recipes.Recipe`, and `height`, `width`, `channels` and `num_classes` of
        the images; what is left out has the tutorial's value, and is as MNIST: 28, 28, 1 and 10.

    Returns:
      An `EstimatorSpec`. PREDICT: `classes`, `int64 [B]`, and `probabilities`, `float32 [B, K]`,
      from the op named `softmax_tensor`; an ensemble's are the mean of its members'. TRAIN: the
      same, the loss, a scalar, and the op that takes one step of the optimizer; an ensemble's loss
      is the mean of its members' own. EVAL: the loss of the probabilities, and the metrics
      `accuracy` and `average_loss`.

    Raises:
      TypeError: images of another dtype.
      ValueError: images of another shape.
      RecipeError: a parameter out of range.
    """
    recipe, form = given(params)
    return spec(features, labels, mode, recipe, form=form)


def params_of(recipe: Recipe, form: Form) -> dict[str, Any]:
    """The `params` of an Estimator: the fields of a recipe, and what a network needs of a form."""
    return recipe.params() | limits.sizes(form)


def given(params: dict[str, Any] | None) -> tuple[Recipe, Form]:
    """The recipe and the form in `params`; the way back from `params_of`.

    Raises:
      RecipeError, InputError: a parameter out of range.
    """
    fields = dict(params or {})
    sizes = {name: fields.pop(name) for name in limits.SIZES if name in fields}
    return Recipe(**fields), limits.of_sizes(sizes)


def spec(
    features: Any,
    labels: Any,
    mode: str,
    recipe: Recipe,
    minimize: Callable[[Any, Any, Any, Any, Recipe], Any] = minimized,
    form: Form = MNIST,
) -> Any:
    """The `EstimatorSpec` of one mode, as of `cnn_model_fn`; `minimize` makes the training step."""
    recipe = recipe.resolved()
    require_known(recipe)
    training = mode == estimator.ModeKeys.TRAIN

    with tf.name_scope("image"):
        images = scaled_images(features["x"], form)
        if training:
            images = augmented(images, recipe.augment, seed=recipe.seed)
        images = tf.cast(images, recipe.precision)
    members = logits_of(
        recipe.network,
        images,
        form.num_classes,
        training=training,
        dropout_rate=recipe.dropout_rate,
        seed=recipe.seed,
    )  # [B, K], or [M, B, K]
    with tf.name_scope("logits"):
        members = tf.cast(members, tf.float32)
        logits = tf.identity(voted(members))  # [B, K]
    with tf.name_scope("predictions"):
        classes = tf.argmax(logits, axis=1)
    probabilities = tf.nn.softmax(logits, name="softmax_tensor")
    predictions = {"classes": classes, "probabilities": probabilities}
    if mode == estimator.ModeKeys.PREDICT:
        return estimator.EstimatorSpec(mode, predictions=predictions, scaffold=scaffold(recipe))

    with scopes.with_curve("loss"):
        learning = members if training and members.shape.rank == 3 else logits
        losses = cross_entropies(labels, learning)  # [B], or [M, B]
        loss = tf.reduce_mean(losses)
    if training:
        summarize_accuracy(labels, classes)
        step = tf.compat.v1.train.get_or_create_global_step()
        with tf.name_scope("train"), scopes.variables_outside():
            schedule = SCHEDULES[recipe.learning_rate_schedule]
            rate = schedule.rate(recipe.learning_rate, recipe.steps, step)
            objective = summed(*smoothed(losses, loss, learning, recipe.label_smoothing))
            descent = OPTIMIZERS[recipe.optimizer].make(rate)
            train_op = minimize(descent, objective, loss, step, recipe)
        return estimator.EstimatorSpec(mode, predictions, loss=loss, train_op=train_op)

    metrics = {
        "accuracy": tf.compat.v1.metrics.accuracy(labels, classes),
        # The mean over images. The Estimator's own "loss" is the mean over batches, which a
        # shorter last batch bends.
        "average_loss": tf.compat.v1.metrics.mean(losses),
    }
    return estimator.EstimatorSpec(
        mode, loss=loss, eval_metric_ops=metrics, scaffold=scaffold(recipe)
    )


def voted(members: Any) -> Any:
    """Logits `[B, K]` whose softmax is the mean of the members' probabilities.

    Args:
      members: logits `[M, B, K]`, or `[B, K]` of a single network, which stay as they are.
    """
    if members.shape.rank == 2:
        return members
    # The logarithm of the sum of the probabilities; softmax makes the mean of it.
    return tf.reduce_logsumexp(tf.nn.log_softmax(members), axis=0)


def cross_entropies(labels: Any, logits: Any) -> Any:
    """The loss of each image, `[B]` for logits `[B, K]`, and `[M, B]` for `[M, B, K]`."""
    if logits.shape.rank == 3:
        labels = tf.broadcast_to(labels, tf.shape(logits)[:2])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def smoothed(losses: Any, loss: Any, logits: Any, share: float) -> tuple[Any, Any]:
    """The losses and their mean for labels of which a share is spread evenly over the K classes.

    As Szegedy et al. have it, "Rethinking the Inception architecture" (2016). `losses` are of each
    image, `[B]` or `[M, B]`, `logits` `[B, K]` or `[M, B, K]`; without a share nothing changes.
    """
    if share == 0:
        return losses, loss
    with tf.name_scope("label_smoothing"):
        of_all = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)  # the mean over the classes
        losses = (1 - share) * losses + share * of_all
        return losses, tf.reduce_mean(losses)


def summed(losses: Any, loss: Any) -> Any:
    """What the optimizer is to lower: the sum of the members' losses, a scalar.

    The sum gives each member the gradient of its own loss, so it learns as fast as it would alone;
    the mean gives it a share. `losses` are of each image, `[M, B]`, or `[B]` of a single network;
    `loss` is their mean.
    """
    if losses.shape.rank == 1:
        return loss
    return tf.reduce_sum(tf.reduce_mean(losses, axis=1))


def summarize_accuracy(labels: Any, classes: Any) -> None:
    """Draws the share of the classes, `int64 [B]`, that are the labels, as the curve `accuracy`."""
    with scopes.with_curve("accuracy"):
        right = tf.equal(tf.cast(labels, tf.int64), classes)  # [B]
        share = tf.reduce_mean(tf.cast(right, tf.float32))
    tf.compat.v1.summary.scalar("accuracy", share)


def scaffold(recipe: Recipe) -> Any:
    """What the Estimator needs to read the scored weights; None where these are the trained."""
    if recipe.average_decay == 0:
        return None
    saver = tf.compat.v1.train.Saver(variables_to_restore(recipe))
    return tf.compat.v1.train.Scaffold(saver=saver)


def scaled_images(x: Any, form: Form = MNIST) -> Any:
    """The feature "x" as the networks take it: `float32 [B, H, W, C]`, 0 to 1."""
    shape, expected = tf.TensorShape(x.shape), limits.item_shapes(form)
    if shape.rank is None or tuple(shape[1:]) not in expected:
        raise ValueError(
            f"features['x'] has the shape {shape}, expected [batch] and one of {expected}"
        )
    if x.dtype == tf.uint8:
        x = tf.cast(x, tf.float32) / 255
    elif x.dtype != tf.float32:
        raise TypeError(
            f"features['x'] is {tf.as_dtype(x.dtype).name}, expected uint8 0 to 255 or "
            "float32 0 to 1"
        )
    return tf.reshape(x, [-1, form.height, form.width, form.channels])
