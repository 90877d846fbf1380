"""Event files that somebody deletes or damages while they are written."""

import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore, saver
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import train as training
from cnn_mnist.training import validation
from cnn_mnist.utils import events
from cnn_mnist.utils.curves import read_curves
from conftest import scalars

RECIPE = Recipe(
    network="tfjs", optimizer="adam", batch_size=20, steps=24, eval_every_steps=4, seed=3
)
LOST = "its event file was deleted or damaged"


def event_files(folder):
    return sorted(folder.glob(events.EVENT_FILES))


def delete(folder):
    for path in event_files(folder):
        path.unlink()


def delete_folder(folder):
    shutil.rmtree(folder)


def empty(folder):
    for path in event_files(folder):
        path.write_bytes(b"")


def change_a_byte(folder):
    path = event_files(folder)[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HARMS = [delete, empty, change_a_byte]


@pytest.mark.parametrize("harm", [*HARMS, delete_folder])
def test_curves_that_are_lost_are_told_once_and_go_on(tmp_path, caplog, harm):
    folder = tmp_path / "curves"
    writer = events.writer(folder)
    for step in (1, 2):
        validation.write_scalars(writer, {"loss": step / 2}, step)
    harm(folder)
    for step in (3, 4):
        validation.write_scalars(writer, {"loss": step / 2}, step)
    [told] = [line for line in caplog.messages if LOST in line]
    assert told.startswith(f"{folder}: ") and "\n" not in told
    for path in event_files(folder):  # as somebody does who reads all curves
        if path != event_files(folder)[-1]:
            path.unlink()
    assert scalars(folder)["loss"][-1] == (4, 2.0)
    assert read_curves(folder).train_loss.steps[-1] == 4


def test_a_file_of_an_earlier_run_does_not_hide_the_loss(tmp_path, caplog):
    with tf.Graph().as_default():
        earlier = tf.compat.v1.summary.FileWriter(str(tmp_path), filename_suffix=".earlier")
    earlier.add_summary(tf.compat.v1.Summary(), 1)
    earlier.close()
    [kept] = event_files(tmp_path)
    writer = events.writer(tmp_path)
    validation.write_scalars(writer, {"loss": 1.0}, 2)
    for path in set(event_files(tmp_path)) - {kept}:
        path.unlink()
    validation.write_scalars(writer, {"loss": 1.5}, 3)
    assert [LOST in line and "nothing of step 3" in line for line in caplog.messages] == [True]
    validation.write_scalars(writer, {"loss": 2.0}, 4)
    assert scalars(tmp_path)["loss"] == [(4, 2.0)]


class Harm(estimator.SessionRunHook):
    """Does something to the files of a run, once, when a step is done."""

    def __init__(self, at, harm, folder):
        self._at, self._harm, self._folder = at, harm, folder

    def begin(self):
        self._step = tf.compat.v1.train.get_global_step()

    def after_run(self, run_context, run_values):
        if run_context.session.run(self._step) == self._at:
            self._harm(self._folder)


def train(model_dir, data, hooks=(), steps_per_call=1, steps=RECIPE.steps):
    training.train(
        RECIPE,
        model_dir,
        data=data,
        progress=False,
        steps=steps,
        hooks=hooks,
        save_checkpoints_steps=5,
        steps_per_call=steps_per_call,
        log_every_n_iter=0,
    )


def bits(folder):
    return {name: value.tobytes() for name, value in saver.read(folder).items()}


@pytest.fixture(scope="module")
def undisturbed(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder, small)
    return folder


@pytest.mark.parametrize("steps_per_call", [1, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("place", ["", "eval_validation"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_training_goes_on_and_loses_no_checkpoint(
    small, undisturbed, tmp_path, caplog, harm, place, steps_per_call
):
    train(tmp_path, small, [Harm(12, harm, tmp_path / place)], steps_per_call)
    told = [line for line in caplog.messages if LOST in line]
    assert len(told) == 1 and told[0].startswith(f"{tmp_path / place}: ")
    assert saver.steps(tmp_path) == saver.steps(undisturbed) == [5, 10, 15, 20, 24]
    for step in saver.steps(tmp_path):
        name = f"model.ckpt-{step}"
        assert bits(tmp_path / name) == bits(undisturbed / name)
    best = restore.newest_whole(str(tmp_path / "best"))
    expected = restore.newest_whole(str(undisturbed / "best"))
    assert bits(best) == bits(expected)
    assert read_curves(tmp_path).validation_loss.steps[-2:] == (20, 24)


def test_the_new_file_of_a_training_has_its_graph_and_later_points(small, tmp_path):
    train(tmp_path, small, [Harm(3, delete, tmp_path)], steps=12)
    found = [
        event
        for path in event_files(tmp_path)
        for event in tf.compat.v1.train.summary_iterator(str(path))
    ]
    graphs = [tf.compat.v1.GraphDef.FromString(e.graph_def) for e in found if e.graph_def]
    assert any(node.name == "softmax_tensor" for graph in graphs for node in graph.node)
    assert [step for step, _ in scalars(tmp_path)["loss"]] == [9]


def graphs_in(folder):
    """Sizes of the graphs in its event files, in the order of writing."""
    events_ = [e for p in event_files(folder) for e in tf.compat.v1.train.summary_iterator(str(p))]
    graphs = [tf.compat.v1.GraphDef.FromString(e.graph_def) for e in events_ if e.graph_def]
    return [len(graph.node) for graph in graphs]


def test_tensorboard_finds_the_graph_of_the_training_and_no_empty_one(undisturbed):
    """It draws the first that it finds."""
    assert graphs_in(undisturbed)[0] > 100 and 0 not in graphs_in(undisturbed)
    assert graphs_in(undisturbed / "eval_validation") == []


def test_a_second_training_in_the_process_begins_a_file_of_its_own(
    small, tmp_path, caplog, monkeypatch
):
    """As in a notebook: the folder was deleted, or has its name in another working directory."""
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        for _ in range(2):
            shutil.rmtree("model_dir", ignore_errors=True)
            train(Path("model_dir"), small, steps=4)
            assert [step for step, _ in scalars(Path("model_dir"))["loss"]] == [1]
            assert [step for step, _ in scalars(Path("model_dir/eval_validation"))["loss"]] == [4]
    assert [line for line in caplog.messages if LOST in line] == []


def test_a_resumed_training_whose_curves_are_gone_goes_on(small, undisturbed, tmp_path, caplog):
    train(tmp_path, small, steps=12)
    delete(tmp_path)
    delete(tmp_path / "eval_validation")
    train(tmp_path, small)
    name = "model.ckpt-24"
    assert bits(tmp_path / name) == bits(undisturbed / name)
    assert sum(LOST in line for line in caplog.messages) <= 2


def test_a_file_begun_in_the_same_second_is_not_written_over(tmp_path):
    for step in (1, 2, 3):
        writer = events.writer(tmp_path)
        validation.write_scalars(writer, {"loss": 0.5 * step}, step)
        writer.close()
    assert scalars(tmp_path) == {"loss": [(1, 0.5), (2, 1.0), (3, 1.5)]}
