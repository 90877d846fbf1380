"""The program as a user runs it: real processes, real flags, real signals."""

import json
import re
import subprocess
import sys

import pytest

from cnn_mnist import commands, main, recipes
from stress import programs


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*"))


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
