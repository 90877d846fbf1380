"""Tests of cnn_mnist.data.dataset: which files are read, and how they are split."""

import copy
import dataclasses
import errno
import gzip
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mnist_files import (
    FILES,
    TEST_X,
    TEST_Y,
    TRAIN_X,
    failure,
    idx,
    make_arrays,
    write_idx,
    write_npz,
)

from cnn_mnist.data import dataset, limits
from cnn_mnist.data.dataset import load
from cnn_mnist.data.form import Form
from cnn_mnist.training.train import train


def assert_equal_to_made(data, validation_size):
    made = make_arrays()
    for split, images, labels in (
        (data.validation, made["x_train"][:validation_size], made["y_train"][:validation_size]),
        (data.train, made["x_train"][validation_size:], made["y_train"][validation_size:]),
        (data.test, made["x_test"], made["y_test"]),
    ):
        np.testing.assert_array_equal(split.images, images)
        np.testing.assert_array_equal(split.labels, labels)
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
        assert split.images.flags.c_contiguous
        assert not split.images.flags.writeable and not split.labels.flags.writeable
        assert len(split) == len(labels)


# The embedded set


@pytest.fixture(scope="module")
def mnist():
    return load()


def test_embedded_values(mnist):
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (55_000, 5_000, 10_000)
    train_counts = np.bincount(mnist.train.labels) + np.bincount(mnist.validation.labels)
    assert train_counts.tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ]
    assert np.bincount(mnist.test.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ]
    splits = (mnist.train, mnist.validation, mnist.test)
    assert [int(s.images.sum(dtype=np.int64)) for s in splits] == [
        *(1_437_128_264, 130_170_281, 264_923_200),
    ]
    assert mnist.validation.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert mnist.validation.images[0, 5, 12:16].tolist() == [3, 18, 18, 18]  # row 5, not column 5


def test_embedded_splits_are_read_only_views(mnist):
    assert mnist.train.images.base is not None
    assert mnist.train.images.ctypes.data - mnist.validation.images.ctypes.data == 5_000 * 784
    for split in (mnist.train, mnist.validation, mnist.test):
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int32
        with pytest.raises(ValueError):
            split.images[0, 0, 0] = 1
        with pytest.raises(ValueError):
            split.labels[0] = 1


def test_embedded_checksum(tmp_path, monkeypatch):
    shutil.copytree(dataset._EMBEDDED_DIR, tmp_path / "data")
    path = tmp_path / "data" / f"{TEST_Y}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[8 + 4321] ^= 1  # still a digit
    path.write_bytes(gzip.compress(bytes(content)))
    assert len(load(tmp_path / "data").test) == 10_000  # as a folder of the user's: no checksum
    monkeypatch.setattr(dataset, "_EMBEDDED_DIR", tmp_path / "data")
    message = failure(load)
    assert message.startswith(f"{path}: byte offset 0 of the uncompressed content: expected ")
    assert f"sha256 {dataset._SHA256['y_test']}, found " in message
    assert message.endswith("reinstall the package")


def test_embedded_training_images_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    shutil.copytree(dataset._EMBEDDED_DIR, tmp_path / "data")
    path = tmp_path / "data" / f"{TRAIN_X}.gz"
    path.write_bytes(path.read_bytes()[:5000])
    monkeypatch.setattr(dataset, "_EMBEDDED_DIR", tmp_path / "data")
    data = load(validation_size=7, train_size=40)
    assert [len(split) for split in data.splits().values()] == [40, 7, 10_000]
    assert data.train.image_shape == (28, 28) and data.validation.labels[:3].tolist() == [5, 0, 4]
    assert "training      40 images, " in "\n".join(dataset.described(data))
    model_dir = tmp_path / "model_dir"
    for ask in (
        lambda: data.validation.images,
        lambda: dataset.digest(data),
        lambda: train("tfjs", model_dir, steps=1, progress=False),
    ):
        assert failure(ask).startswith(f"{path}: byte offset ")
    assert not model_dir.exists()
    message = failure(lambda: load(validation_size=60_000))
    assert f"as {path} holds 60000 training images" in message


def test_embedded_splits_can_be_copied():
    last = load(validation_size=59_990).train
    noisy = dataclasses.replace(last, labels=last.labels[::-1])
    for split in (noisy, copy.deepcopy(last), pickle.loads(pickle.dumps(last))):
        np.testing.assert_array_equal(split.images, last.images)
        assert split.image_shape == (28, 28) and len(split) == 10
    assert noisy.labels.tolist() == last.labels[::-1].tolist() == [8, 6, 5, 3, 8, 1, 5, 9, 2, 9]


