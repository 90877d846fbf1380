"""Asynchronous training: whoever is free takes the next batch, and changes the weights at once.

The parameter servers hold, beside the weights, the number of the next batch. Each chief or worker
takes a number, computes the gradient of that whole batch with the weights as it finds them, and
applies it: others may have changed the weights meanwhile. Each number is taken once, whoever is
fast or slow, so the batches of all are those of one process.
"""

from typing import Any

import tensorflow as tf

from cnn_mnist.model import minimized
from cnn_mnist.parts import Part


class Asynchronous:
    """What the graph of a chief or a worker needs to train so.

    Attributes:
      part: what the graph trains on: the whole of the next batch that nobody has taken. The op that
        takes it ends the training, by `OutOfRangeError`, when all are taken.
    """

    minimize = staticmethod(minimized)

    def __init__(self, batch_size: int, steps: int) -> None:
        self._next = tf.compat.v1.get_variable(
            "next_batch",
            [],
            tf.int64,
            initializer=tf.zeros_initializer(),
            trainable=False,
            collections=[],
        )
        taken = tf.raw_ops.ResourceCountUpTo(resource=self._next.handle, limit=steps, T=tf.int64)
        self.part = Part(taken, first=0, size=batch_size, batch_size=batch_size)

    def loss(self, own: Any) -> Any:
        """The loss of the step, of which `own` is that of the part."""
        return own

    def build_start(self) -> None:
        """Adds to the graph what `start` runs."""
        step = tf.cast(tf.compat.v1.train.get_global_step().read_value(), tf.int64)
        self._start = self._next.assign(step, read_value=False)

    def start(self, session: Any) -> None:
        """Lets the training begin at the global step; for the chief, when that is restored."""
        session.run(self._start)
