"""What `make web` lists of a `model_dir`."""

import dataclasses
import json
import os
import shutil

import pytest

from cnn_mnist import evaluate
from cnn_mnist.checkpoints import record
from cnn_mnist.data import dataset
from cnn_mnist.recipes import RECIPES, Recipe
from cnn_mnist.training.train import train
from conftest import ROOT


@pytest.fixture
def export_trained(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "web"))
    import export_trained

    return export_trained


def test_the_models_follow_the_model_dir(export_trained, small, tmp_path, capsys):
    model_dir, models = tmp_path / "model_dir", tmp_path / "models"
    trained = model_dir / "my network"
    for folder in (trained, model_dir / "report", models / "fast", models / "trained-gone"):
        folder.mkdir(parents=True)
    recipe = Recipe(network="tfjs", batch_size=10, steps=2, eval_every_steps=0)
    train(recipe, trained, data=small, progress=False)

    export_trained.main(model_dir, models)
    assert sorted(path.name for path in models.iterdir()) == ["fast", "trained-my_network"]
    model = models / "trained-my_network" / "model.json"
    assert json.loads(model.read_bytes())["userDefinedMetadata"]["step"] == 2
    assert "trained-my_network" in capsys.readouterr().out
    origin = model.with_name("origin.json")
    assert json.loads(origin.read_bytes()) == {
        "data": "own data: 28 x 28, grey, 10 classes",
        "folder": "my network",
        "step": 2,
    }

    written = model.stat().st_mtime_ns
    export_trained.main(model_dir, models)
    assert model.stat().st_mtime_ns == written
    assert capsys.readouterr().out == ""

    report = evaluate(trained, recipe=recipe, data=small)  # the origin then tells what it found
    now = origin.stat().st_mtime + 10
    os.utime(trained / "report" / "report.json", (now, now))
    export_trained.main(model_dir, models)
    noted = json.loads(origin.read_bytes())
    assert noted["test_accuracy"] == pytest.approx(report.accuracy, abs=1e-6)
    assert "trained-my_network" in capsys.readouterr().out

    model.unlink()
    (trained / "recipe.json").write_text("{")
    export_trained.main(model_dir, models)
    assert not model.exists()
    assert "not exported" in capsys.readouterr().err

    shutil.rmtree(trained)
    export_trained.main(model_dir, models)
    assert [path.name for path in models.iterdir()] == ["fast"]


def test_the_data_are_named_only_if_they_are_known(export_trained):
    recipe = dataclasses.replace(RECIPES["fast"], validation_size=100, train_size=200)
    found = record.of(recipe, dataset.load(validation_size=100, train_size=200))
    assert export_trained.data_of(found) == "MNIST"
    other = dataclasses.replace(found, data_sha256="0" * 64)
    assert export_trained.data_of(other) == "own data: 28 x 28, grey, 10 classes"
    form = dataclasses.replace(found.form, height=32, class_names=("a", "b", "c"))
    letters = dataclasses.replace(found, form=form)
    assert export_trained.data_of(letters) == "own data: 32 x 28, grey, 3 classes"
