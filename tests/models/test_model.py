import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.models.model_fn import cnn_model_fn, scaled_images
from cnn_mnist.recipes import RecipeError

BATCH = 13
MODES = estimator.ModeKeys


class Spec:
    """The spec of one mode, in a graph and a session of its own."""

    def __init__(self, mode, images, labels=None, **params):
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.step = tf.compat.v1.train.get_or_create_global_step()
            features = {"x": tf.constant(images)}
            labels = None if labels is None else tf.constant(labels)
            self.spec = cnn_model_fn(features, labels, mode, params)
            self.variables = tf.compat.v1.trainable_variables()
            self.gradients = (
                None if labels is None else tf.gradients(self.spec.loss, self.variables)
            )
            self.session = tf.compat.v1.Session()
            self.run(tf.compat.v1.global_variables_initializer())
            self.run(tf.compat.v1.local_variables_initializer())

    def run(self, fetches):
        return self.session.run(fetches)

    def set(self, variable, value):
        self.session.run(variable.initializer, {variable.initializer.inputs[1]: value})


@pytest.fixture(scope="module")
def images(mnist):
    return mnist.train.images[:BATCH]


@pytest.fixture(scope="module")
def labels(mnist):
    return mnist.train.labels[:BATCH]


class TestPredict:
    def test_classes_and_probabilities(self, images):
        spec = Spec(MODES.PREDICT, images)
        assert spec.spec.loss is None and spec.spec.train_op is None
        assert set(spec.spec.predictions) == {"classes", "probabilities"}
        assert spec.spec.predictions["probabilities"].op.name == "softmax_tensor"
        values = spec.run(spec.spec.predictions)
        assert values["classes"].dtype == np.int64 and values["classes"].shape == (BATCH,)
        probabilities = values["probabilities"]
        assert probabilities.dtype == np.float32 and probabilities.shape == (BATCH, 10)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(probabilities.argmax(axis=1), values["classes"])
        assert np.abs(probabilities - 0.1).max() > 0.001  # not the same for every class

    def test_exports_its_predictions_by_default(self, images):
        outputs = Spec(MODES.PREDICT, images).spec.export_outputs
        assert set(outputs["serving_default"].outputs) == {"classes", "probabilities"}

    @pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (784,)])
    @pytest.mark.parametrize("scale", [None, 255])
    def test_every_form_of_the_images_gives_the_same(self, images, shape, scale):
        expected = Spec(MODES.PREDICT, images)
        x = images.reshape(BATCH, *shape)
        other = Spec(MODES.PREDICT, x if scale is None else (x / np.float32(scale)))
        np.testing.assert_array_equal(
            other.run(other.spec.predictions["probabilities"]),
            expected.run(expected.spec.predictions["probabilities"]),
        )


class TestEval:
    def test_metrics_are_means_over_images(self, images, labels):
        spec = Spec(MODES.EVAL, images, labels)
        predicted = Spec(MODES.PREDICT, images)
        probabilities = predicted.run(predicted.spec.predictions["probabilities"])
        losses = -np.log(probabilities[np.arange(BATCH), labels])
        loss = spec.run(spec.spec.loss)
        assert loss == pytest.approx(losses.mean(), rel=1e-5)

        metrics = spec.spec.eval_metric_ops
        assert set(metrics) == {"accuracy", "average_loss"}
        spec.run([update for _, update in metrics.values()])
        values = spec.run({name: value for name, (value, _) in metrics.items()})
        assert values["average_loss"] == pytest.approx(losses.mean(), rel=1e-5)
        assert values["accuracy"] == pytest.approx((probabilities.argmax(1) == labels).mean())

    def test_dropout_does_not_act(self, images, labels):
        spec = Spec(MODES.EVAL, images, labels, dropout_rate=0.9)
        assert spec.run(spec.spec.loss) == spec.run(spec.spec.loss)
        plain = Spec(MODES.EVAL, images, labels, dropout_rate=0.0)
        assert spec.run(spec.spec.loss) == plain.run(plain.spec.loss)


