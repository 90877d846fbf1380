import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from cnn_mnist.evaluation import figures, metrics
from cnn_mnist.utils import drawing
from cnn_mnist.utils.curves import Curve, Curves

DIGITS = [str(digit) for digit in range(10)]
FASHION = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
LONG = [f"{k} {'WM' * 6}" for k in range(10)]  # the widest letters
UNRULY = ["$x^2$", "$", "a\nb\tc", "_{1}", "\\frac", "%d {x}", "é", "x" * 200, "", " "]
NAMES = [DIGITS, FASHION, LONG, UNRULY]
NAMES_IDS = ["digits", "fashion", "long", "unruly"]
CURVES = Curves(
    Curve((1, 101, 201), (2.3, 0.9, 0.5)),
    Curve((1, 101, 201), (0.1, 0.7, 0.8)),
    Curve((100, 200), (0.7, 0.4)),
    Curve((100, 200), (0.75, 0.9)),
)
COUNTS = {
    "train": np.array([5444, 6179, 5470, 5638, 5307, 4987, 5417, 5715, 5389, 5454]),
    "validation": np.array([0, 563, 488, 493, 535, 434, 501, 550, 462, 495]),
    "test": np.array([60_000, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
}


@pytest.fixture(scope="module")
def report():
    """Of 1,300 images: every class in truth and prediction, 13 mistakes kept."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 10, 1300)
    logits = rng.normal(size=(1300, 10))
    logits[np.arange(1300), labels] += 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    tally = metrics.Tally(DIGITS, worst=13)
    images = rng.integers(0, 256, (1300, 28, 28), dtype=np.uint8)
    tally.add(images, labels, probabilities.astype(np.float32))
    return tally.report()


def drawn(report, name, names):
    images = np.stack([np.full([28, 28], k, np.uint8) for k in range(40)])
    return {
        "confusion_matrix": lambda: figures.confusion_matrix(report.confusion, names),
        "mistakes": lambda: figures.mistakes(report.mistakes, names),
        "calibration": lambda: figures.calibration(report.calibration, report.calibration_error),
        "learning_curves": lambda: figures.learning_curves(CURVES),
        "examples": lambda: figures.examples(images, np.arange(40) % 10, names),
        "label_distribution": lambda: figures.label_distribution(COUNTS, names),
    }[name]()


FIGURES = [
    "confusion_matrix", "mistakes", "calibration", "learning_curves", "examples",
    "label_distribution",
]  # fmt: skip


def texts(figure):
    """Every text in the figure that is not empty, after it was drawn."""
    figure.canvas.draw()
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def boxes(figure, wanted):
    """The bounding boxes in pixels of those texts for which `wanted` holds."""
    return [t.get_window_extent() for t in texts(figure) if wanted(t.get_text())]


@pytest.mark.parametrize("names", NAMES, ids=NAMES_IDS)
@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off(report, name, names):
    figure = drawn(report, name, names)
    figure.canvas.draw()
    box = figure.get_tightbbox()  # of everything that is drawn, in inches
    width, height = figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    frame = [pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]]
    assert all((side == 255).all() for side in frame)


@pytest.mark.parametrize("name", FIGURES)
def test_png(report, name):
    figure = drawn(report, name, FASHION)
    content = drawing.png(figure)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"tEXtSoftware" not in content and b"tIME" not in content
    assert drawing.png(drawn(report, name, FASHION)) == content
    width, height = figure.get_size_inches() * drawing.DOTS_PER_INCH
    assert int.from_bytes(content[16:20], "big") == pytest.approx(width, abs=1)
    assert int.from_bytes(content[20:24], "big") == pytest.approx(height, abs=1)


@pytest.mark.parametrize("name", ["confusion_matrix", "examples", "label_distribution"])
def test_class_names_are_all_there(report, name):
    shown = [text.get_text() for text in texts(drawn(report, name, FASHION))]
    assert set(FASHION) <= set(shown)


@pytest.mark.parametrize("name", ["confusion_matrix", "examples", "label_distribution"])
def test_names_are_shown_as_written_on_one_line_and_shortened(report, name):
    found = texts(drawn(report, name, UNRULY))
    shown = {text.get_text(): text for text in found}
    assert {"$x^2$", "$", "a b c", "_{1}", "\\frac", "%d {x}", "é"} <= shown.keys()
    assert any(name.startswith("xxxxxxxx") and name.endswith("x…") for name in shown)
    assert not shown["$x^2$"].get_parse_math()


def overlapping(found):
    return [
        (i, j)
        for i, a in enumerate(found)
        for j, b in enumerate(found[:i])
        if a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
    ]


@pytest.mark.parametrize("names", [DIGITS, FASHION, LONG], ids=NAMES_IDS[:3])
def test_captions_do_not_run_into_each_other(report, names):
    captions = boxes(drawn(report, "mistakes", names), lambda text: "predicted" in text)
    assert len(captions) == 13
    assert overlapping(captions) == []
    shares = boxes(drawn(report, "label_distribution", names), lambda text: "%" in text)
    assert len(shares) == 30
    assert overlapping(shares) == []


def test_confusion_matrix_has_every_count_readable(report):
    counts = report.confusion.copy()
    counts[3] = 0  # a class without images
    counts[4, 4] = 60_000
    counts[7, 1], counts[7, 7] = 300, 100
    figure = figures.confusion_matrix(counts, FASHION)
    axes, bar = figure.axes
    cells = {(round(t.get_position()[1]), round(t.get_position()[0])): t for t in axes.texts}
    assert {place: int(text.get_text()) for place, text in cells.items()} == dict(
        np.ndenumerate(counts)
    )
    colors = axes.images[0].to_rgba(metrics.row_shares(counts))[..., :3]
    for place, text in cells.items():
        assert contrast(colors[place], to_rgb(text.get_color())) > 4.5  # WCAG 2.1, level AA
    side = np.diff(axes.transData.transform([(0, 0), (1, 1)]), axis=0)[0]  # of a cell, in pixels
    figure.canvas.draw()
    assert max(text.get_window_extent().width for text in cells.values()) < abs(side[0])
    assert "true class" in axes.get_ylabel() and "predicted" in axes.get_xlabel()
    assert "share" in bar.get_ylabel() and "cube-root" in bar.get_ylabel()
    assert "images" in axes.get_title()


def test_confusion_matrix_makes_an_error_of_1_percent_visible():
    counts = np.array([[99, 1], [0, 100]])
    axes = figures.confusion_matrix(counts, ["a", "b"]).axes[0]
    colors = axes.images[0].to_rgba(metrics.row_shares(counts))[..., :3]
    (right, error), (nothing, _) = luminance(colors)
    assert nothing > 0.9 and right < 0.1
    assert error < 0.8 * nothing


def luminance(rgb):
    """Relative luminance, WCAG 2.1."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_mistakes_show_image_classes_and_probability(report):
    figure = figures.mistakes(report.mistakes, FASHION)
    assert figure.get_suptitle() == "The 13 most confident mistakes"
    (page,) = figure.axes
    for shown, text, mistake in zip(page.images, page.texts, report.mistakes, strict=True):
        assert text.get_text() == (
            f"true: {FASHION[mistake.true]}\npredicted: {FASHION[mistake.predicted]}\n"
            f"probability {mistake.probability:.4f}"
        )
        np.testing.assert_array_equal(shown.get_array(), mistake.image)
        left, right, _, top = shown.get_extent()
        assert text.get_position() == pytest.approx(((left + right) / 2, top - 0.08))


def test_a_picture_fills_its_place_as_far_as_its_shape_lets_it():
    paper = drawing.Paper(5, 4)
    drawn = paper.picture(np.zeros((20, 40)), (1, 2, 2, 1.5), "a title", ink=np.eye(20, 40))
    assert drawn.get_extent() == pytest.approx((1, 3, 3.25, 2.25))  # left, right, bottom, top
    (page,) = paper.figure.axes
    (frame,) = page.patches
    assert frame.get_bbox().bounds == pytest.approx((1, 2.25, 2, 1))
    high = paper.picture(np.zeros((40, 20, 3)), (1, 2, 2, 1.5), frame=False)
    assert high.get_extent() == pytest.approx((1.625, 2.375, 3.5, 2))
    assert len(page.patches) == 1
    # Points of the page are inches from the top left.
    dots = page.transData.transform((1, 3)) / paper.figure.dpi
    np.testing.assert_allclose(dots, (1, 1), atol=1e-9)


def test_the_edge_of_the_ink_lies_on_the_picture():
    paper = drawing.Paper(3, 3)
    image = np.zeros((10, 10), np.uint8)
    image[4:6, 4:6] = 255
    paper.picture(np.zeros((10, 10)), (1, 1, 1, 1), ink=image)
    (edge,) = paper.figure.axes[0].collections
    (path,) = edge.get_paths()
    low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
    np.testing.assert_allclose((low, high), ((1.4, 1.4), (1.6, 1.6)), atol=0.011)


def test_few_mistakes_and_none(report):
    assert figures.mistakes([], DIGITS).get_suptitle() == "No mistakes"
    assert drawing.png(figures.mistakes([], DIGITS)).startswith(b"\x89PNG")
    one = figures.mistakes(report.mistakes[:1], DIGITS)
    assert one.get_suptitle() == "The most confident mistake"


def test_calibration_draws_the_bins(report):
    figure = figures.calibration(report.calibration, report.calibration_error)
    upper, lower = figure.axes
    filled = [found for found in report.calibration if found.images]
    assert [bar.get_height() for bar in upper.patches] == [found.accuracy for found in filled]
    assert [bar.get_height() for bar in lower.patches] == [found.images for found in filled]
    assert [bar.get_x() for bar in upper.patches] == [found.lower for found in filled]
    dots = upper.lines[1].get_xydata()
    np.testing.assert_array_equal(dots, [(found.confidence, found.accuracy) for found in filled])
    assert f"{report.calibration_error:.4f}" in figure.get_suptitle()
    assert lower.get_ylim()[1] > max(found.images for found in filled)


def test_learning_curves_differ_in_more_than_colour():
    figure = figures.learning_curves(CURVES)
    for axes, train, validation in zip(
        figure.axes,
        (CURVES.train_loss, CURVES.train_accuracy),
        (CURVES.validation_loss, CURVES.validation_accuracy),
        strict=True,
    ):
        lines = axes.lines
        for line, curve in zip(lines, (train, validation), strict=True):
            assert tuple(line.get_xdata()) == curve.steps
            assert tuple(line.get_ydata()) == curve.values
        assert lines[0].get_linestyle() != lines[1].get_linestyle()
        assert lines[0].get_marker() != lines[1].get_marker()
        grey = [luminance(to_rgb(line.get_color())) for line in lines]
        assert abs(grey[0] - grey[1]) > 0.3
        assert [t.get_text() for t in axes.get_legend().texts] == [
            "training, one batch", "validation, all images",
        ]  # fmt: skip
        low, high = axes.get_ylim()
        assert low <= min(train.values + validation.values)
        assert high >= max(train.values + validation.values)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (nats)", "accuracy"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "loss", [(), (0.5,), (np.nan,), (2.0, np.nan, np.inf), (1e30, 1e-30)], ids=str
)
def test_learning_curves_of_little_or_broken_training(loss):
    curve = Curve(tuple(range(1, len(loss) + 1)), loss)
    figure = figures.learning_curves(Curves(train_loss=curve))
    shown = [text.get_text() for text in texts(figure)]
    assert shown.count("nothing was recorded") == (1 if loss else 2)


def test_examples_are_the_first_of_each_class():
    images = np.stack([np.full([28, 28], 10 + k, np.uint8) for k in range(9)])
    labels = np.array([1, 0, 1, 1, 0, 1, 3, 1, 1])
    axes = figures.examples(images, labels, ["a", "b", "c", "d"], per_class=3).axes[0]
    sheet = axes.images[0].get_array()
    assert sheet.shape == (4 * 31 - 3, 3 * 31 - 3)
    corners = [[int(sheet[row * 31, column * 31]) for column in range(3)] for row in range(4)]
    assert corners == [[11, 14, 0], [10, 12, 13], [0, 0, 0], [16, 0, 0]]
    np.testing.assert_array_equal(sheet[31:59, 62:90], 13)


def test_label_distribution_counts():
    figure = figures.label_distribution(COUNTS, FASHION)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "train: 55,000", "validation: 4,521", "test: 60,001",
    ]  # fmt: skip
    for axes, counts in zip(figure.axes, COUNTS.values(), strict=True):
        assert [bar.get_width() for bar in axes.patches] == list(counts)
    numbers = [text.get_text() for text in figure.axes[0].texts]
    assert numbers[0] == "5,444  (9.9%)"
    top_down = figure.axes[0].get_ylim()
    assert top_down[0] > top_down[1]


