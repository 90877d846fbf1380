"""Synchronous training: all work on one batch, and the weights change when all are done.

Each trainer computes the gradient of its part of the batch and leaves it with the parameter
servers. When all gradients are there, the chief's step applies their mean, weighted by the sizes of
the parts: the gradient of the whole batch. Then it tells the workers the number of the next.

It is built, as TensorFlow's `SyncReplicasOptimizer` is, of the runtime's own accumulators and
queues, but each worker has its own. That optimizer counts gradients, not workers: a fast worker may
be counted twice in a step, and a slow one not at all. Here a step waits for every worker, and what
a worker leaves twice counts once: one that is killed and started again joins in where the others
wait for it. What was computed before the chief was killed has a stamp of the past, which the
accumulators refuse.
"""

import logging
from typing import Any

import tensorflow as tf

from cnn_mnist.cluster.stamps import FIRST_SERVER, STARTS, number, stamp, step_of
from cnn_mnist.models.averaging import averaged
from cnn_mnist.models.model_fn import UPDATE_OPS
from cnn_mnist.models.parts import Part, bounds
from cnn_mnist.recipes import Recipe

log = logging.getLogger(__name__)


class Synchronous:
    """What the graph of one trainer needs to train with the others.

    Attributes:
      part: what the graph trains on: the trainer's rows of the batch of the step.
    """

    def __init__(self, rank: int, trainers: int, batch_size: int) -> None:
        """Adds to the graph what tells the step.

        Args:
          rank: of this trainer: 0 for the chief.
          trainers: how many train: the chief and all workers.
          batch_size: of the whole batch, at least one image for each.
        """
        self._rank, self._workers = rank, range(1, trainers)
        rows = [bounds(each, trainers, batch_size) for each in range(trainers)]
        self._shares = [(end - first) / batch_size for first, end in rows]
        self._starts = number(*STARTS)
        if rank:
            self._own_stamp = number("stamp", f"/job:worker/task:{rank - 1}")
        self._stamp = self._own_stamp.read_value() if rank else self._stamp_now()
        first, end = rows[rank]
        self.part = Part(step_of(self._stamp), first, end - first, batch_size)

    def minimize(self, descent: Any, objective: Any, loss: Any, step: Any, recipe: Recipe) -> Any:
        """The op that takes the trainer's share in a training step; as `model.minimized`."""
        gradients, variables = zip(*descent.compute_gradients(objective), strict=True)
        parts = {v.op.name: (v.device, g) for v, g in zip(variables, gradients, strict=True)}
        parts["loss"] = (FIRST_SERVER, loss)
        if self._rank:
            left = [
                _accumulator(name, device, gradient, self._rank).apply_grad(gradient, self._stamp)
                for name, (device, gradient) in parts.items()
            ]
            with tf.control_dependencies(left):  # then it waits to be told the next stamp
                return self._own_stamp.assign(_stamps(self._rank).dequeue(), read_value=False)
        *means, self._mean_loss = self._means(parts)
        moving = tf.compat.v1.get_collection(UPDATE_OPS)
        if moving:
            log.warning(
                "the network normalizes each part of a batch by itself: with another number of "
                "workers it trains a little differently"
            )
        with tf.control_dependencies([*means, *moving]):
            update = descent.apply_gradients(zip(means, variables, strict=True), step)
            update = averaged(update, recipe, step)
        with tf.control_dependencies([update]):
            return self._tell_all()

    def loss(self, own: Any) -> Any:
        """The loss of the step, of which `own` is that of the part; the chief knows the whole."""
        return own if self._rank else self._mean_loss

    def begin(self) -> Any:
        """The op that a worker runs once before its first step."""
        told = _stamps(self._rank)
        with tf.control_dependencies([told.dequeue_many(told.size())]):  # before it was killed
            return self._own_stamp.assign(self._stamp_now(), read_value=False)

    def build_start(self) -> None:
        """Adds to the graph what `start` runs."""
        self._is_new = tf.logical_not(self._starts.is_initialized())
        self._zero = self._starts.initializer
        before = _now(self._starts.read_value() + 1) - 1
        with tf.control_dependencies([left.set_global_step(before) for left, _ in self._left]):
            # Whatever is in there is taken out together with a zero, and thrown away.
            zeros = [left.apply_grad(tf.zeros(shape), before) for left, shape in self._left]
        with tf.control_dependencies(zeros):
            self._empty = tf.group(*(left.take_grad(1) for left, _ in self._left))
        self._count = self._starts.assign_add(1, read_value=False)
        self._tell = self._tell_all()

    def start(self, session: Any, first_step: int) -> None:
        """Lets the training begin; for the chief, when the weights of `first_step` are restored.

        Nobody but the chief takes steps, so that the global step is still the same.
        """
        if session.run(self._is_new):
            session.run(self._zero)
        for op in (self._empty, self._count, self._tell):
            session.run(op)

    def _means(self, parts: dict[str, tuple[str, Any]]) -> list[Any]:
        """For the chief: the means over the rows of the whole batch, once everybody is done."""
        self._left, means = [], []
        for name, (device, own) in parts.items():
            left = [_accumulator(name, device, own, worker) for worker in self._workers]
            with tf.device(device):
                everyones = [own, *(each.take_grad(1) for each in left)]
                shares = zip(self._shares, everyones, strict=True)
                means.append(tf.add_n([share * gradient for share, gradient in shares]))
            self._left += [(each, own.shape) for each in left]
        return means

    def _tell_all(self) -> Any:
        return tf.group(*(_stamps(worker).enqueue(self._stamp_now()) for worker in self._workers))

    def _stamp_now(self) -> Any:
        return _now(self._starts.read_value())


def _now(starts: Any) -> Any:
    """The stamp of so many starts and of the global step."""
    with tf.control_dependencies([starts]):  # or the step may be of before the chief's start
        step = tf.cast(tf.compat.v1.train.get_global_step().read_value(), tf.int64)
    return stamp(starts, step)


def _stamps(worker: int) -> Any:
    """The queue through which a worker is told its next stamp."""
    with tf.device(FIRST_SERVER):
        return tf.queue.FIFOQueue(-1, tf.int64, [[]], shared_name=f"stamps/{worker}")


def _accumulator(name: str, device: str, like: Any, worker: int) -> Any:
    """Where a worker leaves the gradient `name`, which has the shape and dtype of `like`."""
    with tf.device(device):
        return tf.compat.v1.ConditionalAccumulator(
            like.dtype, like.shape, shared_name=f"gradients/{name}/{worker}"
        )
