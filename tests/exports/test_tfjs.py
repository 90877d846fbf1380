"""The layers model of TensorFlow.js, read and computed by an interpreter of its own."""

import json
import re
import resource
from pathlib import Path

import numpy as np
import pytest
from layers_models import Exported

from cnn_mnist import Predictor
from cnn_mnist.checkpoints import restore, saver
from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST
from cnn_mnist.exports import tfjs
from cnn_mnist.models.networks import MEMBERS, NETWORKS
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train
from cnn_mnist.utils.errors import InputError

DEEP = (
    "conv2d batch_normalization relu conv2d_1 batch_normalization_1 max_pool relu_1 "
    "conv2d_2 batch_normalization_2 relu_2 "
    "flatten dense dropout dense_1"
)
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "\u4e5d"]
LAYERS = {
    "cnn": "conv2d max_pool relu conv2d_1 max_pool_1 relu_1 flatten dense dropout dense_1",
    "tfjs": "conv2d max_pool relu conv2d_1 max_pool_1 relu_1 flatten dropout dense",
    "quick_cnn": "conv2d max_pool relu conv2d_1 max_pool_1 relu_1 flatten dense dropout dense_1",
    "small_cnn": (
        "conv2d max_pool relu conv2d_1 conv2d_2 max_pool_1 relu_1 flatten dense dropout dense_1"
    ),
    "tiny_cnn": (
        "conv2d batch_normalization relu conv2d_1 batch_normalization_1 max_pool relu_1 "
        "conv2d_2 batch_normalization_2 relu_2 conv2d_3 batch_normalization_3 relu_3 "
        "mean_pool dropout dense"
    ),
    "deep_cnn": DEEP,
    "committee": " ".join(
        ["images"]
        + [f"column_{member}/{name}" for member in range(MEMBERS) for name in DEEP.split()]
        + ["average"]
    ),
    "keras_mlp": "mirrored normalized unit_columns flatten dense dense_1 dropout dense_2",
    "core_mlp": "flatten dense dense_1 dropout dense_2",
    "colour_cnn": (
        "conv2d batch_normalization max_pool relu conv2d_1 batch_normalization_1 relu_1 "
        "conv2d_2 batch_normalization_2 max_pool_1 relu_2 "
        "conv2d_3 batch_normalization_3 max_pool_2 relu_3 flatten dropout dense"
    ),
}


def named(names):
    return limits.named(MNIST, names)


FIXED = ["mirrored", "normalized", "unit_columns"]


@pytest.fixture(scope="module", params=list(NETWORKS))
def exported(request, small, tmp_path_factory):
    recipe = Recipe(
        network=request.param,
        optimizer="adam",
        batch_size=30,
        steps=12,
        dropout_rate=0.3,
        average_decay=0.9 if request.param in ("deep_cnn", "committee") else 0.0,
        eval_every_steps=0,
    )
    model_dir = str(tmp_path_factory.mktemp("trained"))
    train(recipe, model_dir, data=small, progress=False, log_every_n_iter=0)
    folder = tmp_path_factory.mktemp("exported") / "deep" / "model"
    tfjs.layers_model(recipe, model_dir, str(folder), named(NAMES))
    return Exported(recipe, model_dir, folder)


@pytest.fixture(scope="module")
def images(small):
    """Digits, and what no digit looks like: black, white, one grey level in a corner."""
    images = np.concatenate([small.test.images[:20], np.zeros((3, 28, 28), np.uint8)])
    images[-2] = 255
    images[-1, 27, 0] = 1
    return images


def test_the_model_computes_what_the_predictor_does(exported, images):
    with Predictor(exported.model_dir, exported.recipe) as predictor:
        _, expected = predictor.predict(images)
    assert expected.std(axis=0).max() > 1e-3  # it does look at the images
    np.testing.assert_allclose(exported.run(images / 255), expected, rtol=0, atol=1e-5)


def test_what_is_in_the_folder(exported):
    assert sorted(path.name for path in exported.folder.iterdir()) == ["model.json", "weights.bin"]
    model, topology = exported.model, exported.model["modelTopology"]
    assert model["format"] == "layers-model"
    assert model["generatedBy"].startswith("cnn_mnist ")
    assert model["convertedBy"] is None
    assert model["userDefinedMetadata"] == {
        "recipe": None,
        "network": exported.recipe.network,
        "step": 12,
        "class_names": NAMES,
        "image_shape": [28, 28, 1],
        "preprocess": "digit",
        "input": "float32 [B, 28, 28, 1], 0 to 1, light ink on dark ground",
        "output": "float32 [B, 10], the probability of each class",
    }
    if exported.recipe.network == "committee":
        assert topology["class_name"] == "Functional"
        assert topology["config"]["input_layers"] == [["images", 0, 0]]
        assert topology["config"]["output_layers"] == [["average", 0, 0]]
        ends = [[f"column_{member}/dense_1", 0, 0, {}] for member in range(MEMBERS)]
        assert exported.layers[-1]["inbound_nodes"] == [ends]
    else:
        assert topology["class_name"] == "Sequential"
        assert not any("inbound_nodes" in layer for layer in exported.layers)
    assert [paths["paths"] for paths in model["weightsManifest"]] == [["weights.bin"]]


