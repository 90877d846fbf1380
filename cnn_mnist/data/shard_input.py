"""Batches for training from TFRecord shards, by `tf.data`.

A shard is read whole, its records are put in order and handed on one by one, to make up batches;
meanwhile the next shard is read. So memory holds the bytes of two shards, and of one more while it
is put in order, however many there are. Only what is in a batch is decoded.

Shapes are written with these axes: n steps of a call, B batch, b rows of a part of it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist.data.calls import Calls
from cnn_mnist.data.sharded import Order, ShardedSplit
from cnn_mnist.data.sources import IMAGE_SHAPE, NUM_CLASSES, Split
from cnn_mnist.utils.errors import RunError

SHARDS_AHEAD = 1
FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


# What a file that is damaged, or gone, leads to; not the loss of another process.
FILE_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnknownError,
)


class ShardError(RunError):
    """A shard that was lost or damaged while it was trained on."""


def batches(
    split: ShardedSplit,
    batch_size: int,
    seed: int,
    first_step: Any,
    first: int = 0,
    size: int | None = None,
) -> Any:
    """Endless batches of the steps from `first_step` on, or the same part of each of them.

    What lies before the first is not read, but for the rest of its shard.

    Args:
      split: the training images.
      batch_size: of the whole batch, B.
      seed: of the order.
      first_step: an integer, or a scalar tensor that is read when the iterator is initialised.
      first: the first row of the part.
      size: how many rows it has, b; None for all from `first` on.

    Returns:
      A `tf.data.Dataset` of `({"x": images}, labels)`; `uint8 [b, 28, 28]`, `int32 [b]`.
    """
    order = Order(split, batch_size, seed)
    first_step = tf.cast(first_step, tf.int64)
    rows = slice(first, batch_size if size is None else first + size)

    def first_visit(step: Any) -> np.int64:
        return np.int64(order.place(int(step) * batch_size)[0])

    def plan(visit: Any, step: Any) -> tuple[Any, ...]:
        """Which file is read, from which record on, how many, and in which order they come."""
        number, offset = order.place(int(step) * batch_size)
        shard, records = order.visit(int(visit))
        chosen = records[offset:] if visit == number else records
        split.opened.append(shard)
        path = os.fsencode(split.shards[shard].path)
        begin = split.firsts[shard]
        return path, begin, split.counts[shard], chosen - begin

    def planned(visit: Any) -> tuple[Any, ...]:
        types = (tf.string, tf.int64, tf.int64, tf.int64)
        path, begin, count, chosen = tf.numpy_function(plan, [visit, first_step], types)
        for scalar in (path, begin, count):
            scalar.set_shape([])
        return path, begin, count, tf.ensure_shape(chosen, [None])

    def shard_of(path: Any, begin: Any, count: Any, chosen: Any) -> Any:
        file = tf.data.TFRecordDataset(path).skip(begin).take(count)
        # A file that has become shorter leaves no batch, and that is an error.
        whole = file.batch(count, drop_remainder=True)
        whole = whole.apply(tf.data.experimental.assert_cardinality(1))
        return whole.map(lambda examples: tf.gather(examples, chosen))

    begin = tf.numpy_function(first_visit, [first_step], tf.int64)
    begin.set_shape([])
    visits = tf.data.Dataset.range(begin, tf.int64.max)
    shards = visits.map(planned).flat_map(shard_of).prefetch(SHARDS_AHEAD)
    whole = shards.unbatch().batch(batch_size, drop_remainder=True)
    return whole.map(lambda examples: parsed(examples[rows]))


def calls_batches(
    split: ShardedSplit, batch_size: int, seed: int, calls: Calls, first_step: Any
) -> Any:
    """The batches of `batches`, handed over together for all steps of a call.

    Returns:
      A `tf.data.Dataset` of `({"x": images}, labels)`; `uint8 [n, B, 28, 28]`, `int32 [n, B]`.
    """
    base = calls.longest + 1

    def keys(first: Any) -> Iterator[np.ndarray]:
        """For each step one number: where its call begins, and how many steps that takes."""
        ends = itertools.chain([int(first)], calls.ends(int(first)))
        for start, end in itertools.pairwise(ends):
            yield from itertools.repeat(np.int64(start * base + end - start), end - start)

    spec = tf.TensorSpec([], tf.int64)
    steps = tf.data.Dataset.from_generator(
        keys, args=(tf.cast(first_step, tf.int64),), output_signature=spec
    )
    keyed = tf.data.Dataset.zip((steps, batches(split, batch_size, seed, first_step)))
    return keyed.group_by_window(
        key_func=lambda key, batch: key,
        reduce_func=lambda key, window: window.map(lambda key, batch: batch).batch(calls.longest),
        window_size_func=lambda key: key % base,
    )


def parsed(examples: Any) -> tuple[dict[str, Any], Any]:
    """The images and labels of serialized Examples, `string [b]`."""
    values = tf.io.parse_example(examples, FEATURES)
    images = tf.reshape(tf.io.decode_raw(values["image"], tf.uint8), [-1, *IMAGE_SHAPE])
    images = tf.ensure_shape(images, [examples.shape[0], *IMAGE_SHAPE])
    labels = values["label"]
    in_range = tf.reduce_all((labels >= 0) & (labels < NUM_CLASSES))
    with tf.control_dependencies([tf.debugging.Assert(in_range, ["a label out of range", labels])]):
        return {"x": images}, tf.cast(labels, tf.int32)


@contextlib.contextmanager
def naming_shard(split: Split | ShardedSplit) -> Iterator[None]:
    """Turns TensorFlow's error on a shard, which names no file, into one that does.

    Raises:
      ShardError: one of the shards opened last is damaged or missing.
    """
    try:
        yield
    except FILE_ERRORS as error:
        if isinstance(split, ShardedSplit) and (fault := split.fault()):
            raise ShardError(f"{fault}; the same command then goes on") from error
        raise
