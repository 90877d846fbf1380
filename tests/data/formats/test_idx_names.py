"""Tests of how IDX files are found by their names, and of what EMNIST's and QMNIST's mean."""

import numpy as np
import pytest
from format_files import assert_read, examples, idx, idx_files, packed, put
from mnist_files import failure

from cnn_mnist.data.formats import table

SQUARE = (9, 9)  # EMNIST's own are square, too


@pytest.mark.parametrize("below", ["", "MNIST/raw/", "fashion/fashion/"])
@pytest.mark.parametrize("dot", "-.")
@pytest.mark.parametrize("pack", [dict, packed, lambda files: files | packed(files)])
def test_plain_gzip_or_both_in_some_folder(tmp_path, below, dot, pack):
    made = examples()
    files = pack(idx_files(made, dot=dot))
    assert_read(put(tmp_path, {below + name: c for name, c in files.items()}), made)


def test_a_folder_of_the_files_own_name_that_holds_it_again(tmp_path):
    made = examples()
    dotted = idx_files(made, dot=".")
    nested = {f"{name}/{name}": content for name, content in idx_files(made).items()}
    assert_read(put(tmp_path, dotted | nested), made)
    wrong = {**nested, "t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte": idx(made["y_test"][::-1])}
    put(tmp_path, wrong)
    name = "t10k-labels-idx1-ubyte"
    expected = f"expected the same content in {name.replace('-idx', '.idx')} and {name}/{name}"
    assert f"{expected}, found another; keep the right one" in failure(table.read, tmp_path)


def test_two_data_sets_are_not_mixed(tmp_path):
    for folder in ("MNIST/raw", "KMNIST/raw"):
        put(tmp_path / folder, idx_files(examples()))
    message = failure(table.read, tmp_path)
    assert "expected one data set, found 2: KMNIST/raw, MNIST/raw; give one of them" in message
    assert_read(tmp_path / "KMNIST", examples())


def test_labels_of_any_base_are_named_by_their_labels(tmp_path):
    shifted = examples(base=7)
    told = ["the labels are 7 to 9: 3 classes of these names"]
    assert_read(put(tmp_path, idx_files(shifted)), examples(), "789", told)
    gap = {**shifted, "y_train": shifted["y_train"] * 2, "y_test": shifted["y_test"] * 2}
    told = ["the labels are 14 to 18 without 15, 17: 3 classes"]
    assert_read(put(tmp_path, idx_files(gap)), examples(), ("14", "16", "18"), told)


def test_one_class_or_too_many_are_refused(tmp_path):
    made = examples()
    same = {**made, "y_train": made["y_train"] * 0 + 4, "y_test": made["y_test"] * 0 + 4}
    message = failure(table.read, put(tmp_path, idx_files(same)))
    assert "expected labels of 2 to 1000 classes, found one: every label is 4; add" in message
    many = np.arange(1001)
    files = idx_files(made)
    files["train-images-idx3-ubyte"] = idx(np.zeros((1001, 2, 3)))
    files["t10k-images-idx3-ubyte"] = idx(np.zeros((6, 2, 3)))
    files["train-labels-idx1-ubyte"] = idx(many, 0x0C)
    message = failure(table.read, put(tmp_path, files))
    assert "expected labels of 2 to 1000 classes, found 1001; give the class" in message


def test_negative_labels_are_refused(tmp_path):
    files = idx_files(examples())
    files["t10k-labels-idx1-ubyte"] = idx(np.array([0, 1, -1, 0, 1, 2]), 0x0C)
    message = failure(table.read, put(tmp_path, files))
    path = tmp_path / "t10k-labels-idx1-ubyte"
    expected = f"{path}: byte offset {8 + 2 * 4}: expected a label of at least 0, found -1"
    assert message.startswith(expected)


