import math

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.models.optimizers import SCHEDULES


def rates(schedule, steps, peak=0.3):
    """The learning rates of all steps, `[steps]`."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.placeholder(tf.int64, [])
        rate = tf.convert_to_tensor(SCHEDULES[schedule].rate(peak, steps, step))
        assert rate.dtype == tf.float32
        return np.array([session.run(rate, {step: s}) for s in range(steps + 1)])


def test_constant_is_constant():
    np.testing.assert_array_equal(rates("constant", 7), np.float32(0.3))


def test_cosine_falls_from_the_peak_to_zero():
    expected = [0.3 * (1 + math.cos(math.pi * s / 11)) / 2 for s in range(12)]
    np.testing.assert_allclose(rates("cosine", 11), expected, atol=1e-7)


def test_one_cycle_rises_in_a_quarter_and_falls_in_the_rest():
    values = rates("one_cycle", 40)
    np.testing.assert_allclose(values[:10], [0.03 * (s + 1) for s in range(10)], rtol=1e-5)
    expected = [0.3 * (1 + math.cos(math.pi * s / 30)) / 2 for s in range(31)]
    np.testing.assert_allclose(values[10:], expected, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_very_short_runs_learn_too(schedule, steps):
    values = rates(schedule, steps)
    assert np.isfinite(values).all() and (values >= 0).all() and values[0] > 0


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_after_the_last_step_the_rate_stays_at_zero(schedule):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        rate = SCHEDULES[schedule].rate(0.3, 10, tf.constant(25, tf.int64))
        assert session.run(rate) == pytest.approx(0, abs=1e-9)
