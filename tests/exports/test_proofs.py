"""Every network in every format, compared by the format's own runtime; and what is refused."""

import dataclasses
import io
import json
import re
import zipfile

import numpy as np
import pytest
from rich.console import Console

from cnn_mnist import Predictor, export
from cnn_mnist.data import limits
from cnn_mnist.data.dataset import Dataset, Split
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.engines import engine, layers_model, litert, notes, onnx
from cnn_mnist.exports import export as exports
from cnn_mnist.exports import proof
from cnn_mnist.models.networks import NETWORKS
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train
from cnn_mnist.utils.errors import InputError, UsageError

COLOUR = Form(21, 17, 3, ("a", "b", "c", "d"))


def installed(name):
    try:
        engine.require_packages("", "", exports.FORMATS[name].needs)
    except UsageError:
        return False
    return True


def trained(folder, network, data, **options):
    given = {"batch_size": 30, "steps": 3, "eval_every_steps": 0, "optimizer": "adam"}
    recipe = Recipe(network=network, **{**given, **options})
    train(recipe, str(folder), data=data, progress=False, log_every_n_iter=0)
    return str(folder)


@pytest.fixture(scope="module")
def colour():
    """Noise in colour, of unlike sizes, 40 to train on and 23 to test with."""
    random = np.random.RandomState(3)

    def split(size):
        images = random.randint(0, 256, (size, 21, 17, 3)).astype(np.uint8)
        return Split(images, (np.arange(size) % 4).astype(np.int32))

    return Dataset(split(40), split(9), split(23), COLOUR)


@pytest.fixture(scope="module")
def model_dir(small, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("small_cnn"), "small_cnn", small, steps=20)


@pytest.fixture(scope="module")
def everything(model_dir, small, tmp_path_factory):
    """All formats that can be had here, of one network."""
    folder = tmp_path_factory.mktemp("everything")
    chosen = [name for name in exports.FORMATS if installed(name)]
    if len(chosen) == len(exports.FORMATS):
        return export(model_dir, folder / "all", format="all", data=small, preprocess="plain")
    proofs = []
    for name in chosen:
        place = folder / "all" / name
        proofs += export(model_dir, place, format=name, data=small, preprocess="plain").proofs
    return exports.Exported(folder / "all", [], tuple(proofs))


def test_the_packages_are_there():
    assert installed("litert") and installed("onnx")


def test_a_package_that_is_missing_is_one_sentence(model_dir, small, tmp_path, monkeypatch):
    for name in ("litert", "onnx"):
        entry = exports.FORMATS[name]._replace(needs=("no_such_package",))
        monkeypatch.setitem(exports.FORMATS, name, entry)
        with pytest.raises(UsageError, match=rf"^--format={name}: needs .*\.\[{name}\]'$"):
            export(model_dir, tmp_path / "out", format=name, data=small)
    assert list(tmp_path.iterdir()) == []


def test_each_row_tells_what_was_measured(everything, model_dir, small):
    first, *rows = everything.proofs
    images, labels = small.test.images, small.test.labels
    with Predictor(model_dir) as predictor:
        classes, probabilities = predictor.predict(images)
    assert first.format == "Predictor" and first.size == 81_258 * 4 + 8
    for row in rows:
        assert row.images == 67 and row.differing == 0
        assert row.accuracy == first.accuracy == (classes == labels).mean()
        assert row.one_seconds > 0 and row.batch_seconds > 0
        found = everything.folder / row.format
        assert row.size == sum(p.stat().st_size for p in found.rglob("*") if p.is_file())
        assert row.size > 81_258 * 4
    opened = {
        "litert": lambda: litert.opened(everything.folder / "litert" / "model.tflite"),
        "onnx": lambda: onnx.opened(everything.folder / "onnx" / "model.onnx"),
        "tfjs": lambda: layers_model.opened(everything.folder / "tfjs"),
    }
    for row in rows:
        if row.format in opened:
            network = opened[row.format]()
            assert (network.form, network.preprocess) == (MNIST, "plain")
            got = network.predict(images)
            np.testing.assert_array_equal(got[0], classes)
            assert abs(got[1] - probabilities).max() == pytest.approx(row.difference, abs=1e-7)
            assert network.predict(images[:0])[1].shape == (0, 10)
    noted = json.loads(
        (everything.folder / "saved_model" / "assets.extra" / "notes.json").read_text()
    )
    assert noted["preprocess"] == "plain" and noted["step"] == 20


