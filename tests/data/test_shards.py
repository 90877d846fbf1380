"""Shards as a user makes, checks and trains on them."""

import json
import re
import signal

import numpy as np
import pytest
import tensorflow as tf
from mnist_files import write_idx
from shard_files import flip

from cnn_mnist import shards
from cnn_mnist.checkpoints import record, restore
from cnn_mnist.data import dataset
from cnn_mnist.evaluation import report
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import train as training
from stress import programs

SHARDS = 7  # of 167 images: 24 in six of them, 23 in the last
RECIPE = Recipe(
    network="core_mlp", batch_size=13, steps=31, learning_rate=0.05, validation_size=37, seed=3
)
FLAGS = ["--network=core_mlp", "--batch_size=13", "--learning_rate=0.05", "--validation_size=37"]
FLAGS += ["--seed=3", "--mode=train", "--eval_every_steps=10", "--save_checkpoints_steps=7"]


def command(*flags, **options):
    """Runs `python -m cnn_mnist.shards`."""
    return programs.run("-m", "cnn_mnist.shards", *flags, **options)


@pytest.fixture(scope="module")
def whole(small_data_dir):
    """All 167 training images in their order, and the test images."""
    return dataset.load(small_data_dir, validation_size=0)


@pytest.fixture
def folder(whole, tmp_path):
    shards.write(str(tmp_path / "shards"), SHARDS, whole.train, whole.test)
    return tmp_path / "shards"


