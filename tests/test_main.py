"""The program as a user runs it: real processes, real flags, real signals."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cnn_mnist import commands, main, recipes
from cnn_mnist.checkpoints import saver
from stress import programs


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
    "cluster": {"chief": ["127.0.0.1:2001"], "worker": ["127.0.0.1:2002"], "ps": ["127.0.0.1:2003"]}
}


@pytest.mark.parametrize("role", ["chief", "worker"])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--strategy=mirrored"], "--strategy=mirrored: is for one process, but TF_CONFIG names"),
        (["--steps_per_call=2"], "--steps_per_call=2: expected 1 in a cluster"),
        (
            ["--strategy=sync", "--batch_size=1"],
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
def test_a_strategy_for_several_processes_wants_a_cluster(cnn_mnist, tmp_path, strategy):
    result = cnn_mnist(f"--strategy={strategy}", "--mode=train")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(
        rf"error: --strategy={strategy}: expected a cluster [^\n]*cnn_mnist\.cluster[^\n]*\n",
        result.stderr,
    )
    assert files_below(tmp_path) == []


def test_what_is_not_training_is_done_alone_in_a_cluster(cnn_mnist):
    config = {**CLUSTER, "task": {"type": "ps", "index": 0}}
    result = cnn_mnist("--mode=summary", "--recipe=tfjs", env={"TF_CONFIG": json.dumps(config)})
    assert (result.returncode, result.stderr) == (0, "")
    assert "5,994" in result.stdout


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"task": 5}, marks=pytest.mark.long),
        pytest.param({"task": {"type": "ps", "index": 3}}, marks=pytest.mark.long),
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


def test_every_mode_has_its_command():
    assert main.MODES is commands.MODES


def test_a_checkpoint_is_not_a_model_dir(cnn_mnist, small_data_dir, tmp_path):
    flags = [f"--data_dir={small_data_dir}", "--validation_size=0", "--train_size=0"]
    trained = cnn_mnist(*flags, "--recipe=tfjs", "--steps=2", "--mode=train")
    assert trained.returncode == 0, trained.stderr
    for mode in ("eval", "export"):
        place = "--model_dir=model_dir/model.ckpt-2"
        result = cnn_mnist(*flags, "--recipe=tfjs", f"--mode={mode}", place, "--export_dir=out")
        assert (result.returncode, result.stdout) == (2, "")
        assert re.fullmatch(r"error: --model_dir=\S*-2: holds no [^\n]*\n", result.stderr)


def test_help_lists_every_flag_and_loads_no_tensorflow(cnn_mnist):
    result = cnn_mnist("--help", fresh=True)
    assert result.returncode == 0
    assert result.stderr == ""
    for flag in ("mode", "steps", "model_dir", "data_dir", "batch_size", "learning_rate"):
        assert f"--{flag}:" in result.stdout
    for flag in ("dropout_rate", "log_every_n_iter", "save_checkpoints_steps", "seed"):
        assert f"--{flag}:" in result.stdout


@pytest.mark.parametrize("module", ["cnn_mnist", "cnn_mnist.cluster", "cnn_mnist.shards"])
def test_h_is_help(tmp_path, module):
    words = ("-h", "--help")
    ended = [programs.run("-m", module, word, cwd=tmp_path, fresh=True) for word in words]
    for each in ended:
        assert (each.returncode, each.stderr) == (0, "")
        assert f"usage: python -m {module} " in each.stdout
    assert ended[0].stdout == ended[1].stdout


@pytest.mark.parametrize("flag", ["--help", "-h", "--steps=0", "--stpes=1", "--steps_per_call=0"])
def test_flags_are_answered_without_tensorflow(flag):
    code = "import sys\nfrom cnn_mnist import main\ntry: main.main(['main', sys.argv[1]])\n"
    code += "except SystemExit: pass\nprint('tensorflow' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code, flag], capture_output=True, text=True, check=True
    )
    assert printed.stdout.splitlines()[-1] == "False"


def test_the_networks_of_the_package_are_known_without_tensorflow():
    code = (
        "import sys\nfrom cnn_mnist import main\nfor name in main.TABLES['network']:\n"
        "    main.parse_flags(['main', '--mode=train', f'--network={name}'])\n"
        "    assert main.chosen_recipe().network == name\n"
        "print('tensorflow' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout == "False\n", printed.stderr


def test_eval_without_a_checkpoint_is_one_line(cnn_mnist, tmp_path):
    result = cnn_mnist("--mode=eval", "--model_dir=empty")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(r"error: --model_dir=empty: holds no checkpoint[^\n]*\n", result.stderr)
    assert files_below(tmp_path) == []


def test_train_resume_and_evaluate(cnn_mnist, small_data_dir, tmp_path):
    flags = [f"--data_dir={small_data_dir}", "--validation_size=37", "--batch_size=20"]

    # In a new interpreter, which has start-up noise to hide.
    first = cnn_mnist(*flags, "--steps=4", "--log_every_n_iter=2", fresh=True)
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0] == "starting: 130 training images, 37 for validation, 67 for tests, 4 steps"
    assert re.fullmatch(r"trained 4 steps in \d+\.\d s", lines[1])
    ending = lines[-4:]
    score = r"test accuracy 0\.\d{4}, loss \d\.\d{4} on 67 images at step 4"
    assert re.fullmatch(score, ending[0])
    assert re.fullmatch(r"report +model_dir/report/report\.html", ending[1])
    assert re.fullmatch(r"checkpoints +model_dir/model\.ckpt-4", ending[2])
    assert re.fullmatch(r"curves +\S*tensorboard --logdir=model_dir", ending[3])
    assert "Every class, the worst first" in first.stdout
    shown = first.stderr.splitlines()
    assert sum(line.startswith("INFO:tensorflow:softmax_tensor: ") for line in shown) == 2
    assert sum(line.startswith("INFO:tensorflow:loss = ") for line in shown) == 1
    known = r"INFO:tensorflow:(loss = |softmax_tensor: |Saving checkpoints for )|step 4: "
    assert all(re.match(known, line) for line in shown), first.stderr

    again = cnn_mnist(*flags, "--steps=4")
    assert again.returncode == 0
    assert again.stdout.splitlines() == [
        "step 4 of 4 is reached: nothing left to train",
        *lines[2:],
    ]
    assert again.stderr == ""

    longer = cnn_mnist(*flags, "--steps=7", "--mode=train")
    assert (
        longer.stdout.splitlines()[0]
        == "resuming at step 4: 130 training images, 37 for validation, 67 for tests, 7 steps"
    )
    assert longer.stdout.splitlines()[1].startswith("trained 3 steps in ")
    assert "accuracy" not in longer.stdout
    assert "recipe.json" not in longer.stderr

    (tmp_path / "model_dir" / "recipe.json").unlink()
    without = cnn_mnist(*flags, "--steps=7", "--mode=train")
    assert without.returncode == 0
    assert "reached: nothing left to train" in without.stdout
    assert without.stderr == (
        "WARNING:cnn_mnist.training.train:model_dir/recipe.json is missing: "
        "taking the checkpoint for one of this very command\n"
    )

    evaluated = cnn_mnist(*flags, "--mode=eval")
    assert evaluated.returncode == 0
    assert re.search(r"^test accuracy 0\.\d{4}, .* at step 7$", evaluated.stdout, re.MULTILINE)
    report = json.loads((tmp_path / "model_dir" / "report" / "report.json").read_text())
    assert report["images"] == 67 and sum(map(sum, report["confusion_matrix"])) == 67


@pytest.mark.parametrize(
    "name", ["tfjs", pytest.param("tfjs_sgd", marks=pytest.mark.long), "keras_mlp", "core_mlp"]
)
def test_every_recipe_runs_and_is_remembered(cnn_mnist, small_data_dir, tmp_path, name):
    sizes = [f"--data_dir={small_data_dir}", "--validation_size=37", "--train_size=0"]
    trained = cnn_mnist(f"--recipe={name}", *sizes, "--steps=3", "--mode=train")
    assert trained.returncode == 0, trained.stderr
    evaluated = cnn_mnist("--mode=eval", f"--data_dir={small_data_dir}")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "on 67 images at step 3" in evaluated.stdout
    best = cnn_mnist("--mode=eval", f"--data_dir={small_data_dir}", "--model_dir=model_dir/best")
    assert "on 67 images at step 3" in best.stdout, best.stderr
    classic = cnn_mnist(*sizes, "--steps=5")
    assert (classic.returncode, classic.stdout) == (2, "")
    network = recipes.RECIPES[name].network
    assert classic.stderr.startswith(
        f"error: --model_dir=model_dir: holds another run: --network is {network}, not cnn; "
    )
    assert classic.stderr.endswith(" Give what it was started with, or name another --model_dir\n")
    assert classic.stderr.count("\n") == 1
    as_classic = cnn_mnist("--mode=eval", "--recipe=estimator", *sizes)
    assert (as_classic.returncode, as_classic.stdout) == (2, "")
    assert re.search(r"error: --model_dir: model_dir/.* another network: .*\n", as_classic.stderr)


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    command = ("-m", "cnn_mnist.main", "--mode=summary")
    with programs.start(*command, cwd=tmp_path) as process:
        process.stdout.close()
        stderr = process.stderr.read()
    assert (process.returncode, stderr) == (1, "")


def test_rubbish_in_the_environment_does_no_harm(cnn_mnist, small_data_dir):
    names = ("KERAS_BACKEND", "MPLBACKEND", "TF_CPP_MIN_LOG_LEVEL")
    rubbish = {**dict.fromkeys(names, "rubbish"), "COLUMNS": "0"}
    result = cnn_mnist("--mode=summary", env=rubbish, fresh=True)
    assert result.returncode == 0, result.stderr
    assert "3,274,634" in result.stdout
    drawn = ("--mode=show_data", f"--data_dir={small_data_dir}", "--validation_size=37")
    result = cnn_mnist(*drawn, env=rubbish, fresh=True)
    assert result.returncode == 0, result.stderr


def test_summary_prints_the_layers(cnn_mnist, tmp_path):
    result = cnn_mnist("--mode=summary", "--recipe=tfjs", fresh=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "24 x 24 x 8" in result.stdout and "5,994" in result.stdout
    assert files_below(tmp_path) == []


def test_show_data_draws_examples_and_labels(cnn_mnist, small_data_dir, tmp_path):
    result = cnn_mnist(
        *("--mode=show_data", f"--data_dir={small_data_dir}", "--validation_size=37"),
        "--class_names=zero,one,two,three,four,five,six,seven,eight,nine",
    )
    assert result.returncode == 0, result.stderr
    for name in ("examples", "labels"):
        picture = tmp_path / "model_dir" / "data" / f"{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert str(picture.relative_to(tmp_path)) in result.stdout


def test_a_damaged_recipe_file_is_one_line(cnn_mnist, tmp_path):
    (tmp_path / "model_dir").mkdir()
    recipe = {**recipes.Recipe().params(), "optimizer": "magic"}
    note = {"recipe": recipe, "data_sha256": "0" * 64, "tensorflow": "2.21.0"}
    (tmp_path / "model_dir" / "recipe.json").write_text(json.dumps(note))
    result = cnn_mnist("--mode=eval")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(
        r"error: --model_dir: model_dir/recipe\.json cannot be read: expected [^\n]*magic[^\n]*\n",
        result.stderr,
    )


@pytest.mark.parametrize(
    ("number", "code", "steps_per_call"),
    [(signal.SIGTERM, 143, 1), (signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 7)],
)
def test_a_signal_saves_the_step_reached(small_data_dir, tmp_path, number, code, steps_per_call):
    command = [
        *("-m", "cnn_mnist.main", f"--data_dir={small_data_dir}"),
        *("--validation_size=37", "--batch_size=5", "--steps=1000000"),
        *("--log_every_n_iter=5", "--save_checkpoints_steps=1000000"),
        f"--steps_per_call={steps_per_call}",
    ]
    with programs.start(*command, cwd=tmp_path) as process:
        for _ in range(10):  # lines of the log: training is well under way
            while "softmax_tensor" not in process.stderr.readline():
                assert process.poll() is None
        time.sleep(0.1)
        process.send_signal(number)
        stdout, stderr = process.communicate()
    assert process.returncode == code
    assert "Traceback" not in stderr
    match = re.search(rf"{number.name}: saved at step ([\d,]+); the same command", stdout)
    assert match
    step = int(match[1].replace(",", ""))
    assert step > 40
    # With several steps a call, that of a call's end: a log line, or a point of the curves.
    assert steps_per_call == 1 or step % 5 in (0, 1)
    assert (tmp_path / "model_dir" / f"model.ckpt-{step}.index").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_while_tensorflow_builds_the_graph(tmp_path, number, code):
    """Where it holds a lock, an exception is lost or waits for ever."""
    program = """
