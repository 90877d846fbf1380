import csv
import io
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from estimators import estimator_of
from PIL import Image

from cnn_mnist.checkpoints.restore import CheckpointError
from cnn_mnist.data.form import Form
from cnn_mnist.data.input_fns import train_input_fn
from cnn_mnist.engines.engine import CHUNK
from cnn_mnist.inference import predict
from cnn_mnist.inference.predict import Answer
from cnn_mnist.inference.predictor import Predictor
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils.errors import UsageError
from conftest import ROOT

DIGITS = ROOT / "tests" / "digits"
ROWS = [
    Answer("a.png", 3, 0.75, 8, 0.125, "3", "8"),
    Answer('b "2", c.png', 0, 1.0, 9, 0.0, "0", "9"),
]


@pytest.fixture(scope="session")
def trained(mnist, tmp_path_factory):
    """An Estimator after 150 quick steps: right on 9 of 10 images or more."""
    recipe = Recipe(learning_rate=0.1, steps=150, seed=4)
    classifier = estimator_of(recipe, tmp_path_factory.mktemp("predict_model"))
    classifier.train(train_input_fn(mnist.train, recipe.batch_size, recipe.seed), max_steps=150)
    return classifier


@pytest.fixture(scope="module")
def predictor(trained):
    with Predictor(trained.model_dir) as predictor:
        yield predictor


def test_the_same_probabilities_as_the_estimators(trained, predictor, mnist):
    images, labels = mnist.test.images[:237], mnist.test.labels[:237]
    rows = list(trained.predict(lambda: tf.data.Dataset.from_tensors({"x": images})))
    classes, probabilities = predictor.predict(images)
    assert (classes.dtype, probabilities.dtype) == (np.int64, np.float32)
    np.testing.assert_array_equal(classes, [row["classes"] for row in rows])
    np.testing.assert_allclose(probabilities, [row["probabilities"] for row in rows], atol=1e-6)
    assert (classes == labels).mean() > 0.85
    assert predictor.global_step == 150


def test_every_shape_and_dtype_of_the_contract(predictor, mnist):
    images = mnist.test.images[:7]
    classes, probabilities = predictor.predict(images)
    for shape in ([7, 28, 28, 1], [7, 784]):
        np.testing.assert_array_equal(predictor.predict(images.reshape(shape))[0], classes)
    floats = predictor.predict(images.astype(np.float32) / 255)
    np.testing.assert_array_equal(floats[0], classes)
    np.testing.assert_allclose(floats[1], probabilities, atol=1e-6)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 13])
def test_chunks_change_nothing(predictor, mnist, size):
    images = mnist.test.images[:size]
    classes, probabilities = predictor.predict(images)
    assert (classes.shape, probabilities.shape) == ((size,), (size, 10))
    one_by_one = [predictor.predict(images[i : i + 1])[1][0] for i in range(0, size, 29)]
    np.testing.assert_allclose(probabilities[::29], np.reshape(one_by_one, (-1, 10)), atol=1e-6)


def test_other_arrays_are_refused(predictor):
    with pytest.raises(TypeError, match="int64, expected uint8 or float32"):
        predictor.predict(np.zeros((2, 28, 28), np.int64))
    for shape in [(28, 28), (2, 28, 29), (2, 783), ()]:
        with pytest.raises(ValueError, match="images have the shape"):
            predictor.predict(np.zeros(shape, np.uint8))


def test_several_threads(predictor, mnist):
    parts = [mnist.test.images[start : start + 150] for start in range(0, 600, 150)]
    found = {}

    def work(number):
        found[number] = predictor.predict(parts[number])[1]

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, part in enumerate(parts):
        np.testing.assert_allclose(found[number], predictor.predict(part)[1], atol=1e-6)


def test_a_checkpoints_prefix(trained, predictor, mnist):
    prefix = tf.train.latest_checkpoint(trained.model_dir)
    assert predictor.checkpoint == prefix
    with Predictor(prefix) as named:
        np.testing.assert_array_equal(
            named.predict(mnist.test.images[:5])[1], predictor.predict(mnist.test.images[:5])[1]
        )
    with pytest.raises(RuntimeError, match="closed"):
        named.predict(mnist.test.images[:5])


