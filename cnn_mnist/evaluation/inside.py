"""What the report shows of the inside of the network; `--mode=explain` shows more."""

import logging
from collections.abc import Sequence

import numpy as np

from cnn_mnist.evaluation.metrics import Mistake
from cnn_mnist.explanations import figures, maps
from cnn_mnist.explanations.network import OpenNetwork
from cnn_mnist.utils import drawing
from cnn_mnist.utils.errors import InputError

MISTAKES = 12
STEPS = 32  # of integrated gradients: maps are within 3 % of those of 2,048 steps (recipe `fast`)

log = logging.getLogger(__name__)


def pictures(network: OpenNetwork, mistakes: Sequence[Mistake]) -> dict[str, bytes]:
    """PNG files: `explained`, of the first mistakes, and `filters`; those that can be drawn."""
    drawn = {}
    try:
        if mistakes:
            drawn["explained"] = drawing.png(figures.compared(_compared(network, mistakes)))
    except InputError as error:
        log.warning("the report has no maps of its mistakes: %s", error)
    if network.filters:
        drawn["filters"] = drawing.png(figures.filters(network.filters))
    return drawn


def _compared(network: OpenNetwork, mistakes: Sequence[Mistake]) -> list[figures.Compared]:
    mistakes, names = mistakes[:MISTAKES], network.form.class_names
    true, predicted = np.array([[each.true, each.predicted] for each in mistakes]).T
    classes = network.form.num_classes
    weights = maps.one_hot(predicted, classes) - maps.one_hot(true, classes)
    images = np.stack([each.image for each in mistakes])
    drawn, _ = maps.integrated_gradients(
        network, images, weights, steps=STEPS, tolerance=float("inf")
    )
    return [
        figures.Compared(
            each.image, found, names[each.true], names[each.predicted], each.probability
        )
        for each, found in zip(mistakes, drawn, strict=True)
    ]
