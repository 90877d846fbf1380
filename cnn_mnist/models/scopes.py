"""Name scopes: the boxes in which TensorBoard draws the graph of a training.

At the top level there is one box for each thing that a person has a name for: `input`, `image`, the
layers, `loss`, `train`, ... The names of variables, and so checkpoints, do not depend on them.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


def with_curve(name: str) -> contextlib.AbstractContextManager[Any]:
    """The name scope `name`, which a curve of the same name can still open.

    TensorFlow takes the curve's tag from a scope of its own, and numbers one that is taken:
    `loss_1`.
    """
    outer = tf.compat.v1.get_default_graph().get_name_scope()
    # A name that ends with "/" is taken as it is, and not noted as used.
    return tf.name_scope(f"{outer}/{name}/" if outer else f"{name}/")


def variables_outside() -> contextlib.AbstractContextManager[Any]:
    """While entered, name scopes do not get into the names of the default graph's variables.

    Adam's `beta1_power` would be `train/beta1_power`, which no checkpoint has.
    """

    def outside(next_creator: Callable[..., Any], **options: Any) -> Any:
        with tf.compat.v1.name_scope(None):
            return next_creator(**options)

    return tf.variable_creator_scope(outside)


@contextlib.contextmanager
def without_functions() -> Iterator[None]:
    """While entered, `tf.cond` makes nodes of the graph instead of two functions.

    TensorFlow's moving averages come with one `tf.cond` a variable, for their initial values.
    TensorBoard draws functions in a column of their own, beside which the graph is tiny, and counts
    them as nodes without edges: the members of an ensemble then leave the main graph.
    """
    before = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if before:
            tf.compat.v1.enable_control_flow_v2()
