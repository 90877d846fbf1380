"""Name scopes: the boxes in which TensorBoard draws the graph of a training.

At the top level of the graph there is one box for each thing that a person has a name for: `input`,
`image`, the layers, `loss`, `train`, ... The names of variables, which checkpoints are read by, do
not depend on these scopes.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


def with_curve(name: str) -> contextlib.AbstractContextManager[Any]:
    """The name scope `name`, which stays free for a curve of the same name.

    TensorFlow takes a curve's tag from a name scope that nothing else has opened; otherwise it
    would number it: `loss_1`.
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
    TensorBoard draws functions in a column of their own, which made the graph beside it tiny, and
    counts them as nodes without edges, against which a member of an ensemble had too many to stay
    in the main graph.
    """
    before = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if before:
            tf.compat.v1.enable_control_flow_v2()
