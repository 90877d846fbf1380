"""Tests of CSV and TSV files."""

import gzip

import numpy as np
import pytest
from format_files import assert_read, csv, examples, put
from mnist_files import failure

from cnn_mnist.data.formats import table

SQUARE = (5, 5)


def rows(made, **options):
    return {
        "data_train.csv": csv(made["x_train"], made["y_train"], **options),
        "data_test.csv": csv(made["x_test"], made["y_test"], **options),
    }


@pytest.fixture
def made():
    """Dark corners, as pictures have them."""
    made = examples(SQUARE)
    for key in ("x_train", "x_test"):
        made[key][:, 0, 0] = made[key][:, 4, 4] = 0
    return made


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_label_first_or_last_with_or_without_header(tmp_path, made, separator, header, last):
    files = rows(made, separator=separator, header=header, last=last)
    assert_read(put(tmp_path, files), made)


def test_gzip_crlf_bom_and_empty_lines_at_the_end(tmp_path, made):
    files = rows(made)
    for name, content in files.items():
        windows = b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n") + b"\r\n"
        put(tmp_path, {f"{name}.gz": gzip.compress(windows)})
    assert_read(tmp_path, made)


def test_text_labels_are_class_names(tmp_path, made):
    words = np.array(["cat", "ant", "bee"])
    named = {**made, "y_train": words[made["y_train"]], "y_test": words[made["y_test"]]}
    right = dict(made)
    for key in ("y_train", "y_test"):
        right[key] = np.array([2, 0, 1])[made[key]]
    for header in (True, False):
        files = rows(named, header=header)
        assert_read(put(tmp_path, files), right, ("ant", "bee", "cat"))


def test_floats_are_scaled_and_more_lines_than_are_parsed_at_once(tmp_path):
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (1100, 4, 4), dtype=np.uint8)
    labels = np.arange(1100) % 7
    content = csv(images / 255, labels)
    put(tmp_path, {"all.csv": content})
    data = table.read(tmp_path)
    order = np.random.RandomState((20,)).permutation(1100)
    np.testing.assert_array_equal(data.splits["train"].images, images[order[183:]])
    np.testing.assert_array_equal(data.splits["test"].labels, labels[order[:183]])
    assert "floats from 0 to 1" in data.told[0]


def test_a_test_file_without_labels_is_left_out(tmp_path, made):
    files = rows(made)
    lines = files["data_test.csv"].split(b"\n")
    files["data_test.csv"] = b"\n".join(line.partition(b",")[2] for line in lines)
    files["sample_submission.csv"] = b"ImageId,Label\n1,0\n"
    data = table.read(put(tmp_path, files))
    assert "data_test.csv has no labels: it is left out" in data.told[0]
    assert "2 of the 14 images, a sixth" in data.told[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\n", b"\n\n", "line 2: expected 26 columns, as before, found an empty line"),
        (b"label,p0", b"label", "line 2: expected 25 columns, as before, found 26"),
        (b"\n0,", b"\n0,x", "line 2, column 2: expected a number, found 'x0'"),
        (b"\n0,0", b"\n0,nan", "line 2: expected pixels from 0 to 255, or"),
        (b"\n0,0", b"\n0,-3", "line 2: expected pixels from 0 to 255, or floats from 0 to 1"),
        (b"\n0,0", b"\n0,256", "line 2: expected pixels from 0 to 255, or floats from 0 to 1"),
        (b"\n2,", b"\nx,", "line 3: expected a whole number as label, as in the first line"),
        (b"\n2,", b"\n2.5,", "line 3: expected a whole number as label, as in the first line"),
        (b"\n2,", b"\n-2,", "line 3: expected a label of at least 0, found -2"),
        (b"\n2,", b"\n\xff,", "line 3: expected text in UTF-8, found the byte 0xff"),
        (b"label,p0", b",label", "line 1: expected a name for each column, found none first"),
        (b"label,p0", b"class_of,p0", "line 1: expected a column named label, labels, class"),
    ],
)  # fmt: skip
def test_wrong_lines_are_refused_with_their_place(tmp_path, made, old, new, message):
    files = rows(made)
    content = files["data_train.csv"]
    assert old in content
    put(tmp_path, {**files, "data_train.csv": content.replace(old, new, 1)})
    refusal = failure(table.read, tmp_path)
    assert refusal.startswith(f"{tmp_path / 'data_train.csv'}: {message}")


def test_lines_of_nothing_but_labels_are_refused_without_a_warning(tmp_path, made, recwarn):
    files = rows(made)
    header, *_ = files["data_train.csv"].split(b"\n")
    put(tmp_path, {**files, "data_train.csv": header + b"\n0\n"})
    assert "line 2: expected " in failure(table.read, tmp_path)
    assert not recwarn.list


def test_pictures_that_are_not_square_are_refused(tmp_path, made):
    wide = {k: v[:, :, :4] if k[0] == "x" else v for k, v in made.items()}
    message = failure(table.read, put(tmp_path, rows(wide)))
    assert "data_train.csv: line 1: expected a label and as many pixels as a square" in message
    assert "found 21 columns, of which 20 would be pixels; " in message


def test_without_header_a_label_that_cannot_be_told_is_refused(tmp_path):
    made = examples(SQUARE)  # both corners change
    message = failure(table.read, put(tmp_path, rows(made, header=False)))
    assert "expected either the first or the last column to change like a label" in message
    assert "found both; add a first line that names the column 'label'" in message


def test_damaged_gzip_and_only_a_header(tmp_path, made):
    files = rows(made)
    packed = gzip.compress(files["data_train.csv"])
    put(tmp_path, {"data_train.csv": packed[: len(packed) // 2]})
    message = failure(table.read, tmp_path)
    assert "data_train.csv: from line " in message and "expected readable text" in message
    put(tmp_path, {**files, "data_test.csv": b""})
    message = failure(table.read, tmp_path)
    start = f"{tmp_path / 'data_test.csv'}: line 1: expected at least 17 columns"
    assert message.startswith(start)  # and no training images are taken for testing
    put(tmp_path, {**files, "data_test.csv": files["data_test.csv"].replace(b"label", b"lab")})
    assert "data_test.csv: line 1: expected a column named" in failure(table.read, tmp_path)
    put(tmp_path, files)
    put(tmp_path, {"data_train.csv": files["data_train.csv"].partition(b"\n")[0] + b"\n"})
    message = failure(table.read, tmp_path)
    assert "line 2: expected an image, found the end of the content" in message


def test_emnists_tables_are_turned_upright(tmp_path, made):
    stored = {k: v.swapaxes(1, 2) if k[0] == "x" else v + 1 for k, v in made.items()}
    files = rows(stored, header=False)
    names = ("emnist-letters-train.csv", "emnist-letters-test.csv")
    put(tmp_path, dict(zip(names, files.values(), strict=True)))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert_read(tmp_path, made, letters, ["transposed", "no training images of D"])


def test_which_files_are_meant(tmp_path, made):
    content = rows(made)["data_train.csv"]
    put(tmp_path, {"one.csv": content, "two.csv": content})
    message = failure(table.read, tmp_path)
    assert "expected one file of train images, found 2: one.csv, two.csv; leave one" in message
    assert table.read(tmp_path / "two.csv").format == "CSV or TSV files"
    put(tmp_path / "narrow", {"table.csv": b"a,b\n1,2\n"})
    message = failure(table.read, tmp_path / "narrow")
    assert "found 1 .csv; table.csv: the first line has fewer than 17 columns" in message
