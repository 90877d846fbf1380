"""Tests of the arrays' names, shapes and types in .npz files."""

import numpy as np
import pytest
from format_files import assert_read, examples, put
from mnist_files import failure

from cnn_mnist.data.formats import npz, table

KEYS = ("x_train", "y_train", "x_test", "y_test")


def save(folder, made, names=KEYS, name="data.npz"):
    np.savez(folder / name, **dict(zip(names, (made[key] for key in KEYS), strict=True)))
    return folder


@pytest.mark.parametrize(
    "names",
    [
        KEYS,
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("train_x", "train_y", "test_x", "test_y"),
    ],
)
def test_names_of_arrays(tmp_path, names):
    assert_read(save(tmp_path, examples(), names), examples())


def test_shapes_and_types_are_the_same_data(tmp_path):
    made = examples((9, 9))
    images = {
        "rows": lambda x: x.reshape(len(x), -1),
        "channel": lambda x: x[..., None],
        "int64": lambda x: x.astype(np.int64),
        "big": lambda x: x.astype(">u2"),
        "floats to 255": lambda x: x.astype(np.float32),
        "float16": lambda x: (x / 255).astype(np.float16),
        "float64": lambda x: x / 255,
    }
    labels = {
        "int64": lambda y: y.astype(np.int64),
        "column": lambda y: y[:, None],
        "one-hot": lambda y: np.eye(3, dtype=np.uint8)[y],
        "one-hot floats": lambda y: np.eye(3)[y],
        "one-hot booleans": lambda y: np.eye(3, dtype=bool)[y],
    }
    for name, change in images.items():
        changed = {k: change(v) if k[0] == "x" else v for k, v in made.items()}
        told = ["floats from 0 to"] if "float" in name else []
        assert_read(save(tmp_path, changed), made, told=told)
    for change in labels.values():
        changed = {k: change(v) if k[0] == "y" else v for k, v in made.items()}
        assert_read(save(tmp_path, changed), made)


def test_channels_first_are_put_last_and_told(tmp_path):
    made = examples((9, 11, 3))
    first = {k: np.moveaxis(v, 3, 1) if k[0] == "x" else v for k, v in made.items()}
    told = ["the channels come first"]
    assert_read(save(tmp_path, first), made, told=told)


def test_true_and_false_are_0_and_255(tmp_path):
    made = examples()
    bits = {k: v > 200 if k[0] == "x" else v for k, v in made.items()}
    right = {k: v.astype(np.uint8) * 255 if k[0] == "x" else v for k, v in bits.items()}
    assert_read(save(tmp_path, bits), right, told=["the images are true and false"])


@pytest.mark.parametrize(
    ("value", "found"),
    [(-0.5, "-0.5"), (256, "256"), (np.nan, "nan"), (np.inf, "inf")],
)
def test_values_that_are_no_pixels_are_refused_with_their_place(tmp_path, value, found):
    made = examples()
    images = made["x_test"].astype(np.float64)
    images[4, 8, 10] = value
    message = failure(table.read, save(tmp_path, {**made, "x_test": images}))
    offset = 128 + 4 * 99 * 8
    assert message.startswith(
        f"{tmp_path / 'data.npz'}, x_test.npy: byte offset {offset} of the uncompressed content: "
        f"expected pixels from 0 to 255, or floats from 0 to 1, found {found} (image number 4;"
    )


def test_floats_scaled_in_two_ways_are_refused(tmp_path):
    made = examples()
    mixed = {**made, "x_train": made["x_train"] / 255, "x_test": made["x_test"].astype(float)}
    message = failure(table.read, save(tmp_path, mixed))
    assert "x_test.npy: byte" in message and "expected floats from 0 to 1, as in" in message
    assert "found floats from 0 to 255; scale both alike" in message


def test_rows_that_are_not_one_hot_are_refused(tmp_path):
    made = examples()
    labels = np.eye(3, dtype=np.uint8)[made["y_test"]]
    labels[2] = [1, 0, 1]
    message = failure(table.read, save(tmp_path, {**made, "y_test": labels}))
    assert f"byte offset {128 + 2 * 3} of" in message
    assert "found [1, 0, 1] (label number 2); " in message


def test_a_validation_split_is_used_as_it_is(tmp_path):
    made, other = examples(), examples(seed=6)
    names = ("train_images", "train_labels", "test_images", "test_labels")
    arrays = dict(zip(names, (made[key] for key in KEYS), strict=True))
    np.savez(
        tmp_path / "some.npz", **arrays, val_images=other["x_test"], val_labels=other["y_test"]
    )
    data = assert_read(tmp_path, made)
    np.testing.assert_array_equal(data.splits["validation"].images, other["x_test"])
    np.testing.assert_array_equal(data.splits["validation"].labels, other["y_test"])


def test_without_test_images_a_sixth_is_set_aside_the_same_every_time(tmp_path):
    made = examples()
    for names in (("x_train", "y_train"), ("images", "labels"), ("x", "y")):
        arrays = dict(zip(names, (made["x_train"], made["y_train"]), strict=True))
        np.savez(tmp_path / "data.npz", **arrays)
        data = table.read(tmp_path)
        # RandomState(20).permutation(14)
        order = np.random.RandomState((20,)).permutation(14)
        np.testing.assert_array_equal(data.splits["test"].images, made["x_train"][order[:2]])
        np.testing.assert_array_equal(data.splits["train"].labels, made["y_train"][order[2:]])
        assert "2 of the 14 images, a sixth, the same every time" in data.told[0]


def test_kmnists_four_files_of_one_array(tmp_path):
    made = examples()
    files = dict(zip(("train-imgs", "train-labels", "test-imgs", "test-labels"), KEYS, strict=True))
    for name, key in files.items():
        np.savez_compressed(tmp_path / f"kmnist-{name}.npz", made[key])
    assert_read(tmp_path, made)
    (tmp_path / "kmnist-test-labels.npz").unlink()
    message = failure(table.read, tmp_path)
    assert "expected four files, found no kmnist-test-labels.npz; add what is missing" in message


def test_arrays_that_are_missing_or_named_otherwise(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros(3), bias=np.zeros(2))
    message = failure(table.read, tmp_path)
    assert f"{tmp_path / 'a.npz'}: expected the arrays x_train, y_train," in message
    assert "found bias, weights;" in message
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    message = failure(table.read, tmp_path)
    assert "expected one .npz file, found 2: a.npz, b.npz; give one of them" in message
    assert "x.npz" not in message
    made = examples()
    np.savez(tmp_path / "b.npz", **made)
    assert_read(tmp_path / "b.npz", made)


def test_too_large_arrays_are_refused_before_memory_is_taken(tmp_path, monkeypatch):
    from cnn_mnist.data.formats import parts

    monkeypatch.setattr(parts, "MAX_VALUES", 14 * 99 - 1)
    message = failure(table.read, save(tmp_path, examples()))
    assert f"expected at most {14 * 99 - 1} values" in message
    assert "found the shape [14, 9, 11] of uint8; take fewer" in message


def test_claims_go_by_the_name(tmp_path):
    from cnn_mnist.data.places import open_place

    put(tmp_path, {"a/b.NPZ": b"", "c.np": b""})
    assert [file.name for file in npz.claims(open_place(tmp_path))] == ["a/b.NPZ"]
