import dataclasses
import json
import logging
import shutil
import threading

import pytest

from cnn_mnist.checkpoints import record, restore, saver
from cnn_mnist.cluster import evaluator, peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.data.dataset import Split
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import validation
from cnn_mnist.training.train import train
from cnn_mnist.utils.listening import free_addresses
from conftest import listening, scalars

RECIPE = Recipe(
    network="tfjs",
    optimizer="adam",
    learning_rate=0.01,
    batch_size=20,
    steps=23,
    eval_every_steps=5,
    seed=3,
)
STEPS = [5, 10, 15, 20, 23]


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """A run whose every checkpoint was scored by a `ValidationHook`."""
    folder = tmp_path_factory.mktemp("trained")
    train(RECIPE, folder, data=small, progress=False, save_checkpoints_steps=5, log_every_n_iter=0)
    return folder


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(peers, "LOOK_EVERY", 0.02)


def put(trained, folder, *steps):
    """Checkpoints of the run, as its chief leaves them."""
    folder.mkdir(exist_ok=True)
    shutil.copy(trained / "recipe.json", folder)
    for step in steps:
        for path in sorted(trained.glob(f"model.ckpt-{step}.*")):
            shutil.copy(path, folder)


def watch(small, folder, *, recipe=RECIPE, split=None, chief=None, timeout=0.5, shown=None):
    """Runs the evaluator; returns the steps that it has scored, as it tells them."""
    lines = [] if shown is None else shown
    cluster = Cluster(chief or free_addresses(1)[0], (), "evaluator", 0)
    what = record.of(recipe, small)
    split = small.validation if split is None else split
    settings = Settings(cluster, str(folder), 1000, 0, timeout, None)
    evaluator.watch(settings, what, split, lines.append)
    return scored(lines)


def scored(lines):
    return [int(line.split()[1].rstrip(":")) for line in lines if line.startswith("step ")]


def best(folder):
    return json.loads((folder / "best" / "score.json").read_text())


def test_it_leaves_what_validation_in_one_process_leaves(small, trained, tmp_path, soon):
    put(trained, tmp_path, *STEPS)
    assert watch(small, tmp_path) == STEPS
    assert scalars(tmp_path / "eval_validation") == scalars(trained / "eval_validation")
    assert best(tmp_path) == best(trained)
    here, there = (restore.newest(RECIPE, str(f / "best")) for f in (tmp_path, trained))
    assert restore.step_of(here) == restore.step_of(there) == best(tmp_path)["global_step"]
    theirs = saver.read(there)
    for name, value in saver.read(here).items():
        if name in theirs:
            assert (value == theirs[name]).all()
    assert validation.read_best(tmp_path / "best", record.of(RECIPE, small))["accuracy"] > 0


def test_started_again_it_goes_on_and_scores_nothing_twice(small, trained, tmp_path, soon):
    shown = []
    put(trained, tmp_path, 5, 10)
    with pytest.raises(peers.ClusterError, match=r"waited 0\.5 s .*, and for its checkpoints in "):
        watch(small, tmp_path, shown=shown)  # there is no chief
    assert scored(shown) == [5, 10]
    put(trained, tmp_path, *STEPS)
    assert watch(small, tmp_path) == [15, 20, 23]
    assert watch(small, tmp_path) == []
    assert scalars(tmp_path / "eval_validation") == scalars(trained / "eval_validation")
    assert best(tmp_path) == best(trained)


def test_checkpoints_are_scored_as_they_come(small, trained, tmp_path, soon):
    with listening() as chief:
        shown = []

        class Lines(list):
            def append(self, line):
                shown.append(line)
                later = [step for step in STEPS if step > scored(shown)[-1]]
                if later:
                    timer = threading.Timer(0.1, put, (trained, tmp_path, later[0]))
                    timer.start()

        put(trained, tmp_path, 5)
        watch(small, tmp_path, chief=chief, shown=Lines())
    assert scored(shown) == STEPS


def test_a_damaged_checkpoint_is_told_and_passed_over(small, trained, tmp_path, soon, caplog):
    put(trained, tmp_path, *STEPS)
    damaged = tmp_path / "model.ckpt-15.data-00000-of-00001"
    damaged.write_bytes(damaged.read_bytes()[:-99])
    with caplog.at_level(logging.WARNING, logger="cnn_mnist"):
        assert watch(small, tmp_path) == [5, 10, 20, 23]
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path}/model.ckpt-15 cannot be read and is passed over: ")
    assert "\n" not in line


@pytest.mark.parametrize("first", [".index", ".data-00000-of-00001"])
def test_a_checkpoint_that_is_deleted_meanwhile_does_not_become_the_best(
    small, trained, tmp_path, soon, first
):
    put(trained, tmp_path, 5, 10, 23)
    kept = []

    class Lines(list):
        def append(self, line):
            super().append(line)
            if line.startswith("step 10:"):  # scored, and not yet copied
                (tmp_path / f"model.ckpt-10{first}").unlink()
            if line.startswith("step 23:"):
                kept.append((best(tmp_path)["global_step"], saver.steps(tmp_path / "best")))

    curves = scalars(trained / "eval_validation")
    order = [
        (-accuracy, loss)
        for (_, accuracy), (_, loss) in zip(curves["accuracy"], curves["loss"], strict=True)
    ]
    assert order[1] < order[0]  # step 10 would take the place of step 5
    watch(small, tmp_path, shown=Lines())
    assert kept == [(5, [5])]


def test_without_validation_images_it_only_waits_for_the_end(small, trained, tmp_path, soon):
    put(trained, tmp_path, *STEPS)
    none = Split(small.validation.images[:0], small.validation.labels[:0])
    assert watch(small, tmp_path, split=none) == []
    assert not (tmp_path / "eval_validation").exists() and not (tmp_path / "best").exists()


def test_a_chief_that_trains_something_else_is_refused(small, trained, tmp_path, soon):
    put(trained, tmp_path, *STEPS)
    other = dataclasses.replace(RECIPE, seed=4)
    with pytest.raises(record.RecordError, match="--seed is 3, not 4"):
        watch(small, tmp_path, recipe=other)
    assert not (tmp_path / "best").exists()
