import math

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.models import layers, networks
from cnn_mnist.models.networks import MEMBERS, NETWORKS
from cnn_mnist.utils.errors import InputError

BATCH = 7  # unlike every other size of the networks


def normalization(layer, channels):
    """The variables of a batch normalization."""
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    return {f"{layer}/{part}": (channels,) for part in parts}


DEEP = {
    "conv2d/kernel": (5, 5, 1, 32),
    **normalization("batch_normalization", 32),
    "conv2d_1/kernel": (5, 5, 32, 64),
    **normalization("batch_normalization_1", 64),
    "conv2d_2/kernel": (5, 5, 64, 128),
    **normalization("batch_normalization_2", 128),
    "dense/kernel": (4608, 256),
    "dense/bias": (256,),
    "dense_1/kernel": (256, 10),
    "dense_1/bias": (10,),
}
DEEP_OUTPUTS = [
    *[(24, 24, 32)] * 2,
    *[(20, 20, 64)] * 2,
    (10, 10, 64),
    *[(6, 6, 128)] * 2,
    (4608,),
    (256,),
    (10,),
]
TINY = {
    "conv2d": (3, 3, 1, 8),
    "conv2d_1": (3, 3, 8, 8),
    "conv2d_2": (3, 3, 8, 12),
    "conv2d_3": (3, 3, 12, 12),
}
COLOUR = {
    "conv2d": (3, 3, 1, 32),
    "conv2d_1": (3, 3, 32, 64),
    "conv2d_2": (3, 3, 64, 64),
    "conv2d_3": (3, 3, 64, 128),
}
VARIABLES = {
    "cnn": {
        "conv2d/kernel": (5, 5, 1, 32),
        "conv2d/bias": (32,),
        "conv2d_1/kernel": (5, 5, 32, 64),
        "conv2d_1/bias": (64,),
        "dense/kernel": (3136, 1024),
        "dense/bias": (1024,),
        "dense_1/kernel": (1024, 10),
        "dense_1/bias": (10,),
    },
    "tfjs": {
        "conv2d/kernel": (5, 5, 1, 8),
        "conv2d/bias": (8,),
        "conv2d_1/kernel": (5, 5, 8, 16),
        "conv2d_1/bias": (16,),
        "dense/kernel": (256, 10),
        "dense/bias": (10,),
    },
    "quick_cnn": {
        "conv2d/kernel": (5, 5, 1, 16),
        "conv2d/bias": (16,),
        "conv2d_1/kernel": (3, 3, 16, 32),
        "conv2d_1/bias": (32,),
        "dense/kernel": (800, 256),
        "dense/bias": (256,),
        "dense_1/kernel": (256, 10),
        "dense_1/bias": (10,),
    },
    "small_cnn": {
        "conv2d/kernel": (5, 5, 1, 16),
        "conv2d/bias": (16,),
        "conv2d_1/kernel": (3, 3, 16, 32),
        "conv2d_1/bias": (32,),
        "conv2d_2/kernel": (3, 3, 32, 32),
        "conv2d_2/bias": (32,),
        "dense/kernel": (512, 128),
        "dense/bias": (128,),
        "dense_1/kernel": (128, 10),
        "dense_1/bias": (10,),
    },
    "tiny_cnn": {
        **{f"{name}/kernel": shape for name, shape in TINY.items()},
        **{
            f"{name.replace('conv2d', 'batch_normalization')}/{variable}": shape[-1:]
            for name, shape in TINY.items()
            for variable in ("gamma", "beta", "moving_mean", "moving_variance")
        },
        "dense/kernel": (12, 10),
        "dense/bias": (10,),
    },
    "deep_cnn": DEEP,
    "committee": {
        f"column_{member}/{name}": shape
        for member in range(MEMBERS)
        for name, shape in DEEP.items()
    },
    "colour_cnn": {
        **{f"{name}/kernel": shape for name, shape in COLOUR.items()},
        **{
            f"{name.replace('conv2d', 'batch_normalization')}/{variable}": shape[-1:]
            for name, shape in COLOUR.items()
            for variable in ("gamma", "beta", "moving_mean", "moving_variance")
        },
        "dense/kernel": (1152, 10),
        "dense/bias": (10,),
    },
    "keras_mlp": {
        "dense/kernel": (784, 128),
        "dense/bias": (128,),
        "dense_1/kernel": (128, 128),
        "dense_1/bias": (128,),
        "dense_2/kernel": (128, 10),
        "dense_2/bias": (10,),
    },
    "core_mlp": {
        "dense/kernel": (784, 700),
        "dense/bias": (700,),
        "dense_1/kernel": (700, 500),
        "dense_1/bias": (500,),
        "dense_2/kernel": (500, 10),
        "dense_2/bias": (10,),
    },
}
PARAMETERS = {
    "cnn": 3_274_634,
    "tfjs": 5_994,
    "quick_cnn": 212_682,
    "small_cnn": 81_258,
    "tiny_cnn": 3_018,
    "deep_cnn": 1_439_722,
    "committee": MEMBERS * 1_439_722,
    "keras_mlp": 118_282,
    "core_mlp": 905_010,
    "colour_cnn": 141_418,
}
OUTPUT_SHAPES = {
    "colour_cnn": [
        *[(28, 28, 32)] * 2,
        (14, 14, 32),
        *[(14, 14, 64)] * 4,
        (7, 7, 64),
        *[(7, 7, 128)] * 2,
        *[(3, 3, 128), (1152,), (10,)],
    ],
    "cnn": [(28, 28, 32), (14, 14, 32), (14, 14, 64), (7, 7, 64), (3136,), (1024,), (10,)],
    "tfjs": [(24, 24, 8), (12, 12, 8), (8, 8, 16), (4, 4, 16), (256,), (10,)],
    "quick_cnn": [
        *[(24, 24, 16), (12, 12, 16), (10, 10, 32), (5, 5, 32)],
        *[(800,), (256,), (10,)],
    ],
    "small_cnn": [
        (24, 24, 16),
        (12, 12, 16),
        (10, 10, 32),
        (8, 8, 32),
        (4, 4, 32),
        (512,),
        (128,),
        (10,),
    ],
    "tiny_cnn": [
        *[*[(26, 26, 8)] * 2, (24, 24, 8), (24, 24, 8), (12, 12, 8)],
        *[*[(10, 10, 12)] * 2, *[(8, 8, 12)] * 2, (12,), (10,)],
    ],
    "deep_cnn": DEEP_OUTPUTS,
    "committee": MEMBERS * DEEP_OUTPUTS,
    "keras_mlp": [(28, 28, 1), (784,), (128,), (128,), (10,)],
    "core_mlp": [(784,), (700,), (500,), (10,)],
}

