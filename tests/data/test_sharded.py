"""Which records of which shards come in which step."""

import weakref

import numpy as np
import pytest
from mnist_files import failure
from shard_files import COUNTS, dealt, flip, numbers_of, split_of, write_shards

from cnn_mnist.data.sharded import ShardedSplit


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("sharded"))


def numbers(split, readings):
    """The numbers of the images that `readings` names."""
    of_shards = dealt([shard.records for shard in split.shards])
    return [of_shards[shard][record] for shard, records in readings for record in records]


def row(split, order, steps):
    return [number for step in steps for number in numbers(split, order.readings(step))]


@pytest.mark.parametrize(("begin", "end"), [(0, 96), (13, 96), (13, 60), (95, 96), (90, 92)])
@pytest.mark.parametrize("batch_size", [1, 13, 96, 200])
def test_each_image_comes_once_per_epoch(shards, begin, end, batch_size):
    split = split_of(shards, begin, end)
    size = end - begin
    assert len(split) == size
    order = split.batches(batch_size, seed=1)
    every = row(split, order, range(-(-3 * size // batch_size)))
    for epoch in range(3):
        assert sorted(every[epoch * size : (epoch + 1) * size]) == list(range(begin, end))


def test_a_shard_is_used_up_before_the_next_begins(shards):
    split = split_of(shards)
    order = split.batches(13, seed=2)
    every = [(shard, len(records)) for s in range(100) for shard, records in order.readings(s)]
    visits = [every[0]]
    for shard, count in every[1:]:
        if shard == visits[-1][0] and visits[-1][1] < COUNTS[shard]:
            visits[-1] = (shard, visits[-1][1] + count)
        else:
            visits.append((shard, count))
    assert all(count == COUNTS[shard] for shard, count in visits[:-1])
    assert len(visits) > 90


def test_epochs_and_seeds_have_orders_of_their_own(shards):
    split = split_of(shards)
    orders = {}
    for seed in (0, 1, 2**32 - 1):
        for epoch in range(3):
            orders[seed, epoch] = tuple(row(split, split.batches(96, seed), [epoch]))
            shard_order = [shard for shard, _ in split.batches(96, seed).readings(epoch)]
            assert shard_order != sorted(shard_order)
    assert len(set(orders.values())) == len(orders)


def test_a_step_can_be_asked_for_alone_and_in_any_order(shards):
    split = split_of(shards, 5)
    expected = {s: row(split, split.batches(13, 4), [s]) for s in range(40)}
    order = split.batches(13, 4)
    for step in (39, 0, 7, 7, 3, 12, 38):
        assert row(split, order, [step]) == expected[step]
    assert len(row(split, order, [10**9])) == 13


def test_the_order_is_frozen(shards):
    """These values may never change: a run could not be resumed with another version."""
    split = split_of(shards, 5)
    assert row(split, split.batches(13, 0), [0]) == GOLDEN_FIRST
    assert row(split, split.batches(13, 42), [9999]) == GOLDEN_LATE


GOLDEN_FIRST = [7, 13, 70, 15, 25, 60, 48, 72, 80, 89, 78, 63, 81]
GOLDEN_LATE = [50, 8, 37, 14, 59, 53, 62, 33, 29, 65, 24, 47, 19]


def test_indices_number_the_images(shards):
    split = split_of(shards, 5)
    order = split.batches(13, 3)
    every = np.concatenate([order.indices(step, 0, 13) for step in range(7)])  # an epoch of 91
    assert sorted(every) == list(range(91))
    of_number = dict(zip(every, row(split, order, range(7)), strict=True))
    for step in (9, 50):
        found = [of_number[index] for index in order.indices(step, 4, 7)]
        assert found == row(split, order, [step])[4:11]
    assert order.indices(3, 5, 0).tolist() == []


@pytest.mark.parametrize("parts", [[13], [1, 12], [5, 4, 4], [1] * 13])
def test_parts_make_up_the_batch(shards, parts):
    split = split_of(shards, 5)
    order = split.batches(13, 3)
    for step in (0, 1, 6, 7, 500):
        expected = row(split, order, [step])
        first, images, labels = 0, [], []
        for size in parts:
            some, some_labels = order.rows(step, first, size)
            assert numbers(split, order.readings(step, first, size)) == numbers_of(some).tolist()
            assert (some.dtype, some_labels.dtype) == (np.uint8, np.int32)
            images.extend(numbers_of(some))
            labels.extend(some_labels)
            first += size
        assert images == expected
        assert labels == [number % 10 for number in expected]
    assert order.rows(0, 13, 0)[0].shape == (0, 28, 28)


def test_rows_decode_only_what_they_were_asked_for(shards, monkeypatch):
    """And read a shard once while steps stay in it."""
    from cnn_mnist.data import sharded

    split = split_of(shards)
    batches, decoded = split.batches(4, seed=0), []
    original = sharded.tfrecord.Records.decode
    monkeypatch.setattr(
        sharded.tfrecord.Records,
        "decode",
        lambda records, chosen, form: (
            decoded.append(len(chosen)) or original(records, chosen, form)
        ),
    )
    read, whole = [], sharded.tfrecord.read
    monkeypatch.setattr(
        sharded.tfrecord, "read", lambda *args, **rest: read.append(args[0]) or whole(*args, **rest)
    )
    for step in range(24):  # an epoch
        batches.rows(step, 1, 2)
    assert sum(decoded) == 48
    assert len(read) == len(set(read)) <= len(COUNTS)


def test_a_damaged_shard_is_named(tmp_path):
    split = split_of(write_shards(tmp_path))
    batches = split.batches(96, seed=0)
    path = split.shards[3].path
    good = path.read_bytes()
    flip(path, 2000)
    assert split.fault() == ""
    message = failure(batches.rows, 0, 0, 96)
    assert message.startswith(f"{path}: byte offset ")
    assert split.fault() == message
    path.write_bytes(good)
    assert len(split.batches(96, seed=0).rows(0)[1]) == 96
    assert split.fault() == ""


@pytest.mark.parametrize(("batch_size", "most"), [(1, 1), (7, 2), (90, 3)])
def test_memory_holds_the_shards_of_one_batch(tmp_path, monkeypatch, batch_size, most):
    from cnn_mnist.data import sharded

    split = split_of(write_shards(tmp_path, counts=(40,) * 6))
    original, held, found = sharded.tfrecord.read, weakref.WeakSet(), []

    def read(*args, **rest):
        for records in original(*args, **rest):
            held.add(records)
            found.append(len(held))
            yield records
            del records

    monkeypatch.setattr(sharded.tfrecord, "read", read)
    batches = split.batches(batch_size, seed=1)
    for step in range(-(-3 * 240 // batch_size)):
        batches.rows(step)
    assert len(found) > 12  # fewer than 3 epochs of 6: the last of one may be the next one's first
    assert max(found) == most


def test_pieces_of_long_shards_follow_each_other(mnist, tmp_path, monkeypatch):
    from cnn_mnist.data import sharded

    original = sharded.tfrecord.read
    monkeypatch.setattr(
        sharded.tfrecord, "read", lambda path, count: original(path, count, at_once=2000)
    )
    split = ShardedSplit(write_shards(tmp_path).train, 60, 96)
    pieces = [numbers_of(piece.images) for piece in split.pieces()]
    assert len(pieces) > 7
    assert sorted(np.concatenate(pieces)) == list(range(60, 96))
