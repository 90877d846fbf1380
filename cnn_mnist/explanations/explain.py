"""Why a network decides as it does: maps, layers and neighbours of pictures, on one page.

Axes: B pictures, H height, W width, C channels, K classes, k neighbours.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnn_mnist.checkpoints import record
from cnn_mnist.data import limits
from cnn_mnist.data.dataset import Dataset, Split
from cnn_mnist.data.form import Form
from cnn_mnist.explanations.shown import Filters, Shown
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console, pages
from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.files import write_files
from cnn_mnist.utils.painter import Painter

if TYPE_CHECKING:  # they load TensorFlow
    from cnn_mnist.explanations.nearest import Neighbours
    from cnn_mnist.explanations.network import OpenNetwork

FIGURES = "cnn_mnist.explanations.figures"  # which loads matplotlib, where it draws
FOLDER = "explain"  # below the model_dir
PAGE = "explain.html"
TITLE = "Look inside"
MISTAKES = 12  # of the test images
NEIGHBOURS = 6
STALE = ("picture_*.png", "events.out.tfevents.*")  # of an earlier page


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why a network decides as it does. A notebook shows it as the page `explain.html`.

    Each picture is explained for two classes: the predicted one; and the true one where that is
    another, or else the next most probable.

    Attributes:
      form: what the images are, and the names of the classes.
      images: `uint8 [B, H, W]`, or `[B, H, W, 3]`.
      names: of the pictures, B.
      labels: `int64 [B]`; None where they are not known.
      classes: `int64 [B]`, the most probable.
      probabilities: `float32 [B, K]`.
      explained: `int64 [B, 2]`, the two classes.
      integrated_gradients: `float32 [B, 2, H, W]`, what each pixel adds to the score of each.
      gaps: `float64 [B, 2]`, by how much these add up to less than the whole.
      occlusion: `float32 [B, 2, H, W]`, how much the scores fall where a pixel is covered.
      activations: `float32 [B, ...]`, the output of each layer, by its name.
      filters: of the first layer.
      neighbours: the nearest training images in the last hidden layer.
      step, checkpoint: the checkpoint's global step, and its prefix.
      seconds: how long it took, without TensorFlow's start.
      page: the file `explain.html`, beside which are the figures and the projector's files.
    """

    form: Form
    images: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray | None
    classes: np.ndarray
    probabilities: np.ndarray
    explained: np.ndarray
    integrated_gradients: np.ndarray
    gaps: np.ndarray
    occlusion: np.ndarray
    activations: dict[str, np.ndarray]
    filters: list[Filters]
    neighbours: Neighbours
    step: int
    checkpoint: str
    seconds: float
    page: Path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.images)} pictures at step {self.step:,}>"

    def _repr_html_(self) -> str:
        return pages.frame(self.page.read_text(encoding="utf-8"), TITLE)


@dataclasses.dataclass(frozen=True, eq=False)
class _Asked:
    """What is to be explained."""

    images: np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...]


def explain(
    model_dir: str | Path = "model_dir",
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    recipe: str | Recipe | None = None,
    checkpoint: str | None = None,
    data: Dataset | None = None,
    data_dir: str | None = None,
    class_names: Sequence[str] | None = None,
    out: str | Path | None = None,
) -> Explanation:
    """Shows what decides on pictures, what each layer makes of one, and what is taken for alike.

    On disk it leaves a folder with the page, its figures, and the files of TensorBoard's embedding
    projector for 2,000 test images; all of them or none.

    Args:
      model_dir: the folder of a training.
      images: `uint8 [B, H, W]` or `[B, H, W, 3]`, as those of the training; None for the most
        confident mistakes among the test images, or, if there is none, the least certain ones.
      labels: integers `[B]`, the true classes of `images`; None where they are not known.
      names: what the images are called on the page; None for numbers.
      recipe: what was trained there; None for what is noted there.
      checkpoint: the prefix of another checkpoint than the newest whole one.
      data: the images of training and test; None for those of `data_dir`.
      data_dir: a folder that `load` can read; None for the MNIST inside the package.
      class_names: in the order of the labels; None for those of the data, or, if these are mere
        numbers, those noted in `model_dir`.
      out: the folder to write into; None for `model_dir/explain`.

    Raises:
      CheckpointError: no checkpoint can be used.
      RecordError: data of another form than that which was trained on.
      DatasetError: data that cannot be read.
      InputError: images or labels that do not fit, or a network whose scores have no gradient.
      OSError: the folder cannot be written.
    """
    model_dir = str(model_dir)
    known, data = record.trained(model_dir, recipe, data, data_dir, class_names)
    form = data.form
    asked = None if images is None else _checked(images, labels, names, form)
    folder = Path(model_dir) / FOLDER if out is None else Path(out)
    with Painter() as painter, console.shown(progress=False):
        from cnn_mnist.checkpoints import restore
        from cnn_mnist.explanations.network import OpenNetwork

        checkpoint = checkpoint or restore.newest(known, model_dir, form)
        begun = time.monotonic()
        with OpenNetwork(known, checkpoint, form) as network:
            shown = asked or _mistakes(network, data.test)
            found = _explained(network, shown, data, checkpoint, folder / PAGE)
            files = _files(network, found, data.test, painter)
        there = [path for glob in STALE for path in folder.glob(glob)]
        written = write_files(folder, files)
        for path in set(there) - set(written):
            path.unlink(missing_ok=True)
    return dataclasses.replace(found, seconds=time.monotonic() - begun)


