"""Input functions: images -> batches of `({"x": images}, labels)`.

Images reach TensorFlow batch by batch, as `uint8`: a constant in the graph would be written into
every `graph.pbtxt` and `.meta` file. See `sharded.py` for how much of a set in shards is in memory.

Shapes are written with these axes: n steps of a call, B batch, N images of a split, H height, W
width; colour images have their three channels as a further, last axis.
"""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import tensorflow as tf

from cnn_mnist.data.calls import Calls
from cnn_mnist.data.sources import DatasetError
from cnn_mnist.data.splits import Examples, Split
from cnn_mnist.utils.errors import RunError

EVAL_BATCH_SIZE = 100  # the largest activation then takes 100 * 28 * 28 * 32 * 4 bytes = 10 MB
PREFETCHED_BATCHES = 2
# Python picks out several batches in one call, of so many images in all: a call takes time from the
# step that runs.
IMAGES_AT_ONCE = 1024

Arrays = tuple[np.ndarray, np.ndarray]  # images and labels


class ShardError(RunError):
    """A shard that was lost or damaged while it was trained on."""


def _input_fn(batches: Callable[[], Any]) -> Callable[[], Any]:
    """The input function of a data set, some batches of which are made ahead.

    It turns off two parts of TensorFlow that have nothing to do here. The thread of tf.data's
    autotuning can sleep through the end of a session, which then takes 10, 20 or 40 s. AutoGraph
    leaves a file in the temporary folder.
    """

    @tf.autograph.experimental.do_not_convert
    def input_fn() -> Any:
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches().prefetch(PREFETCHED_BATCHES).with_options(options)

    return input_fn