class TestTrain:
    def test_one_step_is_gradient_descent_and_counts(self, images, labels):
        rate = 0.125
        spec = Spec(MODES.TRAIN, images, labels, learning_rate=rate, dropout_rate=0.0)
        before, gradients = spec.run([spec.variables, spec.gradients])
        assert spec.run(spec.step) == 0
        spec.run(spec.spec.train_op)
        assert spec.run(spec.step) == 1
        after = spec.run(spec.variables)
        for variable, w0, g, w1 in zip(spec.variables, before, gradients, after, strict=True):
            assert np.abs(g).max() > 0, variable.name
            np.testing.assert_allclose(w1, w0 - rate * g, rtol=1e-5, atol=1e-6)

    def test_dropout_acts_and_changes_from_step_to_step(self, images, labels):
        spec = Spec(MODES.TRAIN, images, labels, dropout_rate=0.5)
        plain = Spec(MODES.EVAL, images, labels)
        first = spec.run(spec.spec.loss)
        assert first == spec.run(spec.spec.loss)  # the same step, the same mask
        assert first != pytest.approx(float(plain.run(plain.spec.loss)), rel=1e-4)
        spec.set(spec.step, 1)
        assert first != pytest.approx(float(spec.run(spec.spec.loss)), rel=1e-4)

    def test_loss_falls_on_real_data(self, images, labels):
        spec = Spec(MODES.TRAIN, images, labels, learning_rate=0.05)
        losses = [spec.run([spec.spec.loss, spec.spec.train_op])[0] for _ in range(60)]
        assert losses[0] == pytest.approx(np.log(10), abs=0.3)  # guessing among ten
        assert np.mean(losses[-5:]) < 0.3 * losses[0]

    def test_smoothed_labels_change_the_step_and_not_the_loss_that_is_shown(self, images, labels):
        after = []
        for share in (0.0, 0.3):
            spec = Spec(MODES.TRAIN, images, labels, learning_rate=0.5, label_smoothing=share)
            loss, _ = spec.run([spec.spec.loss, spec.spec.train_op])
            after.append((loss, spec.run(spec.variables[-1])))  # the biases of the logits
        (plain, sharp), (shown, smooth) = after
        assert shown == pytest.approx(plain, rel=1e-6)
        # Towards labels that keep 0.7 of themselves and are even else: from the same start.
        assert 0 < np.abs(smooth).max() < np.abs(sharp).max()

    def test_gradients_agree_with_finite_differences(self, images, labels):
        """Along each variable's own gradient, where the slope is the gradient's length."""
        spec = Spec(MODES.EVAL, images, labels)
        rng = np.random.RandomState(0)
        for variable in spec.variables:
            if variable.op.name.endswith("bias"):  # at 0, the images' black lies on ReLU's kink
                spec.set(variable, rng.uniform(-0.1, 0.1, variable.shape))
        gradients = spec.run(spec.gradients)
        for variable, gradient in zip(spec.variables, gradients, strict=True):
            length = np.sqrt(np.square(gradient, dtype=np.float64).sum())
            value = spec.run(variable)
            # Changes the loss by 0.0005: far above float32's rounding, and max-pooling rarely
            # changes its mind over so short a way.
            distance = 0.0005 / length

            def loss_at(offset, variable=variable, value=value, along=gradient / length):
                spec.set(variable, value + np.float32(offset) * along)
                return float(spec.run(spec.spec.loss))

            slope = (loss_at(distance) - loss_at(-distance)) / (2 * distance)
            loss_at(0)
            assert slope == pytest.approx(length, rel=0.01), variable.name


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((3, 28, 27), np.uint8), ValueError, r"features\['x'\] has the shape \(3, 28, 27"),
        (np.zeros((3, 2, 14, 28), np.uint8), ValueError, r"features\['x'\] has the shape"),
        (np.zeros((28, 28), np.uint8), ValueError, r"features\['x'\] has the shape"),
        (np.zeros((3, 28, 28), np.float64), TypeError, r"features\['x'\] is float64, expected"),
        (np.zeros((3, 28, 28), np.int32), TypeError, r"features\['x'\] is int32, expected"),
    ],
)
def test_other_images_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        scaled_images(tf.constant(x))


def test_uint8_becomes_0_to_1():
    x = np.zeros((2, 28, 28), np.uint8)
    x[1, 3, 5], x[1, 4, 6] = 255, 51
    out = scaled_images(tf.constant(x)).numpy()
    assert out.shape == (2, 28, 28, 1) and out.dtype == np.float32
    assert out[1, 3, 5, 0] == 1 and out[1, 4, 6, 0] == np.float32(0.2)
    assert np.count_nonzero(out) == 2


def test_wrong_params_are_refused(images):
    with pytest.raises(RecipeError, match="learning_rate=-1"):
        Spec(MODES.PREDICT, images, learning_rate=-1)
    with pytest.raises(TypeError, match="learning_rat"):
        Spec(MODES.PREDICT, images, learning_rat=1)