def test_import_does_not_load_tensorflow():
    code = "import sys, cnn_mnist.data.dataset; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Forms and splits


@pytest.mark.parametrize("validation_size", [0, 1, 2, 6])
def test_plain_gzip_and_npz_agree(tmp_path, validation_size):
    for number, write in enumerate(
        (
            lambda folder: write_idx(folder),
            lambda folder: write_idx(folder, pack=gzip.compress, suffix=".gz"),
            lambda folder: write_idx(folder, pack=gzip.compress),  # the name does not decide
            lambda folder: write_idx(folder, suffix=".gz"),
            write_npz,
            lambda folder: write_npz(folder, np.savez_compressed),
            lambda folder: write_npz(folder, y_train=make_arrays()["y_train"].astype(">i8")),
            lambda folder: write_npz(folder, x_train=np.asfortranarray(make_arrays()["x_train"])),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert_equal_to_made(load(write(folder), validation_size), validation_size)
        assert_equal_to_made(load(str(folder), validation_size), validation_size)


def test_variant_names_and_mixed_compression(tmp_path):
    arrays = make_arrays()
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(arrays["x_train"]))
    (tmp_path / "train-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx(arrays["y_train"])))
    (tmp_path / TEST_X).write_bytes(idx(arrays["x_test"]))
    (tmp_path / f"{TEST_Y}.gz").write_bytes(gzip.compress(idx(arrays["y_test"])))
    (tmp_path / "notes.txt").write_text("not looked at")
    assert_equal_to_made(load(tmp_path, 2), 2)


@pytest.mark.parametrize("size", [-1, 7, 5000])
def test_validation_size_out_of_range(tmp_path, size):
    message = failure(load, write_idx(tmp_path), size)
    assert message.startswith("--validation_size: expected 0 to 6, ")
    assert f"{tmp_path / TRAIN_X} holds 7 training images, found {size};" in message


# The folder


def test_folder_missing_or_not_a_folder(tmp_path):
    for folder, reason in (
        (tmp_path / "none", "FileNotFoundError"),
        (write_npz(tmp_path) / "mnist.npz" / "more", "NotADirectoryError"),
        ("nul\0l", "ValueError"),
        ("two\nlines", "FileNotFoundError"),
    ):
        shown = str(folder) if str(folder).isprintable() else repr(str(folder))
        message = failure(load, folder)
        assert message.startswith(f"{shown}: expected a folder that can be listed, found {reason} ")
        assert "--data_dir" in message
    assert failure(load, "").startswith("--data_dir: expected the name of a folder, found ''")


def test_files_missing(tmp_path):
    message = failure(load, tmp_path)
    wanted = "the four IDX files, an .npz file or another of the forms of docs/data.md"
    assert message.startswith(f"{tmp_path}: expected {wanted}, found no file; give --data_dir")
    for name in FILES.values():
        write_idx(tmp_path)
        (tmp_path / name).unlink()
        message = failure(load, tmp_path)
        assert message.startswith(f"{tmp_path}: expected the four IDX files, found no {name} (")


def test_both_forms_or_a_file_twice(tmp_path):
    write_idx(tmp_path)
    twin = tmp_path / f"{TEST_Y}.gz"
    twin.write_bytes(gzip.compress(idx(make_arrays()["y_test"])))
    assert_equal_to_made(load(tmp_path, 2), 2)  # the same content in both
    twin.write_bytes(gzip.compress(idx(make_arrays()["y_test"][::-1])))
    message = failure(load, tmp_path)
    same = f"expected the same content in {TEST_Y}.gz and {TEST_Y}"
    assert f"{same}, found another; keep the right one" in message
    twin.rename(tmp_path / "t10k-labels.idx1-ubyte")
    assert f"and {TEST_Y}, found another; keep the right one" in failure(load, tmp_path)
    (tmp_path / "t10k-labels.idx1-ubyte").unlink()
    write_npz(tmp_path)
    message = failure(load, tmp_path)
    names = ", ".join(sorted(FILES.values()))
    assert f"found both; remove {names} or remove mnist.npz" in message


@pytest.mark.parametrize("name", [TRAIN_X, TEST_Y, "mnist.npz"])
def test_unreadable_file(tmp_path, monkeypatch, name):
    write = write_npz if name == "mnist.npz" else write_idx
    path = write(tmp_path) / name
    real_open = Path.open

    def refusing_open(self, *args, **kwargs):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing_open)
    message = failure(load, tmp_path, 2)
    start = f"{path}: byte offset 0: expected a readable file, found "
    assert message.startswith(f"{start}PermissionError (Permission denied); ")
    path.unlink()
    path.symlink_to("nowhere")
    assert failure(load, tmp_path, 2).startswith(f"{start}FileNotFoundError ")
    path.unlink()
    path.mkdir()
    message = failure(load, tmp_path, 2)
    assert message.startswith(f"{path}: byte offset 0: expected a regular file, found a folder, ")


# Classes, and small sets


def labelled(labels, folder, name="y_train"):
    """The folder of a set whose training labels are these."""
    count = len(labels)
    images = np.random.default_rng(5).integers(0, 256, (count, 9, 11), dtype=np.uint8)
    arrays = {"x_train": images, "y_train": np.array(labels, np.uint8)}
    return write_idx(folder, {**arrays, "x_test": images[:4], "y_test": arrays["y_train"][:4]})


@pytest.mark.parametrize(
    ("labels", "names"),
    [([0, 1, 1, 0], "01"), ([0, 3, 7, 3], "037"), ([*range(5), 4], "01234")],
)
def test_the_labels_that_occur_are_the_classes(labels, names, tmp_path):
    data = load(labelled(labels, tmp_path), 0)
    assert data.form == Form(9, 11, 1, tuple(names))
    assert data.train.images.shape == (len(labels), 9, 11)
    assert [names[label] for label in data.train.labels] == [str(label) for label in labels]
    gaps = [line for line in data.told if "classes of these names" in line]
    assert len(gaps) == (names == "037")


def test_labels_that_are_all_one(tmp_path):
    message = failure(load, labelled([0, 0, 0], tmp_path), 0)
    assert "expected labels of 2 to 1000 classes, found one: every label is 0" in message


def test_a_class_among_the_tests_alone_is_told(tmp_path):
    labelled([0, 1, 2, 1], tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([0, 2, 3, 1], np.uint8)))
    data = load(tmp_path, 0)
    assert data.form.class_names == ("0", "1", "2", "3")
    assert any("no training image" in line and "3" in line for line in data.told), data.told


