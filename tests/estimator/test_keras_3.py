"""What Keras 3 would make fail or be wrong, and when `tf.keras` is Keras 3.

Not collected on TensorFlow 2.15, which has Keras 2 alone: see `collect_ignore` in conftest.py.
"""

import importlib
import re

import pytest
import tensorflow as tf
from works import ROWS

from cnn_mnist import estimator
from cnn_mnist.estimator import VersionError, keras
from stress import programs

# With Keras 3, which is what `tf.keras` is in this process.


@pytest.mark.parametrize("name", [name for row in ROWS for name in row.refused])
def test_keras_3_is_refused_in_one_sentence(name):
    def call():
        if name == "model_to_estimator":
            from tensorflow_estimator.python.estimator import keras_lib

            keras_lib.model_to_estimator(None)
        elif name == "a model function with one":
            trained(lambda x: tf.keras.layers.Dense(1)(x))
        elif name == "tf.compat.v1.layers.dense":
            trained(lambda x: tf.compat.v1.layers.dense(x, 1))
        elif name == "tf.keras.layers.DenseFeatures":
            trained(lambda x: tf.keras.layers.DenseFeatures([])({"x": x}))
        else:
            found = estimator
            for part in name.split("."):
                found = getattr(found, part)
            found()

    with pytest.raises(ImportError, match="legacy Keras|Keras 3") as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert "run the program by `python -m cnn_mnist.estimator PROGRAM.py`" in message


def trained(network, steps=1):
    """Trains a model function that has a network in it."""

    def model_fn(features, labels, mode):
        loss = tf.reduce_mean(tf.square(network(features["x"]) - labels))
        w = tf.compat.v1.get_variable("w", [])
        step = tf.compat.v1.train.get_or_create_global_step()
        train_op = tf.compat.v1.train.GradientDescentOptimizer(0.01).minimize(loss + w, step)
        return estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)

    def input_fn():
        return tf.data.Dataset.from_tensors(({"x": tf.ones([2, 3])}, tf.ones([2, 1]))).repeat()

    return estimator.Estimator(model_fn).train(input_fn, steps=steps)


@pytest.mark.parametrize(
    "made, named",
    [
        (lambda x: tf.keras.layers.Dropout(0.5)(x, training=True), "`Dropout`"),
        (lambda x: tf.keras.layers.BatchNormalization()(x, training=True), "`BatchNormalization`"),
        (lambda x: tf.keras.layers.GaussianNoise(1.0)(x, training=True), "`GaussianNoise`"),
        (lambda x: tf.keras.Sequential([tf.keras.layers.Dense(1)])(x), "`Sequential`"),
        (lambda x: tf.keras.random.dropout(x, 0.5), "`SeedGenerator`"),
        (lambda x: x * tf.keras.metrics.Mean()(x), "`Mean`"),
        (lambda x: OUTSIDE(x, training=True), "a layer that was made outside of it"),
    ],
)
def test_what_keras_3_would_do_wrong_is_refused(made, named):
    sentence = f"this model function uses {named} of Keras 3, which would be wrong in it"
    with pytest.raises(VersionError, match=re.escape(sentence)):
        trained(made)


OUTSIDE = tf.keras.layers.Dropout(0.5)


def test_what_keras_does_right_in_a_model_function_is_not_refused():
    made = trained(lambda x: tf.keras.layers.ReLU()(tf.keras.layers.Flatten()(x)), steps=3)
    assert made.get_variable_value("global_step") == 3


@pytest.mark.parametrize("tied", [True, False])
def test_averages_that_no_step_moves_are_told(tied, caplog):
    def normalized(x):
        mean = tf.compat.v1.get_variable("moving_mean", [3], trainable=False)
        update = tf.compat.v1.assign(mean, tf.reduce_mean(x, 0))
        with tf.control_dependencies([update] if tied else []):
            return tf.identity(x - tf.reduce_mean(x, 0))

    trained(normalized)
    told = (
        "the training does not move moving_mean: let `train_op` depend on the updates"
        in caplog.text
    )
    assert told is not tied


# Which Keras.


@pytest.mark.parametrize(
    "too_late, wanted",
    [
        ("import tensorflow as tf; tf.keras.layers", None),
        pytest.param("import tensorflow as tf; tf.optimizers.SGD", None, marks=pytest.mark.long),
        ("", "0"),
    ],
)
def test_keras_3_stays_where_it_was_used_or_is_wanted(too_late, wanted):
    environment = {} if wanted is None else {"TF_USE_LEGACY_KERAS": wanted}
    code = f"""
{too_late}
from cnn_mnist import estimator
estimator.install()
import tensorflow as tf
assert tf.keras.layers.Dense.__module__.startswith("keras.src")
from tensorflow.keras import layers
assert layers.Dense.__module__.startswith("keras.src")
refused = estimator.DNNClassifier, tf.keras.estimator.model_to_estimator, tf.estimator.MultiHead
for call in refused:
    try:
        call()
    except ImportError as error:
        assert "needs legacy Keras, but this program uses Keras 3: run the program" in str(error)
    else:
        raise AssertionError(call)
estimator.v1.BaselineClassifier()
"""
    done = programs.run("-c", code, fresh=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("installed", [None, "2.16.0"])
def test_a_legacy_keras_that_is_missing_or_does_not_fit(installed, monkeypatch):
    monkeypatch.setattr(keras, "chosen", lambda: "")
    version = importlib.metadata.version

    def found(name):
        if name != "tf-keras":
            return version(name)
        if installed is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(importlib.metadata, "version", found)
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    with pytest.raises(VersionError) as caught:
        keras.choose_legacy()
    minor = ".".join(tf.__version__.split(".")[:2])
    assert str(caught.value) == (
        f"the Estimator needs legacy Keras: the package tf-keras {minor} for TensorFlow "
        f"{tf.__version__}, but {installed or 'none'} is installed: `pip install "
        f"tf-keras~={minor}.0` mends that"
    )
