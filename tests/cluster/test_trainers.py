"""The graphs of chief and workers, each with a session of its own, on real servers."""

import dataclasses
import io
import json
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.cluster import notice, trainers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.data.dataset import Split
from cnn_mnist.data.splits import batch_indices
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import hooks
from cnn_mnist.training import train as training
from conftest import scalars

RECIPE = Recipe(
    network="small_cnn",
    optimizer="momentum",
    learning_rate=0.05,
    batch_size=11,
    steps=5,
    dropout_rate=0.4,
    augment="shift_and_rotation",
    average_decay=0.9,
    eval_every_steps=1,  # and so is the loss of every step in the curves
    seed=3,
)


class Member:
    """A trainer with its session, and the lines that it logs."""

    def __init__(self, servers, rank, of, strategy, data, model_dir, recipe=RECIPE):
        place = servers.member(rank, of, 2)
        self._log = io.StringIO()
        settings = Settings(place, strategy, str(model_dir), 1000, 0, 600, None)
        self.trainer = trainers.Trainer(settings, recipe, data.train, self._log)
        config, target = servers.session_config(place), servers.target(place)
        with tf.Graph().as_default() as graph, tf.compat.v1.device(servers.device(place)):
            tf.compat.v1.train.create_global_step()
            features, labels = self.trainer.input_fn()
            mode = estimator.ModeKeys.TRAIN
            self.spec = self.trainer.model_fn(features, labels, mode, recipe.params(), None)
            self.given, self.features = self.trainer.steps.part.step, features
            self.variables = {v.op.name: v for v in tf.compat.v1.global_variables()}
            if rank:
                creator = tf.compat.v1.train.WorkerSessionCreator(
                    self.spec.scaffold, target, config
                )
                run_hooks = []
            else:
                creator = tf.compat.v1.train.ChiefSessionCreator(self.spec.scaffold, target, config)
                run_hooks = [trainers.Start(self.trainer, str(model_dir), "what is trained")]
            self.session = tf.compat.v1.train.MonitoredSession(creator, run_hooks)
        self.graph = graph

    def train(self, steps):
        """Takes steps, as many or until all are taken; returns (step, loss) of each."""
        taken = []
        try:
            for _ in range(steps):
                taken.append(self.session.run([self.given, self.spec.loss, self.spec.train_op])[:2])
        except tf.errors.OutOfRangeError:
            pass
        return [(int(step), float(loss)) for step, loss in taken]

    def values(self):
        return self.session.run(self.variables)

    def logged(self):
        """What it trained on: step -> images."""
        lines = map(json.loads, self._log.getvalue().splitlines())
        return {line["step"]: line["images"] for line in lines}


def all_train(members, steps):
    """What each trained: lists of (step, loss)."""
    taken = [[] for _ in members]

    def run(rank):
        taken[rank] += members[rank].train(steps)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(1, len(members))]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    return taken


def indices(step, data, recipe=RECIPE):
    return batch_indices(
        step, size=len(data.train), batch_size=recipe.batch_size, seed=recipe.seed
    ).tolist()


@pytest.fixture(scope="module")
def data(small):
    """`small`, without images for validation."""
    none = Split(small.validation.images[:0], small.validation.labels[:0])
    return dataclasses.replace(small, validation=none)


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """What one process trains: the loss of each step, and the variables at the end."""
    folder = tmp_path_factory.mktemp("alone")
    training.train(RECIPE, folder, data=data, progress=False, log_every_n_iter=0)
    losses = [value for _, value in scalars(folder)["loss"]]
    assert len(losses) == RECIPE.steps
    return losses, saver.read(folder / f"model.ckpt-{RECIPE.steps}")