def variables(model_dir):
    reader = tf.train.load_checkpoint(str(model_dir))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same_variables(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def train(recipe, data, model_dir, steps_per_call=1):
    training.train(
        recipe,
        model_dir,
        data=data,
        progress=False,
        save_checkpoints_steps=7,
        log_every_n_iter=5,
        steps_per_call=steps_per_call,
    )
    return variables(model_dir)


@pytest.fixture(scope="module")
def uninterrupted(whole, tmp_path_factory):
    """What a run over the shards ends with."""
    place = tmp_path_factory.mktemp("uninterrupted")
    shards.write(str(place / "shards"), SHARDS, whole.train, whole.test)
    return train(RECIPE, dataset.load(place / "shards", 37), place / "model_dir")


# Writing


def test_real_images_come_back(mnist, tmp_path):
    whole = dataset.load(validation_size=0)
    shards.write(str(tmp_path / "shards"), 16, whole.train, whole.test)
    data = dataset.load(tmp_path / "shards", validation_size=5000)
    for ours, theirs in ((data.validation, mnist.validation), (data.test, mnist.test)):
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert len(data.train) == 55_000
    for number, piece in enumerate(data.train.pieces()):  # a shard has 3.2 MB: one piece
        # Shard i has images i, i + 16, ... of all 60,000.
        first = -(-(5000 - number) // 16) * 16 + number
        np.testing.assert_array_equal(piece.images, whole.train.images[first::16])
        np.testing.assert_array_equal(piece.labels, whole.train.labels[first::16])
    assert number == 15


def test_the_command_writes_and_checks(small_data_dir, tmp_path):
    written = command(
        f"--data_dir={small_data_dir}", "--output_dir=out", "--shards=7", cwd=tmp_path
    )
    assert (written.returncode, written.stderr) == (0, "")
    assert written.stdout == "wrote 167 training and 67 test images: out\n"
    names = [f"{kind}-{i:05}-of-00007.tfrecord" for kind in ("test", "train") for i in range(7)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shards.json", *names]
    listed = json.loads((tmp_path / "out" / "shards.json").read_text())
    assert [entry["file"] for entry in listed["train"]] == names[7:]
    assert [entry["records"] for entry in listed["train"]] == [24] * 6 + [23]
    checked = command("--check=out", cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "checked 14 shards, 234 images: 0 shards are damaged\n"

    again = command(f"--data_dir={small_data_dir}", "--output_dir=out", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "error: --output_dir=out: is not empty; name a new folder\n"


def test_the_check_tells_of_every_damage(folder, capsys):
    flip(folder / "train-00002-of-00007.tfrecord", 5000)
    (folder / "test-00001-of-00007.tfrecord").unlink()
    # Good records, but others: only the sha256 tells.
    path, other = (folder / f"train-0000{i}-of-00007.tfrecord" for i in (4, 5))
    path.write_bytes(other.read_bytes())
    assert shards.main([f"--check={folder}"]) == 2
    out, err = capsys.readouterr()
    assert out == "checked 14 shards, 234 images: 3 shards are damaged\n"
    lines = err.splitlines()
    assert len(lines) == 3 and all(line.startswith("error: ") for line in lines)
    assert "train-00002-of-00007.tfrecord: byte offset " in lines[0]
    assert "train-00004-of-00007.tfrecord: expected content with sha256 " in lines[1]
    assert "test-00001-of-00007.tfrecord: expected a shard, found FileNotFound" in lines[2]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "one of the arguments --output_dir --check is required"),
        (["--output_dir=x", "--check=x"], "not allowed with"),
        (["--output_dir="], "--output_dir="),
        (["--output_dir=a_file"], "--output_dir=a_file: is not a folder"),
        (["--output_dir=a_file/x"], "--output_dir=a_file/x: is not a folder"),
        (["--output_dir=full"], "--output_dir=full: is not empty"),
        (["--output_dir=x", "--shards=0"], "--shards=0: expected 1 to 7"),
        (["--output_dir=x", "--shards=8"], "--shards=8: expected 1 to 7"),
        (["--output_dir=x", "--shards=some"], "--shards: invalid int value: 'some'"),
        (["--output_dir=x", "--data_dir=nowhere"], "nowhere: expected a folder"),
        (["--output_dir=x", "--data_dir="], "--data_dir: expected the name of a folder"),
        (["--output=x"], "--output_dir --check is required"),
        (["--output_dir=x", "more"], "unrecognized arguments: more"),
        (["--check="], "--check='': expected a folder of shards"),
        (["--check=nowhere"], "--check=nowhere: expected a folder of shards"),
        (["--check=full"], "full/shards.json: "),
    ],
)
def test_a_wrong_command_is_one_line(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("not a folder")
    (tmp_path / "full").mkdir()
    write_idx(tmp_path / "full")
    if not any(flag.startswith("--data_dir") for flag in flags):
        flags = [*flags, "--data_dir=full"]
    before = sorted(tmp_path.rglob("*"))
    assert shards.main(flags) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"error: [^\n]*\n", err) and message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_shards_are_not_written_from_shards(folder, tmp_path, capsys):
    assert shards.main([f"--data_dir={folder}", f"--output_dir={tmp_path / 'x'}"]) == 2
    assert "expected training images in IDX files or mnist.npz, found shards" in (
        capsys.readouterr().err
    )


def test_a_full_disk_leaves_nothing(small_data_dir, tmp_path):
    flags = (f"--data_dir={small_data_dir}", "--output_dir=out", "--shards=2")
    result = command(*flags, cwd=tmp_path, largest_file=10_000)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"error: [^\n]*: File too large\n", result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_the_test_images_need_not_be_as_many_as_the_shards(tmp_path, whole):
    few = dataset.Split(whole.test.images[:2], whole.test.labels[:2])
    shards.write(str(tmp_path / "out"), 5, whole.train, few)
    assert len(dataset.load(tmp_path / "out", 0).test) == 2
    assert (tmp_path / "out" / "test-00001-of-00002.tfrecord").exists()


# Training


def test_an_interrupted_run_ends_with_the_same_variables(folder, uninterrupted, tmp_path):
    data = dataset.load(folder, 37)
    for steps in (5, 16, 31):
        recipe = Recipe(**{**RECIPE.params(), "steps": steps})
        resumed = train(recipe, data, tmp_path / "model_dir")
    assert_same_variables(resumed, uninterrupted)


def test_several_steps_a_call_end_with_the_same_variables(folder, uninterrupted, tmp_path):
    data = dataset.load(folder, 37)
    assert_same_variables(train(RECIPE, data, tmp_path / "model_dir", 4), uninterrupted)


def test_after_sigkill_the_same_command_ends_with_the_same_bits(
    folder, uninterrupted, cnn_mnist, tmp_path
):
    flags = [f"--data_dir={folder}", *FLAGS, "--log_every_n_iter=5", "--steps=31"]
    with programs.start("-m", "cnn_mnist.main", *flags, cwd=tmp_path) as killed:
        while "Saving checkpoints for 14" not in killed.stderr.readline():
            assert killed.poll() is None
        killed.send_signal(signal.SIGKILL)
    reached = restore.step_of(tf.train.latest_checkpoint(str(tmp_path / "model_dir")))
    assert reached in (7, 14, 21, 28)
    # Where the shards lie does not matter: half of them move to another disk.
    (tmp_path / "other").mkdir()
    for path in sorted(folder.glob("train-*"))[:4]:
        path.rename(tmp_path / "other" / path.name)
        path.symlink_to(tmp_path / "other" / path.name)
    resumed = cnn_mnist(*flags)
    assert resumed.returncode == 0, resumed.stderr
    images = "130 training images, 37 for validation, 67 for tests"
    assert resumed.stdout.startswith(f"resuming at step {reached}: {images}, 31 steps\n")
    assert_same_variables(variables(tmp_path / "model_dir"), uninterrupted)


def test_a_damaged_shard_ends_training_in_one_line_and_a_good_copy_mends_it(
    folder, uninterrupted, cnn_mnist, tmp_path
):
    data = dataset.load(folder, 37)
    order = data.train.batches(13, 3)
    last = order.readings(9)[-1].shard  # the tenth step ends the first epoch
    path = data.train.shards[last].path
    good = path.read_bytes()
    flip(path, len(good) - 1000)
    flags = [f"--data_dir={folder}", *FLAGS, "--steps=31"]
    result = cnn_mnist(*flags)
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if not line.startswith("INFO:")]
    assert len(errors) == 1, result.stderr
    assert errors[0].startswith(f"error: {path}: byte offset ")
    assert restore.step_of(restore.newest(RECIPE, str(tmp_path / "model_dir"))) == 7

    path.write_bytes(good[:-1])
    result = cnn_mnist(*flags)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {path}: expected {len(good)} bytes, found ")

    path.write_bytes(good)
    result = cnn_mnist(*flags)
    assert result.returncode == 0, result.stderr
    assert_same_variables(variables(tmp_path / "model_dir"), uninterrupted)


def test_another_list_of_shards_is_another_run(folder, uninterrupted, tmp_path, whole):
    one = record.of(RECIPE, dataset.load(folder, 37))
    shards.write(str(tmp_path / "fewer"), SHARDS - 1, whole.train, whole.test)
    other = record.of(RECIPE, dataset.load(tmp_path / "fewer", 37))
    assert one.data_sha256 != other.data_sha256


def test_the_data_are_drawn(folder, small, small_data_dir, tmp_path):
    ours = report.write_data_figures(dataset.load(folder, 37), tmp_path / "ours")
    theirs = report.write_data_figures(dataset.load(small_data_dir, 37), tmp_path / "theirs")
    assert ours["labels"] == theirs["labels"]
    assert ours["examples"].startswith(b"\x89PNG")


def test_train_and_report(folder, cnn_mnist):
    result = cnn_mnist(
        f"--data_dir={folder}",
        "--recipe=tfjs",
        "--validation_size=37",
        "--train_size=100",
        "--steps=3",
        "--steps_per_call=2",
    )
    assert result.returncode == 0, result.stderr
    assert (
        "starting: 100 training images, 37 for validation, 67 for tests, 3 steps" in result.stdout
    )
    assert "on 67 images at step 3" in result.stdout
