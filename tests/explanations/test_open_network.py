import numpy as np
import pytest
import tensorflow as tf
from form_data import images_of
from untrained import untrained

import cnn_mnist
from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST
from cnn_mnist.explanations import maps
from cnn_mnist.explanations.network import OpenNetwork
from cnn_mnist.models import networks, summary
from cnn_mnist.recipes import RECIPES, Recipe
from cnn_mnist.utils.errors import InputError

SMALL = limits.numbered(12, 10, 1, 7)
SMALL_COLOUR = limits.numbered(10, 12, 3, 5)


def opened(recipe, folder, form=MNIST):
    return OpenNetwork(recipe, untrained(recipe, folder, form), form)


def some(mnist, form, count=2):
    return images_of(mnist.test.images[:count], form)


@pytest.mark.parametrize("name", RECIPES)
def test_of_every_recipe_maps_add_up_to_the_score_and_layers_are_the_summarys(
    name, mnist, tmp_path
):
    form = SMALL_COLOUR if name in ("colour", "fast") else SMALL
    recipe = RECIPES[name]
    images = some(mnist, form)
    weights = maps.one_hot(np.array([1, 4]), form.num_classes)
    with opened(recipe, tmp_path, form) as network:
        found, gaps = maps.integrated_gradients(network, images, weights)
        entry, bare = network.entry(images), network.entry(_bare(form))
        change = ((network.scores(entry) - network.scores(bare)) * weights).sum(axis=1)
        scores = network.scores(entry)
        pixels = images.reshape(2, form.height, form.width, form.channels) / np.float32(255)
        np.testing.assert_allclose(scores, network.scores(pixels, by_pixels=True), atol=1e-5)
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(network.probabilities(images), probabilities, atol=1e-5)
        layers = network.activations(images)
        hidden, filters = network.hidden(images), network.filters
    assert found.shape == (2, form.height, form.width)
    np.testing.assert_allclose(found.sum(axis=(1, 2)) + gaps, change, atol=1e-4)
    assert (np.abs(gaps) <= 1e-3 * np.maximum(np.abs(change), 1)).all()
    assert np.abs(found).max() > 1e-4

    rows = summary.layers_of(recipe, form)
    assert {row.name: (2, *row.output_shape) for row in rows} == {
        layer: values.shape for layer, values in layers.items()
    }
    members = networks.MEMBERS if recipe.network == "committee" else 1
    assert len(filters) == members
    assert all(each.weights.shape[2] == form.channels for each in filters)
    before_last = [row.output_shape[0] for row in rows if len(row.output_shape) == 1][-2]
    assert hidden.shape == (2, members * before_last)


def _bare(form):
    return np.full((1, *form.image_shape), maps.ground(form), np.float32)


def test_columns_of_unit_length_are_entered_behind_their_jump(mnist, tmp_path):
    recipe = RECIPES["keras_mlp"]
    images = some(mnist, MNIST)
    with opened(recipe, tmp_path) as network:
        entry = network.entry(images)
        weights = maps.one_hot(np.array([3, 3]), 10)
        found, _ = maps.integrated_gradients(network, images, weights)
        gradients = network.gradients(entry, weights)
    length = np.sqrt((entry[..., 0] ** 2).sum(axis=1))
    np.testing.assert_allclose(length[length > 0], 1, rtol=1e-5)
    assert np.isfinite(gradients).all() and np.isfinite(found).all()
    assert (found[images == 0] == 0).all() and np.abs(found).sum() > 0.1


@pytest.fixture
def own_network(monkeypatch, tmp_path, mnist):
    """Opens a network of another program, of which no recipe knows."""

    def open_it(network, form=MNIST):
        monkeypatch.setitem(networks.NETWORKS, "own", network)
        return opened(Recipe(network="own"), tmp_path, form)

    return open_it


def raw(images, name, shape):
    return tf.compat.v1.get_variable(
        name, shape, initializer=tf.compat.v1.random_normal_initializer(seed=1)
    )


