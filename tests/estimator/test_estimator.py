"""The door to `tf.estimator`: the same tests on every TensorFlow from 2.15 to 2.21."""

import ast
import importlib
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from one_weight import (
    TF_HAS_ESTIMATOR,
    X,
    build,
    eval_input_fn,
    input_fn,
    model_fn,
    run_fresh,
    weight,
)

from cnn_mnist import estimator

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
    model = tf.estimator.Estimator(model_fn, config=config, params={"learning_rate": 0.01})
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
        model_fn, model_dir=str(tmp_path), params={"learning_rate": 0.01}
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
