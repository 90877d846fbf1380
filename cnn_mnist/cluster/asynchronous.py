"""Asynchronous training: whoever is free takes the next batch, and changes the weights at once.

The parameter servers hold, beside the weights, the number of the next batch. Each chief or worker
takes a number, computes the gradient of that whole batch with the weights as it finds them, and
applies it: others may have changed the weights meanwhile. Each number is taken once, so the batches
of all are those of one process.

The numbers are stamps. A batch that a worker took before the chief was killed is one of those that
the chief, back at its checkpoint, gives out again; it must not be counted as another step.
"""

import time
from typing import Any

import tensorflow as tf

from cnn_mnist.cluster.stamps import FIRST_SERVER, STARTS, number, stamp, starts_of, step_of
from cnn_mnist.models.averaging import averaged
from cnn_mnist.models.model_fn import UPDATE_OPS
from cnn_mnist.models.parts import Part
from cnn_mnist.recipes import Recipe

# Seconds from when old batches no longer count until the steps are counted anew. A server that is
# between the question whether a batch counts and the counting needs microseconds.
SETTLE = 0.5


class Asynchronous:
    """What the graph of a chief or a worker needs to train so.

    Attributes:
      part: what the graph trains on: the whole of the next batch that nobody has taken. The op that
        takes it ends the training, by `OutOfRangeError`, when all are taken.
    """

    def __init__(self, batch_size: int, steps: int, device: str) -> None:
        """Adds to the graph what takes one of `steps` batches; `device` is of this process."""
        self._starts = number(*STARTS)
        self._next = number("next_batch", FIRST_SERVER)
        taken = _counted_up(self._next, 2**63 - 1)
        self._taken_after = starts_of(taken)
        own = number("batch", device)
        with tf.control_dependencies([own.assign(step_of(taken), read_value=False)]):
            step = _counted_up(own, steps)  # the runtime's own way to end
        self.part = Part(step, first=0, size=batch_size, batch_size=batch_size)

    def minimize(self, descent: Any, objective: Any, loss: Any, step: Any, recipe: Recipe) -> Any:
        """The op that takes one training step, as `model.minimized`; an old batch counts for 0."""
        with tf.control_dependencies(tf.compat.v1.get_collection(UPDATE_OPS)):
            update = descent.minimize(objective)
        with tf.control_dependencies([update]), tf.device(step.device):
            counts = tf.equal(self._starts.read_value(), self._taken_after)
            count = step.assign_add(tf.cast(counts, step.dtype), read_value=False)
        return averaged(count, recipe, step)

    def loss(self, own: Any) -> Any:
        """The loss of the step: that of the part, which is the whole batch."""
        return own

    def build_start(self) -> None:
        """Adds to the graph what `start` runs."""
        self._is_new = tf.logical_not(self._starts.is_initialized())
        self._zero = self._starts.initializer
        self._count = self._starts.assign_add(1, read_value=False)
        self._first = tf.compat.v1.placeholder(tf.int64, [])
        step = tf.compat.v1.train.get_global_step()
        counted_anew = step.assign(tf.cast(self._first, step.dtype), read_value=False)
        with tf.control_dependencies([counted_anew]):
            first = stamp(self._starts.read_value(), self._first)
            self._start = self._next.assign(first, read_value=False)

    def start(self, session: Any, first_step: int) -> None:
        """Lets the training begin; for the chief, when the weights of `first_step` are restored."""
        is_new = session.run(self._is_new)
        if is_new:
            session.run(self._zero)
        session.run(self._count)
        if not is_new:
            time.sleep(SETTLE)
        session.run(self._start, {self._first: first_step})


def _counted_up(variable: Any, limit: int) -> Any:
    """The value of a number, which grows by 1; `OutOfRangeError` if it is not below `limit`."""
    return tf.raw_ops.ResourceCountUpTo(resource=variable.handle, limit=limit, T=tf.int64)