def test_a_split_without_images_has_no_division():
    figure = figures.label_distribution({"test": np.zeros(10, int)}, DIGITS)
    assert figure.axes[0].texts[0].get_text() == "0  (0.0%)"


def test_png_shows_the_figure(report, tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(drawing.png(drawn(report, "examples", DIGITS)))
    pixels = matplotlib.image.imread(path)[..., :3]
    assert pixels.min() < 0.2 and pixels.max() == 1


def test_neither_tensorflow_nor_pyplot_is_loaded():
    code = "import sys, cnn_mnist.evaluation.report, cnn_mnist.utils.curves\n"
    code += "print([m for m in ('tensorflow', 'matplotlib.pyplot') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.parametrize("classes", [41, 1000])
def test_many_classes_have_room(classes):
    """Figures stay of a size that can be drawn and looked at."""
    names = [f"class {k}" for k in range(classes)]
    counts = np.eye(classes, dtype=np.int64)
    matrix = figures.confusion_matrix(counts, names)
    assert matrix.axes[0].images[0].get_array().shape == (classes, classes)
    assert not matrix.axes[0].texts
    labels = [label.get_text() for label in matrix.axes[0].get_yticklabels()]
    assert len(labels) <= 40 and labels[0] == "class 0"
    images = np.full([classes, 9, 13, 3], 7, np.uint8)
    sheet = figures.examples(images, np.arange(classes), names, per_class=2)
    bars = figures.label_distribution({"test": np.arange(classes)}, names)
    for figure in (matrix, sheet, bars):
        width, height = figure.get_size_inches()
        assert width < 25 and height < 25
        assert drawing.png(figure).startswith(b"\x89PNG")
    for figure in (sheet, bars):
        assert figure.get_suptitle().endswith(f"(the first 40 of {classes:,})")
        assert len(figure.axes[0].get_yticklabels()) == 40
    assert bars.axes[0].get_title(loc="left") == f"test: {classes * (classes - 1) // 2:,}"


def test_examples_of_another_size_in_colour():
    images = np.zeros([3, 9, 13, 3], np.uint8)
    images[...] = np.array([10, 20, 30])[:, None, None, None] + np.array([0, 1, 2])
    sheet = figures.examples(images, np.array([1, 0, 1]), ["a", "b"], per_class=2)
    shown = np.asarray(sheet.axes[0].images[0].get_array())
    assert shown.shape == (2 * 12 - 3, 2 * 16 - 3, 3)
    assert shown[0, 0].tolist() == [20, 21, 22]
    assert shown[12, 0].tolist() == [10, 11, 12] and shown[20, 28].tolist() == [30, 31, 32]
    assert shown[0, 16].tolist() == [0, 0, 0]  # there is one of class a