@pytest.mark.parametrize(
    ("count", "size", "validation"),
    [(60, 5000, 6), (60, 12, 12), (60, 13, 6), (60, 0, 0), (9, 5000, 1), (4, 5000, 0)],
)
def test_a_default_gives_way_to_small_data(tmp_path, count, size, validation):
    folder = labelled([k % 3 for k in range(3, 3 + count)], tmp_path)
    if count > 30:
        data = load(folder, size, 5500, fixed=())
        assert (len(data.validation), len(data.train)) == (validation, count - validation)
        front = load(folder, 0).train.images[:validation]
        np.testing.assert_array_equal(data.validation.images, front)
    assert len(load(folder, size, fixed=["train_size"]).validation) == validation
    if size == 5000:
        assert len(load(folder).validation) == validation
        assert "--validation_size: expected 0 to " in failure(load, folder, size)


def test_a_smaller_validation_split_grows_until_it_has_every_class(tmp_path):
    """From a tenth, 6 images, up to a fifth, 12."""
    mixed = [k % 2 for k in range(60)]
    for first, expected in ((5, 6), (8, 9), (11, 12), (12, 12), (40, 12)):
        labels = [*mixed]
        labels[first] = 2
        folder = tmp_path / str(first)
        folder.mkdir()
        data = load(labelled(labels, folder))
        assert len(data.validation) == expected
        assert (2 in data.validation.labels) == (first < 12)


def test_a_data_set_is_what_it_says():
    images, labels = np.zeros((5, 9, 11), np.uint8), np.array([0, 1, 2, 1, 0], np.int32)
    split, form = dataset.Split(images, labels), limits.numbered(9, 11, 1, 3)
    assert dataset.Dataset(split, split, split, form).form == form
    for wrong, found in (
        (limits.numbered(11, 9, 1, 3), r"images of the shape \[9, 11\]"),
        (limits.numbered(9, 11, 3, 3), r"images of the shape \[9, 11\]"),
        (limits.numbered(9, 11, 1, 2), "labels from 0 to 2"),
    ):
        with pytest.raises(dataset.DatasetError, match=f"^the train images: .* found {found}; "):
            dataset.Dataset(split, split, split, wrong)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"height": 7}, "^height=7: expected 8 to 256"),
        ({"width": 28.0}, r"^width=28\.0: expected 8 to 256"),
        ({"channels": 2}, "^channels=2: expected 1 or 3"),
        ({"num_classes": 1001}, "^num_classes=1001: expected 2 to 1,000"),
    ],
)
def test_sizes_that_no_network_takes(sizes, message):
    with pytest.raises(limits.InputError, match=message):
        limits.of_sizes(sizes)
