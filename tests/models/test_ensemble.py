"""Members that learn side by side: each as if it were alone, and their mean is what is said."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from estimators import estimator_of

from cnn_mnist import Predictor, estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.data.input_fns import eval_input_fn
from cnn_mnist.exports import saved_model
from cnn_mnist.models import layers, model_fn, networks
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train

BATCH = 13
MODES = estimator.ModeKeys
RECIPE = Recipe(
    network="committee",
    optimizer="momentum",
    learning_rate=0.05,
    batch_size=9,
    steps=3,
    dropout_rate=0.5,
    augment="affine",
    average_decay=0.9,
    eval_every_steps=0,
    seed=5,
)
TRAINED = dataclasses.replace(
    RECIPE, optimizer="adam", learning_rate=0.001, batch_size=30, steps=12
)


@pytest.fixture(scope="module")
def images(mnist):
    return mnist.train.images[:BATCH]


@pytest.fixture(scope="module")
def labels(mnist):
    return mnist.train.labels[:BATCH]


def softmax(logits):
    powers = np.exp(np.float64(logits) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def trained(network, images, labels, **changes):
    """Three steps of training: the loss of each, and every variable afterwards."""
    recipe = dataclasses.replace(RECIPE, network=network, **changes)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        features = {"x": tf.constant(images)}
        spec = model_fn.cnn_model_fn(features, tf.constant(labels), MODES.TRAIN, recipe.params())
        session.run(tf.compat.v1.global_variables_initializer())
        losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(recipe.steps)]
        return losses, session.run({v.op.name: v for v in tf.compat.v1.global_variables()})


def alone(index):
    """A member of the ensemble as a network."""

    def network(images, **options):
        with tf.compat.v1.variable_scope(f"column_{index}"):
            return networks.deep_cnn(images, num_classes=10, **options)

    return network


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.long)])
def test_each_member_learns_what_it_would_alone(images, labels, monkeypatch, precision):
    losses, together = trained("committee", images, labels, precision=precision)
    apart, variables = [], {}
    for index in range(networks.MEMBERS):
        monkeypatch.setitem(networks.NETWORKS, "alone", alone(index))
        own, values = trained("alone", images, labels, precision=precision)
        apart.append(own)
        variables |= values
    assert together.keys() == variables.keys()
    assert together["global_step"] == 3
    for name, value in together.items():
        # The last bits depend on how many rows a sum is taken over at once.
        rounding = 1e-5 * np.abs(value).max() + 1e-6
        np.testing.assert_allclose(value, variables[name], rtol=0, atol=rounding, err_msg=name)
    np.testing.assert_allclose(losses, np.mean(apart, axis=0), rtol=1e-6)
    for one, other in zip(apart, apart[1:], strict=False):
        assert np.abs(np.subtract(one, other)).min() > 1e-3


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_members_of_the_same_weights_differ_by_their_masks_alone(images, rate):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.get_or_create_global_step()
        pixels = model_fn.scaled_images(tf.constant(images))
        logits = networks.ensemble(pixels, num_classes=10, training=True, dropout_rate=rate, seed=3)
        session.run(tf.compat.v1.global_variables_initializer())
        values = {v.op.name: v for v in tf.compat.v1.global_variables()}
        of_first = {n: v for n, v in values.items() if n.startswith("column_0/")}
        before = session.run(logits)
        for index in range(1, networks.MEMBERS):
            for name, v in of_first.items():
                other = values[name.replace("column_0", f"column_{index}")]
                if name.endswith("kernel"):
                    assert np.abs(session.run(v) - session.run(other)).max() > 0.01
                session.run(other.assign(v))
        after = session.run(logits)
    assert before.shape == after.shape == (networks.MEMBERS, BATCH, 10)
    for index in range(1, networks.MEMBERS):
        assert np.abs(before[index] - before[0]).max() > 0.1
        apart = np.abs(after[index] - after[0])
        assert apart.max() < 1e-5 if rate == 0 else (apart.max(axis=1) > 0.01).all()


def test_masks_of_members_are_independent():
    rate, shape = 0.3, (60, 500)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.get_or_create_global_step()
        masks = []
        for scope in ("", "column_0", "column_1", "column_2"):
            with tf.compat.v1.variable_scope(scope):
                masks.append(layers.dropout(tf.ones(shape), rate, training=True, seed=5))
        session.run(tf.compat.v1.global_variables_initializer())
        masks = np.array(session.run(masks)) == 0
    for index, mask in enumerate(masks):
        for other in masks[:index]:
            assert (mask != other).mean() == pytest.approx(2 * rate * (1 - rate), abs=0.015)


def test_the_vote_is_the_mean_of_probabilities():
    members = np.random.RandomState(0).normal(0, 3, (3, 4, 5)).astype("f")
    members[:, 0] = [[0, 9, 0, 0, 0], [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]]
    members[:, 1] = [[1e4, 0, 0, 0, -1e4], [0, 1e4, 0, 0, -1e4], [0, 0, 0, 0, -1e4]]
    mean = softmax(members).mean(axis=0)
    logits = model_fn.voted(tf.constant(members))
    np.testing.assert_allclose(tf.nn.softmax(logits), mean, rtol=1e-5, atol=1e-7)
    assert np.isfinite(logits).all()
    labels = tf.constant([1, 0, 3, 2])
    found = model_fn.cross_entropies(labels, logits).numpy()
    np.testing.assert_allclose(found, -np.log(mean[range(4), labels]), rtol=1e-5, atol=1e-6)
    own = model_fn.cross_entropies(labels, tf.constant(members)).numpy()
    expected = -np.log(softmax(members)[:, range(4), labels] + 1e-300)
    assert own.shape == (3, 4)
    np.testing.assert_allclose(own[:, [0, 2, 3]], expected[:, [0, 2, 3]], rtol=1e-4, atol=1e-5)
    summed = model_fn.summed(tf.constant(own), tf.constant(own.mean()))
    assert float(summed) == pytest.approx(own.mean(axis=1).sum())


def test_smoothed_labels_have_a_share_of_every_class():
    logits = np.random.RandomState(1).normal(size=(3, 4, 5)).astype(np.float32)
    labels = np.array([1, 0, 3, 1])
    targets = 0.8 * np.eye(5)[labels] + 0.2 / 5  # [B, K]
    expected = -(targets * np.log(softmax(logits))).sum(axis=-1)  # [M, B]
    for members, of_labels in ((logits, expected), (logits[1], expected[1])):
        plain = model_fn.cross_entropies(tf.constant(labels), tf.constant(members))
        losses, loss = model_fn.smoothed(plain, tf.reduce_mean(plain), members, 0.2)
        np.testing.assert_allclose(losses, of_labels, rtol=1e-5)
        assert float(loss) == pytest.approx(of_labels.mean(), rel=1e-5)


def test_a_single_network_stays_as_it_is():
    logits, losses, loss = tf.ones([4, 5]), tf.ones([4]), tf.ones([])
    assert model_fn.voted(logits) is logits
    assert model_fn.summed(losses, loss) is loss
    assert model_fn.smoothed(losses, loss, logits, 0.0) == (losses, loss)


def test_what_is_predicted_and_scored(images, labels):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.get_or_create_global_step()
        features, params = {"x": tf.constant(images)}, RECIPE.params()
        predicted = model_fn.cnn_model_fn(features, None, MODES.PREDICT, params).predictions
        members = [
            output
            for output in tf.compat.v1.get_collection(layers.LAYERS)
            if "/dense_1/" in output.op.name
        ]
        with tf.compat.v1.variable_scope("", reuse=True):
            spec = model_fn.cnn_model_fn(features, tf.constant(labels), MODES.EVAL, params)
        assert predicted["probabilities"].op.name == "softmax_tensor"
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(tf.compat.v1.local_variables_initializer())
        found, logits, loss = session.run([predicted, members, spec.loss])
        metrics = session.run({name: update for name, (_, update) in spec.eval_metric_ops.items()})
    assert np.shape(logits) == (networks.MEMBERS, BATCH, 10)
    mean = softmax(np.array(logits)).mean(axis=0)
    assert np.abs(softmax(logits[0]) - mean).max() > 0.05
    np.testing.assert_allclose(found["probabilities"], mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found["classes"], mean.argmax(axis=1))
    assert loss == pytest.approx(-np.log(mean[range(BATCH), labels]).mean(), rel=1e-5)
    assert metrics["average_loss"] == pytest.approx(loss, rel=1e-6)
    assert metrics["accuracy"] == pytest.approx((mean.argmax(axis=1) == labels).mean())


@pytest.fixture(scope="module")
def model_dir(small, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("trained"))
    train(TRAINED, folder, data=small, progress=False, log_every_n_iter=1)
    return folder


def test_predictor_and_saved_model_say_what_the_estimator_does(small, model_dir, tmp_path):
    classifier = estimator_of(TRAINED, model_dir)
    expected = list(classifier.predict(eval_input_fn(small.test)))
    probabilities = np.array([p["probabilities"] for p in expected])
    assert probabilities.std(axis=0).max() > 1e-3
    with Predictor(model_dir, TRAINED) as predictor:
        classes, found = predictor.predict(small.test.images)
    np.testing.assert_array_equal(found, probabilities)
    np.testing.assert_array_equal(classes, [p["classes"] for p in expected])
    saved_model.saved_model(TRAINED, model_dir, str(tmp_path / "out"), small.test.images[:1])
    serve = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    served = serve(images=tf.constant(small.test.images))
    np.testing.assert_allclose(served["probabilities"], probabilities, atol=1e-6)
    np.testing.assert_array_equal(served["classes"], classes)


def test_a_checkpoint_of_one_member_is_of_another_network(model_dir):
    names = restore.variable_shapes(RECIPE, training=True)
    assert "column_1/dense/kernel/Momentum" in names
    assert "column_1/batch_normalization_2/moving_mean" in names
    with pytest.raises(restore.CheckpointError, match="variable conv2d/kernel"):
        restore.newest(dataclasses.replace(TRAINED, network="deep_cnn"), model_dir)
