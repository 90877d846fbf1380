import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from estimators import estimator_of
from PIL import Image

from cnn_mnist.checkpoints import restore
from cnn_mnist.data.input_fns import eval_input_fn
from cnn_mnist.exports import saved_model
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train
from cnn_mnist.utils.errors import InputError

RECIPE = Recipe(network="tfjs", optimizer="adam", learning_rate=0.01, batch_size=30, steps=20)


@pytest.fixture(scope="module")
def model_dir(small, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("trained"))
    train(RECIPE, folder, data=small, progress=False, log_every_n_iter=0)
    return folder


@pytest.fixture(scope="module")
def exported(small, model_dir, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("exported") / "deep" / "model")
    saved_model.saved_model(RECIPE, model_dir, folder, small.test.images[:3])
    return folder


@pytest.fixture(scope="module")
def predictions(small, model_dir):
    classifier = estimator_of(RECIPE, model_dir)
    return list(classifier.predict(eval_input_fn(small.test)))


def check(outputs, predictions):
    assert set(outputs) == {"classes", "probabilities"}
    assert outputs["classes"].dtype == tf.int64
    np.testing.assert_array_equal(outputs["classes"], [p["classes"] for p in predictions])
    expected = [p["probabilities"] for p in predictions]
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)


def test_raw_images(small, exported, predictions):
    serve = tf.saved_model.load(exported).signatures["serving_default"]
    images = serve.structured_input_signature[1]["images"]
    assert images.dtype == tf.uint8 and images.shape.as_list() == [None, 28, 28]
    check(serve(images=tf.constant(small.test.images)), predictions)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_encoded_images(small, exported, form):
    files, pictures = [], []
    for image in small.test.images[:9]:
        file = io.BytesIO()
        Image.fromarray(image).save(file, form)
        files.append(file.getvalue())
        pictures.append(np.asarray(Image.open(file)))  # JPEG loses a little
    signatures = tf.saved_model.load(exported).signatures
    expected = signatures["serving_default"](images=tf.constant(np.array(pictures)))
    got = signatures["encoded"](images=tf.constant(files))
    # Two decoders of JPEG may differ by one grey level.
    tolerance = 1e-6 if form == "PNG" else 0.01
    np.testing.assert_allclose(got["probabilities"], expected["probabilities"], atol=tolerance)


def test_encoded_images_of_other_sizes_and_colours_are_brought_to_28_by_28(small, exported):
    file = io.BytesIO()
    large = Image.fromarray(small.test.images[0]).resize((112, 56), Image.Resampling.NEAREST)
    large.convert("RGB").save(file, "PNG")
    raw = tf.saved_model.load(exported).signatures["serving_default"]
    encoded = tf.saved_model.load(exported).signatures["encoded"]
    expected = raw(images=tf.constant(small.test.images[:1]))["probabilities"]
    got = encoded(images=tf.constant([file.getvalue()]))["probabilities"]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.long  # ten seconds, most of them for imports
def test_saved_model_cli_runs_it(exported):
    cli = str(Path(sys.executable).parent / "saved_model_cli")
    command = [cli, "show", "--dir", exported, "--tag_set", "serve"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.findall(r'SignatureDef key: "(\w+)"', shown) == ["encoded", "serving_default"]
    ran = subprocess.run(
        [
            *(cli, "run", "--dir", exported, "--tag_set", "serve"),
            *("--signature_def", "serving_default"),
            *("--inputs", f"images={exported}/assets.extra/images.npy"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Result for output key probabilities" in ran


def test_a_folder_in_use_is_refused(small, model_dir, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"--export_dir=.*full: is not empty"):
        saved_model.saved_model(RECIPE, model_dir, str(tmp_path / "full"), small.test.images)
    with pytest.raises(InputError, match=r"--export_dir=.*file: is not a folder"):
        saved_model.saved_model(RECIPE, model_dir, str(tmp_path / "file"), small.test.images)
    assert (tmp_path / "full" / "precious").read_text() == "x"
    (tmp_path / "empty").mkdir()
    saved_model.saved_model(RECIPE, model_dir, str(tmp_path / "empty"), small.test.images)
    assert (tmp_path / "empty" / "saved_model.pb").exists()


def test_a_failed_export_leaves_nothing(small, model_dir, tmp_path, monkeypatch):
    other = Recipe(network="core_mlp")
    with pytest.raises(restore.CheckpointError, match="another network"):
        saved_model.saved_model(other, model_dir, str(tmp_path / "out"), small.test.images)

    def broken(recipe, checkpoint, folder, form):
        tf.io.gfile.makedirs(folder)
        raise OSError("no space left")

    monkeypatch.setattr(saved_model, "build", broken)
    with pytest.raises(OSError, match="no space"):
        saved_model.saved_model(RECIPE, model_dir, str(tmp_path / "out"), small.test.images)
    assert list(tmp_path.iterdir()) == []
