"""What is in a `model_dir`: the newest checkpoint, and whether its variables fit a recipe."""

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.errors import InputError
from cnn_mnist.model import cnn_model_fn
from cnn_mnist.recipes import Recipe


class CheckpointError(InputError):
    """A checkpoint that is missing, unreadable or of another network."""


# TensorFlow's reader raises Python's own errors for some states of a damaged file.
READ_ERRORS = (tf.errors.OpError, LookupError, RuntimeError, ValueError)


def unreadable(checkpoint: str, error: Exception) -> CheckpointError:
    """What to raise instead of one of `READ_ERRORS`."""
    reason = " ".join(str(error).split())
    return CheckpointError(
        f"--model_dir: {checkpoint} cannot be read: {reason:.200}; "
        "name another folder or an older checkpoint in it"
    )


def newest(recipe: Recipe, model_dir: str) -> str:
    """The prefix of the newest checkpoint in a folder, which fits the recipe.

    Raises:
      CheckpointError: if there is none, it cannot be read, or it is of another network.
    """
    checkpoint = tf.train.latest_checkpoint(model_dir)
    if checkpoint is None:
        raise CheckpointError(
            f"--model_dir={model_dir}: holds no checkpoint; --mode=train makes one"
        )
    check_fits(recipe, checkpoint)
    return checkpoint


def check_fits(recipe: Recipe, checkpoint: str) -> None:
    """Checks the names and shapes of a checkpoint's variables.

    Raises:
      CheckpointError: if it cannot be read, or is of another network.
    """
    try:
        found = dict(tf.train.list_variables(checkpoint))
    except READ_ERRORS as error:
        raise unreadable(checkpoint, error) from error
    for name, shape in variable_shapes(recipe).items():
        if found.get(name) != shape:
            has = f"of the shape {found[name]}" if name in found else "missing"
            raise CheckpointError(
                f"--model_dir: {checkpoint} is of another network: its variable "
                f"{name} is {has}, expected {shape}; name another folder"
            )


def reached_step(recipe: Recipe, model_dir: str) -> int:
    """The global step of the newest checkpoint; 0 if there is none.

    Raises:
      CheckpointError: if it cannot be read or is of another network.
    """
    if tf.train.latest_checkpoint(model_dir) is None:
        return 0
    return int(tf.train.load_variable(newest(recipe, model_dir), "global_step"))


def variable_shapes(recipe: Recipe) -> dict[str, list[int]]:
    """Names and shapes of the variables in a checkpoint of the recipe, without the optimizer's."""
    with tf.Graph().as_default():
        tf.compat.v1.train.get_or_create_global_step()
        image = {"x": tf.compat.v1.placeholder(tf.uint8, [None, 28, 28])}
        cnn_model_fn(image, None, estimator.ModeKeys.PREDICT, recipe.params())
        return {v.op.name: v.shape.as_list() for v in tf.compat.v1.global_variables()}
