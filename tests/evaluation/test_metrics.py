import json

import numpy as np
import pytest
import sklearn.metrics

from cnn_mnist.evaluation import metrics
from cnn_mnist.evaluation.metrics import Tally

# 523 images, 7 classes.
NAMES = ["zero", "one", "two", "three", "four", "five", "six"]
SIZE = 523


def predictions(classes=range(7), seed=5):
    """Images, labels of the given classes, probabilities `float32 [523, 7]`: right at times."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(list(classes), SIZE)
    logits = rng.normal(size=(SIZE, 7))
    logits[np.arange(SIZE), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    images = rng.integers(0, 256, (SIZE, 28, 28), dtype=np.uint8)
    return images, labels.astype(np.int32), probabilities.astype(np.float32)


def tallied(images, labels, probabilities, *, chunk=100, names=NAMES, worst=30):
    tally = Tally(names, worst)
    for start in range(0, len(labels), chunk):
        part = slice(start, start + chunk)
        tally.add(images[part], labels[part], probabilities[part])
    return tally.report()


def one_hot_like(labels, confidence, classes=3):
    """Probabilities whose favourites are `labels`, with the given confidence."""
    rest = (1 - np.asarray(confidence)) / (classes - 1)
    rows = np.repeat(rest[:, None], classes, axis=1)
    rows[np.arange(len(labels)), labels] = confidence
    return rows.astype(np.float32)


def blank(size):
    return np.zeros([size, 28, 28], np.uint8)


def values(report, field):
    found = [getattr(score, field) for score in report.classes]
    return [np.nan if value is None else value for value in found]


@pytest.mark.parametrize(
    "classes",
    [range(7), [0, 1, 2, 4, 5, 6], [3]],
    ids=["every class", "without class 3", "class 3 alone"],
)
def test_agrees_with_scikit_learn(classes):
    images, labels, probabilities = predictions(classes)
    if 3 not in classes:  # nor is it ever predicted
        probabilities[:, 3] = 0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    report = tallied(images, labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(7), zero_division=np.nan
    )
    assert report.images == SIZE
    assert report.accuracy == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    np.testing.assert_allclose(values(report, "precision"), precision)
    np.testing.assert_allclose(values(report, "accuracy"), recall)
    np.testing.assert_allclose(values(report, "f1"), f1)
    np.testing.assert_array_equal(values(report, "images"), support)
    matrix = sklearn.metrics.confusion_matrix(labels, predicted, labels=range(7))
    np.testing.assert_array_equal(report.confusion, matrix)
    exact = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    loss = sklearn.metrics.log_loss(labels, exact, labels=range(7))
    assert report.loss == pytest.approx(loss, rel=1e-6)
    with np.errstate(all="raise"):
        np.testing.assert_allclose(
            metrics.row_shares(report.confusion),
            sklearn.metrics.confusion_matrix(labels, predicted, labels=range(7), normalize="true"),
        )


@pytest.mark.filterwarnings("error")
def test_a_class_without_images_has_no_accuracy_and_comes_last():
    images, labels, probabilities = predictions([0, 1, 2, 4, 5, 6])
    probabilities[labels == 6] = 1 / 7  # a tie: class 0 is taken, and 6 never right
    report = tallied(images, labels, probabilities)
    absent = report.classes[3]
    assert (absent.images, absent.right, absent.accuracy) == (0, 0, None)
    assert absent.predicted > 0 and absent.precision == 0 and absent.f1 == 0
    order = report.worst_first
    assert [order[0].name, order[-1].name] == ["six", "three"]
    accuracies = [score.accuracy for score in order[:-1]]
    assert accuracies == sorted(accuracies)


def test_classes_of_equal_accuracy_stay_in_the_order_of_the_labels():
    labels = np.array([2, 1, 0, 2, 1, 0])
    report = tallied(blank(6), labels, one_hot_like([2, 1, 0, 0, 0, 1], [0.9] * 6), names="abc")
    assert [score.name for score in report.worst_first] == ["a", "b", "c"]


def test_a_class_never_predicted_has_no_precision_but_an_f1_of_0():
    report = tallied(blank(2), np.array([0, 1]), one_hot_like([0, 0], [0.9, 0.8]), names="abc")
    never, nothing = report.classes[1:]
    assert (never.accuracy, never.precision, never.f1) == (0, None, 0)
    assert (nothing.accuracy, nothing.precision, nothing.f1) == (None, None, None)


@pytest.mark.parametrize("chunk", [1, 7, 250, SIZE])
def test_chunks_change_nothing(chunk):
    data = predictions()
    whole, parts = tallied(*data, chunk=100), tallied(*data, chunk=chunk)
    assert parts.as_dict() == whole.as_dict()  # to the last bit
    for left, right in zip(parts.mistakes, whole.mistakes, strict=True):
        np.testing.assert_array_equal(left.image, right.image)


def test_loss_of_an_impossible_prediction_is_bounded():
    certain = np.array([[1, 0], [0, 1]], np.float32)
    report = tallied(blank(2), np.array([0, 0]), certain, names="ab")
    assert report.loss == pytest.approx(87.3365 / 2, rel=1e-5)  # -ln 2^-126, and 0
    assert report.accuracy == 0.5


def test_probabilities_a_rounding_above_1_count_as_1():
    sure = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0]])
    report = tallied(blank(1), np.array([0]), sure, names="ab")
    assert report.loss == 0
    assert report.calibration[-1].confidence == 1


def test_most_confident_mistakes():
    images, labels, probabilities = predictions()
    report = tallied(images, labels, probabilities, chunk=50, worst=11)
    predicted = probabilities.argmax(axis=1)
    wrong = [i for i in range(SIZE) if predicted[i] != labels[i]]
    wrong.sort(key=lambda i: -probabilities[i].max())
    assert [mistake.index for mistake in report.mistakes] == wrong[:11]
    for mistake in report.mistakes:
        i = mistake.index
        assert (mistake.true, mistake.predicted) == (labels[i], predicted[i])
        assert mistake.probability == probabilities[i].max()
        assert mistake.true_probability == probabilities[i, labels[i]]
        np.testing.assert_array_equal(mistake.image, images[i])
        assert mistake.image.base is None  # not a view that would keep its chunk alive


@pytest.mark.parametrize("chunk", [1, 2, 3, 8])
def test_mistakes_of_equal_probability_are_taken_in_order(chunk):
    probabilities = one_hot_like([1] * 8, [0.5, 0.75, 0.75, 0.5, 0.75, 0.875, 0.75, 0.75])
    report = tallied(
        blank(8),
        np.array([0, 0, 0, 0, 1, 0, 2, 2]),
        probabilities,
        chunk=chunk,
        names="abc",
        worst=4,
    )
    assert [mistake.index for mistake in report.mistakes] == [5, 1, 2, 6]


def test_fewer_mistakes_than_asked_for_and_none():
    labels = np.array([0, 1, 2])
    for predicted, count in (([0, 1, 1], 1), ([0, 1, 2], 0)):
        report = tallied(blank(3), labels, one_hot_like(predicted, [0.8] * 3), names="abc")
        assert len(report.mistakes) == count


def calibration_by_hand(probabilities, labels):
    """Expected calibration error, image by image, as Guo et al. 2017 write it."""
    bins = {}
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        confidence = max(row)
        number = next(m for m in range(1, 16) if (m - 1) / 15 < confidence <= m / 15)
        bins.setdefault(number, []).append((confidence, row.index(confidence) == label))
    error = 0.0
    for members in bins.values():
        confidence = sum(c for c, _ in members) / len(members)
        accuracy = sum(right for _, right in members) / len(members)
        error += len(members) / len(labels) * abs(accuracy - confidence)
    return error, {number - 1: len(members) for number, members in bins.items()}


def test_calibration_agrees_with_the_definition():
    images, labels, probabilities = predictions()
    report = tallied(images, labels, probabilities)
    error, counts = calibration_by_hand(probabilities, labels)
    assert report.calibration_error == pytest.approx(error, abs=1e-9)
    assert 0.01 < error < 0.5
    assert {i: found.images for i, found in enumerate(report.calibration) if found.images} == counts


def test_calibration_bins_by_hand():
    confidence = np.array([0.5, 0.5, 0.75, 1.0])
    report = tallied(
        blank(4), np.array([0, 1, 0, 0]), one_hot_like([0] * 4, confidence), names="abc"
    )
    found = {i: b for i, b in enumerate(report.calibration) if b.images}
    assert {i: (b.images, b.confidence, b.accuracy) for i, b in found.items()} == {
        7: (2, 0.5, 0.5),
        11: (1, 0.75, 1.0),
        14: (1, 1.0, 1.0),
    }
    assert report.calibration_error == pytest.approx(0.25 / 4)
    assert len(report.calibration) == 15
    empty = report.calibration[3]
    assert (empty.lower, empty.upper) == (pytest.approx(3 / 15), pytest.approx(4 / 15))
    assert empty.confidence is empty.accuracy is None


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    edge = np.linspace(0, 1, 16)[9]
    for confidence, place in ((edge, 8), (np.nextafter(edge, 1), 9)):
        row = np.array([[confidence, 1 - confidence]])
        report = tallied(blank(1), np.array([0]), row, names="ab")
        assert [i for i, found in enumerate(report.calibration) if found.images] == [place]


def test_as_dict_is_json_and_tells_all():
    images, labels, probabilities = predictions([0, 1, 2, 4, 5, 6])
    report = tallied(images, labels, probabilities, worst=2)
    found = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert found == report.as_dict()
    assert found["confusion_matrix"] == report.confusion.tolist()
    assert found["confusion_matrix_by_row"][3] == [0] * 7
    assert [c["name"] for c in found["classes"]] == [s.name for s in report.worst_first]
    assert found["mistakes"][0].keys() == {
        "index", "true", "predicted", "probability", "true_probability",
    }  # fmt: skip
    assert len(found["calibration"]) == 15


def without(array, place, value):
    changed = array.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, p: (x, y, p[:, :6]), r"probabilities: .* \[523, 7\], .* \[523, 6\]"),
        (lambda x, y, p: (x, y, p[:-1]), r"probabilities: .* \[523, 7\], .* \[522, 7\]"),
        (lambda x, y, p: (x, y, p.astype(int)), "probabilities: .* float32 .* int64"),
        (lambda x, y, p: (x, without(y, 9, 7), p), "labels: .* 0 to 6, found 7 at image 532"),
        (lambda x, y, p: (x, without(y, 9, -1), p), "labels: .* found -1 at image 532"),
        (lambda x, y, p: (x, y.astype(float), p), r"labels: .* integers \[523\], found float64"),
        (lambda x, y, p: (x, y[:, None], p), r"labels: .* found int32 \[523, 1\]"),
        (lambda x, y, p: (x[:-1], y, p), r"labels: expected integers \[522\]"),
        (lambda x, y, p: (x / 255, y, p), "images: expected uint8 .* found float64"),
        (lambda x, y, p: (x.reshape(-1, 784), y, p), r"images: .* found uint8 \[523, 784\]"),
        (lambda x, y, p: (x, y, without(p, (4, 2), np.nan)), "probabilities: .* at image 527"),
        (lambda x, y, p: (x, y, without(p, (4, 2), -0.1)), "probabilities: .* at image 527"),
        (lambda x, y, p: (x, y, np.log(p)), "probabilities: .* 0 to 1, .* found -"),
        (lambda x, y, p: (x, y, p * 2), "probabilities: .* adding up to 2, at image 523"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_line_and_counts_nothing(change, message):
    data = predictions()
    tally = Tally(NAMES)
    tally.add(*data)
    before = tally.report().as_dict()
    with pytest.raises(ValueError, match="^" + message) as caught:
        tally.add(*change(*data))
    assert "\n" not in str(caught.value)
    assert tally.report().as_dict() == before


def test_labels_of_any_integer_type_do_not_overflow():
    labels = np.array([16, 2], np.uint8)  # 16 * 17 is more than a uint8 holds
    report = tallied(blank(2), labels, one_hot_like([16, 2], [0.9] * 2, 17), names="a" * 17)
    assert report.accuracy == 1


def test_nothing_to_report():
    with pytest.raises(ValueError, match="^a report needs at least one image"):
        Tally(NAMES).report()
    with pytest.raises(ValueError, match="^class_names: expected at least one"):
        Tally([])


def test_a_report_stays_as_it_is_when_more_is_added():
    tally = Tally(NAMES)
    tally.add(*predictions())
    first = tally.report()
    before = first.as_dict()
    tally.add(*predictions(seed=6))
    assert first.as_dict() == before
    assert tally.report().images == 2 * SIZE
