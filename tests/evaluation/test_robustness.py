"""Corruptions whose outcome is known, and accuracy under them; labels that are doubted."""

import collections

import numpy as np
import pytest

from cnn_mnist.data.dataset import Split
from cnn_mnist.evaluation import corruptions, figures, label_errors, metrics, robustness
from cnn_mnist.evaluation.corruptions import CORRUPTIONS
from cnn_mnist.utils import drawing

SHAPES = [(3, 28, 28), (2, 9, 13), (3, 40, 17, 3)]


def dot(height, width, *channels):
    """Four images with a bright rectangle off the centre, on ground."""
    images = np.full([4, height, width, *channels], 10, np.uint8)
    images[:, height // 3 : height // 2, width // 4 : width // 2] = 210
    return images


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_gives_the_same_shape_again_and_again_and_worse_from_strength_to_strength(name, shape):
    images = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    before, each = images.copy(), CORRUPTIONS[name]
    if each.grey_only and len(shape) == 4:
        with pytest.raises(ValueError, match=r"expected uint8 \[N, H, W\]"):
            each.of(images, each.strengths[0])
        return
    assert len(each.strengths) >= 3
    for strength in each.strengths:
        worse = each.of(images, strength)
        assert worse.dtype == np.uint8 and worse.shape == shape
        np.testing.assert_array_equal(worse, each.of(images, strength))
        assert (worse != images).any(axis=tuple(range(1, images.ndim))).all()
    np.testing.assert_array_equal(images, before)


def test_noise_has_its_deviation():
    grey = np.full([2, 100, 110], 128, np.uint8)
    noisy = corruptions.noise(grey, 20).astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    assert abs(np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("channels", [(), (3,)])
def test_blur_keeps_the_sum_and_has_its_deviation(channels):
    images = np.zeros([1, 56, 57, *channels], np.uint8)
    images[:, 28, 30] = 255
    images[:, 26:31, 28:33] = 200
    blurred = corruptions.blur(images, 1.5).astype(float)
    assert blurred.sum() == pytest.approx(images.sum(dtype=float), rel=0.01)

    def variance(image):
        mass = image.reshape(56, 57, -1).sum(axis=(1, 2))
        rows = np.arange(56)
        mean = (mass * rows).sum() / mass.sum()
        return (mass * (rows - mean) ** 2).sum() / mass.sum()

    grown = variance(blurred[0]) - variance(images[0].astype(float))
    assert grown == pytest.approx(3**2, rel=0.05)  # 1.5 pixels of 28 are 3 of 56


@pytest.mark.parametrize("channels", [(), (3,)])
def test_shift_is_a_roll_on_ground_in_four_directions(channels):
    images = dot(28, 30, *channels)
    ways = ((0, 3), (3, 0), (0, -3), (-3, 0))
    expected = [np.roll(i, way, (0, 1)) for i, way in zip(images, ways, strict=True)]
    np.testing.assert_array_equal(corruptions.shift(images, 3), expected)
    images[:, 5, 29] = 99  # does not come in again on the other side
    assert (corruptions.shift(images, 3)[0][:, :3] == 10).all()
    assert corruptions.shift(dot(56, 56), 3)[0, 18:28, 20:34].min() == 210  # 6 pixels of 56


def test_rotation_by_a_right_angle_is_a_rotation_of_the_array():
    images = np.random.default_rng(1).integers(0, 256, (4, 28, 28), np.uint8)
    turned = corruptions.rotation(images, 90)
    for place, image in enumerate(images):
        np.testing.assert_array_equal(turned[place], np.rot90(image, 1 if place % 2 == 0 else -1))
    slanted = corruptions.rotation(dot(28, 28), 45)
    assert (slanted[:, 0, 0] == 10).all()  # the corner is ground


def test_scale_halves_about_the_middle():
    images = dot(28, 28)
    small = corruptions.scale(images, 0.5)
    inside = images.reshape(4, 14, 2, 14, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(small[:, 7:21, 7:21], inside, atol=1)
    small[:, 7:21, 7:21] = 10
    assert (small == 10).all()


def test_contrast_brings_values_nearer_to_their_mean():
    images = dot(28, 28).astype(np.uint8)
    paler = corruptions.contrast(images, 0.25).astype(float)
    assert paler.std() == pytest.approx(images.std() / 4, rel=0.01)
    assert paler.mean() == pytest.approx(images.mean(), abs=0.5)


def test_occlusion_covers_one_square():
    images = np.zeros([20, 30, 40, 3], np.uint8)
    covered = corruptions.occlusion(images, 0.3)
    corners = set()
    for image in covered:
        rows, columns = np.nonzero(image[..., 0])
        corners.add((rows.min(), columns.min()))
        assert (image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] == 128).all()
        assert len(rows) == 9 * 9
    assert len(corners) > 10


@pytest.mark.parametrize("dark", [True, False])
def test_strokes_get_thicker_and_thinner_whatever_the_ground(dark):
    images = np.zeros([1, 28, 28], np.uint8)
    images[0, 5:23, 10:13] = 240
    images = images if dark else 255 - images

    def width(pixels):
        image = corruptions.stroke_width(images, pixels)[0]
        return int(((image if dark else 255 - image) == 240)[14].sum())

    assert [width(pixels) for pixels in (-1, 1, 2)] == [1, 5, 7]


def test_measured_on_images_chosen_evenly_with_a_row_for_each(mnist, monkeypatch):
    monkeypatch.setattr(robustness, "IMAGES", 100)
    asked = collections.Counter()

    def classify(images):
        asked[len(images)] += 1
        return np.where(images.mean(axis=(1, 2)) > 60, 1, 7)  # bright ones are taken for a 1

    found = robustness.measured(mnist.test, classify)
    assert asked == {100: 1 + sum(len(each.strengths) for each in CORRUPTIONS.values())}
    images, labels = mnist.test.images[::100], mnist.test.labels[::100]
    assert found.accuracy == (classify(images) == labels).mean()
    assert [row.name for row in found.rows] == list(CORRUPTIONS)
    noisy = corruptions.noise(images, 96)
    assert found.rows[0].accuracies[2] == (classify(noisy) == labels).mean()
    assert found.as_dict()["corruptions"][1]["strengths"] == (1, 1.5, 2)
    assert drawing.png(figures.robustness(found)).startswith(b"\x89PNG")


def test_in_colour_and_of_few_images_stroke_width_is_left_out():
    images = np.random.default_rng(1).integers(0, 256, (5, 10, 12, 3), np.uint8)
    split = Split(images, np.array([0, 1, 0, 1, 1], np.int32))
    found = robustness.measured(split, lambda images: np.ones(len(images), int))
    assert found.images == 5 and found.accuracy == 0.6
    assert "stroke width" not in [row.name for row in found.rows] and len(found.rows) == 7


def test_the_labels_that_are_doubted_are_those_of_the_test_set(mnist):
    places = label_errors.doubted_places(mnist.test)
    assert len(places) == len(set(places)) == 15 and places == sorted(places)
    for each in label_errors.MNIST_TEST:
        assert mnist.test.labels[each.place] == each.given != each.guessed
        assert each.for_given + each.for_guessed + each.for_neither == 5 and each.for_given < 3


def test_of_another_test_set_none_is_doubted(mnist):
    labels = mnist.test.labels.copy()
    labels[0] += 1
    assert label_errors.doubted_places(Split(mnist.test.images, labels)) == []
    assert label_errors.doubted_places(Split(mnist.test.images[:50], labels[:50])) == []
    assert label_errors.doubted_places(Split(mnist.test.images[::-1], mnist.test.labels)) == []


def test_the_tally_counts_the_others_alone():
    labels = np.array([0, 1, 1, 0, 1, 0, 1])
    predicted = np.array([0, 1, 0, 1, 0, 0, 0])
    probabilities = np.where(predicted[:, None] == np.arange(2), 0.9, 0.1).astype(np.float32)
    tally = metrics.Tally("ab", doubted=[1, 2, 6])
    for some in (slice(0, 3), slice(3, 7)):
        pictures = np.zeros([len(labels[some]), 28, 28], np.uint8)
        tally.add(pictures, labels[some], probabilities[some])
    report = tally.report()
    assert (report.doubted, report.doubted_right) == (3, 1)
    assert report.accuracy == pytest.approx(3 / 7)
    assert report.undoubted_accuracy == pytest.approx(2 / 4)
    assert report.as_dict()["accuracy_without_doubted_labels"] == report.undoubted_accuracy
