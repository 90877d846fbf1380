import math

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.models import augment, parts

SHIFT, ROTATION = augment.AUGMENTS["shift"].shift, augment.AUGMENTS["rotation"].rotation


@pytest.fixture(scope="module")
def images(mnist):
    """Seven real images, `float32 [7, 28, 28, 1]`."""
    return mnist.train.images[:7, ..., np.newaxis] / np.float32(255)


def run(images, kind, *, seed=3, step=0, part=None):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        if part:
            parts.set_part(parts.Part(tf.constant(step, tf.int64), *part))
        global_step = tf.compat.v1.train.get_or_create_global_step()
        result = augment.augmented(tf.constant(images), kind, seed=seed)
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(global_step.assign(step))
        return session.run(result)


def warped(images, angle=0.0, right=0.0, down=0.0, steps=(1.0, 1.0)):
    """All images warped alike."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        amounts = [tf.fill([len(images)], float(a)) for a in (angle, right, down)]
        transforms = augment.about_the_middle(*amounts, *images.shape[1:3], *steps)
        return session.run(augment.warp(tf.constant(images), transforms))


def test_a_shift_moves_every_pixel(images):
    np.testing.assert_array_equal(warped(images, right=3, down=1)[:, 1:, 3:], images[:, :-1, :-3])
    assert not warped(images, right=3, down=1)[:, :1].any()
    assert not warped(images, right=3, down=1)[:, :, :3].any()


def test_a_quarter_turn_is_against_the_clock(images):
    expected = np.rot90(images, axes=(1, 2))
    np.testing.assert_allclose(warped(images, angle=math.pi / 2), expected, atol=2e-6)


def test_half_a_pixel_is_the_mean_of_two(images):
    expected = (images[:, :, 1:] + images[:, :, :-1]) / 2
    np.testing.assert_allclose(warped(images, right=0.5)[:, :, 1:], expected, atol=1e-6)


def test_a_zoom_scales_about_the_middle_each_direction_by_itself():
    squares = np.zeros((3, 28, 28, 1), np.float32)
    squares[:, 9:19, 9:19] = 1
    expected = np.zeros_like(squares)
    expected[:, 4:24, 9:19] = 1
    # Half a pixel on either side of an edge mixes ink and paper.
    zoomed = warped(squares, steps=(1.0, 0.5))
    assert np.abs(zoomed - expected).max() <= 0.25 + 1e-6
    assert (
        zoomed[0, :, 14, 0].tolist() == [0] * 3 + [0.25, 0.75] + [1] * 18 + [0.75, 0.25] + [0] * 3
    )
    assert zoomed[0, 14, :, 0].tolist() == [0] * 9 + [1] * 10 + [0] * 9
    # Zoomed along the image's own directions after the turn, and shifted after both.
    turned = warped(squares, angle=math.pi / 2, right=2, steps=(1.0, 0.5))
    np.testing.assert_allclose(turned[:, :, 2:], zoomed[:, :, :-2], atol=1e-5)


def test_none_changes_nothing(images):
    np.testing.assert_array_equal(run(images, "none"), images)


@pytest.mark.parametrize("kind", list(augment.AUGMENTS)[1:])
def test_amounts_are_a_function_of_seed_and_step(images, kind):
    first = run(images, kind)
    assert first.shape == images.shape and first.dtype == np.float32
    np.testing.assert_array_equal(run(images, kind), first)
    for other in (run(images, kind, seed=4), run(images, kind, step=1)):
        assert np.abs(other - first).max() > 0.1
    assert first.min() >= 0 and first.max() <= 1


@pytest.mark.parametrize("kind", list(augment.AUGMENTS)[1:])
def test_the_parts_of_a_batch_are_moved_as_the_whole_is(images, kind):
    whole = run(images, kind, step=8)
    split = [run(images[:2], kind, step=8, part=(0, 2, 7))]
    split += [run(images[2:], kind, step=8, part=(2, 5, 7))]
    # TensorFlow 2.15 rounds otherwise where there are other numbers of images.
    np.testing.assert_allclose(np.concatenate(split), whole, rtol=0, atol=2e-6)


def test_each_image_moves_by_an_amount_of_its_own_and_not_too_far(images):
    dots = np.zeros((300, 28, 28, 1), np.float32)
    dots[:, 14, 20] = 1  # 0.5 below and 6.5 to the right of the middle
    rows, columns = np.arange(28)[:, None], np.arange(28)[None]

    def places(kind):
        moved = run(dots, kind)[..., 0]
        weight = moved.sum((1, 2))
        assert (weight > 0.9).all()  # nothing leaves the image
        down = (moved * rows).sum((1, 2)) / weight - 13.5
        return down, (moved * columns).sum((1, 2)) / weight - 13.5

    down, right = places("shift")
    assert np.abs(down - 0.5).max() <= SHIFT + 1e-3 > np.abs(right - 6.5).max()
    assert down.std() == pytest.approx(SHIFT / math.sqrt(3), rel=0.15)
    assert right.std() == pytest.approx(SHIFT / math.sqrt(3), rel=0.15)
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.2

    down, right = places("rotation")
    angles = np.degrees(np.arctan2(-down, right) - math.atan2(-0.5, 6.5))
    assert np.abs(angles).max() <= ROTATION + 1.5  # a dot's own middle is blurred
    assert angles.std() == pytest.approx(ROTATION / math.sqrt(3), rel=0.15)


def test_affine_shifts_turns_and_zooms_each_image_by_amounts_of_its_own():
    """The amounts, as they are told by what becomes of a drawn square and of a dot."""
    squares, dots = np.zeros((2, 400, 28, 28, 1), np.float32)
    squares[:, 8:20, 8:20] = 1  # as wide in any direction, whichever way it is turned
    dots[:, 13:15, 19:21] = 1  # 6 to the right of the middle
    rows, columns = np.arange(28)[:, None] - 13.5, np.arange(28)[None] - 13.5

    def middle(moved):
        weight = moved.sum((1, 2))
        return (moved * columns).sum((1, 2)) / weight, (moved * rows).sum((1, 2)) / weight

    square, dot = run(squares, "affine")[..., 0], run(dots, "affine")[..., 0]
    right, down = middle(square)
    weight = square.sum((1, 2))
    variance = (12**2 - 1) / 12 + 1 / 6  # of its pixels, and of what reading between them blurs
    apart = columns - right[:, None, None], rows - down[:, None, None]
    spread = [(square * each**2).sum((1, 2)) / weight for each in apart]
    wide, high = (np.sqrt(each / variance) for each in spread)
    across, along = middle(dot)
    angles = np.degrees(-np.arctan2((along - down) / high, (across - right) / wide))
    amounts = {
        "right": (right, 0, augment.AUGMENTS["affine"].shift, 0.1),
        "down": (down, 0, augment.AUGMENTS["affine"].shift, 0.1),
        "angle": (angles, 0, ROTATION, 1.5),
        "step right": (1 / wide, 1, augment.AUGMENTS["affine"].zoom, 0.015),
        "step down": (1 / high, 1, augment.AUGMENTS["affine"].zoom, 0.015),
    }
    for name, (found, center, limit, tolerance) in amounts.items():
        assert np.abs(found - center).max() <= limit + tolerance, name
        assert found.mean() == pytest.approx(center, abs=0.1 * limit + tolerance), name
        assert found.std() == pytest.approx(limit / math.sqrt(3), rel=0.15), name
    each = np.corrcoef([found for found, *_ in amounts.values()])
    assert np.abs(each - np.eye(5)).max() < 0.2


def test_half_of_the_images_are_mirrored_each_channel_alike():
    pictures = np.random.default_rng(4).random((200, 9, 13, 3), np.float32)
    np.testing.assert_allclose(warped(pictures, steps=(-1.0, 1.0)), pictures[:, :, ::-1], atol=1e-6)
    mirrored = augment.Augment(mirror=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(augment.AUGMENTS, "mirror", mirrored)
        found = run(pictures, "mirror")
        later = run(pictures, "mirror", step=1)
    same = np.abs(found - pictures).max(axis=(1, 2, 3)) < 1e-5
    other = np.abs(found - pictures[:, :, ::-1]).max(axis=(1, 2, 3)) < 1e-5
    assert (same ^ other).all()
    assert 70 < other.sum() < 130
    assert (np.abs(later - found).max(axis=(1, 2, 3)) > 1e-3).any()


def test_a_shifted_and_mirrored_image_has_the_pixels_of_the_image():
    pictures = np.full((50, 16, 20, 3), 0.5, np.float32)
    found = run(pictures, "shift_and_mirror")
    reach = math.ceil(augment.AUGMENTS["shift_and_mirror"].shift)
    np.testing.assert_allclose(found[:, reach:-reach, reach:-reach], 0.5, atol=1e-6)
    assert (found.min(axis=(1, 2, 3)) < 0.4).mean() > 0.9  # black comes in from outside
