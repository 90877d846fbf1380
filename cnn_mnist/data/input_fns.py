"""Input functions: arrays in memory -> batches of `({"x": images}, labels)`.

Training images in shards, which are not in memory, come by the same functions (`shard_input.py`).

The images stay in NumPy arrays and reach TensorFlow batch by batch, as `uint8`: a constant in the
graph would be written into every `graph.pbtxt` and `.meta` file.

Shapes are written with these axes: n steps of a call, B batch, N images of a split.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist.data import shard_input
from cnn_mnist.data.calls import Calls
from cnn_mnist.data.dataset import Split
from cnn_mnist.data.sharded import Order, Rows, ShardedSplit

EVAL_BATCH_SIZE = 100  # the largest activation then takes 100 * 28 * 28 * 32 * 4 bytes = 10 MB
PREFETCHED_BATCHES = 2
# Batches are picked out by Python several at a time, of so many images in all: called for every
# step, it takes time from the step that runs.
IMAGES_AT_ONCE = 1024


def _input_fn(batches: Callable[[], Any]) -> Callable[[], Any]:
    """The input function of a data set, some batches of which are made ahead.

    It does without two helpers of TensorFlow. The thread of tf.data's autotuning, which has nothing
    to tune here, sleeps ever longer and can sleep through the end of a session, which then takes
    10, 20 or 40 s. AutoGraph, which has nothing to convert, leaves a file in the temporary folder.
    """

    @tf.autograph.experimental.do_not_convert
    def input_fn() -> Any:
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches().prefetch(PREFETCHED_BATCHES).with_options(options)

    return input_fn


def train_input_fn(
    split: Split | ShardedSplit,
    batch_size: int,
    seed: int,
    replicas: int = 1,
    first_step: int | None = None,
) -> Callable[[], Any]:
    """Endless batches for training, starting with that of the current global step.

    The batch of a step is a function of (seed, data, batch size, step) alone, so a run that
    resumes from a checkpoint goes on with the very batches that it would have seen.

    Args:
      split: the training images.
      batch_size: images per step.
      seed: of the order.
      replicas: of the network, on devices of their own; each in turn takes an equal part of a
        batch, which is then what comes out.
      first_step: where to start, if not with the global step; several replicas need it, as their
        input is made before the global step is.

    Returns:
      An `input_fn` for `Estimator.train`; images `uint8 [B, 28, 28]`, labels `int32 [B]`.
    """
    if batch_size % replicas:
        raise ValueError(f"a batch of {batch_size} images cannot be parted among {replicas}")
    if isinstance(split, ShardedSplit):
        batches = functools.partial(shard_input.batches, split, batch_size, seed)
        return _from_shards(batches, batch_size // replicas if replicas > 1 else 0, first_step)
    together = max(1, IMAGES_AT_ONCE // batch_size)

    def batches_from_step(step: Any) -> tuple[Any, Any]:
        steps = range(int(step), int(step) + together)
        chosen = np.stack(
            [batch_indices(s, size=len(split), batch_size=batch_size, seed=seed) for s in steps]
        ).reshape(together * replicas, -1)  # [together, B]
        return split.images[chosen], split.labels[chosen]

    @_input_fn
    def input_fn() -> Any:
        steps = tf.data.Dataset.range(_first_step(first_step), tf.int64.max, together)
        return _loaded(steps, batches_from_step, axes=2).unbatch()

    return input_fn


def calls_input_fn(
    split: Split | ShardedSplit, batch_size: int, seed: int, calls: Calls
) -> Callable[[], Any]:
    """The batches of `train_input_fn`, handed over together for all steps of a call.

    Returns:
      An `input_fn` for `Estimator.train`; images `uint8 [n, B, 28, 28]`, labels `int32 [n, B]`.
    """
    if isinstance(split, ShardedSplit):
        return _from_shards(
            functools.partial(shard_input.calls_batches, split, batch_size, seed, calls)
        )

    def batches_of_calls(first: Any) -> Iterator[tuple[dict[str, Any], Any]]:
        steps = itertools.chain([int(first)], calls.ends(int(first)))
        for start, end in itertools.pairwise(steps):
            chosen = np.stack(
                [
                    batch_indices(step, size=len(split), batch_size=batch_size, seed=seed)
                    for step in range(start, end)
                ]
            )
            yield {"x": split.images[chosen]}, split.labels[chosen]

    @_input_fn
    def input_fn() -> Any:
        images = tf.TensorSpec([None, None, 28, 28], tf.uint8)
        labels = tf.TensorSpec([None, None], tf.int32)
        return tf.data.Dataset.from_generator(
            batches_of_calls, args=(_first_step(),), output_signature=({"x": images}, labels)
        )

    return input_fn


def rows_fn(
    split: Split | ShardedSplit, batch_size: int, seed: int
) -> Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]:
    """Parts of the batches of `train_input_fn`, for steps that are not known beforehand.

    Returns:
      A function of a step, the first row and the number of rows b, which gives these rows of the
      step's batch: `uint8 [b, 28, 28]` and `int32 [b]`.
    """
    if isinstance(split, ShardedSplit):
        return Rows(split, batch_size, seed)

    indices = indices_fn(split, batch_size, seed)

    def rows(step: int, first: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = indices(step, first, size)
        return split.images[chosen], split.labels[chosen]

    return rows


def indices_fn(
    split: Split | ShardedSplit, batch_size: int, seed: int
) -> Callable[[int, int, int], np.ndarray]:
    """The numbers, from 0 on, of the images that `rows_fn` gives: each comes once per epoch.

    Returns:
      A function of a step, the first row and the number of rows b, which gives `int64 [b]`.
    """
    if isinstance(split, ShardedSplit):
        return Order(split, batch_size, seed).indices
    size_of_all = len(split)

    def indices(step: int, first: int, size: int) -> np.ndarray:
        every = batch_indices(step, size=size_of_all, batch_size=batch_size, seed=seed)
        return every[first : first + size]

    return indices


def in_one_scope(input_fn: Callable[[], Any]) -> Callable[[], Any]:
    """The batches of an `input_fn`, drawn by TensorBoard as one box of the graph, `input`.

    The Estimator makes a data set's iterator itself, at the top level of the graph. So tensors are
    handed over.
    """

    def tensors() -> Any:
        with tf.name_scope("input"):
            iterator = tf.compat.v1.data.make_initializable_iterator(input_fn())
            # Like a table, it is initialised once the global step is there, at which it starts.
            initializers = tf.compat.v1.GraphKeys.TABLE_INITIALIZERS
            tf.compat.v1.add_to_collection(initializers, iterator.initializer)
            return iterator.get_next()

    return tensors


def eval_input_fn(split: Split, batch_size: int = EVAL_BATCH_SIZE) -> Callable[[], Any]:
    """Every image of the split once, in order; the last batch may be shorter.

    Returns:
      An `input_fn` for `Estimator.evaluate` and `Estimator.predict`.
    """

    def batch(index: Any) -> tuple[Any, Any]:
        chosen = slice(int(index) * batch_size, (int(index) + 1) * batch_size)
        return split.images[chosen], split.labels[chosen]

    @_input_fn
    def input_fn() -> Any:
        indices = tf.data.Dataset.range(eval_steps(split, batch_size))
        return _loaded(indices, batch, axes=1)

    return input_fn


def eval_steps(split: Split, batch_size: int = EVAL_BATCH_SIZE) -> int:
    """How many batches `eval_input_fn` gives."""
    return -(-len(split) // batch_size)


def batch_indices(step: int, *, size: int, batch_size: int, seed: int) -> np.ndarray:
    """Which images make up the batch of a step.

    The steps read one endless row of numbers, epoch after epoch, each a permutation of its own of
    all images: every image comes once per epoch, and a batch may end one epoch and begin the next.

    Returns:
      `int64 [batch_size]`, each at least 0 and below `size`.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = positions // size, positions % size
    return np.concatenate(
        [_permutation(size, seed, epoch)[places[epochs == epoch]] for epoch in np.unique(epochs)]
    )


