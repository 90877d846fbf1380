"""Trainers that work in step, each with a graph and a session of its own, on real servers.

What a worker does in a step is taken apart here: it leaves its gradient, and is told the next.
"""

import logging
import threading

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.cluster.stamps import STEP_BITS
from cnn_mnist.cluster.synchronous import Synchronous
from cnn_mnist.models.parts import bounds
from cnn_mnist.recipes import Recipe

BATCH = 7
DATA = np.random.RandomState(0).normal(size=(20, BATCH, 3)).astype(np.float32)  # of 20 steps
RATE = 0.125


def stamp(starts, step):
    return (starts << STEP_BITS) + step


def trained(first, end, weights=(1.0, 2.0, 3.0)):
    """The weights after steps of gradient descent on whole batches, by NumPy in float64."""
    weights = np.array(weights)
    for batch in DATA[first:end].astype(np.float64):
        weights = weights - RATE * ((batch @ weights)[:, None] * batch).mean(axis=0)
    return weights


class Member:
    """A trainer: half the mean of the squares of `batch @ weights` is its loss."""

    def __init__(self, servers, rank, trainers, ps=1, normalizes=False):
        self.place = servers.member(rank, trainers, ps)
        with tf.Graph().as_default() as graph, tf.compat.v1.device(servers.device(self.place)):
            step = tf.compat.v1.train.get_or_create_global_step()
            weights = tf.compat.v1.get_variable("weights", initializer=[1.0, 2.0, 3.0])
            self.steps = Synchronous(rank, trainers, BATCH)
            part = self.steps.part
            rows = tf.constant(DATA)[part.step % 20][part.first : part.first + part.size]
            own = tf.reduce_mean(tf.square(tf.linalg.matvec(rows, weights))) / 2
            if normalizes:
                tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.UPDATE_OPS, tf.no_op())
            descent = tf.compat.v1.train.GradientDescentOptimizer(RATE)
            self._train = self.steps.minimize(descent, own, own, step, Recipe())
            self._loss = self.steps.loss(own)
            self._step, self._weights, self._given = step, weights, part.step
            if rank:
                self._begin = self.steps.begin()
                self._left = [op for op in graph.get_operations() if "AccumulatorApply" in op.type]
            else:
                self.steps.build_start()
            self._init = tf.compat.v1.global_variables_initializer()
        config = servers.session_config(self.place)
        self.session = tf.compat.v1.Session(servers.target(self.place), graph, config)

    def start(self, step=0, weights=(1.0, 2.0, 3.0)):
        """As a chief: with what a checkpoint holds."""
        self.session.run(self._init)
        with self.session.graph.as_default():
            self._step.load(step, self.session)
            self._weights.load(weights, self.session)
        self.steps.start(self.session, step)

    def begin(self):
        """As a worker, before the first step; returns itself."""
        self.session.run(self._begin)
        return self

    def leave(self):
        """As a worker: leaves the gradient, and is killed before it is told the next step."""
        self.session.run(self._left)

    def train(self):
        """The whole of a step; returns the loss."""
        return self.session.run([self._loss, self._train])[0]

    def in_thread(self):
        """`train` in a thread, and an event that is set when it has ended."""
        done = threading.Event()
        thread = threading.Thread(target=lambda: (self.train(), done.set()), daemon=True)
        thread.start()
        return thread, done

    def given(self):
        """The step that it is to train on."""
        return int(self.session.run(self._given))

    def step(self):
        return int(self.session.run(self._step))

    def weights(self):
        return self.session.run(self._weights)


def all_train(chief, workers):
    """A step of everybody; returns the chief's loss."""
    threads = [worker.in_thread()[0] for worker in workers]
    loss = chief.train()
    for thread in threads:
        thread.join()
    return loss


def team(servers, trainers, ps=1):
    """A chief that has started and workers that have begun."""
    chief = Member(servers, 0, trainers, ps)
    chief.start()
    return chief, [Member(servers, rank, trainers, ps).begin() for rank in range(1, trainers)]


