"""What `make web` lists of a `model_dir`."""

import json
import shutil

import pytest

from cnn_mnist.recipes import Recipe
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

    written = model.stat().st_mtime_ns
    export_trained.main(model_dir, models)
    assert model.stat().st_mtime_ns == written
    assert capsys.readouterr().out == ""

    model.unlink()
    (trained / "recipe.json").write_text("{")
    export_trained.main(model_dir, models)
    assert not model.exists()
    assert "not exported" in capsys.readouterr().err

    shutil.rmtree(trained)
    export_trained.main(model_dir, models)
    assert [path.name for path in models.iterdir()] == ["fast"]