def test_the_layers(exported):
    configs = [layer["config"] for layer in exported.layers]
    assert [config["name"] for config in configs] == LAYERS[exported.recipe.network].split()
    assert [config.get("batch_input_shape") for config in configs] == [
        [None, 28, 28, 1],
        *[None] * (len(configs) - 1),
    ]
    members = MEMBERS if exported.recipe.network == "committee" else 1
    ends = [config for config in configs if config.get("activation") == "softmax"]
    assert [config["units"] for config in ends] == [10] * members
    assert ends[-1] is (configs[-1] if members == 1 else configs[-2])
    assert [c["rate"] for c in configs if c["name"].endswith("dropout")] == [0.3] * members
    fixed = [config["name"] for config in configs if not config["trainable"]]
    assert fixed == (FIXED if exported.recipe.network == "keras_mlp" else [])


def test_the_weights_are_those_of_the_checkpoint(exported):
    values = saver.read(Path(exported.model_dir) / "model.ckpt-12")
    averaged = exported.recipe.average_decay > 0
    expected = {}
    for name in restore.variable_shapes(exported.recipe):
        expected[name.removesuffix("/ExponentialMovingAverage")] = values[name].tobytes()
    assert expected.pop("global_step")
    found = {name: value.tobytes() for name, value in exported.weights.items()}
    found = {name: value for name, value in found.items() if name.partition("/")[0] not in FIXED}
    assert found == expected
    for name in [name for name in found if name.endswith("dense/kernel")]:
        assert (found[name] != values[name].tobytes()) == averaged


@pytest.mark.parametrize("exported", ["keras_mlp"], indirect=True)
@pytest.mark.parametrize("brightness", [1, 1 / 255, 1e-6])
def test_columns_of_any_brightness_get_the_length_1(exported, images, brightness):
    pictures = (images / 255 * brightness).astype(np.float32)
    length = np.linalg.norm(pictures.astype(np.float64), axis=1, keepdims=True)
    expected = pictures / np.where(length == 0, 1, length)
    found = exported.run(pictures, count=3, dtype=np.float32)
    np.testing.assert_allclose(found[..., 0], expected, rtol=0, atol=1e-6)
    assert not found[-3].any()  # the black one


@pytest.mark.parametrize("exported", ["tfjs"], indirect=True)
def test_what_cannot_be_exported_leaves_nothing(exported, tmp_path):
    def export(recipe=exported.recipe, model_dir=exported.model_dir, to=tmp_path / "out"):
        tfjs.layers_model(recipe, str(model_dir), str(to), named(NAMES))

    with pytest.raises(restore.CheckpointError, match="another network"):
        export(Recipe(network="cnn"))
    with pytest.raises(restore.CheckpointError, match="holds no checkpoint"):
        export(model_dir=tmp_path)
    with pytest.raises(InputError, match=r"^--format=tfjs: expected .*colour_cnn, found soup; "):
        export(Recipe(network="soup"))
    with pytest.raises(InputError, match=r"^--export_dir=.*model: is not empty"):
        export(to=exported.folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            export()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_command(cnn_mnist, small_data_dir, tmp_path):
    flags = [f"--data_dir={small_data_dir}", "--validation_size=0", "--train_size=0"]
    trained = cnn_mnist(*flags, "--network=tfjs", "--steps=2", "--mode=train")
    assert trained.returncode == 0, trained.stderr
    export = ["--mode=export", "--format=tfjs", "--export_dir=my models/digits"]
    done = cnn_mnist(*export)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nexported      'my models/digits'\n" in done.stdout
    assert 'tf.loadLayersModel("model.json")' in done.stdout
    model = json.loads((tmp_path / "my models" / "digits" / "model.json").read_bytes())
    assert model["userDefinedMetadata"]["class_names"] == list("0123456789")
    refused = cnn_mnist(*export)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(r"error: --export_dir=[^\n]* is not empty[^\n]*\n", refused.stderr)
