"""The report as one HTML page that needs nothing else: no script, no network, no other file."""

from collections.abc import Mapping
from html import escape

from cnn_mnist.evaluation.entries import OF_ALL, OF_CLASS
from cnn_mnist.evaluation.metrics import Report
from cnn_mnist.utils import pages

# Heading, the name of the section's figure or table, and what it shows, for a learner.
_SECTIONS = (
    (
        "Every class, the worst first",
        "classes",
        "Accuracy is the share of a class's own images that were recognised (its recall). "
        "Precision is the share that is right among all images taken for this class. F1 is their "
        "harmonic mean. A dash stands where there was nothing to take a share of.",
    ),
    (
        "What is taken for what",
        "confusion_matrix",
        "Each row holds the images of one true class, spread over the classes that were predicted. "
        "What is right is on the diagonal; every number off it is a mistake, and the darker, the "
        "more frequent.",
    ),
    (
        "The most confident mistakes",
        "mistakes",
        "Images on which the network was wrong and most sure of itself. Some would puzzle a person "
        "as well; some carry a doubtful label; the others show what it has not learned yet.",
    ),
    (
        "Why it was wrong",
        "explained",
        "Integrated gradients (Sundararajan, Taly and Yan 2017) share out to the pixels what made "
        "the network choose one class rather than the other. Blue pixels speak for the class that "
        "it took the image for, orange ones for the true class; each map has a scale of its own. "
        "More of this, with occlusion, layers and the nearest training images: --mode=explain.",
    ),
    (
        "What the first layer looks for",
        "filters",
        "Each filter answers most where the ink is as its blue pixels and the ground as its orange "
        "ones. In colour, mid-grey is a weight of 0.",
    ),
    (
        "What if the images were worse?",
        "robustness",
        "Test images with noise, blur and so on, each at three strengths. Bars that fall early "
        "show what the network has not learned to overlook.",
    ),
    (
        "Is it as sure as it should be?",
        "calibration",
        "Of the predictions made with a probability of 0.8, four in five should be right. Dots "
        "above the dashed line: more is right than the network claims. Dots below it: it claims "
        "too much. The expected calibration error is their mean distance from the line, each dot "
        "weighted by its images (Guo et al. 2017).",
    ),
    (
        "How it learned",
        "learning_curves",
        "Loss falls and accuracy rises with the steps of the training. Validation images are never "
        "trained on: where their loss rises again while that of the training falls, the network "
        "begins to learn its images by heart.",
    ),
)


def page(report: Report, pictures: Mapping[str, bytes], title: str) -> str:
    """The page.

    Args:
      pictures: PNG files: `confusion_matrix`, `mistakes`, `calibration`, `learning_curves`, and
        any of `explained`, `filters`, `robustness`.
      title: its heading; any text.
    """
    cards = [
        (metric.name, metric.text(report)) for metric in OF_ALL if metric.of(report) is not None
    ]
    sections = ""
    for heading, name, explanation in _SECTIONS:
        if name == "classes":
            sections += pages.section(heading, explanation, _class_table(report))
        elif name in pictures:
            sections += pages.section(heading, explanation, pages.picture(pictures[name], heading))
    return pages.page(title, cards, sections)


def _class_table(report: Report) -> str:
    names = ("class", *(metric.name for metric in OF_CLASS))
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = ""
    for score in report.worst_first:
        cells = "".join(f"<td>{metric.text(score)}</td>" for metric in OF_CLASS)
        rows += f'<tr><th scope="row">{escape(score.name)}</th>{cells}</tr>\n'
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"