def _checked(
    images: np.ndarray, labels: np.ndarray | None, names: Sequence[str] | None, form: Form
) -> _Asked:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] not in limits.item_shapes(form)[:2]:
        expected = ", ".join(map(str, form.image_shape))
        found = f"{images.dtype} {list(images.shape)}"
        raise InputError(f"images: expected uint8 [B, {expected}], found {found}")
    images = images.reshape(len(images), *form.image_shape)
    if not len(images):
        raise InputError("images: expected at least one, found none")
    if labels is not None:
        labels = np.asarray(labels)
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            found = f"{labels.dtype} {list(labels.shape)}"
            raise InputError(f"labels: expected {len(images)} integers, found {found}")
        if labels.min() < 0 or labels.max() >= form.num_classes:
            found = f"{labels.min()} to {labels.max()}"
            raise InputError(f"labels: expected 0 to {form.num_classes - 1}, found {found}")
        labels = labels.astype(np.int64)
    if names is not None and len(names) != len(images):
        raise InputError(f"names: expected {len(images)}, one for each image, found {len(names)}")
    called = names or [f"picture {number}" for number in range(1, len(images) + 1)]
    return _Asked(images, labels, tuple(map(str, called)))


def _mistakes(network: OpenNetwork, test: Split) -> _Asked:
    """The most confident mistakes, the most confident first; or else the least certain images."""
    probabilities = network.probabilities(test.images)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != test.labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")]
    chosen = (order if order.size else np.argsort(confidence, kind="stable"))[:MISTAKES]
    names = tuple(f"test image {index:,}" for index in chosen)
    return _Asked(test.images[chosen], test.labels[chosen].astype(np.int64), names)


def _explained(
    network: OpenNetwork, asked: _Asked, data: Dataset, checkpoint: str, page: Path
) -> Explanation:
    from cnn_mnist.explanations import maps, nearest

    images, form = asked.images, network.form
    probabilities = network.probabilities(images)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    predicted, second = order[:, 0], order[:, 1]
    if asked.labels is not None:
        second = np.where(asked.labels != predicted, asked.labels, second)
    explained = np.stack([predicted, second], axis=1)  # [B, 2]
    weights = maps.one_hot(explained.ravel(), form.num_classes)
    twice = np.repeat(images, 2, axis=0)
    gradients, gaps = maps.integrated_gradients(network, twice, weights)
    covered = maps.occlusion(network, twice, weights)
    shape = (len(images), 2, form.height, form.width)
    return Explanation(
        form=form,
        images=images,
        names=asked.names,
        labels=asked.labels,
        classes=predicted,
        probabilities=probabilities,
        explained=explained,
        integrated_gradients=gradients.reshape(shape),
        gaps=gaps.reshape(-1, 2),
        occlusion=covered.reshape(shape),
        activations=network.activations(images),
        filters=network.filters,
        neighbours=nearest.neighbours(network, images, data.train, NEIGHBOURS),
        step=network.step,
        checkpoint=checkpoint,
        seconds=0.0,
        page=page,
    )


def _files(
    network: OpenNetwork, found: Explanation, test: Split, painter: Painter
) -> dict[str, bytes]:
    """Everything that is written, by name."""
    from cnn_mnist.explanations import nearest, projector
    from cnn_mnist.explanations.page import page
    from cnn_mnist.utils import image_events

    class_names = found.form.class_names
    drawn = {
        f"picture_{place + 1:02}": painter.draw(FIGURES, "picture", _shown(found, place))
        for place in range(len(found.images))
    }
    if found.filters:
        drawn["filters"] = painter.draw(FIGURES, "filters", found.filters)
    layers = {name: values[0] for name, values in found.activations.items()}
    title = f"What the layers make of {found.names[0]}"
    shown = (found.images[0], layers, class_names, title)
    drawn["activations"] = painter.draw(FIGURES, "activations", *shown)

    indices = nearest.evenly(len(test), projector.IMAGES)
    images = test.images[indices]
    predicted = network.probabilities(images).argmax(axis=1)
    files = projector.files(
        network.hidden(images),
        images,
        test.labels[indices],
        predicted,
        indices,
        class_names,
    )
    pictures = {name: figure.result() for name, figure in drawn.items()}
    files |= {f"{name}.png": picture for name, picture in pictures.items()}
    files |= image_events.event_file(pictures, found.step, FOLDER)
    return files | {PAGE: page(found, pictures, TITLE).encode()}


def _shown(found: Explanation, place: int) -> Shown:
    """What the figure of a picture shows."""
    names, near = found.form.class_names, found.neighbours
    predicted, second = found.explained[place].tolist()
    true = None if found.labels is None else int(found.labels[place])
    probabilities = found.probabilities[place]
    order = np.argsort(-probabilities, kind="stable")[: min(4, len(names))]
    title = f"{found.names[place]}: {verdict(found, place)}"
    return Shown(
        title=title,
        image=found.images[place],
        classes=(
            (names[predicted], "predicted" if true != predicted else "predicted, true"),
            (names[second], "true" if true == second else "runner-up"),
        ),
        probabilities=[(names[k], float(probabilities[k])) for k in order],
        gradients=found.integrated_gradients[place],
        occlusions=found.occlusion[place],
        neighbours=list(near.images[place]),
        labels=[names[k] for k in near.labels[place]],
        distances=near.distances[place].tolist(),
    )


def verdict(found: Explanation, place: int) -> str:
    """What became of a picture: `a 4, taken for 9`, in the classes' names."""
    names, predicted = found.form.class_names, int(found.classes[place])
    if found.labels is None:
        return f"taken for {names[predicted]}"
    true = int(found.labels[place])
    if true == predicted:
        return f"{names[true]}, and taken for it"
    return f"{names[true]}, taken for {names[predicted]}"