def linear(images, *, num_classes, **options):
    """Logits that are weighted sums of the pixels, of raw operations."""
    size = int(np.prod(images.shape[1:]))
    return tf.matmul(tf.reshape(images, [-1, size]), raw(images, "w", [size, num_classes]))


def test_of_a_linear_network_integrated_gradients_are_its_weights_times_the_pixels(
    own_network, mnist
):
    form = SMALL_COLOUR
    images = some(mnist, form, 3)
    with own_network(linear, form) as network:
        kernel = network.filters[0].weights  # [H, W, C, K]
        assert kernel.shape == (10, 12, 3, 5)
        weights = maps.one_hot(np.array([4, 0, 2]), 5) - maps.one_hot(np.array([1, 1, 3]), 5)
        found, gaps = maps.integrated_gradients(network, images, weights)
        np.testing.assert_array_equal(
            network.hidden(images), images.reshape(3, -1) / np.float32(255)
        )
    expected = (images / 255 - 0.5) * np.einsum("hwck,bk->bhwc", kernel, weights)
    np.testing.assert_allclose(found, expected.sum(axis=3), atol=1e-5)
    np.testing.assert_allclose(gaps, 0, atol=1e-3)


def deep(images, *, num_classes, **options):
    """A convolution and two products, of raw operations in scopes of their own or in none."""
    with tf.name_scope("first"):
        net = tf.nn.relu(tf.nn.conv2d(images, raw(images, "k", [3, 3, 1, 4]), 2, "SAME"))
    net = tf.reshape(net, [-1, 7 * 7 * 4 * 4])
    net = tf.tanh(tf.matmul(net, raw(images, "h", [784, 6])))
    return tf.matmul(net, raw(images, "o", [6, num_classes])) + raw(images, "b", [num_classes])


def test_a_network_of_raw_operations_has_layers_filters_and_a_last_hidden_one(own_network, mnist):
    images = some(mnist, MNIST)
    with own_network(deep) as network:
        layers = network.activations(images)
        hidden = network.hidden(images)
        filters = network.filters
    assert layers["first"].shape == (2, 14, 14, 4) and layers["first"].min() == 0
    assert [each.shape for each in layers.values()][-1] == (2, 10)
    assert hidden.shape == (2, 6) and np.abs(hidden).max() <= 1
    (found,) = filters
    assert found.layer == "first" and found.weights.shape == (3, 3, 1, 4)


def turned(images, *, num_classes, **options):
    return linear(tf.transpose(images, [0, 2, 1, 3]), num_classes=num_classes)


def test_pixels_that_change_places_are_explained_where_they_were(own_network, mnist):
    images = some(mnist, MNIST)
    with own_network(turned) as network:
        assert network.entry(images) is None
        weights = maps.one_hot(np.array([3, 7]), 10)
        found, gaps = maps.integrated_gradients(network, images, weights)
        kernel = network.filters[0].weights[:, :, 0]
    expected = images / 255 * np.einsum("hwk,bk->bwh", kernel, weights)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def without_a_gradient(images, *, num_classes, **options):
    return tf.stop_gradient(linear(images, num_classes=num_classes))


def test_a_network_without_a_gradient_is_one_clear_error(own_network, mnist):
    images = some(mnist, MNIST)
    with own_network(without_a_gradient) as it:
        assert it.probabilities(images).shape == (2, 10)
        with pytest.raises(InputError, match=r"^--network=own: expected logits with a gradient"):
            maps.integrated_gradients(it, images, maps.one_hot(np.array([3, 7]), 10))


def test_it_says_what_the_predictor_says(mnist, tmp_path):
    recipe = Recipe(network="tfjs")
    prefix = untrained(recipe, tmp_path)
    images = some(mnist, MNIST, 403)  # more than two chunks
    with cnn_mnist.Predictor(tmp_path, recipe) as predictor:
        _, expected = predictor.predict(images)
    with OpenNetwork(recipe, prefix, MNIST) as network:
        np.testing.assert_allclose(network.probabilities(images), expected, atol=1e-6)
        assert network.probabilities(images[:0]).shape == (0, 10)
        assert network.step == 0
