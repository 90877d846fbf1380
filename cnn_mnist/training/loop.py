"""Several training steps in one call of a session: a loop in the graph around the model function.

Shapes are written with these axes: n steps of a call, B batch, K classes.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.data import calls
from cnn_mnist.data.dataset import NUM_CLASSES
from cnn_mnist.models import scopes
from cnn_mnist.models.model_fn import summarize_accuracy
from cnn_mnist.training import hooks


def looped(
    model_fn: Callable[..., Any], features: Any, labels: Any, params: dict[str, Any], scaffold: Any
) -> Any:
    """The training graph of a model function, for several steps a call.

    Each step reads the variables as the one before it left them. Loss, accuracy and the
    probabilities in the op `softmax_tensor` are those of the last.

    Args:
      model_fn: `cnn_model_fn`, or one like it.
      features: `{"x": images}`, `uint8 [n, B, 28, 28]`.
      labels: `int32 [n, B]`.
      params: of the model function.
      scaffold: of the result.

    Returns:
      The `EstimatorSpec` of TRAIN.
    """
    mode = estimator.ModeKeys.TRAIN
    graph = tf.compat.v1.get_default_graph()

    def one_step(index: Any, watched: Any, *_: Any) -> tuple[Any, ...]:
        spec = model_fn({"x": features["x"][index]}, labels[index], mode, params)
        with tf.control_dependencies([spec.train_op]):
            watched = watched.write(index, hooks.watched(spec.loss))
            index = index + 1
        return index, watched, spec.loss, *map(spec.predictions.get, ("probabilities", "classes"))

    with tf.name_scope("steps"), scopes.variables_outside():
        steps = tf.shape(labels)[0]
        index, watched, loss, probabilities, classes = tf.while_loop(
            lambda index, *_: index < steps,
            one_step,
            (
                tf.constant(0),
                tf.TensorArray(tf.float32, steps),
                tf.constant(0.0),
                tf.zeros([0, NUM_CLASSES]),
                tf.zeros([0], tf.int64),
            ),
            shape_invariants=(
                tf.TensorShape([]),
                None,
                tf.TensorShape([]),
                tf.TensorShape([None, NUM_CLASSES]),
                tf.TensorShape([None]),
            ),
            parallel_iterations=1,
        )
        watched = watched.stack()
        last_labels = labels[-1]
        train_op = tf.group(index)
        with tf.control_dependencies([train_op]):
            after = tf.compat.v1.train.get_global_step().read_value()
    _forget_the_body(graph)

    tf.compat.v1.add_to_collection(hooks.WATCHED, watched)
    tf.identity(probabilities, name="softmax_tensor")
    summarize_accuracy(last_labels, classes)
    loss = tf.identity(loss, name=calls.LOSS)
    tf.subtract(after, 1, name=calls.STEP)  # as the Estimator logs it: before the step
    return estimator.EstimatorSpec(mode, loss=loss, train_op=train_op, scaffold=scaffold)


def _forget_the_body(graph: Any) -> None:
    """Takes what belongs to the loop's body out of the collections, which it shares."""
    for name in graph.collections:
        items = graph.get_collection_ref(name)
        items[:] = [item for item in items if getattr(item, "graph", graph) is graph]