@functools.lru_cache(maxsize=2)
def _permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    # The streams of NumPy's legacy generator are frozen for good (NEP 19).
    return np.random.RandomState([seed, epoch]).permutation(size)


def _from_shards(
    batches: Callable[[Any], Any], part_size: int = 0, first_step: int | None = None
) -> Callable[[], Any]:
    """The input function of the batches that `batches` gives for the first step.

    They come in parts of `part_size` rows, one after the other, if that is not 0.
    """

    @_input_fn
    def input_fn() -> Any:
        chosen = batches(_first_step(first_step))
        if part_size:
            chosen = chosen.unbatch().batch(part_size, drop_remainder=True)
        return chosen

    return input_fn


def _first_step(given: int | None = None) -> Any:
    """Where the input starts: at a given step, or at the global step: `int64`, a scalar.

    The latter is read when the iterator is initialised, after a checkpoint was restored.
    """
    if given is not None:
        return tf.constant(given, tf.int64)
    return tf.cast(tf.compat.v1.train.get_or_create_global_step(), tf.int64)


def _loaded(indices: Any, load: Callable[[Any], tuple[Any, Any]], axes: int) -> Any:
    """What `load` gives for each index, with `axes` axes before those of an image or label."""

    def one(index: Any) -> tuple[dict[str, Any], Any]:
        images, labels = tf.numpy_function(load, [index], (tf.uint8, tf.int32))
        return (
            {"x": tf.ensure_shape(images, [None] * axes + [28, 28])},
            tf.ensure_shape(labels, [None] * axes),
        )

    return indices.map(one)
