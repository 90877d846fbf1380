"""What loading the Estimator leaves alone, what it says, and what it refuses."""

import ast

from one_weight import TF_HAS_ESTIMATOR, TINY, run_fresh


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
    assert stderr.count(warning) == 1


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


def test_the_core_is_loaded_without_keras_and_is_that_of_the_whole():
    """As a program of this package does it; then the rest, by the package's own name, too."""
    run_fresh(
        """
        import sys
        from cnn_mnist.estimator.keras import choose_legacy
        from cnn_mnist.utils import console

        console.keras_later = choose_legacy()
        console.load_tensorflow()
        import tensorflow as tf
        from cnn_mnist import estimator

        core = estimator.Estimator, estimator.RunConfig, estimator.SessionRunHook
        if not tf.__version__.startswith("2.15."):
            assert "tf_keras" not in sys.modules
            with tf.Graph().as_default():
                metrics = {"mean": tf.compat.v1.metrics.mean([1.0, 2.0])}
                loss = tf.constant(1.0)
                spec = estimator.EstimatorSpec(mode="eval", loss=loss, eval_metric_ops=metrics)
            assert spec.eval_metric_ops == metrics
            assert "tf_keras" not in sys.modules
            import tensorflow_estimator.python.estimator.mode_keys
            assert tensorflow_estimator.python.estimator.mode_keys.ModeKeys is estimator.ModeKeys
            assert "tf_keras" not in sys.modules
            assert tensorflow_estimator.estimator.Estimator is estimator.v1.Estimator
            import tensorflow_estimator as whole
            assert whole.python.estimator.mode_keys.ModeKeys is estimator.ModeKeys
        from cnn_mnist.estimator.upstream import v2
        assert core == (v2.Estimator, v2.RunConfig, v2.SessionRunHook)
        assert tf.keras.optimizers.Adam().learning_rate  # the real one
        with tf.Graph().as_default():  # so is what a metric is compared with
            metrics = {"mean": tf.keras.metrics.Mean()}
            metrics["mean"].update_state([1.0, 2.0])
            loss = tf.constant(1.0)
            spec = estimator.EstimatorSpec(mode="eval", loss=loss, eval_metric_ops=metrics)
            assert spec.eval_metric_ops == metrics
        """
    )
