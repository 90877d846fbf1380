"""A folder of pictures for each class, below folders of train, test and validation or without them.

    train/cat/1.png  train/dog/7.jpg  test/cat/2.png

A class is named by its folder. Its number is the folder's place among the names, in the order in
which people count: 2 before 10.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnn_mnist.data import pictures
from cnn_mnist.data.formats.parts import SEED, Part, Parts
from cnn_mnist.data.places import File, Place, natural
from cnn_mnist.data.sources import MAX_EXAMPLES, Array
from cnn_mnist.data.splits import permutation

SPLITS = {  # name of a folder, in small letters -> the split that is in it
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
OTHERS = (".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".npy")  # pictures that are not read


def claims(place: Place) -> list[File]:
    """The pictures of a place, if they are in at least two folders."""
    files = [f for f in place.files if f.base.lower().endswith(pictures.SUFFIXES) and f.folder]
    classes = {f.folder.rpartition("/")[2] for f in files}
    return files if len(classes - SPLITS.keys()) > 1 else []


def read(place: Place) -> Parts:
    """Reads all pictures; those for training are mixed, always in the same way.

    Raises:
      DatasetError: pictures that are in no class's folder, or a picture that cannot be read.
    """
    files = claims(place)
    if len(files) > MAX_EXAMPLES:
        raise place.error(f"at most {MAX_EXAMPLES} pictures", f"{len(files)}", "take fewer")
    found: dict[str, list[File]] = {}
    above = None
    for file in files:
        split, name, rest = _place_of(file)
        if name.lower() in SPLITS or not name:
            remedy = "put the pictures of each class into a folder of its own in there"
            raise place.error("pictures in folders of their class", f"{file.name}", remedy)
        here = (rest, bool(split))
        above = above or (here, file)
        if here != above[0]:
            raise place.error(
                "all folders of classes side by side, or below train, test and validation",
                f"{above[1].name} and {file.name}",
                "give --data_dir the folder of one data set, or move what does not belong to it",
            )
        found.setdefault(split or "train", []).append(file)
    if "train" not in found:
        names = ", ".join(sorted(found))
        raise place.error("a folder named train", f"only {names}", "add it")
    return _parts(place, {s: found[s] for s in ("train", "validation", "test") if s in found})


def _place_of(file: File) -> tuple[str, str, str]:
    """The split that a picture is in (empty: none), its class, and the folders above both."""
    *above, name = file.folder.split("/")
    split = SPLITS.get(above[-1].lower(), "") if above else ""
    return split, name, "/".join(above[:-1] if split else above)


def _parts(place: Place, found: dict[str, list[File]]) -> Parts:
    classes = sorted({_place_of(f)[1] for files in found.values() for f in files}, key=natural)
    numbers = {name: number for number, name in enumerate(classes)}
    # The first training images may become the validation split, so classes must not come in turn.
    found["train"] = [found["train"][i] for i in permutation(len(found["train"]), SEED, 1)]
    every = [file for files in found.values() for file in files]
    images, told = pictures.stack(every)
    splits: dict[str, Part] = {}
    start = 0
    for split, files in found.items():
        labels = np.array([numbers[_place_of(file)[1]] for file in files], np.int32)
        splits[split] = Part(
            Array(images[start : start + len(files)], files[0].source()),
            Array(labels, files[0].source()),
        )
        start += len(files)
    told += _told_left_out(
        [f for f in place.files if f.base.lower().endswith(OTHERS)], "no PNG, JPEG or BMP"
    )
    loose = [f for f in place.files if f.base.lower().endswith(pictures.SUFFIXES) and not f.folder]
    told += _told_left_out(loose, "in no class's folder")
    return Parts(splits, dict(enumerate(classes)), told=told)


def _told_left_out(files: Sequence[File], why: str) -> list[str]:
    if not files:
        return []
    what = f"{len(files):,} pictures are" if len(files) > 1 else "1 picture is"
    return [f"{what} {why} and left out, such as {files[0].name}"]
