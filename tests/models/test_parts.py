import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.data.splits import batch_indices
from cnn_mnist.models import parts
from cnn_mnist.models.model_fn import spec
from cnn_mnist.recipes import Recipe

RECIPE = Recipe(network="tfjs", batch_size=13, seed=5)
STEP = 3


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 7, 100, 101, 102, 103, 65_536])
@pytest.mark.parametrize("trainers", [1, 2, 3, 4, 7])
def test_each_row_is_in_one_part_and_parts_are_as_even_as_can_be(batch_size, trainers):
    bounds = [parts.bounds(rank, trainers, batch_size) for rank in range(trainers)]
    assert [row for first, end in bounds for row in range(first, end)] == list(range(batch_size))
    sizes = [end - first for first, end in bounds]
    assert max(sizes) - min(sizes) <= 1


def test_without_a_part_the_graph_trains_on_the_whole_batch_of_the_global_step():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        global_step = tf.compat.v1.train.get_or_create_global_step()
        assert not parts.is_set()
        drawn = parts.rows_of_batch(lambda rows: tf.range(10, 10 + rows), tf.constant(4))
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(global_step.assign(17))
        step, rows = session.run([parts.step(), drawn])
    assert step == 17 and step.dtype == np.int64
    assert rows.tolist() == [10, 11, 12, 13]


def test_a_part_belongs_to_its_graph_and_has_its_rows_and_step():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        parts.set_part(parts.Part(tf.constant(8, tf.int64), first=2, size=3, batch_size=7))
        assert parts.is_set()
        drawn = parts.rows_of_batch(lambda rows: tf.range(10, 10 + rows), tf.constant(3))
        step, rows = session.run([parts.step(), drawn])
        with tf.Graph().as_default():
            assert not parts.is_set()
    assert step == 8 and rows.tolist() == [12, 13, 14]


def test_a_graph_with_a_part_can_be_saved():
    with tf.Graph().as_default():
        parts.set_part(parts.Part(tf.constant(8, tf.int64), first=2, size=3, batch_size=7))
        saved = tf.compat.v1.train.export_meta_graph()
    assert list(saved.collection_def[parts.ROWS].int64_list.value) == [2, 3, 7]


def gradients(split, recipe, first, end):
    """Loss and gradients, by variable, of rows of the batch of `STEP`."""
    found = {}

    def noted(descent, objective, loss, step, recipe):
        found.update({v.op.name: g for g, v in descent.compute_gradients(loss)}, loss=loss)
        return tf.no_op()

    indices = batch_indices(STEP, size=len(split), batch_size=recipe.batch_size, seed=recipe.seed)
    rows = indices[first:end]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.constant(STEP, tf.int64)
        parts.set_part(parts.Part(step, first, end - first, recipe.batch_size))
        features = {"x": tf.constant(split.images[rows])}
        mode, labels = estimator.ModeKeys.TRAIN, tf.constant(split.labels[rows])
        spec(features, labels, mode, recipe, noted)
        session.run(tf.compat.v1.global_variables_initializer())
        return session.run(found)


@pytest.mark.parametrize(
    ("augment", "dropout_rate"),
    [pytest.param("none", 0.0, marks=pytest.mark.long), ("shift_and_rotation", 0.4)],
)
def test_the_weighted_mean_of_the_parts_gradients_is_that_of_the_batch(
    small, augment, dropout_rate
):
    recipe = dataclasses.replace(
        RECIPE, network="small_cnn", augment=augment, dropout_rate=dropout_rate
    )
    whole = gradients(small.train, recipe, 0, recipe.batch_size)
    for trainers in (2, 3, 4):  # 13 rows: 6 and 7; 4, 4 and 5; 3, 3, 3 and 4
        total = dict.fromkeys(whole, 0.0)
        for rank in range(trainers):
            first, end = parts.bounds(rank, trainers, recipe.batch_size)
            for name, value in gradients(small.train, recipe, first, end).items():
                total[name] = total[name] + (end - first) / recipe.batch_size * value
        for name, value in whole.items():
            # Rounding, of sums in another order.
            np.testing.assert_allclose(total[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    assert max(np.abs(value).max() for value in whole.values()) > 0.01


def test_dropout_and_augmentation_differ_from_row_to_row(small):
    recipe = dataclasses.replace(RECIPE, network="small_cnn", augment="shift", dropout_rate=0.4)
    plain = dataclasses.replace(recipe, augment="none", dropout_rate=0.0)
    first = gradients(small.train, recipe, 0, 6)
    assert abs(first["loss"] - gradients(small.train, plain, 0, 6)["loss"]) > 1e-3