def train_input_fn(
    split: Examples,
    batch_size: int,
    seed: int,
    replicas: int = 1,
    first_step: int | None = None,
) -> Callable[[], Any]:
    """Endless batches for training, starting with that of the current global step.

    The batch of a step is a function of (seed, data, batch size, step) alone, so a run that
    resumes from a checkpoint sees the same batches as one that was never interrupted.

    Args:
      split: the training images.
      batch_size: images per step.
      seed: of the order.
      replicas: of the network, on devices of their own; each in turn gets an equal part of a batch.
      first_step: where to start, if not with the global step; several replicas need it, as their
        input is made before the global step is.

    Returns:
      An `input_fn` for `Estimator.train`; images `uint8 [B, H, W]`, labels `int32 [B]`, where B
      is the size of such a part.
    """
    if batch_size % replicas:
        raise ValueError(f"a batch of {batch_size} images cannot be parted among {replicas}")
    together = max(1, IMAGES_AT_ONCE // batch_size)

    @_input_fn
    def input_fn() -> Any:
        batches = split.batches(batch_size, seed)  # forgets a fault: the shard may be mended by now

        def group_from(start: Any) -> Arrays:
            if split.fault():
                return _unreadable(split)
            images, labels = batches.whole(range(int(start), int(start) + together))
            if not len(labels):
                return _unreadable(split)
            parts = (len(labels) * replicas, batch_size // replicas)
            return images.reshape(*parts, *split.image_shape), labels.reshape(parts)

        starts = tf.data.Dataset.range(_first_step(first_step), tf.int64.max, together)
        return _loaded(starts, group_from, [None, None, *split.image_shape]).unbatch()

    return input_fn


def calls_input_fn(split: Examples, batch_size: int, seed: int, calls: Calls) -> Callable[[], Any]:
    """The batches of `train_input_fn`, handed over together for all steps of a call.

    Returns:
      An `input_fn` for `Estimator.train`; images `uint8 [n, B, H, W]`, labels `int32 [n, B]`.
    """

    shape = [None, None, *split.image_shape]

    def groups(first: Any) -> Iterator[Arrays]:
        batches = split.batches(batch_size, seed)
        steps = itertools.chain([int(first)], calls.ends(int(first)))
        for start, end in itertools.pairwise(steps):
            group = batches.whole(range(start, end))
            yield group if len(group[1]) == end - start else _unreadable(split)

    def one(images: Any, labels: Any) -> tuple[dict[str, Any], Any]:
        return {"x": tf.ensure_shape(images, shape)}, labels

    @_input_fn
    def input_fn() -> Any:
        spec = (tf.TensorSpec([None] * len(shape), tf.uint8), tf.TensorSpec([None] * 2, tf.int32))
        steps = (_first_step(),)
        return tf.data.Dataset.from_generator(groups, args=steps, output_signature=spec).map(one)

    return input_fn


def rows_of_step(
    split: Examples, batches: Any, rows: Any, index_log: IO[str] | None = None
) -> tuple[dict[str, Any], Any]:
    """A part of the batch of a step, picked out in the step itself.

    Args:
      split: the training images.
      batches: its batches.
      rows: `step`, an `int64` scalar tensor, and the numbers `first` and `size`.
      index_log: is told the images of each step, in a line of JSON.

    Returns:
      Images `uint8 [B, H, W]` and labels `int32 [B]`, where B is the size of the part.
    """
    where = (rows.first, rows.size)

    def picked(step: Any) -> Arrays:
        if index_log:
            images = batches.indices(int(step), *where).tolist()
            print(json.dumps({"step": int(step), "images": images}), file=index_log)
        try:
            return batches.rows(int(step), *where)
        except DatasetError:  # raised here, it would reach the screen as a traceback
            return np.empty([0, *split.image_shape], np.uint8), np.empty(0, np.int32)

    with tf.name_scope("input"), tf.device("CPU:0"):
        images, labels = tf.numpy_function(picked, [rows.step], (tf.uint8, tf.int32))
        images = tf.ensure_shape(images, [rows.size, *split.image_shape])
        return {"x": images}, tf.ensure_shape(labels, [rows.size])


@contextlib.contextmanager
def index_log_in(folder: str | None, process: str) -> Iterator[IO[str] | None]:
    """The file of a process's `index_log` in a folder, which is made; None if `folder` is."""
    if folder is None:
        yield None
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    place = Path(folder) / f"{process.replace(' ', '_')}.jsonl"
    with place.open("a", buffering=1) as file:  # each line at once
        yield file


def in_one_scope(input_fn: Callable[[], Any]) -> Callable[[], Any]:
    """The batches of an `input_fn`, as tensors, which TensorBoard draws in one box, `input`.

    The iterator of a data set would be made by the Estimator, at the top level of the graph.
    """

    def tensors() -> Any:
        with tf.name_scope("input"):
            iterator = tf.compat.v1.data.make_initializable_iterator(input_fn())
            # Like a table, it is initialised after the global step, at which it starts.
            initializers = tf.compat.v1.GraphKeys.TABLE_INITIALIZERS
            tf.compat.v1.add_to_collection(initializers, iterator.initializer)
            return iterator.get_next()

    return tensors


def eval_input_fn(split: Split, batch_size: int = EVAL_BATCH_SIZE) -> Callable[[], Any]:
    """An `input_fn` of every image once, in order; the last batch may be shorter."""

    def batch(index: Any) -> Arrays:
        chosen = slice(int(index) * batch_size, (int(index) + 1) * batch_size)
        return split.images[chosen], split.labels[chosen]

    steps = eval_steps(split, batch_size)
    shape = [None, *split.image_shape]
    return _input_fn(lambda: _loaded(tf.data.Dataset.range(steps), batch, shape))


def eval_steps(split: Split, batch_size: int = EVAL_BATCH_SIZE) -> int:
    """How many batches `eval_input_fn` gives."""
    return -(-len(split) // batch_size)


@contextlib.contextmanager
def naming_shard(split: Examples) -> Iterator[None]:
    """Turns TensorFlow's error on images of a damaged shard into a `ShardError` that names it."""
    try:
        yield
    except tf.errors.OpError as error:
        if fault := split.fault():
            raise ShardError(f"{fault}; the same command then goes on") from error
        raise


def _unreadable(split: Examples) -> Arrays:
    """What is given instead of images of a damaged shard: TensorFlow refuses it, in one line.

    An error raised instead would be printed as a traceback.
    """
    return np.empty([1, 1, *(0 for _ in split.image_shape)], np.uint8), np.empty([1, 1], np.int32)


def _first_step(given: int | None = None) -> Any:
    """The given step or the global step, an `int64` scalar.

    The global step is read when the iterator is initialised, after a checkpoint was restored.
    """
    if given is not None:
        return tf.constant(given, tf.int64)
    return tf.cast(tf.compat.v1.train.get_or_create_global_step(), tf.int64)


def _loaded(indices: Any, load: Callable[[Any], Arrays], shape: list[int | None]) -> Any:
    """The data set of what `load` gives for each index: images of this shape, and their labels."""
    axes = sum(side is None for side in shape)  # before those of an image

    def one(index: Any) -> tuple[dict[str, Any], Any]:
        images, labels = tf.numpy_function(load, [index], (tf.uint8, tf.int32))
        labels = tf.ensure_shape(labels, [None] * axes)
        return {"x": tf.ensure_shape(images, shape)}, labels

    return indices.map(one)
