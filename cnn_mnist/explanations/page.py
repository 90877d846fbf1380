"""The page of an explanation."""

from collections.abc import Mapping

import numpy as np

from cnn_mnist.explanations.explain import Explanation, verdict
from cnn_mnist.utils import pages

_PICTURES = (
    "Which pixels decide, picture by picture",
    "Blue pixels speak for a class, orange ones against it. Integrated gradients (Sundararajan, "
    "Taly and Yan 2017) share the score of a class out to the pixels, so that all pixels together "
    "add up to the whole score, less that of an empty picture. Occlusion (Zeiler and Fergus 2014) "
    "covers a small square, and tells how much the score falls. Where both agree, trust them "
    "more. Below are the training images that are nearest in the last hidden layer: it took the "
    "picture for one of these.",
)
_FILTERS = (
    "What the first layer looks for",
    "Each filter is moved over the picture and answers most where the ink is as its blue pixels "
    "and the ground as its orange ones: many are edges and strokes of one direction. Of a dense "
    "layer each unit has one weight for each pixel of the picture, which is drawn in its place. "
    "In colour, mid-grey is a weight of 0.",
)
_ACTIVATIONS = (
    "How a picture passes through the layers",
    "Each row is a layer, with its name and the shape of its output; of convolutions each small "
    "picture is one filter's answer. From layer to layer the pictures tell less of where a stroke "
    "is, and more of which class it speaks for. The last row are the scores of the classes.",
)
_PROJECTOR = (
    "All test images at once",
    "TensorBoard's projector turns 2,000 test images about in three dimensions, near to each other "
    "where the last hidden layer takes them for alike: start TensorBoard on the model_dir, choose "
    "Projector at the top right, and colour by label. With t-SNE or UMAP the classes part.",
)


def page(found: Explanation, pictures: Mapping[str, bytes], title: str) -> str:
    """The page, in HTML.

    Args:
      pictures: PNG files: `picture_01`, ..., `filters` where there are any, and `activations`.
      title: its heading; any text.
    """
    gaps = np.abs(found.gaps).max()
    cards = [
        ("pictures", f"{len(found.images):,}"),
        ("step", f"{found.step:,}"),
        ("layers", f"{len(found.activations):,}"),
        ("left unexplained, at most", f"{gaps:.1g}"),
    ]
    each = [
        pages.picture(pictures[f"picture_{place + 1:02}"], f"{name}: {verdict(found, place)}")
        for place, name in enumerate(found.names)
    ]
    body = pages.section(*_PICTURES, *each)
    for name, told in (("filters", _FILTERS), ("activations", _ACTIVATIONS)):
        if name in pictures:
            body += pages.section(*told, pages.picture(pictures[name], told[0]))
    return pages.page(title, cards, body + pages.section(*_PROJECTOR))
