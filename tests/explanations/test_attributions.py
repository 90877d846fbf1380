"""Maps of functions whose answer is known."""

import numpy as np
import pytest

from cnn_mnist.explanations import attributions
from cnn_mnist.explanations.attributions import integrated_gradients, occlusion

RNG = np.random.default_rng(5)
POINTS, BASELINES, SLOPES = RNG.normal(size=(3, 4, 5, 7, 3)).astype(np.float32)


def function(values, gradients):
    """The two arguments for a sum over pixels, of which values and gradients are given."""
    return (
        lambda points, weights: gradients(points, weights).astype(np.float32),
        lambda points, weights: values(points, weights).sum(axis=(1, 2, 3)),
    )


def test_of_a_linear_function_they_are_exact():
    of = function(lambda x, w: x * w, lambda x, w: w)
    maps, gaps = integrated_gradients(*of, POINTS, BASELINES, SLOPES)
    np.testing.assert_allclose(maps, (POINTS - BASELINES) * SLOPES, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gaps, 0, atol=1e-4)


def test_of_squares_they_are_the_differences():
    of = function(lambda x, w: w * x**2, lambda x, w: 2 * w * x)
    maps, _ = integrated_gradients(*of, POINTS, BASELINES, SLOPES)
    np.testing.assert_allclose(maps, SLOPES * (POINTS**2 - BASELINES**2), atol=1e-4)


@pytest.mark.parametrize("tolerance", [0.05, 1e-3])
def test_kinks_are_cut_finer_until_little_is_left_unexplained(tolerance):
    asked = []

    def gradients(x, w):
        asked.append(len(x))
        return (x > w).astype(np.float32)

    of = function(lambda x, w: np.maximum(x - w, 0), gradients)
    points, baselines = 9 * POINTS, 9 * BASELINES
    maps, gaps = integrated_gradients(*of, points, baselines, SLOPES, 32, tolerance)
    change = of[1](points, SLOPES) - of[1](baselines, SLOPES)
    np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)) + gaps, change, rtol=1e-4)
    assert (np.abs(gaps) <= tolerance * np.maximum(np.abs(change), 1)).all()
    # Thirds know the middle of the interval that they are cut from: nothing is asked twice.
    assert 32 * len(points) <= sum(asked) <= attributions.MOST_STEPS * len(points)


def test_without_a_tolerance_it_takes_the_steps_that_were_asked_for():
    asked = []

    def gradients(x, w):
        asked.append(len(x))
        return (x > w).astype(np.float32)

    of = function(lambda x, w: np.maximum(x - w, 0), gradients)
    integrated_gradients(*of, POINTS, BASELINES, SLOPES, 7, float("inf"))
    assert sum(asked) == 7 * len(POINTS)


def test_a_jump_is_told_and_ends(monkeypatch):
    monkeypatch.setattr(attributions, "MOST_STEPS", 40)
    of = function(lambda x, w: (x > 0.5).astype(np.float64), lambda x, w: np.zeros_like(x))
    points, baselines = np.ones([1, 2, 3, 1], np.float32), np.zeros([1, 2, 3, 1], np.float32)
    maps, gaps = integrated_gradients(*of, points, baselines, points, 3)
    np.testing.assert_array_equal(maps, 0)
    np.testing.assert_array_equal(gaps, 6)


def test_what_does_not_change_has_no_part_even_without_a_gradient():
    def gradients(x, w):
        return np.where(x == 0, np.nan, w)

    points = np.zeros([1, 2, 2, 1], np.float32)
    points[0, 0, 1] = 3
    of = function(lambda x, w: x * w, gradients)
    maps, gaps = integrated_gradients(*of, points, np.zeros_like(points), np.full_like(points, 2))
    assert maps.ravel().tolist() == [0, 6, 0, 0]
    assert abs(gaps[0]) < 1e-5


def detector(row, column):
    """A network that sees one pixel: its score is three times the first channel there."""
    return lambda images, weights: 3 * images[:, row, column, 0] * weights


def test_occlusion_finds_the_pixel_that_a_detector_sees():
    images = RNG.uniform(0.2, 1, (2, 5, 8, 3)).astype(np.float32)
    weights = np.array([1, -2], np.float32)
    maps = occlusion(detector(3, 6), images, weights, 0.0, (1, 1), (1, 1))
    expected = np.zeros([2, 5, 8])
    expected[:, 3, 6] = 3 * images[:, 3, 6, 0] * weights
    np.testing.assert_allclose(maps, expected, rtol=1e-6)


def test_a_larger_patch_reaches_as_far_as_it_is_wide_and_to_the_edges():
    images = np.full([1, 7, 9, 1], 0.75, np.float32)
    maps = occlusion(detector(6, 8), images, np.ones(1), 0.25, (3, 4), (2, 3))
    assert maps.shape == (1, 7, 9)
    touched = np.zeros([7, 9], bool)
    touched[4:, 5:] = True
    np.testing.assert_array_equal(maps[0] != 0, touched)
    assert maps[0, 6, 8] == pytest.approx(3 * (0.75 - 0.25))
    assert maps[0, 4, 5] == pytest.approx(1.5 / 4)  # of the four patches there one covers it


def test_bare_ground_is_not_asked_about():
    asked = []

    def scores(images, weights):
        asked.append(len(images))
        return images.sum(axis=(1, 2, 3))

    images = np.zeros([3, 28, 28, 1], np.float32)
    images[1, 10, 10] = 1
    maps = occlusion(scores, images, np.ones(3), 0.0, (4, 4), (2, 2))
    assert asked == [3] + [1] * 4
    assert (maps[[0, 2]] == 0).all() and maps[1, 10, 10] == 1
    assert attributions.patch_of(28) == 4 and attributions.patch_of(8) == 1
