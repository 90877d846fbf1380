"""The page, its arrays and files, as the door and the command give them."""

import io
import re
import shutil

import numpy as np
import pytest
from form_data import images_of
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from untrained import untrained

import cnn_mnist
from cnn_mnist import main
from cnn_mnist.data import dataset, limits
from cnn_mnist.explanations import explain, nearest, projector
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils.errors import InputError

RECIPE = Recipe(network="tfjs", optimizer="adam", learning_rate=0.01, batch_size=30, steps=20)


@pytest.fixture(scope="module")
def model_dir(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained") / "model_dir"
    cnn_mnist.train(RECIPE, folder, data=small, progress=False, log_every_n_iter=0)
    return folder


@pytest.fixture(scope="module")
def found(small, model_dir):
    (model_dir / "explain").mkdir()
    for name in ("picture_99.png", "events.out.tfevents.1.old", "mine.txt"):
        (model_dir / "explain" / name).write_text("")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(explain, "MISTAKES", 3)  # each takes its time to draw
        return cnn_mnist.explain(model_dir, data=small)


def test_the_most_confident_mistakes_are_explained_for_both_classes(small, model_dir, found):
    with cnn_mnist.Predictor(model_dir) as predictor:
        classes, probabilities = predictor.predict(small.test.images)
    wrong = np.flatnonzero(classes != small.test.labels)
    assert len(wrong) > 3
    order = wrong[np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")][:3]
    np.testing.assert_array_equal(found.images, small.test.images[order])
    np.testing.assert_array_equal(found.labels, small.test.labels[order])
    np.testing.assert_array_equal(found.explained, np.stack([classes[order], found.labels], 1))
    np.testing.assert_allclose(found.probabilities, probabilities[order], atol=1e-6)
    assert found.names[0] == f"test image {order[0]}"
    assert found.integrated_gradients.shape == found.occlusion.shape == (3, 2, 28, 28)
    assert np.abs(found.gaps).max() < 0.01
    assert (found.integrated_gradients[found.images[:, None].repeat(2, 1) == 0] == 0).all()
    assert found.activations["conv2d_1"].shape == (3, 8, 8, 16)
    assert found.filters[0].weights.shape == (5, 5, 1, 8)
    assert (found.step, found.checkpoint) == (20, str(model_dir / "model.ckpt-20"))


def test_neighbours_are_the_training_images_of_their_places(small, found):
    assert found.neighbours.indices.shape == (3, 6)
    near = found.neighbours
    np.testing.assert_array_equal(near.labels, small.train.labels[near.indices])
    np.testing.assert_array_equal(near.images, small.train.images[near.indices])
    assert (np.diff(near.distances, axis=1) >= 0).all()


def test_distances_and_even_choice():
    some, others = np.array([[0.0, 0], [3, 4]]), np.array([[0.0, 0], [3, 0], [6, 8]])
    np.testing.assert_allclose(nearest.squared(some, others), [[0, 9, 100], [25, 16, 25]])
    assert nearest.evenly(10, 4).tolist() == [0, 2, 5, 7]
    assert nearest.evenly(3, 4).tolist() == [0, 1, 2]


def test_neighbours_across_chunks_are_those_of_one_chunk(small, monkeypatch):
    class Network:
        def hidden(self, images):
            return images.reshape(len(images), -1).astype(np.float32)

    asked, examples = small.test.images[:5], small.train
    whole = nearest.neighbours(Network(), asked, examples, 7)
    monkeypatch.setattr(nearest, "CHUNK", 13)
    cut = nearest.neighbours(Network(), asked, examples, 7)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one, other)
    true = np.linalg.norm(asked[:, None].astype(float) - examples.images.astype(float), axis=(2, 3))
    np.testing.assert_array_equal(whole.indices, np.argsort(true, axis=1, kind="stable")[:, :7])


def test_the_page_and_its_pictures(model_dir, found):
    folder = model_dir / "explain"
    assert found.page == folder / "explain.html"
    page = found.page.read_text(encoding="utf-8")
    assert page.count("<img ") == 5 and "prefers-color-scheme: dark" in page
    assert "test image" in page and ", taken for " in page
    names = {path.name for path in folder.iterdir()}
    assert {f"picture_{k:02}.png" for k in range(1, 4)} | {"filters.png", "mine.txt"} <= names
    assert "picture_99.png" not in names  # of an earlier page
    assert len([name for name in names if "tfevents" in name]) == 1
    assert found._repr_html_().startswith("<iframe srcdoc=")
    assert repr(found) == "<Explanation of 3 pictures at step 20>"


def test_the_projectors_files_say_the_same_of_the_same_images(small, model_dir, found):
    folder = model_dir / "explain"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    assert vectors.shape == (67, 256)
    rows = [line.split("\t") for line in (folder / embedding.metadata_path).read_text().split("\n")]
    assert rows[0] == ["index", "true", "predicted", "right"] and rows[-1] == [""]
    assert [int(row[1]) for row in rows[1:-1]] == small.test.labels.tolist()
    assert {row[3] for row in rows[1:-1]} == {"yes", "no"}
    assert list(embedding.sprite.single_image_dim) == [28, 28]
    sheet = np.asarray(Image.open(folder / embedding.sprite.image_path))
    assert sheet.shape == (9 * 28, 9 * 28)
    np.testing.assert_array_equal(sheet[28:56, 56:84], small.test.images[11])


def test_large_sprites_and_long_vectors_are_made_smaller(monkeypatch):
    images = np.zeros([5, 20, 10, 3], np.uint8)
    images[4] = 200
    monkeypatch.setattr(projector, "SPRITE_SIDE", 30)
    file, size = projector.sprite(images)
    sheet = np.asarray(Image.open(io.BytesIO(file)))
    assert size == (10, 5) and sheet.shape == (30, 15, 3)
    assert (sheet[10:20, 5:10] == 200).all() and sheet[:10].max() == 0
    vectors = np.random.default_rng(0).normal(size=(6, 4000)).astype(np.float32)
    narrow = projector.narrowed(vectors)
    assert narrow.shape == (6, 512)
    np.testing.assert_allclose(
        nearest.squared(narrow, narrow), nearest.squared(vectors, vectors), rtol=0.3, atol=1
    )


def test_a_thousand_classes_in_colour_and_of_another_size(mnist, tmp_path):
    form = limits.numbered(9, 13, 3, 1000)
    pictures = images_of(mnist.test.images[:30], form)
    labels = np.arange(30, dtype=np.int32) * 33
    split = dataset.Split(pictures, labels)
    data = dataset.Dataset(split, split, split, form)
    untrained(RECIPE, tmp_path, form)
    found = cnn_mnist.explain(
        tmp_path, pictures[:1], labels[1:2], names=["$x_"], recipe=RECIPE, data=data,
        out=tmp_path / "here",
    )  # fmt: skip
    assert found.integrated_gradients.shape == (1, 2, 9, 13)
    assert found.labels.tolist() == found.explained[:, 1].tolist() == [33]
    assert found.page == tmp_path / "here" / "explain.html" and not (tmp_path / "explain").exists()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros([2, 28, 27], np.uint8), None, "images: expected uint8 [B, 28, 28], found uint8"),
        (np.zeros([2, 28, 28]), None, "images: expected uint8 [B, 28, 28], found float64"),
        (np.zeros([0, 28, 28], np.uint8), None, "images: expected at least one, found none"),
        (np.zeros([2, 28, 28], np.uint8), [1], "labels: expected 2 integers, found int64 [1]"),
        (np.zeros([2, 28, 28], np.uint8), [1, 10], "labels: expected 0 to 9, found 1 to 10"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(images, labels, message, small, model_dir, tmp_path):
    with pytest.raises(InputError) as raised:
        cnn_mnist.explain(model_dir, images, labels, data=small, out=tmp_path / "nothing")
    assert str(raised.value).startswith(message)
    assert not (tmp_path / "nothing").exists()


def test_the_command_explains_pictures_and_names_what_it_cannot_read(
    small_data_dir, model_dir, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("cnn_mnist.commands.MOST_EXPLAINED", 1)
    shutil.copytree(model_dir, tmp_path / "model_dir")
    for name, values in (("a.npy", np.eye(28)), ("b.npy", np.ones([28, 28]) - np.eye(28))):
        np.save(tmp_path / name, values)
    flags = [f"--model_dir={tmp_path / 'model_dir'}", f"--data_dir={small_data_dir}"]
    flags += ["--validation_size=37", "--mode=explain", "--preprocess=plain"]
    pictures = [f"--images={tmp_path}/*.npy", f"--images={tmp_path}/none.png"]
    assert main.main([*flags, *pictures]) == 2
    printed, told = capsys.readouterr()
    assert re.match(
        r"explained     1 pictures in \d+\.\d s\npage          \S+explain.html\n", printed
    )
    assert re.search(r"error: \S+none.png: found nothing of this name", told)
    assert "note: the first 1 of 2 pictures are explained" in told
    page = (tmp_path / "model_dir" / "explain" / "explain.html").read_text()
    assert "a.npy: taken for" in page and "b.npy" not in page
    assert main.main([*flags, "--images="]) == 2
    assert "--mode=explain: expected --images=PATH, found none" in capsys.readouterr().err