# The convolutions, in their order, and whether a pooling follows.
POOLED = {
    "cnn": {"conv2d": True, "conv2d_1": True},
    "tfjs": {"conv2d": True, "conv2d_1": True},
    "quick_cnn": {"conv2d": True, "conv2d_1": True},
    "small_cnn": {"conv2d": True, "conv2d_1": False, "conv2d_2": True},
    "tiny_cnn": {"conv2d": False, "conv2d_1": True, "conv2d_2": False, "conv2d_3": False},
    "deep_cnn": {"conv2d": False, "conv2d_1": True, "conv2d_2": False},
    "colour_cnn": {"conv2d": True, "conv2d_1": False, "conv2d_2": True, "conv2d_3": True},
}

every_network = pytest.mark.parametrize("name", list(NETWORKS))


class Built:
    """A network in a graph and a session of its own, its biases away from zero if asked."""

    def __init__(self, name, *, training=False, dropout_rate=0.4, seed=3, random_biases=False):
        with tf.Graph().as_default():
            tf.compat.v1.train.get_or_create_global_step()
            self.images = tf.compat.v1.placeholder(tf.float32, [None, 28, 28, 1])
            options = {"training": training, "dropout_rate": dropout_rate, "seed": seed}
            self.logits = NETWORKS[name](self.images, num_classes=10, **options)
            self.outputs = tf.compat.v1.get_collection(layers.LAYERS)
            everything = {v.op.name: v for v in tf.compat.v1.global_variables()}
            self.variables = {n: v for n, v in everything.items() if n != "global_step"}
            self.session = tf.compat.v1.Session()
            self.session.run(tf.compat.v1.global_variables_initializer())
            rng = np.random.RandomState(1)
            for variable_name, v in self.variables.items():
                if random_biases and not variable_name.endswith("kernel"):
                    middle = variable_name.endswith(("gamma", "variance"))
                    value = middle + rng.uniform(-0.1, 0.1, v.shape)
                    self.session.run(v.initializer, {v.initializer.inputs[1]: value})
            self.values = self.session.run(self.variables)

    def run(self, fetches, images):
        return self.session.run(fetches, {self.images: images})


@pytest.fixture(scope="module")
def images(mnist):
    return mnist.train.images[:BATCH, :, :, None].astype(np.float32) / 255