@pytest.mark.parametrize("of", [2, 3, 4])
def test_in_step_they_train_what_one_process_trains(servers, data, tmp_path, alone, of):
    members = [Member(servers, rank, of, "sync", data, tmp_path) for rank in range(of)]
    taken = all_train(members, RECIPE.steps)
    for rank in range(of):
        assert [step for step, _ in taken[rank]] == list(range(RECIPE.steps))
    for step in range(RECIPE.steps):
        together = [image for member in members for image in member.logged()[step]]
        assert together == indices(step, data)
    losses, expected = alone
    # Rounding, of sums in another order.
    np.testing.assert_allclose([loss for _, loss in taken[0]], losses, rtol=1e-5)
    found = members[0].values()
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-5, err_msg=name)
    assert found["global_step"] == RECIPE.steps


def test_each_by_itself_they_take_every_batch_once_and_whole(servers, data, tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=20)
    members = [
        Member(servers, rank, 3, "parameter_server", data, tmp_path, recipe) for rank in range(3)
    ]
    taken = all_train(members, 1000)  # until all are taken
    assert sorted(step for steps in taken for step, _ in steps) == list(range(20))
    for member, steps in zip(members, taken, strict=True):
        assert member.logged() == {step: indices(step, data, recipe) for step, _ in steps}
    assert members[0].values()["global_step"] == 20
    assert all(np.isfinite(loss) for steps in taken for _, loss in steps)


def test_a_graph_has_the_images_of_its_rows_and_no_data(servers, data, tmp_path):
    chief, worker = (Member(servers, rank, 2, "sync", data, tmp_path) for rank in range(2))
    expected = data.train.images[indices(0, data)]
    for member, rows in ((chief, expected[:5]), (worker, expected[5:])):
        images = member.features["x"]
        assert images.dtype == tf.uint8 and images.shape == rows.shape
        np.testing.assert_array_equal(member.session.run(images), rows)
        assert member.graph.as_graph_def().ByteSize() < 1e6


@pytest.mark.parametrize("strategy", ["sync", "parameter_server"])
def test_what_belongs_to_the_cluster_is_in_no_checkpoint(servers, data, tmp_path, alone, strategy):
    chief = Member(servers, 0, 2, strategy, data, tmp_path)
    with chief.graph.as_default():
        (the_saver,) = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.SAVERS)
        session = chief.session._tf_sess()
        prefix = the_saver.save(session, str(tmp_path / "model.ckpt"), 0)
    saved, (_, expected) = saver.read(prefix), alone
    assert {name: value.shape for name, value in saved.items()} == {
        name: value.shape for name, value in expected.items()
    }


def test_the_workers_are_called_when_the_weights_are_there(servers, data, tmp_path):
    worker = servers.member(1, 2, 2)
    begun = notice.Reader(servers.target(worker), worker.device, notice.TRAINED, 0)
    assert begun.read() is None
    Member(servers, 0, 2, "sync", data, tmp_path)
    assert begun.read() == "what is trained"


class TestFinish:
    @pytest.fixture
    def session(self):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            step = tf.compat.v1.train.create_global_step()
            session.run(tf.compat.v1.global_variables_initializer())
            session.run(step.assign(7))
            yield session

    def end(self, session, steps, stop=None):
        """Waits; returns the step at which it ended."""
        with session.graph.as_default():
            finish = trainers.Finish(steps, stop or hooks.StopOnSignal())
            finish.begin()
            finish.end(session)
            return int(session.run(tf.compat.v1.train.get_global_step()))

    def test_waits_for_the_steps_of_others(self, session, monkeypatch):
        monkeypatch.setattr(trainers, "PATIENCE", 600)
        one_more = tf.compat.v1.train.get_global_step().assign_add(1, read_value=False)

        def others():
            for _ in range(3):
                time.sleep(0.1)
                session.run(one_more)

        thread = threading.Thread(target=others)
        thread.start()
        assert self.end(session, 10) == 10
        thread.join()

    def test_does_not_wait_for_what_does_not_come(self, session, monkeypatch):
        monkeypatch.setattr(trainers, "PATIENCE", 0.3)
        assert self.end(session, 10) == 7

    def test_does_not_wait_after_a_signal(self, session, monkeypatch):
        monkeypatch.setattr(trainers, "PATIENCE", 600)
        stop = hooks.StopOnSignal()
        stop.received = 15
        assert self.end(session, 10, stop) == 7
