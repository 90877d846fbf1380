import itertools

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.data.calls import Calls
from cnn_mnist.data.input_fns import calls_input_fn, eval_input_fn, train_input_fn
from cnn_mnist.data.splits import Split, batch_indices


def first_batches(input_fn, count, global_step=0):
    """What a session sees that starts at a global step, as `(images, labels)` each."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.get_or_create_global_step()
        iterator = tf.compat.v1.data.make_initializable_iterator(input_fn())
        features, labels = iterator.get_next()
        assert features["x"].shape.as_list()[-2:] == [28, 28]
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(step.assign(global_step))
        session.run(iterator.initializer)
        return [session.run((features["x"], labels)) for _ in range(count)]


def numbered(size):
    """Images that carry their own number in two pixels, and their label."""
    images = np.zeros((size, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(size), 256)
    return Split(images, (np.arange(size) % 10).astype(np.int32))


def numbers(images):
    return images[:, 0, 0].astype(int) * 256 + images[:, 0, 1]


class TestBatchIndices:
    @pytest.mark.parametrize(("size", "batch_size"), [(12, 4), (11, 4), (5, 7), (3, 20), (1, 1)])
    def test_each_image_comes_once_per_epoch(self, size, batch_size):
        steps = -(-3 * size // batch_size)
        row = np.concatenate(
            [batch_indices(s, size=size, batch_size=batch_size, seed=1) for s in range(steps)]
        )
        for epoch in range(3):
            assert sorted(row[epoch * size : (epoch + 1) * size]) == list(range(size))

    def test_epochs_and_seeds_have_orders_of_their_own(self):
        def order(seed, epoch):
            return tuple(batch_indices(epoch, size=1000, batch_size=1000, seed=seed))

        orders = [order(seed, epoch) for seed in (0, 1, 2**32 - 1) for epoch in (0, 1, 2)]
        assert len(set(orders)) == len(orders)
        for one, other in itertools.combinations(orders, 2):
            # 1000 places of two unrelated orders agree about once.
            assert np.sum(np.array(one) == np.array(other)) < 10
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.15  # 5 standard deviations

    def test_a_step_can_be_asked_for_alone_and_in_any_order(self):
        expected = {s: batch_indices(s, size=10, batch_size=3, seed=4) for s in range(20)}
        for step in (19, 0, 7, 7, 3, 12):
            again = batch_indices(step, size=10, batch_size=3, seed=4)
            np.testing.assert_array_equal(again, expected[step])

    def test_the_order_is_frozen(self):
        """These values may never change: a run could not be resumed with another version."""
        assert batch_indices(0, size=10, batch_size=10, seed=0).tolist() == GOLDEN_FIRST
        assert batch_indices(9999, size=55_000, batch_size=5, seed=42).tolist() == GOLDEN_LATE


GOLDEN_FIRST = [3, 7, 6, 4, 1, 0, 2, 8, 5, 9]
GOLDEN_LATE = [3625, 7785, 4376, 53544, 52611]


class TestTrainInput:
    @pytest.mark.parametrize(("batch_size", "count"), [(17, 130), (400, 7), (1025, 3)])
    def test_batches_follow_the_indices(self, batch_size, count):
        """60, 2 and 1 batches are picked out at once."""
        split = numbered(530)
        batches = first_batches(train_input_fn(split, batch_size, seed=6), count)
        for step, (images, labels) in enumerate(batches):
            assert images.dtype == np.uint8 and labels.dtype == np.int32
            assert images.shape == (batch_size, 28, 28)
            expected = batch_indices(step, size=530, batch_size=batch_size, seed=6)
            np.testing.assert_array_equal(numbers(images), expected)
            np.testing.assert_array_equal(labels, expected % 10)

    @pytest.mark.parametrize("batch_size", [7, 300, 1500])
    def test_starts_at_the_global_step(self, batch_size):
        input_fn = train_input_fn(numbered(31), batch_size, seed=6)
        all_batches = first_batches(input_fn, count=20)
        resumed = first_batches(input_fn, count=6, global_step=14)
        for (images, labels), (again, labels_again) in zip(all_batches[14:], resumed, strict=True):
            np.testing.assert_array_equal(images, again)
            np.testing.assert_array_equal(labels, labels_again)

    def test_the_images_are_not_in_the_graph(self):
        with tf.Graph().as_default() as graph:
            train_input_fn(numbered(530), batch_size=17, seed=6)()
            eval_input_fn(numbered(530))()
            assert len(graph.as_graph_def().SerializeToString()) < 20_000


class TestCallsInput:
    @pytest.mark.parametrize("global_step", [0, 14])
    def test_calls_hold_the_batches_of_their_steps(self, global_step):
        calls = Calls(longest=4, save=7, look=(5,))
        input_fn = calls_input_fn(numbered(31), batch_size=7, seed=6, calls=calls)
        batches = first_batches(input_fn, 8, global_step)
        start = global_step
        for (images, labels), end in zip(batches, calls.ends(global_step), strict=False):
            assert images.dtype == np.uint8 and labels.dtype == np.int32
            assert images.shape == (end - start, 7, 28, 28) and labels.shape == (end - start, 7)
            for one, one_labels in zip(images, labels, strict=True):
                expected = batch_indices(start, size=31, batch_size=7, seed=6)
                np.testing.assert_array_equal(numbers(one), expected)
                np.testing.assert_array_equal(one_labels, expected % 10)
                start += 1
        assert start > global_step + 14

    def test_the_images_are_not_in_the_graph(self):
        with tf.Graph().as_default() as graph:
            calls_input_fn(numbered(530), batch_size=17, seed=6, calls=Calls(longest=3))()
            assert len(graph.as_graph_def().SerializeToString()) < 20_000


class TestRows:
    def test_parts_of_batches(self):
        split = numbered(31)
        part = split.batches(7, seed=6)
        for step in (0, 4, 900, 3):
            expected = batch_indices(step, size=31, batch_size=7, seed=6)
            for first, size in ((0, 7), (2, 3), (6, 1), (5, 0)):
                chosen = expected[first : first + size]
                images, labels = part.rows(step, first, size)
                np.testing.assert_array_equal(numbers(images), chosen)
                np.testing.assert_array_equal(labels, chosen % 10)
                np.testing.assert_array_equal(part.indices(step, first, size), chosen)


class TestEvalInput:
    @pytest.mark.parametrize(("size", "batch_size"), [(12, 4), (11, 4), (3, 20), (1, 1)])
    def test_every_image_once_in_order(self, size, batch_size):
        split = numbered(size)
        count = -(-size // batch_size)
        input_fn = eval_input_fn(split, batch_size)
        batches = first_batches(input_fn, count, global_step=99)
        row = np.concatenate([numbers(images) for images, _ in batches])
        np.testing.assert_array_equal(row, np.arange(size))
        np.testing.assert_array_equal(np.concatenate([b for _, b in batches]), split.labels)
        with pytest.raises(tf.errors.OutOfRangeError):
            first_batches(input_fn, count + 1)
