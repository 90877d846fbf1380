"""Flags, TF_CONFIG and clusters that are wrong: one line, exit code 2, and nothing is written."""

import json
import re

import pytest


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stpes=3"], r"'stpes'.* steps, steps_per_call \?"),
        (["--steps=many"], "--steps=many"),
        (["--steps=0"], "--steps=0: expected at least 1"),
        (["--batch_size=-1"], "--batch_size=-1: expected at least 1"),
        (["--learning_rate=nan"], "--learning_rate=nan: expected a number above 0"),
        (["--learning_rate=fast"], "--learning_rate=fast"),
        (["--dropout_rate=1"], "--dropout_rate=1.0: expected at least 0 and below 1"),
        (["--validation_size=60000"], "--validation_size: expected 0 to 59999"),
        (["--seed=-1"], "--seed=-1: expected at least 0"),
        (["--mode=destroy"], "--mode=destroy"),
        (["--log_every_n_iter=-1"], "--log_every_n_iter=-1"),
        (["--save_checkpoints_steps=0"], "--save_checkpoints_steps=0"),
        (["--steps_per_call=0"], "--steps_per_call=0"),
        (["--steps_per_call=-7"], "--steps_per_call=-7"),
        (["--steps_per_call=10001"], "--steps_per_call=10001"),
        (["--steps_per_call=many"], "--steps_per_call=many"),
        (["--model_dir="], "--model_dir="),
        (["--model_dir=a_file"], "--model_dir=a_file: is not a folder"),
        (["--model_dir=a_file/below"], "--model_dir=a_file/below: is not a folder"),
        (["--data_dir=nowhere"], "nowhere: expected a folder"),
        (["--data_dir=a_file"], "a_file: expected the four IDX files, an .npz file or another"),
        (["--recipe=soup"], "--recipe=soup"),
        (["--optimizer=luck"], "--optimizer=luck"),
        (["--train_size=55001"], "--train_size: expected 0 to 55000"),
        (["--eval_every_steps=-1"], "--eval_every_steps=-1: expected at least 0"),
        (
            ["--class_names=a,b"],
            "--class_names: expected 10 names, one for each class of the data, found 2",
        ),
        (["--mode=predict"], "--mode=predict: expected --images"),
        (["--mode=predict", "--images=nowhere.png"], "nowhere.png"),
        (["--mode=export"], "--mode=export: expected --export_dir"),
        (["--mode=export", "--export_dir=a_file"], "--export_dir=a_file: is not a folder"),
        (["--mode=export", "--export_dir=a_file/x"], "--export_dir=a_file/x: is not a folder"),
        (["--mode=export", "--export_dir=x", "--format=soup"], "--format=soup"),
        (["steps=3"], "steps=3: unknown argument"),
        ([""], "'': unknown argument"),
        (["--flagfile=bytes"], "--flagfile: expected a text file"),
        (["--logger_levels=a:b:c"], "Unknown command line flag 'logger_levels'"),
        (["--network=soup"], "--network=soup: expected one of cnn, tfjs, "),
        (["--steps=20k"], "--steps=20k: expected a whole number, such as 20000, found '20k'"),
        (["--learning_rate=1e-50"], "--learning_rate=1e-50: expected a number above 0"),
        (["--learning_rate=1e39"], "--learning_rate=1e.39: expected a number above 0"),
        (["--batch_size=1000000000000"], "--batch_size=1000000000000: expected at least 1"),
        (["--steps=9223372036854775808"], "--steps=9223372036854775808: expected at least 1"),
        (["--class_names=0,1,2,3,4,5,6,7,8,\x1b"], "--class_names: expected names that can be"),
        (["--mode=predict", "--images="], "--mode=predict: expected --images"),
    ],
)
def test_a_wrong_flag_is_one_line_and_nothing_is_written(cnn_mnist, tmp_path, flags, message):
    (tmp_path / "a_file").write_text("not a folder")
    (tmp_path / "bytes").write_bytes(b"\xff")
    result = cnn_mnist(*flags)
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.fullmatch(rf"error: [^\n]*{message}[^\n]*\n", result.stderr)
    assert files_below(tmp_path) == ["a_file", "bytes"]