import sys, time
from cnn_mnist import main
from cnn_mnist.models import networks

def busy(*arguments, **options):
    print("building", flush=True)
    while True:
        try:
            time.sleep(1)
        except BaseException:
            print("swallowed", flush=True)

networks.NETWORKS["cnn"] = busy
sys.exit(main.main(["cnn_mnist", "--steps=20"]))
"""
    with programs.start("-c", program, cwd=tmp_path) as process:
        while "building" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        stdout, stderr = process.communicate()
    assert process.returncode == code
    assert "swallowed" not in stdout and "Traceback" not in stderr


def test_a_second_trainer_of_a_folder_stops_and_names_the_first(small_data_dir, tmp_path):
    flags = [f"--data_dir={small_data_dir}", "--recipe=tfjs", "--validation_size=37"]
    flags += ["--train_size=0", "--steps=1000000", "--log_every_n_iter=5"]
    with programs.start("-m", "cnn_mnist.main", *flags, cwd=tmp_path) as first:
        while "softmax_tensor" not in first.stderr.readline():
            assert first.poll() is None
        with programs.start("-m", "cnn_mnist.main", *flags, cwd=tmp_path) as second:
            line = second.stderr.readline()
            if not line.startswith("error: "):  # it trains
                second.kill()
            assert second.communicate() == ("", "")
        told = rf"error: --model_dir=model_dir: is being trained by process {first.pid} [^\n]*\n"
        assert re.fullmatch(told, line)
        assert second.returncode == 2
        assert first.poll() is None
        first.terminate()
        stdout, _ = first.communicate()
    assert first.returncode == 143
    assert "SIGTERM: saved at step " in stdout


def test_a_full_disk_ends_training_in_one_line_and_nothing_is_lost(
    cnn_mnist, small_data_dir, tmp_path
):
    """The values of this network take 1.4 MB, and nothing else is as large."""
    flags = [f"--data_dir={small_data_dir}", "--recipe=keras_mlp", "--validation_size=37"]
    flags += ["--train_size=0", "--mode=train", "--eval_every_steps=0", "--log_every_n_iter=0"]
    flags += ["--save_checkpoints_steps=4"]
    folder = tmp_path / "model_dir"
    assert cnn_mnist(*flags, "--steps=4").returncode == 0
    full = cnn_mnist(*flags, "--steps=8", largest_file=1_200_000)
    assert full.returncode == 1
    errors = [line for line in full.stderr.splitlines() if not line.startswith("INFO:")]
    assert len(errors) == 1, full.stderr
    assert re.fullmatch(
        r"error: model_dir/model\.ckpt-8: cannot be saved: .*File too large.*; "
        r"it takes 1,\d\d\d,\d\d\d bytes, .*",
        errors[0],
    )
    assert saver.steps(folder)[-1] == 4
    resumed = cnn_mnist(*flags, "--steps=8")
    assert resumed.stdout.startswith("resuming at step 4: "), resumed.stderr
    assert cnn_mnist(*flags, "--steps=8", "--model_dir=undisturbed").returncode == 0
    expected = saver.read(tmp_path / "undisturbed" / "model.ckpt-8")
    found = saver.read(folder / "model.ckpt-8")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
