import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.checkpoints import restore, saver
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train


def save(folder, shape, step=7):
    """Saves a checkpoint with one variable of the classic network, of this shape."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        global_step = tf.compat.v1.train.get_or_create_global_step()
        tf.compat.v1.get_variable("conv2d/kernel", shape)
        session.run(tf.compat.v1.global_variables_initializer())
        global_step.load(step, session)
        tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt"), global_step=step)


def test_without_a_checkpoint_no_step_is_reached(tmp_path):
    assert restore.resume(Recipe(), str(tmp_path)) == 0
    with pytest.raises(restore.CheckpointError, match=rf"^--model_dir={tmp_path}: holds no "):
        restore.newest(Recipe(), str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([3, 3, 1, 8], r"conv2d/kernel is of the shape \[3, 3, 1, 8\], expected \[5, 5, 1, 32\]"),
        ([5, 5, 1, 32], r"conv2d/bias is missing, expected \[32\]"),
    ],
)
def test_a_checkpoint_of_another_network_is_told_with_its_variable(tmp_path, shape, message):
    save(tmp_path, shape)
    for read in (restore.newest, restore.resume):
        with pytest.raises(restore.CheckpointError, match="another network: .*" + message):
            read(Recipe(), str(tmp_path))


def test_variable_shapes_leave_the_optimizers_out():
    assert restore.variable_shapes(Recipe(network="tfjs", optimizer="adam")) == {
        "global_step": [],
        "conv2d/kernel": [5, 5, 1, 8],
        "conv2d/bias": [8],
        "conv2d_1/kernel": [5, 5, 8, 16],
        "conv2d_1/bias": [16],
        "dense/kernel": [256, 10],
        "dense/bias": [10],
    }


RECIPE = Recipe(network="tfjs", learning_rate=0.1, batch_size=5, steps=9, eval_every_steps=0)


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """A folder with checkpoints of the steps 0, 3, 6 and 9, without their .meta files."""
    folder = tmp_path_factory.mktemp("trained")
    train(RECIPE, folder, data=small, progress=False, save_checkpoints_steps=3, log_every_n_iter=0)
    for path in folder.glob("*.meta"):
        path.unlink()
    return folder


@pytest.fixture
def model_dir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "model_dir")


def part(folder, step, suffix=".data-00000-of-00001"):
    return folder / f"model.ckpt-{step}{suffix}"


def flip(path, byte):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)


def lose_index(folder):
    part(folder, 9, ".index").unlink()


def lose_all(folder):
    for path in saver.files_of(folder)[9]:
        path.unlink()


def cut(folder):
    part(folder, 9).write_bytes(part(folder, 9).read_bytes()[:-1])


def swap(folder):
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(part(folder, 3, suffix), part(folder, 9, suffix))


def become_a_folder(folder):
    part(folder, 9, ".index").unlink()
    part(folder, 9, ".index").mkdir()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, ""),
        (lambda folder: part(folder, 9).unlink(), ""),
        (lambda folder: flip(part(folder, 9), 500), ""),
        (lambda folder: flip(part(folder, 9, ".index"), 100), ""),
        (lambda folder: part(folder, 9, ".index").write_bytes(b""), ""),
        (lose_index, ""),
        (lose_all, ""),
        (swap, "it is of step 3"),
        (become_a_folder, ""),
    ],
    ids=[
        "cut",
        "no data",
        "bit of data",
        "bit of index",
        "empty",
        "no index",
        "all",
        "swap",
        "dir",
    ],
)
def test_the_newest_whole_checkpoint_is_taken_and_the_damaged_one_named(
    model_dir, caplog, damage, reason
):
    damage(model_dir)
    with caplog.at_level(logging.WARNING, logger="cnn_mnist"):
        assert restore.newest(RECIPE, str(model_dir)) == str(model_dir / "model.ckpt-6")
    (line,) = [m for m in caplog.messages if "passed over" in m]
    assert line.startswith(f"{model_dir}/model.ckpt-9 is damaged: {reason}") and "\n" not in line
    assert restore.resume(RECIPE, str(model_dir)) == 6
    # The Estimator, which asks TensorFlow, goes on from the same.
    assert tf.train.latest_checkpoint(str(model_dir)) == str(model_dir / "model.ckpt-6")


def test_a_whole_folder_is_not_touched(model_dir, caplog):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in model_dir.iterdir()}
    assert restore.resume(RECIPE, str(model_dir)) == 9
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in model_dir.iterdir()}
    assert after == before
    assert caplog.messages == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"rubbish {{{",
        b"\xff\xfe\x00\x80",
        b'model_checkpoint_path: "model.ckpt-3"\n',
        b'model_checkpoint_path: "elsewhere"\n',
        b'model_checkpoint_path: "../other/model.ckpt-9"\n',
        "folder",
    ],
)
def test_a_damaged_list_of_checkpoints_does_not_matter(model_dir, content):
    path = model_dir / "checkpoint"
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert restore.newest(RECIPE, str(model_dir)) == str(model_dir / "model.ckpt-9")
    assert restore.resume(RECIPE, str(model_dir)) == 9
    assert tf.train.latest_checkpoint(str(model_dir)) == str(model_dir / "model.ckpt-9")
    assert path.read_text().count("all_model_checkpoint_paths") == 4


def test_where_none_is_whole_there_is_one_line_and_nothing_is_changed(model_dir):
    for path in model_dir.glob("model.ckpt-*.index"):
        path.write_bytes(b"rubbish")
    before = {path: path.read_bytes() for path in model_dir.iterdir()}
    for read in (restore.newest, restore.resume):
        with pytest.raises(restore.CheckpointError) as raised:
            read(RECIPE, str(model_dir))
        assert str(raised.value).startswith(
            f"--model_dir={model_dir}: none of its 4 checkpoints can be read; "
            f"{model_dir}/model.ckpt-9 is damaged: "
        )
        assert "\n" not in str(raised.value)
    assert {path: path.read_bytes() for path in model_dir.iterdir()} == before


def test_a_list_without_checkpoints_is_a_loss(model_dir):
    for path in model_dir.glob("model.ckpt-*"):
        path.unlink()
    with pytest.raises(restore.CheckpointError, match=r"model\.ckpt-9 is damaged"):
        restore.resume(RECIPE, str(model_dir))
    (model_dir / "checkpoint").write_bytes(b"")
    with pytest.raises(restore.CheckpointError, match="none of its 1 checkpoints can be read"):
        restore.resume(RECIPE, str(model_dir))


def test_traces_of_a_training_without_any_checkpoint_are_a_loss(model_dir):
    for path in (*model_dir.glob("model.ckpt-*"), model_dir / "checkpoint"):
        path.unlink()
    with pytest.raises(
        restore.CheckpointError, match=r"holds no checkpoint, though its curves \(train_loss, "
    ):
        restore.resume(RECIPE, str(model_dir))
    for path in model_dir.glob("events*"):
        path.unlink()
    assert restore.resume(RECIPE, str(model_dir)) == 0
    (model_dir / "best").mkdir()
    with pytest.raises(restore.CheckpointError, match="though the folder best in it"):
        restore.resume(RECIPE, str(model_dir))


def test_what_a_killed_run_left_half_written_is_deleted_and_nothing_else(model_dir):
    kept = {path.name for path in model_dir.iterdir()}
    (model_dir / "best").mkdir()
    for folder in (model_dir, model_dir / "best"):
        (folder / ".saving" / "model.ckpt-12_temp").mkdir(parents=True)
        (folder / ".saving" / "model.ckpt-12.index").touch()
        for name in (
            "model.ckpt-12.data-00000-of-00001",
            "model.ckpt-12.meta",
            ".checkpoint.4711.part",
            ".probe",
            f"graph.pbtxt.tmp{'0a' * 16}",
            f"checkpoint.tmp{'f' * 32}",
        ):
            (folder / name).touch()
    mine = {"notes.txt", ".hidden", "x.part", "model.ckpt-12", "graph.pbtxt.tmp1", "my.index"}
    for name in mine:
        (model_dir / name).write_text("mine")
    assert restore.resume(RECIPE, str(model_dir)) == 9
    assert {path.name for path in model_dir.iterdir()} == kept | mine | {"best"}
    assert list((model_dir / "best").iterdir()) == []


def test_a_save_that_was_cut_short_is_no_damage(model_dir, caplog):
    # The data are in their place, the index is not: there never was a checkpoint of step 12.
    (model_dir / ".saving").mkdir()
    (model_dir / ".saving" / "model.ckpt-12.index").touch()
    (model_dir / "model.ckpt-12.data-00000-of-00001").touch()
    assert restore.resume(RECIPE, str(model_dir)) == 9
    assert caplog.messages == []


def test_a_checkpoint_of_tensorflows_own_saver_is_accepted(model_dir, tmp_path):
    values = saver.read(model_dir / "model.ckpt-9")
    classic = tmp_path / "classic"
    classic.mkdir()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        # It writes its absolute path into the list, as the classic one does.
        tf.compat.v1.train.Saver().save(session, str(classic / "model.ckpt"), global_step=9)
    assert restore.newest(RECIPE, str(classic)) == str(classic / "model.ckpt-9")
    assert restore.resume(RECIPE, str(classic)) == 9
    for name, value in saver.read(tf.train.latest_checkpoint(str(classic))).items():
        np.testing.assert_array_equal(value, values[name], err_msg=name)


def test_every_bit_of_an_index_counts_or_is_not_read(model_dir):
    index = part(model_dir, 9, ".index")
    good, wanted = index.read_bytes(), saver.read(model_dir / "model.ckpt-9")
    refused = 0
    for place in range(0, len(good) * 8, 7):
        content = bytearray(good)
        content[place // 8] ^= 1 << place % 8
        index.write_bytes(content)
        try:
            values = saver.read(model_dir / "model.ckpt-9")
        except saver.READ_ERRORS:
            refused += 1
            continue
        assert values.keys() == wanted.keys()
        assert all(values[name].tobytes() == wanted[name].tobytes() for name in wanted), place
    assert refused > len(good) * 8 / 7 * 0.8


def test_without_a_checkpoint_those_one_level_down_are_named(model_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Path("model_dir")
    there = place.rename("kept")

    def said(folder="model_dir"):
        with pytest.raises(restore.CheckpointError) as raised:
            restore.newest(RECIPE, folder)
        return str(raised.value)

    nothing = "--model_dir=model_dir: holds no checkpoint; --mode=train makes one"
    assert said() == nothing
    place.mkdir()
    (place / "report").mkdir()
    assert said() == nothing
    shutil.copytree(there, place / "my run")
    assert said() == (
        "--model_dir=model_dir: holds no checkpoint; 'model_dir/my run' holds one: "
        "--model_dir='model_dir/my run'"
    )
    shutil.copytree(there, place / "fast")
    assert said() == (
        "--model_dir=model_dir: holds no checkpoint; model_dir/fast and 'model_dir/my run' hold "
        "one: --model_dir=model_dir/fast, or make eval RECIPE=fast"
    )
    shutil.copytree(place / "fast", place / "best")
    assert "; model_dir/best, model_dir/fast and 'model_dir/my run' hold one: " in said()
    place.rename("other")
    assert said("other").endswith(
        "; other/best, other/fast and 'other/my run' hold one: --model_dir=other/best"
    )
