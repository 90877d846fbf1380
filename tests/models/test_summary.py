import io

import tensorflow as tf
from rich.console import Console

from cnn_mnist.models import layers, summary
from cnn_mnist.models.networks import MEMBERS, NETWORKS
from cnn_mnist.recipes import RECIPES, Recipe


def test_layers_with_their_shapes_and_parameters():
    rows = summary.layers_of(RECIPES["tfjs"])
    assert [(row.name, row.output_shape, row.parameters) for row in rows] == [
        ("conv2d", (24, 24, 8), 208),
        ("max_pool", (12, 12, 8), 0),
        ("conv2d_1", (8, 8, 16), 3216),
        ("max_pool_1", (4, 4, 16), 0),
        ("flatten", (256,), 0),
        ("dense", (10,), 2570),
    ]


def test_an_ensembles_members_one_after_the_other():
    rows = summary.layers_of(RECIPES["accurate"])
    of_member = [
        [
            (row.name.removeprefix(scope), row.output_shape, row.parameters)
            for row in rows
            if row.name.startswith(scope)
        ]
        for scope in (f"column_{index}/" for index in range(MEMBERS))
    ]
    assert len(rows) == 10 * MEMBERS and of_member == [of_member[0]] * MEMBERS
    assert of_member[0][-3:] == [
        ("flatten", (4608,), 0),
        ("dense", (256,), 1_179_904),
        ("dense_1", (10,), 2_570),
    ]
    assert sum(row.parameters for row in rows) == MEMBERS * 1_439_722


def test_variables_of_layers_that_are_not_noted(monkeypatch):
    def mixed(images, **_):
        net = tf.reshape(images, [-1, 784])
        net = tf.matmul(net, tf.compat.v1.get_variable("own/kernel", [784, 5]))
        return layers.dense(net, "dense", units=10, seed=0)

    monkeypatch.setitem(NETWORKS, "mixed", mixed)
    rows = summary.layers_of(Recipe(network="mixed"))
    assert [(row.name, row.output_shape, row.parameters) for row in rows] == [
        ("dense", (10,), 60),
        ("own/kernel", (), 3_920),
    ]


def test_the_table_adds_up():
    screen = io.StringIO()
    Console(file=screen, width=80).print(summary.table(RECIPES["estimator"]))
    text = screen.getvalue()
    assert "28 x 28 x 32" in text and "3,212,288" in text and "3,274,634" in text
