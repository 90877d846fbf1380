"""What is our own of `tf.contrib`: MNIST's data sets, HParams, what replaced the rest."""

import sys

import numpy as np
import pytest

from cnn_mnist.estimator.contrib import CONTRIB, EXAMPLES
from cnn_mnist.estimator.hparams import HParams
from cnn_mnist.estimator.input_data import load_dataset, read_data_sets
from cnn_mnist.utils.errors import InputError


def test_mnist_as_it_was(mnist):
    found = load_dataset("mnist")
    assert [part.num_examples for part in found] == [55_000, 5_000, 10_000]
    assert found.train.images.dtype == np.float32 and found.train.labels.dtype == np.uint8
    assert found.train.images.shape == (55_000, 784) and found.test.labels.shape == (10_000,)
    assert found.train.images.min() == 0 and found.train.images.max() == 1
    np.testing.assert_array_equal(found.validation.labels, mnist.validation.labels)
    row = mnist.test.images[7].reshape(784)
    np.testing.assert_allclose(found.test.images[7], row / np.float32(255), rtol=1e-7)


def test_mnist_in_its_other_forms(mnist):
    found = read_data_sets("x", one_hot=True, dtype=np.uint8, reshape=False, validation_size=100)
    assert [part.num_examples for part in found] == [59_900, 100, 10_000]
    assert found.test.images.shape == (10_000, 28, 28, 1) and found.test.images.dtype == np.uint8
    np.testing.assert_array_equal(found.test.images[..., 0], mnist.test.images)
    assert found.test.labels.shape == (10_000, 10)
    np.testing.assert_array_equal(found.test.labels.argmax(1), mnist.test.labels)
    assert set(np.unique(found.test.labels)) == {0, 1}


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: load_dataset("iris"), "there is mnist, not 'iris'"),
        (lambda: read_data_sets(fake_data=True), "fake_data: there is MNIST itself"),
        (lambda: read_data_sets(dtype=np.int64), "dtype: expected uint8 or float32, found int64"),
        (lambda: read_data_sets(validation_size=60_001), "validation_size: expected 0 to 60000"),
        (lambda: read_data_sets().test.next_batch(0), "batch_size: expected 1 to 10000, found 0"),
    ],
)
def test_mnist_that_is_not_there(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_go_through_each_image_once_an_epoch(shuffle):
    part = read_data_sets(validation_size=7, seed=3).validation
    part.images = np.arange(7)
    taken, epochs = [], []
    for _ in range(7):
        images, labels = part.next_batch(3, shuffle=shuffle)
        assert len(images) == len(labels) == 3
        taken += list(images)
        epochs.append(part.epochs_completed)
    assert epochs == [0, 0, 1, 1, 2, 2, 2]
    for epoch in (taken[:7], taken[7:14], taken[14:]):
        assert sorted(epoch) == list(range(7))
        assert (epoch == list(range(7))) is not shuffle


def test_hparams():
    found = HParams(rate=0.1, layers=[3, 5], name="a", deep=False, none=None)
    assert found.rate == 0.1 and "rate" in found and "other" not in found
    found.parse("rate=1,layers=[7,9,11],layers[1]=8,name=b c,deep=true")
    expected = {"rate": 1.0, "layers": [7, 8, 11], "name": "b c", "deep": True, "none": None}
    assert found.values() == expected and isinstance(found.rate, float)
    found.override_from_dict({"rate": 2.5}).parse_json('{"name": "d"}').set_hparam("deep", 0)
    found.add_hparam("late", 3)
    found.del_hparam("layers")
    assert found.to_json(sort_keys=True) == (
        '{"deep": false, "late": 3, "name": "d", "none": null, "rate": 2.5}'
    )
    assert found.get("rate") == 2.5 and found.get("other", 4) == 4
    assert repr(HParams(a=1)) == "HParams(a=1)"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda h: h.parse("rate=fast"), "'rate' is of type float, found 'fast'"),
        (lambda h: h.parse("steps=1.5"), "'steps' is of type int, found 1.5"),
        (lambda h: h.parse("steps=True"), "'steps' is of type int, found True"),
        (lambda h: h.parse("deep=2"), "'deep' is of type bool"),
        (lambda h: h.parse("other=2"), "no 'other'; there are rate, steps, deep, sizes"),
        (lambda h: h.parse("rate"), "expected name=value, found 'rate'"),
        (lambda h: h.set_hparam("rate", [1.0]), "'rate' is no list"),
        (lambda h: h.set_hparam("sizes", 1), "'sizes' is a list, found 1"),
        (lambda h: h.add_hparam("rate", 1.0), "'rate' is there already"),
        (lambda h: h.add_hparam("values", 1.0), "'values' is there already, or is a method's"),
        (lambda h: h.add_hparam("new", []), "'new' is an empty list"),
    ],
)
def test_hparams_that_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call(HParams(rate=0.1, steps=3, deep=True, sizes=[1, 2]))


@pytest.mark.parametrize(
    "name, message",
    [
        ("crf", "tf.contrib.crf went with TensorFlow 2; in its place there is the package"),
        ("eager", "in its place there is tf itself: TensorFlow 2 is eager"),
        ("nccl", "tf.contrib.nccl went with TensorFlow 2, and nothing here stands for it"),
        ("data.no_such", "tf.contrib.data.no_such is not in what stands for tf.contrib.data now: "),
        ("learn.DNNRegressor", "tf.contrib.learn.DNNRegressor went with TensorFlow 2"),
    ],
)
def test_what_is_not_there_says_what_replaced_it(name, message):
    with pytest.raises(AttributeError, match=message):
        found = CONTRIB
        for part in name.split("."):
            found = getattr(found, part)


def test_without_tf_slim(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "tf_slim"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tf_slim", None)
    message = "tf.contrib.layers.conv2d needs the package tf_slim: `pip install tf_slim`"
    with pytest.raises(AttributeError, match=message):
        print(CONTRIB.layers.conv2d)


def test_the_tutorials_place():
    assert EXAMPLES.tutorials.mnist.input_data.read_data_sets is read_data_sets
    assert CONTRIB.learn.datasets.mnist.read_data_sets is read_data_sets
