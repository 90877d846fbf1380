"""Tests of CIFAR's binary files."""

import numpy as np
import pytest
from format_files import put
from mnist_files import failure

from cnn_mnist.data.formats import table

RNG = np.random.default_rng(8)


def records(labels, images):
    """Labels [N, 1 or 2] and uint8 [N, 32, 32, 3] as CIFAR stores them."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels, planes], axis=1).astype(np.uint8).tobytes()


def ten(below=""):
    """CIFAR-10 of two images a file; all images and labels in their order, too."""
    images = RNG.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(12) % 10
    names = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]
    files = {
        f"{below}{name}": records(labels[2 * i : 2 * i + 2, None], images[2 * i : 2 * i + 2])
        for i, name in enumerate(names)
    }
    return files, images, labels


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin/"])
def test_cifar_10(tmp_path, below):
    files, images, labels = ten(below)
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    put(tmp_path, {**files, f"{below}batches.meta.txt": "\n".join([*names, "", ""]).encode()})
    data = table.read(tmp_path)
    assert data.format == "CIFAR's binary files"
    assert data.reading.form.class_names == tuple(names)
    assert data.reading.form.image_shape == (32, 32, 3)
    np.testing.assert_array_equal(data.splits["train"].images, images[:10])
    np.testing.assert_array_equal(data.splits["train"].labels, labels[:10])
    np.testing.assert_array_equal(data.splits["test"].images, images[10:])
    np.testing.assert_array_equal(data.splits["test"].labels, labels[10:])


def test_cifar_100_has_fine_labels(tmp_path):
    images = RNG.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    labels = np.array([[3, 40], [3, 41], [19, 99], [0, 0], [7, 40]])
    put(tmp_path, {"train.bin": records(labels[:3], images[:3])})
    put(tmp_path, {"test.bin": records(labels[3:], images[3:])})
    data = table.read(tmp_path)
    assert data.reading.form.num_classes == 100
    assert data.reading.form.class_names[99] == "99"
    assert data.splits["train"].labels.tolist() == [40, 41, 99]
    assert data.splits["test"].labels.tolist() == [0, 40]
    np.testing.assert_array_equal(data.splits["test"].images, images[3:])


def test_damage_is_told_with_its_place(tmp_path):
    files, _, _ = ten()
    path = tmp_path / "data_batch_3.bin"
    good = files[path.name]
    put(tmp_path, {**files, path.name: good[:-1]})
    message = failure(table.read, tmp_path)
    expected = "expected records of 3073 bytes (1 of labels, 3072 of pixels), found the end"
    assert message.startswith(f"{path}: byte offset {len(good) - 1}: {expected}")
    put(tmp_path, {path.name: good[:3073] + b"\x0a" + good[3074:]})
    message = failure(table.read, tmp_path)
    expected = "expected a label from 0 to 9, found 10 (record number 1)"
    assert message.startswith(f"{path}: byte offset 3073: {expected}")
    path.unlink()
    assert "expected the files of CIFAR-10 in binary form, found no data_batch_3.bin" in failure(
        table.read, tmp_path
    )
    put(tmp_path, {**files, "batches.meta.txt": b"a\nb\n"})
    message = failure(table.read, tmp_path)
    assert "batches.meta.txt: expected 10 different names, one a line, found 2" in message


def test_pickles_are_refused_in_one_sentence(tmp_path):
    put(tmp_path / "ten", {"data_batch_1": b"\x80\x02}q", "batches.meta": b"\x80\x02}q"})
    message = failure(table.read, tmp_path / "ten")
    assert "data_batch_1 is CIFAR as pickles, which could run any program" in message
    assert "get its binary version (cifar-10-binary.tar.gz" in message
    put(tmp_path / "hundred", {"train": b"\x80\x02}q", "test": b"\x80\x02}q"})
    assert "get its binary version" in failure(table.read, tmp_path / "hundred")
    import gzip

    put(tmp_path / "theano", {"mnist.pkl.gz": gzip.compress(b"\x80\x02}q")})
    message = failure(table.read, tmp_path / "theano")
    assert "mnist.pkl.gz is a pickle, which could run any program and is not opened" in message
    assert "save its arrays with numpy.savez as x_train, y_train, x_test, y_test" in message
