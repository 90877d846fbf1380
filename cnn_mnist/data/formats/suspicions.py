"""What looks wrong with a data set, said in one line each. Nothing is changed because of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.formats import idx
from cnn_mnist.data.places import file_on_disk
from cnn_mnist.data.splits import Split

EMBEDDED = Path(__file__).parent.parent / "mnist"
DARK = 64  # of 255; images of which none is brighter
BRIGHT, MOST = 192, 0.9  # of a border pixel of light paper; share of images that have such
# How alike classes' mean images must be to MNIST's (a correlation, over all classes), and how much
# more so when they are turned. MNIST's own: 0.99, and 0.59 turned; Fashion-MNIST's: 0.49 and 0.45.
ALIKE, MORE = 0.75, 0.1

Splits = dict[str, Split]


def suspicions(splits: Splits, form: Form) -> list[str]:
    """All lines that are to be said of a data set; none if nothing looks wrong."""
    return [line for look in (*LOOKS, _transposed) for line in look(splits, form)]


def _transposed(splits: Splits, form: Form) -> list[str]:
    """Compares the means of the classes 0 to 9 with those of MNIST's."""
    if form.image_shape != MNIST.image_shape or not set(MNIST.class_names) <= set(form.class_names):
        return []
    labels = [form.class_names.index(name) for name in MNIST.class_names]
    means = _means(splits["train"].images, splits["train"].labels, labels)
    upright = [
        idx.read_array(file_on_disk(name, EMBEDDED / f"{name}.gz"), kinds).values
        for name, kinds in ((idx.FILES["x_test"], idx.IMAGES), (idx.FILES["y_test"], idx.LABELS))
    ]
    wanted = _means(upright[0], upright[1], list(range(MNIST.num_classes)))
    as_is, turned = _correlation(means, wanted), _correlation(means.swapaxes(1, 2), wanted)
    if turned > ALIKE and turned > as_is + MORE:
        return ["the images look transposed: their rows may be columns"]
    return []


def _means(images: np.ndarray, labels: np.ndarray, classes: list[int]) -> np.ndarray:
    """The mean image of each class, float64 [K, H, W]; zeros where there is no image."""
    empty = np.zeros(images.shape[1:])
    chosen = [images[np.flatnonzero(labels == label)[:1000]] for label in classes]
    return np.stack([few.mean(axis=0) if len(few) else empty for few in chosen])


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    sizes = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / sizes) if sizes else 0.0


def _inverted(splits: Splits, form: Form) -> list[str]:
    """Grey images whose border is light, as paper is."""
    if form.channels > 1:
        return []
    images = splits["train"].images
    border = np.ones(form.image_shape, bool)
    border[1:-1, 1:-1] = False
    share = float((np.median(images[:, border], axis=1) >= BRIGHT).mean())
    if share < MOST:
        return []
    return [
        f"the images look inverted: the border of {share:.0%} is light, where MNIST's is dark (0)"
    ]


def _dark(splits: Splits, form: Form) -> list[str]:
    brightest = int(splits["train"].images.max())
    if not 0 < brightest < DARK:
        return []
    return [
        f"the images are dark: the brightest pixel is {brightest} of 255; if {brightest} is meant "
        "to be white, scale them"
    ]


def _constant(splits: Splits, form: Form) -> list[str]:
    lines = []
    for name, split in splits.items():
        flat = split.images.reshape(len(split), -1)
        same = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
        if same.size:
            lines.append(
                f"{same.size:,} of {len(split):,} {name} images are of one value, such as number "
                f"{same[0]}"
            )
    return lines


def _duplicated(splits: Splits, form: Form) -> list[str]:
    """Test images that are trained on, compared by their values."""
    known = {hash(image.tobytes()) for image in splits["train"].images}
    again = [hash(image.tobytes()) in known for image in splits["test"].images]
    if not any(again):
        return []
    return [
        f"{sum(again):,} of {len(again):,} test images are among the training images, such as "
        f"number {again.index(True)}"
    ]


def _one_label(splits: Splits, form: Form) -> list[str]:
    return [
        f"all {name} labels are one: {form.class_names[int(split.labels[0])]}"
        for name, split in splits.items()
        if (split.labels == split.labels[0]).all() and len(split) > 1
    ]


def _missing(splits: Splits, form: Form) -> list[str]:
    """Classes without an image to train on."""
    counts = np.bincount(splits["train"].labels, minlength=form.num_classes)
    names = [form.class_names[index] for index in np.flatnonzero(counts == 0)]
    if not names:
        return []
    few = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [f"there are no training images of {few}"]


def _rare(splits: Splits, form: Form) -> list[str]:
    """Classes of one image in a large set: a label may be wrong."""
    counts = np.bincount(splits["train"].labels, minlength=form.num_classes)
    names = [form.class_names[index] for index in np.flatnonzero(counts == 1)]
    if not names or len(splits["train"]) < 20 * form.num_classes:
        return []
    few = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [f"there is only one training image of {few}: is the label right?"]


def _sorted(splits: Splits, form: Form) -> list[str]:
    labels = splits["train"].labels
    if len(labels) < 2 * form.num_classes or (np.diff(labels) < 0).any() or labels[0] == labels[-1]:
        return []
    return [
        "the training images come class after class, so the first ones, which validation takes, "
        "are of few classes; mix them"
    ]


LOOKS: tuple[Callable[[Splits, Form], list[str]], ...] = (
    *(_inverted, _dark, _constant, _duplicated, _one_label, _missing, _rare, _sorted),
)