@pytest.mark.parametrize("config", ["", "chief", "[]"])
def test_a_wrong_tf_config_is_one_line_and_nothing_is_written(cnn_mnist, tmp_path, config):
    result = cnn_mnist("--mode=train", env={"TF_CONFIG": config})
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(r"error: TF_CONFIG=[^\n]*expected a JSON object[^\n]*\n", result.stderr)
    assert files_below(tmp_path) == []


def test_a_wrong_cluster_is_one_line_and_nothing_is_written(cnn_mnist, tmp_path):
    config = {"cluster": {"chief": ["localhost:0"]}, "task": {"type": "chief", "index": 0}}
    result = cnn_mnist("--mode=train", env={"TF_CONFIG": json.dumps(config)})
    assert (result.returncode, result.stdout) == (2, "")
    said = r"error: TF_CONFIG: cluster.chief\[0\]: expected a port of 1 to 65535, found [^\n]*\n"
    assert re.fullmatch(said, result.stderr)
    assert files_below(tmp_path) == []


CLUSTER = {
    "cluster": {"chief": ["127.0.0.1:2001"], "worker": ["127.0.0.1:2002"]},
}


@pytest.mark.parametrize("role", ["chief", "worker"])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--strategy=mirrored"], "--strategy=mirrored: is for one process, but TF_CONFIG names"),
        (["--steps_per_call=2"], "--steps_per_call=2: expected 1 in a cluster"),
        (
            ["--strategy=multi_worker", "--batch_size=1"],
            "--batch_size=1: expected at least 2, an image for the chief and for each worker",
        ),
        (["--strategy=luck"], "--strategy=luck"),
        (["--cluster_timeout=0.5"], "--cluster_timeout=0.5"),
        (["--cluster_timeout=soon"], "--cluster_timeout=soon"),
    ],
)
def test_what_a_cluster_cannot_train_is_one_line(cnn_mnist, tmp_path, role, flags, message):
    config = {**CLUSTER, "task": {"type": role, "index": 0}}
    result = cnn_mnist(*flags, env={"TF_CONFIG": json.dumps(config)})
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(rf"error: [^\n]*{re.escape(message)}[^\n]*\n", result.stderr)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("strategy", ["parameter_server", "sync"])
def test_a_strategy_that_was_taken_out_is_told_in_a_sentence(cnn_mnist, tmp_path, strategy):
    result = cnn_mnist(f"--strategy={strategy}", "--mode=train")
    assert (result.returncode, result.stdout) == (2, "")
    said = r"error: --strategy=.*was taken out: --strategy=multi_worker [^\n]*\n"
    assert re.fullmatch(said, result.stderr)
    assert files_below(tmp_path) == []


def test_what_is_not_training_is_done_alone_in_a_cluster(cnn_mnist):
    config = {**CLUSTER, "task": {"type": "worker", "index": 0}}
    result = cnn_mnist("--mode=summary", "--recipe=tfjs", env={"TF_CONFIG": json.dumps(config)})
    assert (result.returncode, result.stderr) == (0, "")
    assert "5,994" in result.stdout


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"task": 5}, marks=pytest.mark.long),
        pytest.param({"task": {"type": "worker", "index": 3}}, marks=pytest.mark.long),
        pytest.param({"model_dir": "elsewhere"}, marks=pytest.mark.long),
        {"cluster": {}, "task": {"type": "evaluator"}, "environment": "cloud"},
        {"cluster": {"chief": ["localhost:1"]}, "task": {"type": "chief", "index": 0}},
    ],
)
def test_a_tf_config_without_other_processes_changes_nothing(
    cnn_mnist, small_data_dir, tmp_path, config
):
    flags = [f"--data_dir={small_data_dir}", "--validation_size=0", "--train_size=0"]
    flags += ["--recipe=tfjs", "--steps=1", "--mode=train"]
    result = cnn_mnist(*flags, env={"TF_CONFIG": json.dumps(config)})
    assert result.returncode == 0, result.stderr
    assert "model.ckpt-1.index" in files_below(tmp_path)
