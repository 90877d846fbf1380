"""Tests of folders of pictures."""

import numpy as np
import pytest
from format_files import examples, png, put
from mnist_files import failure
from PIL import Image

from cnn_mnist.data.formats import table
from cnn_mnist.data.formats.parts import SEED

NAMES = ("10", "2", "cat")  # in the order of their labels below: 2, 10, cat


def folders(images, labels, below="", kind="PNG", suffix="png", **options):
    """The pictures by their names; label 0 is 2, label 1 is 10, label 2 is cat."""
    names = ("2", "10", "cat")
    return {
        f"{below}{names[label]}/{number}.{suffix}": png(image, kind, **options)
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    }


def by_class(made, split):
    """Images and labels in the order of the folders."""
    order = np.argsort(made[f"y_{split}"], kind="stable")
    return made[f"x_{split}"][order], made[f"y_{split}"][order]


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "testing")])
@pytest.mark.parametrize("above", ["", "mnist_png/"])
@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_train_and_test_folders(tmp_path, names, above, kind):
    made = examples()
    for split, name in zip(("train", "test"), names, strict=True):
        arrays = made[f"x_{split}"], made[f"y_{split}"]
        put(tmp_path, folders(*arrays, f"{above}{name}/", kind))
    data = table.read(tmp_path)
    assert data.reading.form.class_names == ("2", "10", "cat")
    assert data.told == ()
    images, labels = by_class(made, "test")
    np.testing.assert_array_equal(data.splits["test"].images, images)
    np.testing.assert_array_equal(data.splits["test"].labels, labels)
    images, labels = by_class(made, "train")
    order = np.random.RandomState((SEED, 1)).permutation(14)
    np.testing.assert_array_equal(data.splits["train"].images, images[order])
    np.testing.assert_array_equal(data.splits["train"].labels, labels[order])


def test_classes_alone_get_test_images_set_aside(tmp_path):
    made = examples()
    put(tmp_path, folders(made["x_train"], made["y_train"]))
    data = table.read(tmp_path)
    assert (len(data.splits["train"]), len(data.splits["test"])) == (12, 2)
    images = np.concatenate([data.splits["train"].images, data.splits["test"].images])
    assert {i.tobytes() for i in images} == {i.tobytes() for i in made["x_train"]}
    for split in data.splits.values():  # each image kept its label
        for image, label in zip(split.images, split.labels, strict=True):
            index = np.flatnonzero((made["x_train"] == image).all(axis=(1, 2)))[0]
            assert made["y_train"][index] == label
    assert "2 of the 14 images" in data.told[0]


def test_validation_folders_are_used_as_they_are(tmp_path):
    made = examples()
    for split in ("train", "test"):
        put(tmp_path, folders(made[f"x_{split}"], made[f"y_{split}"], f"{split}/"))
    put(tmp_path, folders(made["x_test"][::-1], made["y_test"][::-1], "val/"))
    data = table.read(tmp_path)
    assert len(data.splits["validation"]) == 6
    assert np.bincount(data.splits["validation"].labels).tolist() == [2, 2, 2]


def test_colour_if_any_picture_has_colour(tmp_path):
    made = examples()
    files = folders(made["x_train"], made["y_train"])
    colour = np.stack([made["x_test"][0]] * 3, axis=-1)
    put(tmp_path, {**files, "cat/extra.png": png(colour)})
    data = table.read(tmp_path)
    assert data.reading.form.channels == 1
    assert "stored in three channels but are grey" in data.told[0]
    colour[2, 3] = (1, 2, 3)
    put(tmp_path, {"cat/extra.png": png(colour)})
    data = table.read(tmp_path)
    assert data.reading.form.image_shape == (9, 11, 3)
    images = np.concatenate([split.images for split in data.splits.values()])
    assert (images == colour).all(axis=(1, 2, 3)).sum() == 1