@pytest.mark.parametrize(("trainers", "ps"), [(1, 1), (2, 1), (3, 2), (4, 1)])
def test_steps_are_those_of_one_process_on_whole_batches(servers, trainers, ps):
    chief, workers = team(servers, trainers, ps)
    rows = [bounds(rank, trainers, BATCH) for rank in range(trainers)]
    sizes = [member.steps.part.size for member in (chief, *workers)]
    assert sizes == [end - first for first, end in rows]
    for step in range(4):
        assert [member.given() for member in (chief, *workers)] == [step] * trainers
        before = trained(0, step)
        loss = all_train(chief, workers)
        assert loss == pytest.approx(((DATA[step] @ before) ** 2).mean() / 2, rel=1e-5)
        np.testing.assert_allclose(chief.weights(), trained(0, step + 1), rtol=1e-5)
        assert chief.step() == step + 1


def test_a_worker_that_leaves_its_gradient_twice_counts_once(servers):
    chief, (one, other) = team(servers, 3)
    for member in (one, one, one, other):  # `one` was killed and started twice
        member.leave()
    chief.train()
    np.testing.assert_allclose(chief.weights(), trained(0, 1), rtol=1e-5)
    assert chief.step() == 1


def test_what_is_left_for_a_step_that_is_done_is_refused(servers):
    chief, (one, other) = team(servers, 3)
    for worker in (one, other):
        worker.leave()
    chief.train()
    one.train()  # leaves step 0's gradient again, and is told of step 1
    assert one.given() == 1
    other.train()
    for worker in (one, other):
        worker.leave()
    chief.train()
    np.testing.assert_allclose(chief.weights(), trained(0, 2), rtol=1e-5)


def test_a_step_waits_for_every_worker(servers):
    chief, (one, other) = team(servers, 3)
    one.leave()
    one.leave()
    thread, done = chief.in_thread()
    assert not done.wait(0.5)
    np.testing.assert_array_equal(chief.weights(), [1, 2, 3])
    other.leave()
    thread.join()
    np.testing.assert_allclose(chief.weights(), trained(0, 1), rtol=1e-5)


def test_a_worker_that_is_started_again_joins_at_the_step_that_waits_for_it(servers):
    for step in range(4):  # and each time tells the number to a worker that is not there
        chief = Member(servers, 0, 2)
        chief.start(step)
    worker = Member(servers, 1, 2).begin()
    assert worker.given() == 3
    all_train(chief, [worker])
    assert worker.given() == chief.given() == 4  # and not one of the old numbers
    np.testing.assert_allclose(chief.weights(), trained(3, 4), rtol=1e-5)


def test_a_new_chief_throws_away_what_lies_there_and_wakes_who_waits(servers):
    chief, (one, other) = team(servers, 3)
    for _ in range(5):
        all_train(chief, (one, other))
    assert one.given() == other.given() == 5
    thread, done = one.in_thread()  # leaves its gradient of step 5
    other.leave()
    assert not done.wait(0.2)

    saved = trained(0, 2)
    again = Member(servers, 0, 3)
    again.start(2, saved)
    thread.join()
    assert one.given() == again.given() == 2
    other.leave()  # of step 5, and of the past
    thread, done = again.in_thread()
    one.leave()
    assert not done.wait(0.5)  # so this step waits for the other
    other.train()
    assert other.given() == 2
    other.leave()
    thread.join()
    np.testing.assert_allclose(again.weights(), trained(2, 3, saved), rtol=1e-5)
    assert again.step() == 3


def test_stamps_grow_though_the_chief_goes_back(servers):
    worker = Member(servers, 1, 2)
    stamps = []
    for step in (0, 7, 3, 3):
        Member(servers, 0, 2).start(step)
        worker.begin()
        assert worker.given() == step
        stamps.append(int(worker.session.run(worker.steps._stamp)))
    assert stamps == [stamp(1, 0), stamp(2, 7), stamp(3, 3), stamp(4, 3)]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
def test_the_chief_tells_that_parts_are_normalized_each_by_itself(servers, caplog, rank, lines):
    with caplog.at_level(logging.WARNING, logger="cnn_mnist"):
        Member(servers, rank, 2)
        assert caplog.messages == []
        Member(servers, rank, 2, normalizes=True)
    assert len(caplog.messages) == lines


def test_the_chief_alone_takes_every_row(servers):
    with tf.Graph().as_default():
        tf.compat.v1.train.get_or_create_global_step()
        alone = Synchronous(0, 1, BATCH)
    assert (alone.part.first, alone.part.size, alone.part.batch_size) == (0, BATCH, BATCH)