def test_no_checkpoint(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="holds no checkpoint"):
            Predictor(str(folder))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"w": [1.0]}, "of another network: its variable .* is missing"),
        (
            {"conv2d/kernel": np.zeros((3, 3, 1, 8))},
            r"conv2d/kernel is of the shape \[3, 3, 1, 8\]",
        ),
    ],
)
def test_a_checkpoint_of_another_network(tmp_path, variables, message):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.create_global_step()
        for name, value in variables.items():
            tf.compat.v1.get_variable(name, initializer=tf.constant(value, tf.float32))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), step)
    with pytest.raises(CheckpointError, match=message):
        Predictor(str(tmp_path))


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_damaged_checkpoint(trained, tmp_path, suffix):
    prefix = Path(tf.train.latest_checkpoint(trained.model_dir))
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(
            content[: len(content) // 2] if path.name.endswith(suffix) else content
        )
    with pytest.raises(CheckpointError, match="cannot be read") as error:
        Predictor(str(tmp_path / prefix.name))
    assert "\n" not in str(error.value)


# Output


def test_answers():
    probabilities = np.full((2, 10), 0.01, np.float32)
    probabilities[0, [4, 9]] = 0.25, 0.67
    probabilities[1, [0, 1]] = 0.46, 0.46  # a tie: the lower digit first, as argmax has it
    found = predict.answers([Path("a.png"), Path("b\udcff.png")], probabilities)
    assert found[0] == Answer("a.png", 9, pytest.approx(0.67), 4, 0.25, "9", "4")
    assert (found[1].digit, found[1].runner_up) == (0, 1)
    assert found[1].file == "b\\udcff.png"


def test_table():
    assert predict.as_table(ROWS).splitlines() == [
        "file          digit  probability  runner-up",
        "a.png             3        75.0%  8 (12.5%)",
        'b "2", c.png      0       100.0%  9 (0.0%)',
    ]


def test_classes_with_names_are_called_by_them():
    names = ["cat", "a long name", "owl"]
    probabilities = np.array([[0.2, 0.7, 0.1], [0.1, 0.25, 0.65]], np.float32)
    found = predict.answers([Path("x.png"), Path("y.png")], probabilities, names)
    assert [(row.digit, row.name, row.runner_up_name) for row in found] == [
        (1, "a long name", "cat"),
        (2, "owl", "a long name"),
    ]
    assert predict.as_table(found).splitlines() == [
        "file   class        probability  runner-up",
        "x.png  a long name        70.0%  cat (20.0%)",
        "y.png  owl                65.0%  a long name (25.0%)",
    ]


def test_json_and_csv_give_the_rows_back():
    assert [Answer(**row) for row in json.loads(predict.as_json(ROWS))] == ROWS
    text = predict.as_csv(ROWS)
    assert text.splitlines()[0] == (
        "file,digit,probability,runner_up,runner_up_probability,name,runner_up_name"
    )
    kinds = (str, int, float, int, float, str, str)
    rows = list(csv.reader(io.StringIO(text)))[1:]
    values = [[kind(value) for kind, value in zip(kinds, row, strict=True)] for row in rows]
    assert [Answer(*row) for row in values] == ROWS


def test_run(trained, capfd):
    assert predict.run(Recipe(), trained.model_dir, [str(DIGITS)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 21
    assert all(re.fullmatch(r"\S+\.png +\d +\d+\.\d% +\d \(\d+\.\d%\)", line) for line in lines[1:])


def test_the_good_are_answered_and_the_bad_are_told(trained, tmp_path, capfd):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "good.png").write_bytes((DIGITS / "0_thick.png").read_bytes())
    (tmp_path / "empty").mkdir()
    patterns = [str(tmp_path), str(tmp_path / "empty"), str(tmp_path / "missing.png")]
    assert predict.run(Recipe(), trained.model_dir, patterns, "json") == 2
    out, err = capfd.readouterr()
    assert [(row["file"], row["digit"]) for row in json.loads(out)] == [
        (str(tmp_path / "good.png"), 0)
    ]
    errors = err.splitlines()
    assert len(errors) == 3
    for name, line in zip(("bad.png", "empty", "missing.png"), errors, strict=True):
        assert line.startswith(f"error: {tmp_path / name}: found ")


def test_split_reads_each_digit_from_left_to_right(trained, mnist, tmp_path, capfd):
    """Digits that the network reads right alone are read right in a row."""
    images, labels = mnist.test.images[:200], mnist.test.labels[:200]
    with Predictor(trained.model_dir) as predictor:
        sure = np.flatnonzero(predictor.predict(images)[1].max(axis=1) > 0.99)[[0, 3, 5]]
    row = np.pad(np.hstack(list(images[sure])), 10)
    Image.fromarray(255 - row).resize((4 * row.shape[1], 4 * row.shape[0])).save(tmp_path / "3.png")
    patterns = [str(tmp_path / "3.png"), str(DIGITS / "0_thick.png")]

    assert predict.run(Recipe(), trained.model_dir, patterns[:1]) == 2
    found = f"error: {patterns[0]}: found 3 digits (or marks of a digit's size), expected one; "
    assert capfd.readouterr().err.startswith(found + "crop it, or read each of them with --split")

    assert predict.run(Recipe(), trained.model_dir, patterns, "json", split=True) == 0
    rows = json.loads(capfd.readouterr().out)
    assert [(row["file"], row["number"]) for row in rows] == [
        *((patterns[0], number) for number in (1, 2, 3)),
        (patterns[1], 1),
    ]
    assert [row["digit"] for row in rows] == [*labels[sure], 0]


def test_the_number_is_a_column_only_where_digits_are_counted():
    rows = [row._replace(number=number) for number, row in enumerate(ROWS, 1)]
    assert predict.as_table(rows).splitlines() == [
        "file          number  digit  probability  runner-up",
        "a.png              1      3        75.0%  8 (12.5%)",
        'b "2", c.png       2      0       100.0%  9 (0.0%)',
    ]
    assert predict.as_csv(rows).splitlines()[0].endswith(",runner_up_name,number")
    assert [Answer(**row) for row in json.loads(predict.as_json(rows))] == rows
    assert "number" not in json.loads(predict.as_json(ROWS))[0]


LETTERS = Form(9, 13, 1, ("a", "b", "c"))


def test_what_is_usual_is_told_where_pictures_are_read_whole(capfd):
    assert predict.chosen("digit", None, split=True) == "digit"
    assert predict.chosen("digit", None, False) == "digit"
    assert predict.chosen("plain", "digit", True) == "digit"
    assert predict.chosen("plain", "plain", False) == "plain"
    assert capfd.readouterr().err == ""
    assert predict.chosen("plain", None, False) == "plain"
    assert capfd.readouterr().err.startswith("note: pictures are read whole (--preprocess=plain)")


@pytest.mark.parametrize("usual, preprocess", [("plain", None), ("digit", "plain")])
def test_whole_pictures_are_not_split(usual, preprocess):
    with pytest.raises(UsageError, match="^--split: expected --preprocess=digit, found plain"):
        predict.chosen(usual, preprocess, True)


def test_nothing_to_read_needs_no_model(tmp_path, capfd):
    assert predict.run(Recipe(), str(tmp_path / "no_model"), [str(tmp_path / "missing.png")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
