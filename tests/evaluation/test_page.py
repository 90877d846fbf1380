import base64
from html.parser import HTMLParser

import numpy as np
import pytest

from cnn_mnist.evaluation import metrics
from cnn_mnist.evaluation import page as pages
from cnn_mnist.evaluation.entries import OF_CLASS
from cnn_mnist.evaluation.page import page

NAMES = ['<script>alert("x")</script>', "a & b", "</style></table>", "'\"><img src=x onerror=y>"]
PICTURES = {
    name: b"\x89PNG " + name.encode()
    for name in ("confusion_matrix", "mistakes", "calibration", "learning_curves")
}
VOID = {"meta", "img"}


class Reader(HTMLParser):
    """Notes every element and every text, and that each element is closed."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.rows, self._open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("td", "th"):
            self.rows[-1].append(data)
        elif data.strip() and "style" not in self._open:
            self.texts.append(data.strip())

    def close(self):
        super().close()
        assert self._open == []


def read(source):
    reader = Reader()
    reader.feed(source)
    reader.close()
    return reader


@pytest.fixture
def report():
    labels = np.array([0, 0, 0, 1, 1, 2])
    probabilities = np.full([6, 4], 0.1, np.float32)
    probabilities[np.arange(6), [0, 1, 1, 1, 1, 2]] = 0.7
    tally = metrics.Tally(NAMES)
    tally.add(np.zeros([6, 28, 28], np.uint8), labels, probabilities)
    return tally.report()


def test_the_page_needs_nothing_else(report):
    source = page(report, PICTURES, "A title")
    reader = read(source)
    assert source.startswith("<!DOCTYPE html>")
    tags = [tag for tag, _ in reader.elements]
    assert not {"script", "link", "iframe", "object", "form", "a"} & set(tags)
    for _, attributes in reader.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert "href" not in attributes
    pictures = [a for tag, a in reader.elements if tag == "img"]
    head = "data:image/png;base64,"
    assert all(a["src"].startswith(head) and a["alt"] for a in pictures)
    assert {base64.b64decode(a["src"][len(head) :]) for a in pictures} == set(PICTURES.values())
    rest = source.replace("data:image", "")
    for outside in ("http", "//", "url(", "@import"):
        assert outside not in "".join(part for part in rest.split('"') if "base64" not in part)


def test_light_dark_and_phone(report):
    source = page(report, PICTURES, "A title")
    assert "color-scheme: light dark" in source and "prefers-color-scheme: dark" in source
    (viewport,) = [a for _, a in read(source).elements if a.get("name") == "viewport"]
    assert viewport["content"] == "width=device-width, initial-scale=1"


def test_names_and_title_are_text(report):
    reader = read(page(report, PICTURES, "<h1>&amp; $x"))
    assert reader.texts.count("<h1>&amp; $x") == 2  # title and heading
    assert [tag for tag, _ in reader.elements].count("h1") == 1
    assert [tag for tag, _ in reader.elements].count("img") == len(PICTURES)
    assert sorted(row[0] for row in reader.rows[1:]) == sorted(NAMES)


def test_the_table_has_the_numbers_worst_first(report):
    rows = read(page(report, PICTURES, "A title")).rows
    assert rows == [
        ["class", "accuracy", "precision", "F1", "images", "right"],
        [NAMES[0], "0.3333", "1.0000", "0.5000", "3", "1"],
        [NAMES[1], "1.0000", "0.5000", "0.6667", "2", "2"],
        [NAMES[2], "1.0000", "1.0000", "1.0000", "1", "1"],
        [NAMES[3], "-", "-", "-", "0", "0"],
    ]


def test_the_summary(report):
    texts = read(page(report, PICTURES, "A title")).texts
    for name, value in (("accuracy", "0.6667"), ("images", "6"), ("mistakes", "2")):
        assert texts[texts.index(name) + 1] == value
    assert texts[texts.index("loss (nats)") + 1] == f"{report.loss:.4f}"
    assert texts[texts.index("calibration error") + 1] == f"{report.calibration_error:.4f}"


def test_each_section_explains_itself(report):
    elements = [tag for tag, _ in read(page(report, PICTURES, "A title")).elements]
    assert elements.count("h2") == elements.count("p") == elements.count("section") == 5


def test_a_metric_as_people_read_it():
    def text(value, metric="accuracy"):
        of = next(found for found in OF_CLASS if found.name == metric)
        return of._replace(of=lambda score: value).text(None)

    assert [text(None), text(0.0), text(1), text(0.12344)] == ["-", "0.0000", "1.0000", "0.1234"]
    assert text(12_345, "images") == "12,345"


def test_a_metric_that_is_added_is_on_the_page(report, monkeypatch):
    halves = OF_CLASS[0]._replace(name="half", of=lambda score: score.images / 2)
    monkeypatch.setattr(pages, "OF_CLASS", (*OF_CLASS, halves))
    drawn = page(report, PICTURES, "title")
    assert '<th scope="col">half</th>' in drawn
    assert f"<td>{report.worst_first[0].images / 2:.4f}</td></tr>" in drawn
