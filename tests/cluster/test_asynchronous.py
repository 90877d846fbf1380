import threading

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.cluster.asynchronous import Asynchronous


class Member:
    """A trainer, which only takes numbers."""

    def __init__(self, servers, rank, trainers, steps):
        place = servers.member(rank, trainers)
        with tf.Graph().as_default() as graph, tf.compat.v1.device(servers.device(place)):
            self.step = tf.compat.v1.train.get_or_create_global_step()
            self.steps = Asynchronous(batch_size=6, steps=steps, device=place.device)
            self.steps.build_start()
            self._init = tf.compat.v1.global_variables_initializer()
        self.session = tf.compat.v1.Session(
            servers.target(place), graph, servers.session_config(place)
        )

    def start(self, step=0):
        """As the chief: with what a checkpoint holds."""
        self.session.run(self._init)
        with self.session.graph.as_default():
            self.step.load(step, self.session)
        self.steps.start(self.session, step)

    def take(self):
        return int(self.session.run(self.steps.part.step))

    def take_all(self):
        taken = []
        try:
            while True:
                taken.append(self.take())
        except tf.errors.OutOfRangeError:
            return taken


def test_each_number_is_taken_once_whoever_takes_it(servers):
    members = [Member(servers, rank, 4, steps=300) for rank in range(4)]
    members[0].start()
    taken = [[] for _ in members]

    def run(rank):
        taken[rank] += members[rank].take_all()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(np.concatenate(taken).tolist()) == list(range(300))
    assert all(numbers == sorted(numbers) for numbers in taken)


def test_when_all_are_taken_it_is_out_of_range_for_everybody_and_stays_so(servers):
    chief, worker = (Member(servers, rank, 2, steps=3) for rank in range(2))
    chief.start()
    assert [chief.take(), worker.take(), chief.take()] == [0, 1, 2]
    for member in (chief, worker, chief):
        with pytest.raises(tf.errors.OutOfRangeError):
            member.take()


def test_a_new_start_counts_from_the_step_that_was_restored(servers):
    chief, worker = (Member(servers, rank, 2, steps=40) for rank in range(2))
    chief.start()
    assert worker.take_all() == list(range(40))
    again = Member(servers, 0, 2, steps=40)
    again.start(37)
    assert [worker.take(), again.take(), worker.take()] == [37, 38, 39]
    with pytest.raises(tf.errors.OutOfRangeError):
        again.take()


def test_a_step_takes_one_number_and_trains_on_the_whole_batch(servers):
    member = Member(servers, 0, 1, steps=40)
    member.start(5)
    part = member.steps.part
    assert (part.first, part.size, part.batch_size) == (0, 6, 6)
    # However often the graph uses it.
    with member.session.graph.as_default():
        uses = [part.step + 0, part.step * 1, part.step]
    assert member.session.run(uses) == [5, 5, 5]
    assert member.take() == 6


def test_the_number_is_in_no_checkpoint_and_not_trained(servers):
    member = Member(servers, 0, 1, steps=40)
    with member.session.graph.as_default():
        assert tf.compat.v1.trainable_variables() == []
        assert [v.op.name for v in tf.compat.v1.global_variables()] == ["global_step"]