def test_emnist_is_turned_upright_and_its_letters_are_named(tmp_path):
    made = examples(SQUARE, base=1)
    stored = {**made, "x_train": made["x_train"].swapaxes(1, 2)}
    stored["x_test"] = made["x_test"].swapaxes(1, 2)
    put(tmp_path, packed(idx_files(stored, "emnist-letters-", "test")))
    right = {**examples(SQUARE), "x_train": made["x_train"], "x_test": made["x_test"]}
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    told = ["EMNIST stores its images transposed", "no training images of D, E, F, G, H and 18"]
    assert_read(tmp_path, right, letters, told)
    # Beside another of EMNIST's sets, the beginning of the names tells which is meant.
    put(tmp_path, packed(idx_files(stored, "emnist-digits-", "test")))
    message = failure(table.read, tmp_path)
    assert "found 2: emnist-digits-, emnist-letters-; give one of them" in message
    assert_read(tmp_path / "emnist-letters", right, letters, told)
    assert_read(tmp_path / "emnist-digits", right, "123", [told[0], "the labels are 1 to 3"])


def test_emnist_letters_out_of_range_are_refused(tmp_path):
    made = examples(SQUARE)
    message = failure(table.read, put(tmp_path, idx_files(made, "emnist-letters-", "test")))
    start = f"{tmp_path / 'emnist-letters-train-labels-idx1-ubyte'}: byte offset 8: "
    assert message.startswith(f"{start}expected a label from 1 to 26, found 0 (label number 0);")


def test_emnist_mapping_names_the_classes(tmp_path):
    made = examples(SQUARE)
    stored = {k: v.swapaxes(1, 2) if k[0] == "x" else v for k, v in made.items()}
    put(tmp_path, idx_files(stored, "emnist-balanced-", "test"))
    mapping = tmp_path / "emnist-balanced-mapping.txt"
    mapping.write_bytes(b"0 48\r\n1 65\r\n2 97\r\n")
    assert_read(tmp_path, made, "0Aa", ["EMNIST stores"])
    mapping.write_bytes(b"0 48\nA 65\n")
    message = failure(table.read, tmp_path)
    assert message.startswith(f"{mapping}: line 2: expected a label and the code of a character")


def test_qmnist_labels_are_the_first_of_eight_columns(tmp_path):
    made = examples()
    files = idx_files(made, "qmnist-", "test")
    for split in ("train", "test"):
        labels = np.arange(8) + made[f"y_{split}"][:, None] * np.eye(8, dtype=int)[0] + 0
        del files[f"qmnist-{split}-labels-idx1-ubyte"]
        files[f"qmnist-{split}-labels-idx2-int.gz"] = packed({"": idx(labels, 0x0C)})[".gz"]
    assert_read(put(tmp_path, files), made, told=["as QMNIST's: the first is the class"])
    name = "qmnist-test-labels-idx2-int.gz"
    put(tmp_path, {name: idx(labels[:, :7], 0x0C)})
    expected = "byte offset 8: expected 8 numbers for each image, as QMNIST has, found 7;"
    assert expected in failure(table.read, tmp_path)


def test_colour_has_four_dimensions(tmp_path):
    made = examples((9, 11, 3))
    assert_read(put(tmp_path, idx_files(made)), made)
    one = {k: v[..., :1] if k[0] == "x" else v for k, v in made.items()}
    grey = {k: v[..., 0] if k[0] == "x" else v for k, v in made.items()}
    assert_read(put(tmp_path, idx_files(one)), grey)
    two = {k: v[..., :2] if k[0] == "x" else v for k, v in made.items()}
    message = failure(table.read, put(tmp_path, idx_files(two)))
    assert "byte offset 16: expected images of 1 or 3 channels, found 2;" in message


def test_training_and_test_images_of_different_sizes_are_refused(tmp_path):
    made = examples()
    files = idx_files({**made, "x_test": made["x_test"][:, :, :10]})
    message = failure(table.read, put(tmp_path, files))
    assert message.startswith(
        f"{tmp_path / 't10k-images-idx3-ubyte'}: byte offset 4: expected images of 9 x 11 pixels, "
        f"as in {tmp_path / 'train-images-idx3-ubyte'}, found 9 x 10 pixels; "
    )
