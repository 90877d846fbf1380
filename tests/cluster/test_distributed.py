"""A chief and a worker on real servers in this process; whole clusters are in `test_cluster`."""

import dataclasses
import io
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from cnn_mnist.checkpoints import record, saver
from cnn_mnist.cluster import distributed, notice, peers
from cnn_mnist.cluster.launcher import free_addresses
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.data.splits import batch_indices
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train
from conftest import listening

RECIPE = Recipe(
    network="small_cnn",
    optimizer="momentum",
    learning_rate=0.05,
    batch_size=11,
    steps=7,
    eval_every_steps=0,
    seed=3,
)
SETTINGS = Settings(
    cluster=Cluster("nobody:1", (), (), "chief", 0),
    strategy="sync",
    model_dir="nowhere",
    save_checkpoints_steps=1000,
    log_every_n_iter=0,
    cluster_timeout=600,
    index_log_dir=None,
)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(peers, "LOOK_EVERY", 0.05)


def told(cluster, what, strategy="sync"):
    """What a chief tells the workers."""
    return json.dumps({**dataclasses.asdict(what), "strategy": strategy, "cluster": cluster.spec})


def follow(servers, what, small, told_by_chief=None, said_at_end=None, settings=SETTINGS):
    """Runs a worker, when the chief has said something; returns what it shows and prints."""
    chief, worker = servers.member(0, 2), servers.member(1, 2)
    for name, text in ((notice.TRAINED, told_by_chief), (notice.DONE, said_at_end)):
        if text is not None:
            notice.write(servers.target(chief), chief.device, name, [0], text)
    screen = io.StringIO()
    settings = dataclasses.replace(settings, cluster=worker)
    console = Console(file=screen, width=200)
    target = servers.target(worker)
    assert distributed.follow(settings, target, what, small.train, console) is None
    return screen.getvalue()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"learning_rate": 0.25}, "--learning_rate is 0.25, the chief's 0.05"),
        ({"steps": 9, "seed": 4}, "--steps is 9, the chief's 7; --seed is 4, the chief's 3"),
        ({"network": "tfjs"}, "--network is tfjs, the chief's small_cnn"),
    ],
)
def test_a_worker_with_other_flags_is_refused(servers, small, flags, line):
    chiefs = told(servers.member(0, 2), record.of(RECIPE, small))
    own = record.of(dataclasses.replace(RECIPE, **flags), small)
    with pytest.raises(distributed.MismatchError) as raised:
        follow(servers, own, small, chiefs)
    assert str(raised.value) == (
        f"this worker and the chief train different things: {line}; "
        "start every process with the same flags"
    )


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"strategy": "parameter_server"}, "strategy is sync, the chief's parameter_server"),
        ({"tensorflow": "2.0.0"}, r"tensorflow is 2\.\d+\.\d+, the chief's 2\.0\.0"),
        ({"data_sha256": "12ab"}, "data_sha256 is [0-9a-f]{64}, the chief's 12ab"),
        ({"cluster": {"chief": ["a:1"]}}, r"cluster is \{.*\}, the chief's \{'chief': \['a:1'\]\}"),
    ],
)
def test_a_worker_of_another_cluster_or_machine_is_refused(servers, small, changed, line):
    what = record.of(RECIPE, small)
    chiefs = {**json.loads(told(servers.member(0, 2), what)), **changed}
    with pytest.raises(distributed.MismatchError) as raised:
        follow(servers, what, small, json.dumps(chiefs))
    assert re.search(f"different things: {line}; start", str(raised.value))
    assert "\n" not in str(raised.value)


def test_a_worker_that_comes_when_all_is_done_ends_well(servers, small, capsys):
    what = record.of(RECIPE, small)
    assert follow(servers, what, small, said_at_end=notice.WELL) == ""
    assert capsys.readouterr().out == "nothing left to train\n"


def test_a_worker_without_a_start_gives_up(servers, small):
    settings = dataclasses.replace(SETTINGS, cluster_timeout=0.5)
    chief = servers.member(0, 2).chief
    with pytest.raises(peers.ClusterError, match=rf"waited 0\.5 s .* for the chief at {chief} to"):
        follow(servers, record.of(RECIPE, small), small, settings=settings)


def test_a_lost_connection_names_the_server_that_is_gone():
    (gone,) = free_addresses(1)
    error = tf.errors.UnavailableError(None, None, "socket closed")
    with listening() as there:
        cluster = Cluster("a:1", (), (there, gone), "chief", 0)
        lost = pytest.raises(peers.ClusterError, match=f"^ps 1 at {gone} is gone, ")
        with lost, distributed._telling_who_is_gone(cluster):
            raise error
        cluster = Cluster("a:1", (), (there,), "chief", 0)
        with pytest.raises(tf.errors.UnavailableError), distributed._telling_who_is_gone(cluster):
            raise error


@pytest.mark.parametrize("strategy", ["sync", "parameter_server"])
def test_a_chief_without_workers_trains_the_bits_of_one_process(servers, small, tmp_path, strategy):
    train(RECIPE, tmp_path / "alone", data=small, progress=False, log_every_n_iter=0)
    quiet = Console(quiet=True)
    settings = dataclasses.replace(
        SETTINGS,
        cluster=servers.member(0, 1, 2),
        strategy=strategy,
        model_dir=str(tmp_path / "led"),
        index_log_dir=str(tmp_path / "log"),
    )
    for steps in (4, RECIPE.steps, RECIPE.steps):  # goes on where it was, then has nothing to do
        what = record.of(dataclasses.replace(RECIPE, steps=steps), small)
        assert distributed.lead(settings, what, small.train, quiet) is None
    alone, led = (
        saver.read(tmp_path / name / f"model.ckpt-{RECIPE.steps}") for name in ("alone", "led")
    )
    assert alone.keys() == led.keys()
    for name, value in alone.items():
        np.testing.assert_array_equal(led[name], value, err_msg=name)
    assert saver.steps(tmp_path / "led") == [0, 4, RECIPE.steps]
    lines = [json.loads(line) for line in (tmp_path / "log" / "chief.jsonl").open()]
    assert lines == [
        {
            "step": step,
            "images": batch_indices(step, size=130, batch_size=11, seed=3).tolist(),
        }
        for step in range(RECIPE.steps)
    ]