def test_images_of_other_things_prove_it_without_an_accuracy(model_dir, small, tmp_path):
    """As where a network of clothes is exported without its --data_dir."""
    turned = dataclasses.replace(small.train, images=small.train.images[:, ::-1])
    other = dataclasses.replace(small, train=turned)
    first, row = export(model_dir, tmp_path / "tfjs", format="tfjs", data=other).proofs
    assert first.accuracy is row.accuracy is None and row.differing == 0
    screen = Console(file=io.StringIO(), width=80)
    screen.print(proof.table([first, row]))
    assert screen.file.getvalue().count(" - ") == 2
    with pytest.raises(InputError, match="^--quantize=int8: expected the images that were trained"):
        export(model_dir, tmp_path / "q", format="litert", quantize="int8", data=other)
    assert not (tmp_path / "q").exists()


def test_quantized_classes_count_where_there_is_no_accuracy(tmp_path):
    images, probabilities = np.zeros((400, 4, 4), np.uint8), np.eye(2, dtype=np.float32)

    def answers(other):
        return lambda images: (np.arange(len(images)) < other, probabilities[[0] * len(images)])

    known = proof.yardstick(answers(0), images, None, "TensorFlow", 9)
    with pytest.raises(proof.ProofError, match="reads 400 test images: 1 other classes than"):
        proof.prove("litert, int8", "LiteRT", tmp_path, answers(1), known, True)


def test_the_table_fits_into_80_columns(everything):
    screen = Console(file=io.StringIO(), width=80)
    screen.print(proof.table(everything.proofs))
    text = screen.file.getvalue()
    assert all(name in text for name in ("saved_model", "67,", "Predictor"))
    assert "…" not in text


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.long  # a second or two for each network
def test_every_network_in_every_format(network, small, colour, tmp_path):
    for name, data in {"grey": small, "colour": colour}.items():
        average = 0.9 if network in ("deep_cnn", "committee") else 0.0
        folder = trained(tmp_path / name, network, data, average_decay=average)
        for chosen in filter(installed, exports.FORMATS):
            _, row = export(folder, tmp_path / f"{name}_{chosen}", format=chosen, data=data).proofs
            assert row.difference <= proof.TOLERANCE and row.differing == 0


@pytest.mark.parametrize("quantize", ["dynamic", "int8"])
def test_quantized(quantize, mnist, model_dir, small, tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "POINTS", 10.0)  # after 20 steps many images are in doubt
    first, row = export(
        model_dir, tmp_path / "q", format="litert", quantize=quantize, data=small
    ).proofs
    assert row.format == f"litert, {quantize}"
    assert 81_258 < row.size < first.size / 3
    assert 1e-5 < row.difference < 0.3
    network = litert.opened(tmp_path / "q" / "model.tflite")
    assert (network.predict(small.test.images)[0] == small.test.labels).mean() == row.accuracy


def rows_of(shift):
    images = np.zeros((500, 28, 28), np.uint8)
    labels = np.zeros(500, np.int32)

    def network(images, wrong=0, by=0.0):
        probabilities = np.full((len(images), 10), 0.1, np.float32)
        probabilities[:, 0] += by
        classes = np.zeros(len(images), np.int64)
        classes[:wrong] = 1
        return classes, probabilities

    known = proof.yardstick(network, images, labels, "here", 5)
    return known, lambda images: network(images, **shift)


@pytest.mark.parametrize(
    ("shift", "quantized", "message"),
    [
        ({"by": 2e-5}, False, "differs by 2e-05 .* at most 1e-05; nothing was written$"),
        ({"by": np.nan}, False, "differs by 1 "),
        (
            {"wrong": 2, "by": 0.5},
            True,
            "reads 500 test images: 99.60 % right, the network 100.00 %",
        ),
    ],
)
def test_an_export_that_differs_is_an_error(tmp_path, shift, quantized, message):
    known, other = rows_of(shift)
    with pytest.raises(proof.ProofError, match=rf"^--format=litert: .*{message}"):
        proof.prove("litert, int8", "LiteRT", tmp_path, other, known, quantized)


def test_an_export_that_differs_little_is_none(tmp_path):
    for shift, quantized in (({"by": 8e-6}, False), ({"wrong": 1, "by": 0.5}, True)):
        known, other = rows_of(shift)
        row = proof.prove("litert", "LiteRT", tmp_path, other, known, quantized)
        assert row.differing == shift.get("wrong", 0)


def test_nothing_is_left_of_an_export_that_differs(model_dir, small, tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "TOLERANCE", -1.0)
    for name in ("saved_model", "tfjs"):
        with pytest.raises(proof.ProofError, match=f"^--format={name}: "):
            export(model_dir, tmp_path / "out", format=name, data=small)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_go_together(model_dir, small, tmp_path):
    for options, message in (
        ({"format": "soup"}, "^--format=soup: expected one of saved_model, .*, all$"),
        ({"quantize": "int4"}, "^--quantize=int4: expected one of none, dynamic, int8$"),
        ({"quantize": "int8", "format": "tfjs"}, "^--quantize=int8: expected --format=litert"),
    ):
        with pytest.raises(InputError, match=message):
            export(model_dir, tmp_path / "out", data=small, **options)
    assert list(tmp_path.iterdir()) == []


