"""The door to `tf.estimator`: the same tests on every TensorFlow from 2.15 to 2.21.

The model is one weight, `prediction = w * x`, with `label = 2 * x` and x = 1, 2, 3, 4. Its loss is
7.5 (w - 2)^2, so that each step of gradient descent at 0.01 takes w from 0 towards 2 by 15 % of
what is left: after k steps w = 2 (1 - 0.85^k), whatever the Estimator did around it.
"""

import ast
import importlib
import json
import os
import pathlib
import socket
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist import estimator
from stress import programs

TF_HAS_ESTIMATOR = tf.__version__.startswith("2.15.")
X = np.array([1.0, 2.0, 3.0, 4.0], np.float32)

TINY = """
import numpy as np
import tensorflow as tf
from cnn_mnist import estimator

X = np.array([1.0, 2.0, 3.0, 4.0], np.float32)

def model_fn(features, labels, mode, params):
    w = tf.compat.v1.get_variable("w", [], initializer=tf.compat.v1.zeros_initializer())
    prediction = w * features["x"]
    if mode == estimator.ModeKeys.PREDICT:
        output = estimator.export.PredictOutput({"y": prediction})
        return estimator.EstimatorSpec(
            mode, predictions={"y": prediction}, export_outputs={"serving_default": output}
        )
    loss = tf.reduce_mean(tf.square(prediction - labels))
    optimizer = tf.compat.v1.train.GradientDescentOptimizer(params["learning_rate"])
    step = tf.compat.v1.train.get_or_create_global_step()
    return estimator.EstimatorSpec(
        mode,
        loss=loss,
        train_op=optimizer.minimize(loss, global_step=step),
        eval_metric_ops={"error": tf.compat.v1.metrics.mean_absolute_error(labels, prediction)},
    )

def input_fn(batch_size=4, repeat=None):
    data = tf.data.Dataset.from_tensor_slices(({"x": X}, 2 * X))
    return data.repeat(repeat).batch(batch_size)

def eval_input_fn():
    return input_fn(repeat=1)

def half_input_fn(input_context):  # one of two tasks: the same two of the four examples each time
    index, count = input_context.input_pipeline_id, input_context.num_input_pipelines
    assert count == 2
    return input_fn(batch_size=2).shard(count, index)

def build(model_dir=None, learning_rate=0.01, warm_start_from=None, **config):
    return estimator.Estimator(
        model_fn,
        config=estimator.RunConfig(model_dir=model_dir and str(model_dir), **config),
        params={"learning_rate": learning_rate},
        warm_start_from=warm_start_from,
    )
"""
_tiny: dict = {}
exec(TINY, _tiny)  # here, and in the processes that some tests start
build, input_fn, eval_input_fn = _tiny["build"], _tiny["input_fn"], _tiny["eval_input_fn"]


def weight(steps: int) -> float:
    return 2 * (1 - 0.85**steps)