def in_numpy(name, w, images):
    """The logits once more, in float64, from the definitions of the layers."""

    def convolved(net, layer, padding):
        kernel, bias = w[f"{layer}/kernel"].astype(np.float64), w.get(f"{layer}/bias", 0)
        net = np.pad(net, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
        size = len(kernel)
        height, width = net.shape[1] - size + 1, net.shape[2] - size + 1
        out = np.zeros((len(net), height, width, kernel.shape[-1]))
        for y in range(size):
            for x in range(size):
                out += net[:, y : y + height, x : x + width] @ kernel[y, x]
        return out + bias

    def normalized(net, layer):
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        gamma, beta, mean, variance = (w[f"{layer}/{n}"].astype(np.float64) for n in names)
        return gamma * (net - mean) / np.sqrt(variance + 1e-3) + beta

    def pooled(net):
        b, height, width, c = net.shape
        net = net[:, : height // 2 * 2, : width // 2 * 2]
        return net.reshape(b, height // 2, 2, width // 2, 2, c).max(axis=(2, 4))

    def dense(net, layer):
        return net @ w[f"{layer}/kernel"].astype(np.float64) + w[f"{layer}/bias"]

    if name == "committee":
        scopes = [f"column_{member}/" for member in range(MEMBERS)]
        of_member = [
            {n.removeprefix(scope): v for n, v in w.items() if n.startswith(scope)}
            for scope in scopes
        ]
        return np.stack([in_numpy("deep_cnn", values, images) for values in of_member])
    net = images.astype(np.float64)
    for layer in POOLED.get(name, {}):
        net = convolved(net, layer, {"cnn": 2, "colour_cnn": 1}.get(name, 0))
        if name in ("tiny_cnn", "deep_cnn", "colour_cnn"):
            net = normalized(net, layer.replace("conv2d", "batch_normalization"))
        net = np.maximum(net, 0)
        net = pooled(net) if POOLED[name][layer] else net
    if name == "keras_mlp":
        length = np.linalg.norm(net, axis=1, keepdims=True)
        net = net / np.where(length == 0, 1, length)
    net = net.mean(axis=(1, 2)) if name == "tiny_cnn" else net.reshape(len(images), -1)
    names = [layer for layer in ("dense", "dense_1", "dense_2") if f"{layer}/kernel" in w]
    for layer in names[:-1]:
        net = np.maximum(dense(net, layer), 0)
    return dense(net, names[-1])


@every_network
def test_variables_have_the_names_and_shapes_of_their_tutorials(name):
    found = {v: tuple(value.shape) for v, value in Built(name).values.items()}
    assert found == VARIABLES[name]
    trained = [shape for variable, shape in found.items() if "moving" not in variable]
    assert sum(math.prod(shape) for shape in trained) == PARAMETERS[name]


@every_network
def test_shape_of_each_layer(name, images):
    built = Built(name)
    shapes = [output.shape for output in built.run(built.outputs, images)]
    assert shapes == [(BATCH, *shape) for shape in OUTPUT_SHAPES[name]]


@every_network
def test_a_network_computes_what_its_layers_say(name, images):
    built = Built(name, random_biases=True)
    expected = in_numpy(name, built.values, images)
    assert expected.shape == ((MEMBERS, BATCH, 10) if name == "committee" else (BATCH, 10))
    np.testing.assert_allclose(built.run(built.logits, images), expected, rtol=1e-4, atol=1e-5)


@every_network
def test_initial_weights_follow_the_seed_and_differ_between_layers(name):
    built, again, other = Built(name), Built(name), Built(name, seed=4)
    for variable, value in built.values.items():
        np.testing.assert_array_equal(again.values[variable], value)
        if variable.endswith(("bias", "beta", "mean")):
            assert not value.any()
        elif variable.endswith(("gamma", "variance")):
            assert (value == 1).all()
        else:
            assert (other.values[variable] != value).mean() > 0.99
    firsts = [v.flat[:5].tolist() for n, v in built.values.items() if n.endswith("kernel")]
    scaled = [[x / first[0] for x in first] for first in firsts]
    assert all(a != pytest.approx(b) for i, a in enumerate(scaled) for b in scaled[:i])


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("cnn", "lecun"),
        ("keras_mlp", "glorot"),
        ("core_mlp", "glorot"),
        ("tfjs", "normal"),
        ("quick_cnn", "he"),
        ("small_cnn", "he"),
        ("tiny_cnn", "he"),
        ("deep_cnn", "he"),
        ("committee", "he"),
        ("colour_cnn", "he"),
    ],
)
def test_initial_weights_are_those_of_the_tutorial(name, start):
    for variable, value in Built(name).values.items():
        if not variable.endswith("kernel"):
            continue
        *field, fan_in, fan_out = value.shape
        fan_in, fan_out = math.prod(field) * fan_in, math.prod(field) * fan_out
        if start == "normal":
            limit, deviation = 2 / math.sqrt(fan_in), 0.8796 / math.sqrt(fan_in)
        elif start == "he":
            limit, deviation = math.inf, math.sqrt(2 / fan_in)
        else:
            limit = math.sqrt(3 / fan_in if start == "lecun" else 6 / (fan_in + fan_out))
            deviation = limit / math.sqrt(3)
        assert np.abs(value).max() <= limit
        # The relative error of a deviation from n samples, three times over.
        assert value.std() == pytest.approx(deviation, rel=3 / math.sqrt(2 * value.size))


@every_network
def test_dropout_acts_in_training_alone(name, images):
    evaluating, training = Built(name), Built(name, training=True)
    plain = evaluating.run(evaluating.logits, images)
    np.testing.assert_array_equal(evaluating.run(evaluating.logits, images), plain)
    assert np.abs(training.run(training.logits, images) - plain).max() > 1e-3
    if name in ("tiny_cnn", "deep_cnn", "committee", "colour_cnn"):
        return  # which in training normalize by the batch
    without = Built(name, training=True, dropout_rate=0.0)
    np.testing.assert_allclose(without.run(without.logits, images), plain, rtol=1e-5, atol=1e-6)


@every_network
def test_bfloat16_gives_nearly_the_same_logits_from_the_same_variables(name, images):
    with tf.Graph().as_default():
        tf.compat.v1.train.get_or_create_global_step()
        kinds = []
        for dtype in (tf.float32, tf.bfloat16):
            with tf.compat.v1.variable_scope("", reuse=tf.compat.v1.AUTO_REUSE):
                given = tf.cast(tf.constant(images), dtype)
                options = {"training": False, "dropout_rate": 0.4, "seed": 3}
                kinds.append(NETWORKS[name](given, num_classes=10, **options))
        assert [logits.dtype for logits in kinds] == [tf.float32, tf.bfloat16]
        variables = tf.compat.v1.global_variables()
        assert {v.dtype for v in variables if "global_step" not in v.name} == {tf.float32}
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            full, short = session.run([kinds[0], tf.cast(kinds[1], tf.float32)])
    # 8 bits of precision: 0.4 % per number, a little more after a few layers.
    assert 0 < np.abs(full - short).max() < 0.03 * np.abs(full).max()


@pytest.mark.parametrize(
    ("height", "width", "channels", "classes"), [(8, 8, 1, 2), (8, 37, 3, 1000), (14, 9, 3, 3)]
)
@every_network
def test_any_size_and_number_of_classes(name, height, width, channels, classes):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.get_or_create_global_step()
        images = tf.random.stateless_uniform([5, height, width, channels], [1, 2])
        options = {"training": True, "dropout_rate": 0.4, "seed": 3}
        logits = networks.logits_of(name, images, classes, **options)
        kernels = [v for v in tf.compat.v1.trainable_variables() if "kernel" in v.name]
        gradients = tf.gradients(tf.reduce_sum(logits**2), kernels)
        session.run(tf.compat.v1.global_variables_initializer())
        found, slopes = session.run([logits, gradients])
    assert found.shape[-2:] == (5, classes)
    assert np.isfinite(found).all() and found.std(axis=-2).max() > 0
    assert all(np.abs(slope).max() > 0 for slope in slopes)  # no pixel and no layer is cut off


def test_a_network_of_other_code_gives_as_many_logits_as_there_are_classes(monkeypatch):
    def old(images, *, training, dropout_rate, seed):
        return layers.dense(layers.flatten(images), "dense", units=10, seed=seed)

    monkeypatch.setitem(NETWORKS, "old", old)
    options = {"training": False, "dropout_rate": 0.0, "seed": 0}
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, 9, 13, 1])
        assert networks.logits_of("old", images, 10, **options).shape[-1] == 10
    with (
        tf.Graph().as_default(),
        pytest.raises(InputError, match="^--network=old: expected 26 log"),
    ):
        images = tf.compat.v1.placeholder(tf.float32, [None, 9, 13, 1])
        networks.logits_of("old", images, 26, **options)