def refused(opened, path, message):
    with pytest.raises(engine.ModelError) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    assert re.match(rf"--model={re.escape(str(path))}: expected .*{message}", str(caught.value))


def test_files_that_are_no_tflite_model(everything, tmp_path):
    content = (everything.folder / "litert" / "model.tflite").read_bytes()
    refused(litert.opened, tmp_path / "missing", "found .*No such file")
    refused(litert.opened, tmp_path, "found a folder")
    path = tmp_path / "model.tflite"
    middle = bytearray(content)
    middle[len(content) // 2] ^= 1
    bare = content[: content.index(b"PK\x03\x04")]
    for damaged, message in (
        (b"", "found an empty file"),
        (b"PNG" * 9, "found another kind of file"),
        (content[:5_000], "found a model without notes, or a part"),
        (bytes(middle), "found a damaged model"),
        (bare, "found a model without notes"),
    ):
        path.write_bytes(damaged)
        refused(litert.opened, path, message)
    for name, form in {"wide": dataclasses.replace(MNIST, width=29), "few": MNIST}.items():
        if name == "few":
            form = limits.numbered(28, 28, 1, 9)
        path.write_bytes(litert.with_notes(bare, notes.content(Recipe(), 1, form)))
        refused(litert.opened, path, r"images uint8 \[B, 28, .*found .*images uint8 \[B, 28, 28\]")
    path.write_bytes(content)
    assert zipfile.ZipFile(path).read("labels.txt") == b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"


def test_files_that_are_no_onnx_model(everything, tmp_path):
    import onnx as onnx_package

    refused(onnx.opened, tmp_path / "missing", "found .*No such file")
    path = tmp_path / "model.onnx"
    content = (everything.folder / "onnx" / "model.onnx").read_bytes()
    for damaged in (b"", b"PNG" * 9, content[:5_000]):
        path.write_bytes(damaged)
        refused(onnx.opened, path, "an ONNX model")
    model = onnx_package.load_from_string(content)
    assert {p.key: p.value for p in model.metadata_props}["opset"] == "17"
    assert model.opset_import[0].version == 17
    for shape, message in (([28, 29, 1], "found .*images uint8"), ([1], r"found .*shape \[1\]")):
        texts = {p.key: p.value for p in model.metadata_props}
        onnx_package.helper.set_model_props(model, texts | {"image_shape": json.dumps(shape)})
        path.write_bytes(model.SerializeToString())
        refused(onnx.opened, path, message)
    onnx_package.helper.set_model_props(model, {"a": "b"})
    path.write_bytes(model.SerializeToString())
    refused(onnx.opened, path, "no class_names and no image_shape and no preprocess")


def test_what_an_engine_takes(everything):
    network = litert.opened(everything.folder / "litert" / "model.tflite")
    with pytest.raises(TypeError, match="float32, expected uint8"):
        network.predict(np.zeros((2, 28, 28), np.float32))
    with pytest.raises(ValueError, match="images have the shape"):
        network.predict(np.zeros((2, 28, 29), np.uint8))
    images = np.random.RandomState(0).randint(0, 256, (203, 28, 28)).astype(np.uint8)
    whole = network.predict(images)[1]
    np.testing.assert_allclose(network.predict(images.reshape(203, 784))[1], whole, atol=1e-7)
    np.testing.assert_allclose(network.predict(images[201:])[1], whole[201:], atol=1e-6)


READ = """
import sys
from cnn_mnist.main import main
code = main(sys.argv[1:])
assert not {"tensorflow", "matplotlib", "keras"} & set(sys.modules), sorted(sys.modules)
sys.exit(code)
"""


def test_pictures_are_read_without_tensorflow(everything, tmp_path):
    from conftest import ROOT
    from stress import programs

    model = everything.folder / "litert" / "model.tflite"
    flags = ["--mode=predict", "--engine=litert", f"--model={model}", "--output=json"]
    more = ["--preprocess=digit", f"--images={ROOT}/tests/digits/1_large.png"]
    done = programs.run("-c", READ, *flags, *more, cwd=tmp_path, fresh=True)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert answer["digit"] in range(10) and done.stderr == ""


def test_flags_that_do_not_go_together(capsys, tmp_path):
    from cnn_mnist.main import main

    for flags, message in (
        (["--engine=onnx"], "--engine=onnx: expected --model=FILE, found none"),
        (["--model=x"], "--engine=tensorflow: expected no --model, found --model=x"),
        (["--engine=onnx", f"--model={tmp_path}/x"], f"--model={tmp_path}/x: expected a readable"),
    ):
        assert main(["--mode=predict", "--images=x", *flags]) == 2
        assert capsys.readouterr().err.startswith(f"error: {message}")
