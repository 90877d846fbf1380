"""Random numbers, beside those that TensorFlow's public functions make of the same key."""

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.models import random_numbers

KEYS = ([0, 0], [1, 0], [0, 1], [2**62 + 12345, 7], [-3, 2**40], [2**63 - 1, -(2**63)])


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", [[1], [257], [5, 3, 7], [0, 4]])
def test_they_are_the_public_functions_bit_for_bit(shape, key):
    philox = {"alg": "philox", "dtype": tf.float32}
    pairs = [
        (random_numbers.uniform(shape, key), tf.random.stateless_uniform(shape, key, **philox)),
        (
            random_numbers.uniform(shape, key, -0.13, 0.7),
            tf.random.stateless_uniform(shape, key, -0.13, 0.7, **philox),
        ),
        (
            random_numbers.normal(shape, key, 0.07),
            tf.random.stateless_normal(shape, key, 0.0, 0.07, **philox),
        ),
        (
            random_numbers.truncated_normal(shape, key, 0.07),
            tf.random.stateless_truncated_normal(shape, key, 0.0, 0.07, **philox),
        ),
    ]
    for found, expected in pairs:
        assert found.dtype == tf.float32
        np.testing.assert_array_equal(
            found.numpy().view(np.uint32), expected.numpy().view(np.uint32)
        )


def test_other_keys_have_other_numbers():
    drawn = {random_numbers.uniform([4], key).numpy().tobytes() for key in KEYS}
    assert len(drawn) == len(KEYS)