def test_other_sizes_are_scaled_and_told(tmp_path):
    made = examples()
    files = folders(made["x_train"], made["y_train"])
    flat = np.full((20, 30), 77, np.uint8)
    put(tmp_path, {**files, "cat/large.png": png(flat)})
    data = table.read(tmp_path)
    told = "have 2 sizes, 9 to 20 pixels high and 11 to 30 wide: 1 are scaled to 9 x 11"
    assert told in data.told[0]
    images = np.concatenate([split.images for split in data.splits.values()])
    assert (images == 77).all(axis=(1, 2)).sum() == 1
    for name, size in (("a/1", (40, 100)), ("a/2", (90, 44)), ("b/1", (48, 52)), ("b/2", (70, 80))):
        put(tmp_path / "mixed", {f"{name}.png": png(np.full(size, 9, np.uint8))})
    data = table.read(tmp_path / "mixed")
    assert data.reading.form.image_shape == (52, 52)  # the median side


def test_jpeg_orientation_transparency_and_depth(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.repeat(np.arange(0, 240, 30, dtype=np.uint8)[:, None], 16, axis=1)
    clear = np.zeros((16, 8, 4), np.uint8)
    deep = (np.arange(128).reshape(16, 8) * 500).astype(np.uint16)
    put(
        tmp_path,
        {
            "a/1.jpg": png(ramp, "JPEG", exif=exif, quality=95),
            "a/2.png": png(clear),
            "b/1.png": png(deep),
            "b/2.png": png(np.zeros((16, 8), np.uint8)),
        },
    )
    data = table.read(tmp_path)
    assert data.reading.form.image_shape == (16, 8)
    images = np.concatenate([split.images for split in data.splits.values()]).astype(int)
    turned = np.rot90(ramp, -1)
    assert min(abs(image - turned).max() for image in images) < 12
    assert (images == 255).all(axis=(1, 2)).sum() == 1  # transparent: white
    right = np.rint(deep * (255 / 65535))
    assert min(abs(image - right).max() for image in images) == 0


def test_damaged_pictures_are_refused_by_name(tmp_path):
    made = examples()
    files = folders(made["x_train"], made["y_train"])
    name = next(iter(files))
    for content, found in (
        (b"", "an empty file"),
        (b"%PDF-1.7" + bytes(50), "another kind of file, or a damaged one"),
        (files[name][:-30], "a damaged file"),
        (files[name][:60] + b"\0" + files[name][61:], "a damaged file, a wrong checksum"),
    ):
        message = failure(table.read, put(tmp_path, {**files, name: content}))
        start = f"{tmp_path / name}: expected a PNG, JPEG or BMP picture, found {found}"
        assert message.startswith(start)
        assert message.endswith("; replace it by a good copy, or remove it")


def test_too_large_pictures_are_refused(tmp_path, monkeypatch):
    from cnn_mnist.data import pictures

    made = examples()
    put(tmp_path, folders(made["x_train"], made["y_train"]))
    monkeypatch.setattr(pictures, "MAX_VALUES", 14 * 99 - 1)
    message = failure(table.read, tmp_path)
    assert "expected at most 1385 values in all pictures, found [14, 9, 11, 1];" in message
    monkeypatch.setattr(pictures, "MAX_PIXELS", 98)
    message = failure(table.read, tmp_path)
    assert "expected at most 98 pixels, found 11 x 9; scale it down" in message


def test_what_is_no_class_is_told_or_refused(tmp_path):
    made = examples()
    files = folders(made["x_train"], made["y_train"])
    more = {"cat/a.webp": b"", "loose.png": b"", "cat/notes.txt": b"", "cat/._1.png": b""}
    data = table.read(put(tmp_path, {**files, **more}))
    assert "1 picture is no PNG, JPEG or BMP and left out, such as cat/a.webp" in data.told
    assert "1 picture is in no class's folder and left out, such as loose.png" in data.told
    put(tmp_path / "split", {f"train/{n}": c for n, c in files.items()} | {"test/1.png": b""})
    message = failure(table.read, tmp_path / "split")
    assert "expected pictures in folders of their class, found test/1.png; put" in message
    put(tmp_path / "deep", {**files, "cat/more/1.png": b"", "cat/less/2.png": b""})
    message = failure(table.read, tmp_path / "deep")
    assert "expected all folders of classes side by side, or below train" in message
    put(tmp_path / "only", {f"test/{n}": c for n, c in files.items()})
    message = failure(table.read, tmp_path / "only")
    assert "expected a folder named train, found only test; add it" in message