def run_fresh(code: str, **environment: str) -> tuple[str, str]:
    """Runs code in a new interpreter, for what depends on how the door is loaded."""
    done = programs.run("-c", textwrap.dedent(code), env=environment, fresh=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def run(code: str) -> None:
    """Runs code in a process that has computed nothing yet."""
    done = programs.run("-c", code)
    assert done.returncode == 0, done.stderr


def free_addresses(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


# The surface.


def upstream_names(version: str) -> list[tuple[str, str, str]]:
    """Yields (public name, module, name in it) of upstream's generated API modules."""
    package = importlib.import_module("tensorflow_estimator._api")
    root = pathlib.Path(package.__path__[0], version, "estimator")
    names = []
    for path in sorted(root.rglob("__init__.py")):
        prefix = [*path.relative_to(root).parts[:-1]]
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and ".python." in node.module:
                for alias in node.names:
                    public = alias.asname or alias.name
                    if not public.startswith("_"):
                        names.append((".".join([*prefix, public]), node.module, alias.name))
    return names


@pytest.mark.parametrize("version, count", [("v1", 83), ("v2", 74)])
def test_every_public_name_is_upstreams_object(version, count):
    assert estimator.v1  # loads upstream's package, which cannot be imported without the door
    names = upstream_names(version)
    assert len(names) == count
    for public, module, name in names:
        found = estimator.v1 if version == "v1" else estimator
        for part in public.split("."):
            assert part in dir(found)
            found = getattr(found, part)
        assert found is getattr(importlib.import_module(module), name), public


def test_inputs_are_those_of_v1():
    assert estimator.inputs is estimator.v1.inputs
    assert callable(estimator.inputs.numpy_input_fn)
    assert callable(estimator.inputs.pandas_input_fn)
    assert estimator.Estimator is not estimator.v1.Estimator
    assert issubclass(estimator.Estimator, estimator.v1.Estimator)


def test_unknown_and_private_names_are_refused():
    for name in ("NoSuchName", "_sys", "_v3"):
        with pytest.raises(AttributeError, match=f"cnn_mnist.estimator.*{name}"):
            getattr(estimator, name)


def test_names_are_tensorflows_own_where_it_has_them():
    if not TF_HAS_ESTIMATOR:
        assert not hasattr(tf, "estimator") and not hasattr(tf.compat.v1, "estimator")
        return
    for name in set(dir(estimator)) - {"inputs", "install", "uninstall", "v1", "VersionError"}:
        assert getattr(estimator, name) is getattr(tf.estimator, name)
    for name in dir(estimator.v1):
        assert getattr(estimator.v1, name) is getattr(tf.compat.v1.estimator, name)


def test_can_be_set_as_tf_estimator(monkeypatch, tmp_path):
    monkeypatch.setattr(tf, "estimator", estimator, raising=False)
    config = tf.estimator.RunConfig(model_dir=str(tmp_path))
    model = tf.estimator.Estimator(_tiny["model_fn"], config=config, params={"learning_rate": 0.01})
    assert model.train(input_fn, steps=1).get_variable_value("w") == pytest.approx(weight(1))


# What it does.


def test_train_evaluate_predict(tmp_path):
    model = build(tmp_path)
    model.train(input_fn, steps=3)
    model.train(input_fn, max_steps=5)
    assert model.get_variable_value("w") == pytest.approx(weight(5))
    left = 2 - weight(5)
    metrics = model.evaluate(eval_input_fn)
    assert metrics["global_step"] == 5
    assert metrics["loss"] == pytest.approx(7.5 * left**2, rel=1e-5)
    assert metrics["error"] == pytest.approx(2.5 * left, rel=1e-5)
    predictions = [row["y"] for row in model.predict(eval_input_fn)]
    np.testing.assert_allclose(predictions, weight(5) * X, rtol=1e-6)
    assert build(tmp_path).get_variable_value("w") == model.get_variable_value("w")


def test_v1_estimator_trains(tmp_path):
    model = estimator.v1.Estimator(
        _tiny["model_fn"], model_dir=str(tmp_path), params={"learning_rate": 0.01}
    )
    model.train(input_fn, steps=2)
    assert model.get_variable_value("w") == pytest.approx(weight(2))


def test_numpy_input_fn(tmp_path):
    train = estimator.inputs.numpy_input_fn(
        {"x": X}, 2 * X, batch_size=4, num_epochs=None, shuffle=False
    )
    model = build(tmp_path).train(train, steps=4)
    assert model.get_variable_value("w") == pytest.approx(weight(4))
    # 3 does not divide 4: the last batch is short, and no example may be lost
    every = estimator.inputs.numpy_input_fn({"x": X}, batch_size=3, num_epochs=1, shuffle=False)
    predictions = [row["y"] for row in model.predict(every)]
    np.testing.assert_allclose(predictions, weight(4) * X, rtol=1e-6)


def test_train_and_evaluate_with_exporters(tmp_path):
    receiver = estimator.export.build_raw_serving_input_receiver_fn({"x": tf.zeros([1])})
    best = estimator.BestExporter("best", receiver)
    final = estimator.FinalExporter("final", receiver)
    metrics, exports = estimator.train_and_evaluate(
        build(tmp_path, save_checkpoints_steps=3),
        estimator.TrainSpec(input_fn, max_steps=6),
        estimator.EvalSpec(
            eval_input_fn, exporters=[best, final], start_delay_secs=0, throttle_secs=0
        ),
    )
    assert metrics["global_step"] == 6
    assert metrics["loss"] == pytest.approx(7.5 * (2 - weight(6)) ** 2, rel=1e-5)
    assert len(exports) == 2 and all(exports)
    assert len(list((tmp_path / "export" / "final").iterdir())) == 1
    loaded = tf.saved_model.load(os.fsdecode(exports[-1]))
    result = loaded.signatures["serving_default"](x=tf.constant([10.0]))["y"]
    np.testing.assert_allclose(result, [10 * weight(6)], rtol=1e-6)


def test_export_saved_model(tmp_path):
    def receiver_fn():
        raw = tf.compat.v1.placeholder(tf.uint8, [None], name="raw")
        return estimator.export.ServingInputReceiver({"x": tf.cast(raw, tf.float32)}, {"raw": raw})

    model = build(tmp_path / "model").train(input_fn, steps=2)
    path = os.fsdecode(model.export_saved_model(str(tmp_path / "saved"), receiver_fn))
    served = tf.saved_model.load(path).signatures["serving_default"]
    result = served(raw=tf.constant([1, 2, 3, 4], tf.uint8))["y"]
    predicted = [row["y"] for row in model.predict(eval_input_fn)]
    np.testing.assert_array_equal(result, np.array(predicted))


def test_warm_start_copies_values(tmp_path):
    first = build(tmp_path / "first").train(input_fn, steps=3)
    settings = estimator.WarmStartSettings(str(tmp_path / "first"), vars_to_warm_start="w")
    for source in (str(tmp_path / "first"), settings):
        second = build(learning_rate=0.0, warm_start_from=source).train(input_fn, steps=1)
        assert second.get_variable_value("w") == first.get_variable_value("w")
        assert second.get_variable_value("global_step") == 1


def test_early_stopping(tmp_path):
    model = build(tmp_path, learning_rate=0.0)  # the loss never decreases

    def stop_after(steps):
        return estimator.experimental.stop_if_no_decrease_hook(
            model, "loss", steps, run_every_secs=None, run_every_steps=1
        )

    for _ in range(3):  # evaluated at steps 2, 4 and 6: no decrease for 4 steps
        model.train(input_fn, steps=2, hooks=[stop_after(5)])
        model.evaluate(eval_input_fn)
    model.train(input_fn, max_steps=9, hooks=[stop_after(5)])
    assert model.get_variable_value("global_step") == 9
    model.train(input_fn, max_steps=99, hooks=[stop_after(4)])
    assert model.get_variable_value("global_step") == 10


def test_hooks_and_added_metrics(tmp_path):
    class Steps(estimator.SessionRunHook):
        def __init__(self):
            self.seen = []

        def before_run(self, run_context):
            return estimator.SessionRunArgs("w:0")

        def after_run(self, run_context, run_values):
            self.seen.append(len(self.seen) + 1)
            if len(self.seen) == 3:
                run_context.request_stop()

    model = build(tmp_path)
    mean = estimator.add_metrics(
        model, lambda labels: {"mean_label": tf.compat.v1.metrics.mean(labels)}
    )
    hook = Steps()
    mean.train(input_fn, hooks=[hook, estimator.StopAtStepHook(last_step=50)])
    assert hook.seen == [1, 2, 3]
    assert mean.get_variable_value("w") == pytest.approx(weight(3))
    assert mean.evaluate(eval_input_fn)["mean_label"] == pytest.approx(5.0)


# Distribution.


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


# What it leaves alone, and what it says.


def test_nothing_of_tensorflow_is_changed():
    """Every attribute of every module and class that was there before is there after."""
    stdout, _ = run_fresh(
        """
        import sys
        import tensorflow as tf
        if tf.__version__.startswith("2.15."):
            tf.estimator.Estimator, tf.compat.v1.estimator.Estimator  # loading them changes things
        else:
            import tensorflow.python.tpu.tpu_embedding_v2  # so that more is there to be changed
        tf.compat.v1.train.LoggingTensorHook

        def state():
            modules = {n: m for n, m in sys.modules.items() if n.startswith("tensorflow.")}
            owners = {id(m): (n, m) for n, m in modules.items()}
            for name, module in modules.items():
                for value in list(vars(module).values()):
                    if isinstance(value, type) and value.__module__.startswith("tensorflow."):
                        owners[id(value)] = (value.__qualname__, value)
            return {
                key: (name, owner, dict(vars(owner))) for key, (name, owner) in owners.items()
            }

        before = state()
        from cnn_mnist import estimator
        assert estimator.Estimator and estimator.v1.Estimator
        after = state()
        for key, (name, owner, old) in before.items():
            new = after[key][2]
            for attribute, value in old.items():
                if not attribute.startswith(("__", "_abc", "_tfmw", "_fastdict")):
                    assert new[attribute] is value, (name, attribute)
            if isinstance(owner, type):
                assert new.get("__init__") is old.get("__init__"), name
                assert set(new) == set(old), name
            for attribute in set(new) - set(old):  # submodules that an import brought
                full_name = f"{name}.{attribute}"
                assert sys.modules.get(full_name) is new[attribute], full_name
        assert len(before) > 3000
        print(sorted(
            name for name, module in sys.modules.items()
            if name.startswith("tensorflow") and getattr(module, "__spec__", 0) is None
            and ".pywrap_" not in name  # made by extension modules
        ))
        """
    )
    stand_ins = (
        []
        if TF_HAS_ESTIMATOR
        else [
            "tensorflow.python.distribute.estimator_training",
            "tensorflow.python.tpu.session_support",
            "tensorflow.python.tpu.tpu_embedding",
            "tensorflow.python.tpu.tpu_embedding_gradient",
            "tensorflow_estimator.python.estimator.estimator_export",
        ]
    )
    assert ast.literal_eval(stdout.splitlines()[-1]) == stand_ins


def test_no_deprecation_is_printed_but_tensorflows_other_ones_are():
    _, stderr = run_fresh(
        TINY
        + """
for api in (estimator, estimator.v1, estimator.v1.experimental, estimator.v1.tpu):
    for name in dir(api):
        getattr(api, name)
model = build()
train = estimator.inputs.numpy_input_fn({"x": X}, 2 * X, num_epochs=None, shuffle=False)
stop = estimator.experimental.stop_if_lower_hook(model, "loss", 0.0)
spec = estimator.TrainSpec(train, max_steps=1, hooks=[stop, estimator.LoggingTensorHook(["w"], 1)])
estimator.train_and_evaluate(model, spec, estimator.EvalSpec(eval_input_fn, throttle_secs=0))
tf.compat.v1.train.StopAtStepHook(1)  # a class of TensorFlow's that is the Estimator's as well
estimator.MultiHead([estimator.BinaryClassHead(name="b"), estimator.RegressionHead(name="r")])
estimator.v1.BaselineClassifier(), estimator.VocabInfo("v", 1, 0, "old")
tf.compat.v1.to_float(1)  # deprecated by TensorFlow itself

from tensorflow.python.util import deprecation

@deprecation.deprecated(None, "Use something else instead.")
class WithoutConstructor:
    pass

WithoutConstructor()
""",
        TF_USE_LEGACY_KERAS="1",
    )
    assert "to_float" in stderr
    assert "Use something else instead." in stderr
    assert "tf.keras instead" not in stderr
    assert "The name tf.estimator" not in stderr


def test_refuses_what_it_does_not_know():
    """One sentence, before anything is put anywhere."""
    stdout, _ = run_fresh(
        """
        import importlib.metadata, sys
        import tensorflow as tf

        from cnn_mnist import estimator

        def refusal():
            try:
                estimator.Estimator
            except ImportError as error:
                print(error)
            else:
                raise AssertionError("imported")

        found = tf.__version__
        for tf.__version__ in ("2.14.1", "1.15.0"):
            refusal()
        tf.__version__ = found
        version = importlib.metadata.version

        def missing(name):
            raise importlib.metadata.PackageNotFoundError(name)

        for importlib.metadata.version in (missing, lambda name: "2.16.0"):
            refusal()
        importlib.metadata.version = version
        assert not any(name.endswith("estimator_training") for name in sys.modules)
        print(estimator.Estimator.__name__)
        """
    )
    *refusals, last = stdout.splitlines()
    for line, version in zip(refusals, ("2.14.1", "1.15.0"), strict=False):
        assert line == (
            f"cnn_mnist.estimator needs TensorFlow 2.15 or newer, but {version} is installed"
        )
    assert len(refusals) == 4
    for line, version in zip(refusals[2:], ("none", "2.16.0"), strict=True):
        assert line == (
            f"cnn_mnist.estimator needs tensorflow-estimator 2.15.0, but {version} is installed: "
            "`pip install tensorflow-estimator==2.15.0` mends that"
        )
    assert last == "EstimatorV2"


def test_tries_a_newer_tensorflow():
    """It warns in one line, and only a name that is gone ends it, in one sentence."""
    stdout, stderr = run_fresh(
        """
        import sys
        import tensorflow as tf
        from cnn_mnist import estimator

        found, tf.__version__ = tf.__version__, "9.1.0"
        sys.modules["tensorflow.python.distribute.distribute_coordinator"] = None
        sys.modules["tensorflow.python.training.basic_session_run_hooks"], kept = (
            None, sys.modules["tensorflow.python.training.basic_session_run_hooks"]
        )
        try:
            estimator.Estimator
        except ImportError as error:
            print(error)
        del sys.modules["tensorflow.python.distribute.distribute_coordinator"]
        sys.modules["tensorflow.python.training.basic_session_run_hooks"] = kept
        print(estimator.Estimator.__name__)
        """
    )
    refusal, name = stdout.splitlines()
    assert refusal.startswith("TensorFlow 9.1.0 no longer has what the Estimator needs (")
    assert refusal.endswith("): use one up to 2.21")
    assert name == "EstimatorV2"
    warning = "cnn_mnist.estimator is tested up to TensorFlow 2.21 and tries 9.1.0"
    assert stderr.count(warning) == 2


def test_after_a_failed_import_and_again():
    """The package imported first, without the door; then the door twice; then a name for TPUs."""
    run_fresh(
        """
        import importlib
        import tensorflow as tf
        try:
            import tensorflow_estimator.python.estimator.api._v2.estimator
        except (ImportError, AttributeError):
            assert not tf.__version__.startswith("2.15.")
        else:
            assert tf.__version__.startswith("2.15.")
        from cnn_mnist import estimator
        first = estimator.Estimator, estimator.v1.Estimator, estimator.train_and_evaluate
        importlib.reload(estimator)
        assert first == (
            estimator.Estimator, estimator.v1.Estimator, estimator.train_and_evaluate
        )
        from tensorflow.python.tpu import tpu_embedding
        assert tpu_embedding.AdamParameters is tpu_embedding.AdamParameters
        if not tf.__version__.startswith("2.15."):
            assert not hasattr(tpu_embedding, "_private")
            try:
                tpu_embedding.AdamParameters(learning_rate=1.0)
            except NotImplementedError as error:
                assert "tensorflow.python.tpu.tpu_embedding.AdamParameters" in str(error)
            else:
                raise AssertionError("there are no such parameters any more")
        """
    )


# Keras.


def test_legacy_keras():
    """A canned estimator, and a Keras model made into one."""
    run_fresh(
        """
        import numpy as np
        import tensorflow as tf
        from cnn_mnist import estimator

        x = np.linspace(-1, 1, 64, dtype=np.float32)

        def input_fn():
            data = tf.data.Dataset.from_tensor_slices(({"x": x[:, None]}, (x > 0).astype(np.int32)))
            return data.repeat().batch(64)

        model = estimator.DNNClassifier(
            [8], [tf.feature_column.numeric_column("x")],
            optimizer=tf.keras.optimizers.legacy.Adam(0.1))
        model.train(input_fn, steps=200)
        assert model.evaluate(input_fn, steps=1)["accuracy"] > 0.9

        network = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,), name="dense")])
        network.compile(tf.keras.optimizers.legacy.SGD(0.1), "mse")
        weights = network.get_weights()
        model = tf.keras.estimator.model_to_estimator(network)
        assert isinstance(model, estimator.Estimator)

        def predict_input_fn():
            return tf.data.Dataset.from_tensor_slices({"dense_input": x[:, None]}).batch(64)

        first = [row["dense"] for row in model.predict(predict_input_fn)]
        np.testing.assert_allclose(first, x[:, None] * weights[0] + weights[1], atol=1e-6)

        def train_input_fn():
            data = tf.data.Dataset.from_tensor_slices(({"dense_input": x[:, None]}, 3 * x[:, None]))
            return data.repeat().batch(64)

        model.train(train_input_fn, steps=100)
        assert model.evaluate(train_input_fn, steps=1)["loss"] < 0.01
        """,
        TF_USE_LEGACY_KERAS="0" if TF_HAS_ESTIMATOR else "1",  # TensorFlow 2.15 has no other
    )
