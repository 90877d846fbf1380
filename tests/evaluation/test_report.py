import io
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from cnn_mnist.evaluation import figures, metrics, report
from cnn_mnist.utils.curves import Curve, Curves
from cnn_mnist.utils.painter import Painter

NAMES = ["zero", "[bold]one[/bold]", "Ankle boot", "<b>&three"]
PICTURES = ["calibration.png", "confusion_matrix.png", "learning_curves.png", "mistakes.png"]
CURVES = Curves(train_loss=Curve((1, 101), (2.3, 0.5)))


@pytest.fixture(scope="module")
def scored():
    """A report on six images; class 3 has none."""
    labels = np.array([0, 0, 0, 1, 1, 2])
    probabilities = np.full([6, 4], 0.1, np.float32)
    probabilities[np.arange(6), [0, 1, 1, 1, 1, 2]] = 0.7
    tally = metrics.Tally(NAMES)
    tally.add(np.arange(6 * 784).reshape(6, 28, 28).astype(np.uint8), labels, probabilities)
    return tally.report()


@pytest.fixture(scope="module")
def written(scored, tmp_path_factory):
    """The folder of a written report, and its pictures."""
    folder = tmp_path_factory.mktemp("written") / "report"
    return folder, write(scored, CURVES, folder)


def write(scored, curves, folder):
    with Painter() as painter:
        drawn = report.draw_curves(curves, painter) | report.draw(scored, painter)
        pictures = {name: figure.result() for name, figure in drawn.items()}
    report.write(scored, pictures, folder)
    return pictures


def found(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_json_page_and_pictures(written):
    folder, pictures = written
    assert sorted(found(folder)) == sorted([*PICTURES, "report.html", "report.json"])
    assert {f"{name}.png": picture for name, picture in pictures.items()} == {
        name: (folder / name).read_bytes() for name in PICTURES
    }
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "<title>Test report</title>" in html
    assert "&lt;b&gt;&amp;three" in html and "<b>&three" not in html
    assert html.count("data:image/png;base64,") == 4


def test_json_holds_the_report(scored, written):
    text = (written[0] / "report.json").read_text(encoding="utf-8")
    assert json.loads(text) == scored.as_dict()
    assert "NaN" not in text and text.endswith("}\n")


def test_written_again_it_is_the_same_to_the_byte(scored, written, tmp_path):
    write(scored, CURVES, tmp_path)
    assert found(tmp_path) == found(written[0])


def test_a_failed_write_leaves_the_old_report(scored, written, tmp_path, monkeypatch):
    write(scored, CURVES, tmp_path)
    before = found(tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(scored, Curves(), tmp_path)
    assert found(tmp_path) == before


def shown(renderable, width=80):
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()


def test_table_from_worst_to_best(scored):
    text = shown(report.table(scored))
    rows = [line.strip("│ \n").split("│") for line in text.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["zero", "0.3333", "1.0000", "0.5000", "3", "1"],
        ["[bold]one[/bold]", "1.0000", "0.5000", "0.6667", "2", "2"],
        ["Ankle boot", "1.0000", "1.0000", "1.0000", "1", "1"],
        ["<b>&three", "-", "-", "-", "0", "0"],
        ["all", "0.6667", "", "", "6", "4"],
    ]
    assert text.splitlines()[-1] == (
        f"loss {scored.loss:.4f}, expected calibration error {scored.calibration_error:.4f}"
    )


def test_ten_long_names_fit_80_columns():
    names = [f"Ankle boot {k}" for k in range(10)]
    tally = metrics.Tally(names)
    labels = np.repeat(np.arange(10), 1500)
    probabilities = np.eye(10, dtype=np.float32)[labels]
    tally.add(np.zeros([15_000, 28, 28], np.uint8), labels, probabilities)
    text = shown(report.table(tally.report()), width=80)
    assert "…" not in text
    assert all(name in text for name in names)


def test_to_tensorboard(written, tmp_path):
    report.to_tensorboard(written[1], tmp_path / "report", 1234)
    report.to_tensorboard({"labels": written[1]["mistakes"]}, tmp_path / "data", 0, prefix="data")
    images = events(tmp_path / "report")
    assert set(images) == {f"report/{name.removesuffix('.png')}" for name in PICTURES}
    for tag, (step, image) in images.items():
        content = written[1][tag.removeprefix("report/")]
        assert step == 1234 and image.encoded_image_string == content
        decoded = tf.io.decode_png(content)
        assert (image.height, image.width) == tuple(decoded.shape[:2])
        assert image.colorspace == decoded.shape[2]
    assert set(events(tmp_path / "data")) == {"data/labels"}


def events(folder):
    """`{tag: (step, image)}` of the one event file in a folder."""
    (path,) = folder.iterdir()
    return {
        value.tag: (event.step, value.image)
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }


def test_data_figures(small, tmp_path):
    pictures = report.write_data_figures(small, tmp_path / "data")
    assert found(tmp_path / "data") == {
        "examples.png": pictures["examples"],
        "labels.png": pictures["labels"],
    }
    again = report.write_data_figures(small, tmp_path / "again")
    assert again == pictures
    assert pictures["examples"] != pictures["labels"]


def test_data_figures_leave_out_a_split_without_images(small, tmp_path, monkeypatch):
    nothing = type(small.validation)(small.validation.images[:0], small.validation.labels[:0])
    data = type(small)(small.train, nothing, small.test)
    seen = {}

    def spy(counts, names):
        seen.update(counts)
        return original(counts, names)

    original = figures.label_distribution
    monkeypatch.setattr(figures, "label_distribution", spy)
    report.write_data_figures(data, tmp_path)
    assert list(seen) == ["train", "test"]
    np.testing.assert_array_equal(seen["test"], np.bincount(small.test.labels, minlength=10))
