"""The report as one HTML page that needs nothing else: no script, no network, no other file."""

import base64
from collections.abc import Mapping
from html import escape

from cnn_mnist.evaluation.entries import OF_ALL, OF_CLASS
from cnn_mnist.evaluation.metrics import Report

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

_STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --soft: #57606a; --card: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3d444d; --soft: #9da7b3; --card: #161b22; }
  body { background: #0d1117; color: #e6edf3; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem;
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.4rem; }
p { margin: 0 0 1rem; max-width: 45rem; color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.75rem;
  margin: 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: 0.5rem;
  padding: 0.6rem 0.8rem; }
dt { color: var(--soft); font-size: 0.85rem; }
dd { margin: 0; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; max-width: 12rem; }
thead th { color: var(--soft); font-weight: 600; }
@media (max-width: 32rem) {
  th, td { padding: 0.3rem 0.4rem; font-size: 0.85rem; }
  th:first-child { padding-left: 0; max-width: 6rem; }
}
img { display: block; width: 100%; min-width: 32rem; max-width: 48rem; height: auto;
  background: white; border: 1px solid var(--line); border-radius: 0.5rem; }
"""


def page(report: Report, pictures: Mapping[str, bytes], title: str) -> str:
    """The page.

    Args:
      pictures: PNG files: `confusion_matrix`, `mistakes`, `calibration`, `learning_curves`.
      title: its heading; any text.
    """
    cards = "".join(
        f"<div><dt>{metric.name}</dt><dd>{metric.text(report)}</dd></div>\n" for metric in OF_ALL
    )
    sections = ""
    for heading, name, explanation in _SECTIONS:
        if name == "classes":
            shown = _class_table(report)
        else:
            data = base64.b64encode(pictures[name]).decode()
            shown = f'<img alt="{escape(heading)}" src="data:image/png;base64,{data}">'
        sections += (
            f"<section>\n<h2>{escape(heading)}</h2>\n<p>{escape(explanation)}</p>\n"
            f'<div class="wide" tabindex="0">{shown}</div>\n</section>\n'
        )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<dl>\n{cards}</dl>\n{sections}</body>\n</html>\n"
    )


def _class_table(report: Report) -> str:
    names = ("class", *(metric.name for metric in OF_CLASS))
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = ""
    for score in report.worst_first:
        cells = "".join(f"<td>{metric.text(score)}</td>" for metric in OF_CLASS)
        rows += f'<tr><th scope="row">{escape(score.name)}</th>{cells}</tr>\n'
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"
