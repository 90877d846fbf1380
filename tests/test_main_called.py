"""`main` called from Python: what it leaves behind, and networks that only the caller knows."""

import json
import os
import signal
import subprocess
import sys

import pytest
from absl import flags

from cnn_mnist import commands, main
from cnn_mnist.models import networks
from cnn_mnist.training import hooks
from conftest import ROOT

CLUSTER = {
    "cluster": {"chief": ["127.0.0.1:2001"], "worker": ["127.0.0.1:2002"]},
}


@pytest.fixture
def called(monkeypatch):
    """Recipe, options and TF_CONFIG of each call of two modes, which do nothing."""
    calls = []

    def note(recipe, options):
        calls.append((recipe, options, os.environ.get("TF_CONFIG")))
        return 0

    for mode in ("summary", "train"):
        monkeypatch.setitem(commands.MODES, mode, commands.MODES[mode]._replace(run=note))
    return calls


def test_every_call_starts_from_the_defaults(called):
    assert main.main(["main", "--mode=summary", "--recipe=fast", "--steps=3", "--output=csv"]) == 0
    assert main.main(["main", "--mode=summary", "--images=a", "--images=b"]) == 0
    assert main.main(["--mode=summary", "--images=c"]) == 0
    (_, first, _), (recipe, second, _), (_, third, _) = called
    assert (first.output, second.output) == ("csv", "table")
    assert recipe == main.RECIPES["estimator"]
    assert (second.images, third.images) == (["a", "b"], ["c"])


def test_a_call_after_a_wrong_one_starts_from_the_defaults(called, capsys):
    assert main.main(["main", "--seed=5", "--steps=20k"]) == 2
    assert main.main(["main", "--mode=summary"]) == 0
    assert called[0][0].seed == 0
    assert capsys.readouterr().err.count("\n") == 1


def state(values):
    return {name: dict(values[name].__dict__) for name in values}, values.is_parsed()


@pytest.mark.parametrize("argv", [["--mode=summary", "--seed=3"], ["--steps=x"], ["--help"], []])
def test_the_flags_of_the_caller_stay_as_they_are(called, monkeypatch, argv):
    quick = commands.MODES["train_and_eval"]._replace(run=lambda recipe, options: 0)
    monkeypatch.setitem(commands.MODES, "train_and_eval", quick)
    before = state(flags.FLAGS)
    main.main(["main", *argv])
    assert state(flags.FLAGS) == before


def test_a_program_with_flags_of_the_same_names_calls_main(tmp_path):
    program = (
        "from absl import app, flags\n"
        "flags.DEFINE_integer('steps', 7, '')\nflags.DEFINE_string('mode', 'mine', '')\n"
        "def run(argv):\n"
        "    from cnn_mnist import main\n"
        "    code = main.main(['main', '--mode=eval', '--model_dir=none', '--seed=3'])\n"
        "    print(code, flags.FLAGS.steps, flags.FLAGS.mode, argv[1:])\n"
        "app.run(run)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "--steps=9", "word"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (0, "2 9 mine ['word']\n"), ended.stderr
    assert ended.stderr.startswith("error: --model_dir=none: holds no checkpoint")


@pytest.mark.parametrize("mode", ["summary", "train"])
def test_tf_config_is_back_in_the_environment_afterwards(called, monkeypatch, mode):
    config = json.dumps({"model_dir": "elsewhere"})
    monkeypatch.setenv("TF_CONFIG", config)
    assert main.main(["main", f"--mode={mode}"]) == 0
    assert called[0][2] is None
    assert os.environ["TF_CONFIG"] == config


def test_the_strategy_of_a_cluster_is_a_value_and_no_flag(called, monkeypatch):
    config = {**CLUSTER, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    for given, taken in (("auto", "multi_worker"), ("multi_worker", "multi_worker")):
        assert main.main(["main", "--mode=train", f"--strategy={given}"]) == 0
        assert called.pop()[1].strategy == taken
        assert main.FLAGS.strategy == given
    monkeypatch.delenv("TF_CONFIG")
    for given in ("auto", "multi_worker"):  # of one process, which trains by itself
        assert main.main(["main", "--mode=train", f"--strategy={given}"]) == 0
        assert called.pop()[1].strategy == "auto"


def mine(images, *, training, dropout_rate, seed):
    """A network that notes no layers: one matrix of its own."""
    import tensorflow as tf

    net = tf.reshape(images, [-1, 784])
    weights = tf.compat.v1.get_variable("own/weights", [784, 10], dtype=images.dtype)
    return tf.matmul(net, weights)


@pytest.fixture
def in_a_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_network_of_the_callers(monkeypatch, in_a_folder, small_data_dir, capsys):
    monkeypatch.setitem(networks.NETWORKS, "mine", mine)
    sizes = [f"--data_dir={small_data_dir}", "--validation_size=37"]
    train = ["main", "--network=mine", "--steps=3", "--batch_size=20", *sizes]
    assert main.main(train) == 0
    assert "on 67 images at step 3" in capsys.readouterr().out
    assert json.loads((in_a_folder / "model_dir/recipe.json").read_text())["recipe"]["network"] == (
        "mine"
    )

    assert main.main(["main", "--mode=eval", *sizes]) == 0  # which reads recipe.json
    assert "on 67 images at step 3" in capsys.readouterr().out

    digit = ROOT / "tests" / "digits" / "5_thick.png"
    assert main.main(["main", "--mode=predict", f"--images={digit}", "--output=csv"]) == 0
    assert "5_thick.png" in capsys.readouterr().out

    assert main.main(["main", "--mode=export", "--export_dir=saved", *sizes]) == 0
    assert (in_a_folder / "saved" / "saved_model.pb").exists()
    capsys.readouterr()

    assert main.main(["main", "--mode=export", "--export_dir=web", "--format=tfjs", *sizes]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --format=tfjs: expected one of the networks cnn, ")
    assert "found mine" in said and said.count("\n") == 1
    assert not (in_a_folder / "web").exists()

    assert main.main(["main", "--mode=summary", "--network=mine"]) == 0
    printed = capsys.readouterr().out
    assert "own/weights" in printed and printed.count("7,840") == 2

    monkeypatch.delitem(networks.NETWORKS, "mine")
    assert main.main(["main", "--mode=eval", *sizes]) == 2
    assert capsys.readouterr().err.startswith("error: --network=mine: expected one of cnn, tfjs, ")


def test_a_second_interrupt_ends_a_training_and_not_the_session(
    monkeypatch, in_a_folder, small_data_dir, capsys
):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    after_run = hooks.StopOnSignal.after_run
    interrupts = [2]

    def interrupted(self, run_context, run_values):
        for _ in range(interrupts[0]):
            os.kill(os.getpid(), signal.SIGINT)
        after_run(self, run_context, run_values)

    monkeypatch.setattr(hooks.StopOnSignal, "after_run", interrupted)
    flags = ["--recipe=tfjs", f"--data_dir={small_data_dir}", "--validation_size=37"]
    flags += ["--train_size=0", "--mode=train", "--steps=10", f"--model_dir={in_a_folder / 'm'}"]
    assert main.main(flags) == 130
    said = capsys.readouterr()
    assert "saved" not in said.out and said.err.endswith("KeyboardInterrupt\n")
    interrupts[0] = 1
    assert main.main(flags) == 130
    said = capsys.readouterr()
    assert "SIGINT: saved at step 1; " in said.out and "KeyboardInterrupt" not in said.err
    interrupts[0] = 0
    assert main.main(flags) == 0
    assert "resuming at step 1" in capsys.readouterr().out
