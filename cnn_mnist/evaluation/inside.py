"""What the report shows of the inside of the network; `--mode=explain` shows more."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np

from cnn_mnist.evaluation.metrics import Mistake
from cnn_mnist.explanations import maps
from cnn_mnist.explanations.network import OpenNetwork
from cnn_mnist.explanations.shown import Compared
from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.painter import Painter

FIGURES = "cnn_mnist.explanations.figures"  # which loads matplotlib, where it draws
MISTAKES = 12
STEPS = 32  # of integrated gradients: maps are within 3 % of those of 2,048 steps (recipe `fast`)

log = logging.getLogger(__name__)


def draw(
    network: OpenNetwork, mistakes: Sequence[Mistake], painter: Painter
) -> dict[str, "Future[bytes]"]:
    """Has the figures drawn: `explained`, of the first mistakes, and `filters`; what there is."""
    drawn = {}
    if network.filters:
        drawn["filters"] = painter.draw(FIGURES, "filters", network.filters)
    try:
        if mistakes:
            drawn["explained"] = painter.draw(FIGURES, "compared", _compared(network, mistakes))
    except InputError as error:
        log.warning("the report has no maps of its mistakes: %s", error)
    return drawn


def _compared(network: OpenNetwork, mistakes: Sequence[Mistake]) -> list[Compared]:
    mistakes, names = mistakes[:MISTAKES], network.form.class_names
    true, predicted = np.array([[each.true, each.predicted] for each in mistakes]).T
    classes = network.form.num_classes
    weights = maps.one_hot(predicted, classes) - maps.one_hot(true, classes)
    images = np.stack([each.image for each in mistakes])
    drawn, _ = maps.integrated_gradients(
        network, images, weights, steps=STEPS, tolerance=float("inf")
    )
    return [
        Compared(each.image, found, names[each.true], names[each.predicted], each.probability)
        for each, found in zip(mistakes, drawn, strict=True)
    ]
