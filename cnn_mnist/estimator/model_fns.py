"""Watches model functions while they are called, for what would be wrong without a word.

Keras 3 is refused: in the Estimator's graphs its dropout has the same mask at every step, its batch
normalization never moves its averages, and its variables get other names in the next graph, which
then cannot restore them. What holds no variable, as `Flatten`, does what it should.

Updates that never run are told of: in TensorFlow 1 a model function had to tie them to its
`train_op`, and without that a batch normalization trains and then evaluates badly.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from cnn_mnist.estimator.keras import REMEDY, VersionError

_KERAS_3 = "keras.src."  # its modules; those of legacy Keras are in tf_keras
# Said of `tf.compat.v1.layers`, and of `tf.keras.layers.DenseFeatures`.
_NOT_IN_KERAS_3 = ("not available with Keras 3", "module 'keras._tf_keras.keras")
_NO_GRAPH = "Attempting to capture an EagerTensor"  # so of a variable that was made in no graph
_AVERAGES = ("moving_mean", "moving_variance")
_UPDATES = (
    *("Assign", "AssignAdd", "AssignSub"),
    *("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"),
)


def watched(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Estimator._call_model_fn`, which returns an `EstimatorSpec`.

    The wrapper raises a VersionError where Keras 3 would fail or be wrong.
    """

    @functools.wraps(call)
    def watched_call(*args: Any, **kwargs: Any) -> Any:
        with _refusing_keras_3():
            spec = call(*args, **kwargs)
        if spec.mode == "train" and spec.train_op is not None:
            _tell_of_averages_that_stay(spec.train_op, spec.loss)
        return spec

    return watched_call


@contextlib.contextmanager
def _refusing_keras_3() -> Iterator[None]:
    try:
        with tf.variable_creator_scope(_create_unless_for_keras_3):
            yield
    except AttributeError as error:
        if not any(words in str(error) for words in _NOT_IN_KERAS_3):
            raise
        said = str(error).rstrip(".")
        raise VersionError(f"{said}; it is in legacy Keras: {REMEDY}") from error
    except RuntimeError as error:
        if _NO_GRAPH not in str(error) or not _went_through_keras_3(error):
            raise
        raise _wrong("a layer that was made outside of it") from error


def _create_unless_for_keras_3(next_creator: Callable[..., Any], **kwargs: Any) -> Any:
    """Creates a variable; receives each that is made in a model function."""
    owner = ""
    frame = sys._getframe().f_back
    while frame:
        if frame.f_globals.get("__name__", "").startswith(_KERAS_3):
            if "self" in frame.f_locals:
                owner = type(frame.f_locals["self"]).__name__  # at last of what was called
        elif owner:
            raise _wrong(f"`{owner}`")
        frame = frame.f_back
    return next_creator(**kwargs)


def _went_through_keras_3(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_globals.get("__name__", "").startswith(_KERAS_3):
            return True
        trace = trace.tb_next
    return False


def _wrong(what: str) -> VersionError:
    return VersionError(
        f"this model function uses {what} of Keras 3, which would be wrong in it without a word: "
        f"{REMEDY}"
    )


def _tell_of_averages_that_stay(train_op: Any, loss: Any) -> None:
    """Warns of a batch normalization's averages that no step of the training moves.

    A step runs the two that are given.
    """
    graph = train_op.graph
    updates = {}  # of averages, but not their first values
    for op in graph.get_operations():
        variable = op.inputs[0].op.name if op.type in _UPDATES else ""
        if variable.endswith(_AVERAGES) and op.name != f"{variable}/Assign":
            updates[op] = variable
    if not updates:
        return
    run = {getattr(train_op, "op", train_op), loss.op}
    left = list(run)
    while left:
        op = left.pop()
        needed = {*(tensor.op for tensor in op.inputs), *op.control_inputs} - run
        run |= needed
        left += needed
    stay = sorted(set(updates.values()) - {updates[op] for op in updates if op in run})
    if stay:
        tf.compat.v1.logging.warning(
            "the training does not move %s: let `train_op` depend on the updates, by "
            "`with tf.control_dependencies(tf.compat.v1.get_collection("
            "tf.compat.v1.GraphKeys.UPDATE_OPS))`, or on `layer.updates` of a Keras layer",
            ", ".join(stay),
        )
