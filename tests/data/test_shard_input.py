"""Batches from shards, as a session sees them."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from shard_files import COUNTS, dealt, flip, numbers_of, split_of, write_shards

from cnn_mnist.data.calls import Calls
from cnn_mnist.data.input_fns import ShardError, calls_input_fn, naming_shard, train_input_fn

BATCH = 13


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return split_of(write_shards(tmp_path_factory.mktemp("shards")), begin=5)


def expected(split, step, batch_size=BATCH, seed=6):
    of_shards = dealt([shard.records for shard in split.shards])
    readings = split.batches(batch_size, seed).readings(step)
    return [of_shards[shard][record] for shard, records in readings for record in records]


def results(input_fn, global_step=0):
    """Images and labels of one batch after another, as a session gets them."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.get_or_create_global_step()
        iterator = tf.compat.v1.data.make_initializable_iterator(input_fn())
        features, labels = iterator.get_next()
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(step.assign(global_step))
        session.run(iterator.initializer)
        while True:
            yield session.run((features["x"], labels))


def first(count, input_fn, global_step=0):
    return list(itertools.islice(results(input_fn, global_step), count))


def assert_steps(split, found, start, batch_size=BATCH):
    for step, (images, labels) in enumerate(found, start):
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        assert images.shape == (batch_size, 28, 28) and labels.shape == (batch_size,)
        numbers = expected(split, step, batch_size)
        assert numbers_of(images).tolist() == numbers
        assert labels.tolist() == [number % 10 for number in numbers]


@pytest.mark.parametrize(("batch_size", "count"), [(BATCH, 30), (1, 100), (91, 3), (200, 3)])
def test_batches_follow_the_order(split, batch_size, count):
    found = first(count, train_input_fn(split, batch_size, seed=6))
    assert_steps(split, found, 0, batch_size)


@pytest.mark.parametrize("start", [1, 6, 7, 14, 1000, 10**9])
def test_starts_at_the_global_step(split, start):
    found = first(9, train_input_fn(split, BATCH, seed=6), global_step=start)
    assert_steps(split, found, start)


def test_what_lies_before_the_start_is_not_read(tmp_path):
    split = split_of(write_shards(tmp_path))
    start = 5
    coming = {
        reading.shard for step in (5, 6) for reading in split.batches(BATCH, 6).readings(step)
    }
    before = {r.shard for step in range(5) for r in split.batches(BATCH, 6).readings(step)} - coming
    assert before
    for number in before:
        split.shards[number].path.unlink()
    assert_steps(split, first(2, train_input_fn(split, BATCH, seed=6), start), start)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_take_parts_of_each_batch(split, replicas):
    found = first(10 * replicas, train_input_fn(split, 12, 6, replicas, first_step=3), 99)
    assert {len(labels) for _, labels in found} == {12 // replicas}
    whole = [
        [np.concatenate(arrays) for arrays in zip(*found[at : at + replicas], strict=True)]
        for at in range(0, len(found), replicas)
    ]
    assert_steps(split, whole, 3, batch_size=12)


def test_rows_of_any_step_are_those_of_its_batch(split):
    rows = split.batches(BATCH, seed=6).rows
    found = first(20, train_input_fn(split, BATCH, seed=6))
    for step in (19, 3, 4, 0):
        for begin, size in ((0, 13), (4, 6)):
            images, labels = rows(step, begin, size)
            np.testing.assert_array_equal(images, found[step][0][begin : begin + size])
            np.testing.assert_array_equal(labels, found[step][1][begin : begin + size])


@pytest.mark.parametrize("global_step", [0, 14])
def test_calls_hold_the_batches_of_their_steps(split, global_step):
    calls = Calls(longest=4, save=7, look=(5,))
    found = first(12, calls_input_fn(split, BATCH, 6, calls), global_step)
    start = global_step
    for (images, labels), end in zip(found, calls.ends(global_step), strict=False):
        assert images.shape == (end - start, BATCH, 28, 28)
        assert labels.shape == (end - start, BATCH)
        assert_steps(split, zip(images, labels, strict=True), start)
        start = end
    assert start > global_step + 20


@pytest.mark.parametrize("spoil", ["flip", "truncate", "remove", "empty", "label"])
def test_a_shard_that_breaks_is_named_when_it_is_reached(tmp_path, spoil):
    split = split_of(write_shards(tmp_path))
    path = split.shards[3].path
    order = split.batches(BATCH, 6)
    reached = next(step for step in range(8) if 3 in [r.shard for r in order.readings(step)])
    if spoil == "flip":
        flip(path, 20_000)
    elif spoil == "remove":
        path.unlink()
    elif spoil == "label":
        from test_tfrecord import GOOD, example, ints, write_records

        write_records(path, [example(**GOOD | {"label": ints(12)})] * COUNTS[3])
    else:
        path.write_bytes(path.read_bytes()[: 838 * 7] if spoil == "truncate" else b"")
    found = []
    with pytest.raises(ShardError) as caught, naming_shard(split):
        for batch in itertools.islice(results(train_input_fn(split, BATCH, seed=6)), 8):
            found.append(batch)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.splitlines() == [message]
    assert message.endswith("; the same command then goes on")
    assert len(found) == reached
    assert_steps(split, found, 0)


def test_other_errors_stay_what_they_are(split):
    error = tf.errors.InvalidArgumentError(None, None, "something else")
    with pytest.raises(tf.errors.InvalidArgumentError, match="something else"), naming_shard(split):
        raise error


def test_the_images_are_not_in_the_graph(split):
    with tf.Graph().as_default() as graph:
        train_input_fn(split, BATCH, seed=6)()
        calls_input_fn(split, BATCH, 6, Calls(longest=3))()
        size = len(graph.as_graph_def().SerializeToString())
    assert size < 40_000 < len(split) * 784  # three functions of tf.data take most of it
