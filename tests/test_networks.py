import math

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist import networks

BATCH = 7  # unlike every other size of the network

VARIABLES = {
    "conv2d/kernel": (5, 5, 1, 32),
    "conv2d/bias": (32,),
    "conv2d_1/kernel": (5, 5, 32, 64),
    "conv2d_1/bias": (64,),
    "dense/kernel": (3136, 1024),
    "dense/bias": (1024,),
    "dense_1/kernel": (1024, 10),
    "dense_1/bias": (10,),
}


class Built:
    """The network in a graph and a session of its own."""

    def __init__(self, *, training=False, dropout_rate=0.4, seed=3):
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.step = tf.compat.v1.train.get_or_create_global_step()
            self.images = tf.compat.v1.placeholder(tf.float32, [None, 28, 28, 1])
            self.logits = networks.cnn(
                self.images, training=training, dropout_rate=dropout_rate, seed=seed
            )
            self.variables = {
                v.op.name: v for v in tf.compat.v1.trainable_variables() if v is not self.step
            }
            self.session = tf.compat.v1.Session()
            self.session.run(tf.compat.v1.global_variables_initializer())

    def run(self, fetches, images):
        return self.session.run(fetches, {self.images: images})


@pytest.fixture(scope="module")
def built():
    return Built()


@pytest.fixture(scope="module")
def images(mnist):
    return mnist.train.images[:BATCH, :, :, None].astype(np.float32) / 255


def test_variables_have_the_names_and_shapes_of_the_tutorials_checkpoints(built):
    assert {name: tuple(v.shape) for name, v in built.variables.items()} == VARIABLES


def test_there_are_3_274_634_parameters(built):
    assert sum(math.prod(v.shape) for v in built.variables.values()) == 3_274_634


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [
        ("conv2d/BiasAdd:0", (BATCH, 28, 28, 32)),
        ("Relu:0", (BATCH, 14, 14, 32)),
        ("conv2d_1/BiasAdd:0", (BATCH, 14, 14, 64)),
        ("Relu_1:0", (BATCH, 7, 7, 64)),
        ("Reshape:0", (BATCH, 3136)),
        ("dense/BiasAdd:0", (BATCH, 1024)),
        ("Relu_2:0", (BATCH, 1024)),
        ("dense_1/BiasAdd:0", (BATCH, 10)),
    ],
)
def test_shape_of_each_layer(built, images, tensor, shape):
    assert built.run(tensor, images).shape == shape


def test_the_network_computes_what_its_layers_say(built, images):
    """The whole forward pass once more, in NumPy, from the definitions of the layers."""
    w = {name: built.session.run(v).astype(np.float64) for name, v in built.variables.items()}

    def convolved(net, kernel, bias):
        padded = np.pad(net, [(0, 0), (2, 2), (2, 2), (0, 0)])
        height, width = net.shape[1:3]
        out = np.zeros((*net.shape[:3], kernel.shape[-1]))
        for y in range(5):
            for x in range(5):
                out += padded[:, y : y + height, x : x + width] @ kernel[y, x]
        return out + bias

    def pooled(net):
        b, h, w_, c = net.shape
        return net.reshape(b, h // 2, 2, w_ // 2, 2, c).max(axis=(2, 4))

    net = images.astype(np.float64)
    for name in ("conv2d", "conv2d_1"):
        net = pooled(np.maximum(convolved(net, w[f"{name}/kernel"], w[f"{name}/bias"]), 0))
    net = np.maximum(net.reshape(BATCH, -1) @ w["dense/kernel"] + w["dense/bias"], 0)
    expected = net @ w["dense_1/kernel"] + w["dense_1/bias"]
    np.testing.assert_allclose(built.run(built.logits, images), expected, rtol=1e-4, atol=1e-5)


def test_initial_weights_are_glorot_uniform_and_biases_zero(built):
    for name, variable in built.variables.items():
        value = built.session.run(variable)
        if name.endswith("bias"):
            assert not value.any()
            continue
        *field, fan_in, fan_out = value.shape
        limit = math.sqrt(6 / (math.prod(field) * (fan_in + fan_out)))
        assert np.abs(value).max() <= limit
        assert value.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert value.mean() == pytest.approx(0, abs=4 * limit / math.sqrt(3 * value.size))


def test_initial_weights_follow_the_seed_and_differ_between_layers(built):
    again, other = Built(), Built(seed=4)
    for name in VARIABLES:
        if name.endswith("kernel"):
            value = built.session.run(built.variables[name])
            np.testing.assert_array_equal(again.session.run(again.variables[name]), value)
            assert (other.session.run(other.variables[name]) != value).mean() > 0.99
    keys = {networks.random_stream(3, name) for name in [*VARIABLES, "dropout"]}
    assert len(keys) == len(VARIABLES) + 1


def test_random_streams_of_all_seeds_and_purposes_are_valid_int64():
    for seed in (0, 1, 2**32 - 1):
        for name in [*VARIABLES, "dropout"]:
            assert 0 <= networks.random_stream(seed, name) < 2**63
            assert networks.random_stream(seed, name) % 2**32 == seed


class TestDropout:
    RATE = 0.3

    def values(self, *, seed=5, step=0, shape=(60, 500)):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            global_step = tf.compat.v1.train.get_or_create_global_step()
            out = networks.dropout(tf.ones(shape), self.RATE, seed=seed)
            session.run(tf.compat.v1.global_variables_initializer())
            session.run(global_step.assign(step))
            return session.run(out)

    def test_sets_its_share_to_zero_and_scales_the_rest(self):
        values = self.values()
        zero = values == 0
        # Five standard deviations of a share over 30,000 activations are 0.013.
        assert zero.mean() == pytest.approx(self.RATE, abs=0.013)
        np.testing.assert_allclose(values[~zero], 1 / (1 - self.RATE), rtol=1e-6)
        assert zero.all(axis=0).sum() == zero.all(axis=1).sum() == 0

    def test_the_mask_is_a_function_of_seed_and_step(self):
        values = self.values(seed=5, step=8)
        np.testing.assert_array_equal(self.values(seed=5, step=8), values)
        for other in (self.values(seed=6, step=8), self.values(seed=5, step=9)):
            # Two independent masks differ in a share of 2 p (1 - p).
            differ = (other != values).mean()
            assert differ == pytest.approx(2 * self.RATE * (1 - self.RATE), abs=0.015)

    def test_acts_in_training_alone(self, images):
        evaluating, training = Built(), Built(training=True)
        plain = evaluating.run(evaluating.logits, images)
        np.testing.assert_array_equal(evaluating.run(evaluating.logits, images), plain)
        assert np.abs(training.run(training.logits, images) - plain).max() > 1e-3
        without = Built(training=True, dropout_rate=0.0)
        np.testing.assert_allclose(without.run(without.logits, images), plain, rtol=1e-5, atol=1e-6)
