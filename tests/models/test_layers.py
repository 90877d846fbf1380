"""The building blocks, each alone."""

import math

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.models import layers, parts

NAMES = ["conv2d/kernel", "conv2d_1/kernel", "dense/kernel", "dense_1/kernel", "dropout"]


def value_of(build, step=0):
    """Runs the op that `build` makes, at a global step."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        global_step = tf.compat.v1.train.get_or_create_global_step()
        out = build()
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(global_step.assign(step))
        return session.run(out)


def test_random_streams_of_all_seeds_and_purposes_are_valid_int64():
    for seed in (0, 1, 2**32 - 1):
        for name in NAMES:
            assert 0 <= layers.random_stream(seed, name) < 2**63
            assert layers.random_stream(seed, name) % 2**32 == seed


@pytest.mark.parametrize(
    ("initializer", "convolution", "matrix"),
    [
        (layers.glorot_uniform, math.sqrt(6 / (25 * 67)), math.sqrt(6 / 370)),
        (layers.lecun_uniform, math.sqrt(3 / 75), 0.1),
    ],
)
def test_uniform_initial_weights_fill_their_range_evenly(initializer, convolution, matrix):
    for shape, limit in (([5, 5, 3, 64], convolution), ([300, 70], matrix)):
        value = value_of(lambda shape=shape: initializer(shape, tf.constant([7, 0])))
        assert value.shape == tuple(shape) and value.dtype == np.float32
        assert 0.999 * limit < value.max() <= limit and -limit <= value.min() < -0.999 * limit
        assert value.std() == pytest.approx(limit / math.sqrt(3), rel=0.03)


def test_variance_scaling_is_a_normal_cut_off_at_two_deviations():
    for shape, deviation in (([5, 5, 8, 64], 1 / math.sqrt(200)), ([256, 70], 1 / 16)):
        value = value_of(lambda shape=shape: layers.variance_scaling(shape, tf.constant([7, 0])))
        assert value.shape == tuple(shape) and value.dtype == np.float32
        assert 1.9 * deviation < np.abs(value).max() <= 2 * deviation
        # What is left of a normal distribution between -2 and 2 has the deviation 0.8796.
        assert value.std() == pytest.approx(0.8796 * deviation, rel=0.03)


def test_unit_columns_is_keras_normalize_along_axis_1(mnist):
    x = mnist.train.images[:5].astype(np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)  # of each column of each image
    expected = x / np.where(length == 0, 1, length)
    images = mnist.train.images[:5, :, :, None] / np.float32(255)
    out = value_of(lambda: layers.unit_columns(tf.constant(images)))
    np.testing.assert_allclose(out[..., 0], expected, rtol=1e-5, atol=1e-7)
    assert (expected == 0).all(axis=1).any()  # a column without ink is among them


def test_max_pool_relu_equals_relu_then_max_pool():
    x = np.random.RandomState(0).randn(3, 6, 10, 4).astype(np.float32)
    expected = np.maximum(x, 0).reshape(3, 3, 2, 5, 2, 4).max(axis=(2, 4))
    out = value_of(lambda: layers.max_pool_relu(tf.constant(x), "pool"))
    np.testing.assert_array_equal(out, expected)


def test_flatten_keeps_the_order_of_rows():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(np.float32)
    out = value_of(lambda: layers.flatten(tf.constant(x)))
    np.testing.assert_array_equal(out, x.reshape(2, 60))


class TestDropout:
    RATE = 0.3

    def values(self, *, seed=5, step=0, training=True):
        ones = (60, 500)
        return value_of(
            lambda: layers.dropout(tf.ones(ones), self.RATE, training=training, seed=seed), step
        )

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

    def test_acts_in_training_alone(self):
        np.testing.assert_array_equal(self.values(training=False), np.ones((60, 500)))

    @pytest.mark.parametrize("trainers", [2, 3, 4])
    def test_the_masks_of_the_parts_of_a_batch_are_together_that_of_the_whole(self, trainers):
        whole = self.values(seed=5, step=8)
        together = []
        for rank in range(trainers):
            first, end = parts.bounds(rank, trainers, 60)

            def part(first=first, size=end - first):
                parts.set_part(parts.Part(tf.constant(8, tf.int64), first, size, 60))
                return layers.dropout(tf.ones((size, 500)), self.RATE, training=True, seed=5)

            together.append(value_of(part))
        np.testing.assert_array_equal(np.concatenate(together), whole)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("units", [9, 1311])  # 9: a small kernel; 800 * 1311 is a large one
def test_the_gradients_of_a_dense_layer_are_those_of_its_product(monkeypatch, units, wide):
    monkeypatch.setattr(layers.processor, "has_avx512", lambda: wide)
    large = units * 800 >= layers.LARGE_KERNEL
    rng = np.random.RandomState(0)
    x, g = rng.normal(size=(7, 800)).astype("f"), rng.normal(size=(7, units)).astype("f")
    with tf.Graph().as_default():
        net = tf.constant(x)
        output = layers.dense(net, "dense", units=units, seed=1)
        kernel, bias = tf.compat.v1.trainable_variables()
        gradients = tf.gradients(output, [net, kernel, bias], tf.constant(g))
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            k, found = session.run([kernel, gradients])
    assert large == (units == 1311)
    for each, expected in zip(found, (g @ k.T, x.T @ g, g.sum(axis=0)), strict=True):
        assert each.shape == expected.shape
        np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gradient_of_a_bias_is_the_sum_over_batch_and_pixels(dtype):
    g = np.random.RandomState(0).normal(0.5, 1, size=(53, 9, 11, 6)).astype("f")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        net = tf.ones([53, 9, 11, 2], dtype)
        output = layers.conv2d(net, "conv2d", filters=6, kernel_size=3, seed=1)
        bias = tf.compat.v1.trainable_variables()[1]
        rounded = tf.cast(g, dtype)
        gradient = tf.gradients(output, bias, rounded)[0]
        session.run(tf.compat.v1.global_variables_initializer())
        found, terms = session.run([gradient, tf.cast(rounded, tf.float32)])
    assert found.dtype == np.float32
    expected = terms.sum(axis=(0, 1, 2), dtype=np.float64)
    # bfloat16 keeps 8 binary digits of the result.
    np.testing.assert_allclose(found, expected, rtol=2**-8 if dtype == "bfloat16" else 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_batch_norm_by_the_batch_and_by_its_moving_averages(dtype):
    rng = np.random.RandomState(0)
    x = np.float32(rng.normal(3, 2, size=(11, 5, 7, 3)) * [1, 10, 0.1])
    with tf.Graph().as_default():
        net = tf.cast(tf.constant(x), dtype)
        with tf.compat.v1.variable_scope("", reuse=tf.compat.v1.AUTO_REUSE):
            training = layers.batch_norm(net, "norm", training=True)
            serving = layers.batch_norm(net, "norm", training=False)
        updates = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.UPDATE_OPS)
        variables = {v.op.name: v for v in tf.compat.v1.global_variables()}
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            in_training = session.run(tf.cast(training, tf.float32))
            before = session.run(variables)
            for _ in range(2):
                session.run(updates)
            after = session.run(variables)
            served = session.run(tf.cast(serving, tf.float32))
    rounding = {"float32": 1e-5, "bfloat16": 2e-2}[dtype]
    seen = np.asarray(tf.cast(tf.cast(x, dtype), tf.float32), np.float64)
    mean, variance = seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))
    expected = (seen - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(in_training, expected, rtol=rounding, atol=rounding)
    assert not before["norm/moving_mean"].any() and (before["norm/moving_variance"] == 1).all()
    count = seen[..., 0].size
    left = 0.95**2
    moved = {
        "norm/moving_mean": (1 - left) * mean,
        "norm/moving_variance": left + (1 - left) * variance * count / (count - 1),
    }
    for name, value in moved.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-4)
    expected = (seen - moved["norm/moving_mean"]) / np.sqrt(moved["norm/moving_variance"] + 1e-3)
    np.testing.assert_allclose(served, expected, rtol=rounding, atol=rounding)
