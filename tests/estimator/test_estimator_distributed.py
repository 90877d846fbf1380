"""The door to `tf.estimator` with strategies: mirrored, remote, and of several processes."""

import json

import pytest
import tensorflow as tf
from one_weight import TINY, build, eval_input_fn, input_fn, weight

from cnn_mnist.utils.listening import free_addresses
from stress import programs


def run(code: str) -> None:
    """Runs code in a process that has computed nothing yet."""
    done = programs.run("-c", code)
    assert done.returncode == 0, done.stderr


def test_mirrored_strategy_on_one_device(tmp_path):
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    model = build(tmp_path, train_distribute=strategy, eval_distribute=strategy)
    model.train(input_fn, steps=5)
    assert model.get_variable_value("w") == pytest.approx(weight(5))
    expected = 7.5 * (2 - weight(5)) ** 2
    assert model.evaluate(eval_input_fn)["loss"] == pytest.approx(expected, rel=1e-5)


def test_mirrored_strategy_on_two_devices():
    run(
        TINY
        + """
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
assert strategy.num_replicas_in_sync == 2
# An Estimator's session counts its own devices; without the second one, the collectives hang.
session_config = tf.compat.v1.ConfigProto(device_count={"CPU": 2})
model = build(train_distribute=strategy, session_config=session_config)
model.train(lambda: input_fn(batch_size=2), steps=5)  # two of the four examples for each device
np.testing.assert_allclose(model.get_variable_value("w"), 2 * (1 - 0.85**5), rtol=1e-6)
"""
    )


def test_remote_cluster():
    """One process drives two servers; each server holds one replica."""
    addresses = free_addresses(2)
    run(
        TINY
        + f"""
import collections
cluster = {{"worker": {addresses}}}
servers = [tf.distribute.Server(cluster, "worker", task) for task in (0, 1)]
Distribute = collections.namedtuple("Distribute", "train_distribute eval_distribute remote_cluster")
with tf.Graph().as_default():
    strategy = tf.compat.v1.distribute.MirroredStrategy()
    model = build(experimental_distribute=Distribute(strategy, strategy, cluster))
    assert model.config._distribute_coordinator_mode == "standalone_client"
    model.train(half_input_fn, steps=5)
    metrics = model.evaluate(lambda: input_fn(batch_size=2, repeat=1))
w = 2 * (1 - 0.85**5)
np.testing.assert_allclose(model.get_variable_value("w"), w, rtol=1e-6)
assert metrics["global_step"] == 5
np.testing.assert_allclose(metrics["error"], 2.5 * (2 - w), rtol=1e-5)
"""
    )


def test_tf_config_cluster_with_a_strategy(tmp_path):
    """A chief and a worker, two processes, train in step: each on two of the four examples."""
    chief, worker = free_addresses(2)
    code = (
        TINY
        + f"""
tf.compat.v1.disable_eager_execution()
strategy = tf.compat.v1.distribute.experimental.MultiWorkerMirroredStrategy()
model = build({str(tmp_path)!r}, train_distribute=strategy)
assert model.config._distribute_coordinator_mode == "independent_worker"
try:
    model.train(half_input_fn, steps=1)
except ValueError:
    pass
else:
    raise AssertionError("train alone cannot know the cluster")
estimator.train_and_evaluate(
    model, estimator.TrainSpec(half_input_fn, max_steps=5), estimator.EvalSpec(eval_input_fn)
)
"""
    )
    tasks = [
        programs.start(
            "-c",
            code,
            env={
                "TF_CONFIG": json.dumps(
                    {
                        "cluster": {"chief": [chief], "worker": [worker]},
                        "task": {"type": kind, "index": 0},
                    }
                )
            },
        )
        for kind in ("chief", "worker")
    ]
    for task in tasks:
        with task:
            _, stderr = task.communicate()
        assert task.returncode == 0, stderr
    assert build(tmp_path).get_variable_value("w") == pytest.approx(weight(5))
