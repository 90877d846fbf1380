import contextlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from cnn_mnist.checkpoints import saver
from cnn_mnist.utils.listening import free_addresses
from stress import programs


@contextlib.contextmanager
def session_at(step, value=1.5, **options):
    """A session with one variable of two values, and a Saver."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        global_step = tf.compat.v1.train.get_or_create_global_step()
        weights = tf.compat.v1.get_variable("weights", [2])
        the_saver = saver.Saver(sharded=True, **options)
        session.run(tf.compat.v1.global_variables_initializer())
        global_step.load(step, session)
        weights.load([value, -value], session)
        yield session, the_saver


def save(folder, *steps, value=1.5, **options):
    """Saves checkpoints of these steps with one Saver, as one run does; returns the last prefix."""
    prefix = None
    with session_at(0, value, **options) as (session, the_saver):
        for step in steps:
            with session.graph.as_default():
                tf.compat.v1.train.get_global_step().load(step, session)
            prefix = the_saver.save(session, str(folder / "model.ckpt"), step)
    return prefix


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files_of(step):
    return [f"model.ckpt-{step}{part}" for part in (".data-00000-of-00001", ".index", ".meta")]


def test_a_saved_checkpoint_has_the_values_and_tensorflows_names(tmp_path):
    assert save(tmp_path, 7) == str(tmp_path / "model.ckpt-7")
    assert names(tmp_path) == ["checkpoint", *files_of(7)]
    values = saver.read(tmp_path / "model.ckpt-7")
    assert {name: value.tolist() for name, value in values.items()} == {
        "global_step": 7,
        "weights": [1.5, -1.5],
    }
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-7")


def test_five_stay_and_the_list_names_them(tmp_path):
    save(tmp_path, *range(0, 80, 10))
    kept = [30, 40, 50, 60, 70]
    assert saver.steps(tmp_path) == kept
    assert names(tmp_path) == sorted(["checkpoint", *(f for step in kept for f in files_of(step))])
    assert (tmp_path / "checkpoint").read_text().splitlines() == [
        'model_checkpoint_path: "model.ckpt-70"',
        *(f'all_model_checkpoint_paths: "model.ckpt-{step}"' for step in kept),
    ]


def test_the_list_can_be_read_wherever_the_folder_is_moved(tmp_path):
    save(tmp_path / "here", 1, 2)
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert tf.train.latest_checkpoint(str(tmp_path / "there")) == str(
        tmp_path / "there" / "model.ckpt-2"
    )


def test_damaged_checkpoints_of_later_steps_do_not_push_whole_ones_out(tmp_path):
    save(tmp_path, 1, 60, 70, 80, 90)
    for step in (60, 70, 80, 90):
        (tmp_path / f"model.ckpt-{step}.data-00000-of-00001").write_bytes(b"")
    save(tmp_path, 2, 3)
    assert saver.steps(tmp_path) == [1, 2, 3, 60, 70, 80, 90]
    assert '"model.ckpt-60"' not in (tmp_path / "checkpoint").read_text()


def test_nothing_is_to_be_seen_before_the_checkpoint_is_whole(tmp_path, monkeypatch):
    save(tmp_path, 1)
    before = contents(tmp_path)
    seen = []
    real = saver.publish

    def publish(part, name):
        assert contents(part).keys() == set(files_of(2))
        seen.append({name: value for name, value in contents(tmp_path).items() if name in before})
        assert saver.steps(tmp_path) == [1]
        real(part, name)

    monkeypatch.setattr(saver, "publish", publish)
    save(tmp_path, 2)
    assert seen == [before]
    assert saver.steps(tmp_path) == [1, 2]


def test_the_index_is_moved_last(tmp_path, monkeypatch):
    moved = []
    real = type(tmp_path).replace

    def replace(path, target):
        moved.append(path.name)
        return real(path, target)

    monkeypatch.setattr(type(tmp_path), "replace", replace)
    save(tmp_path, 2)
    assert [name for name in moved if name.startswith("model")][-1] == "model.ckpt-2.index"


def test_a_save_that_fails_leaves_the_folder_as_it_was(tmp_path):
    save(tmp_path, 1)
    before = contents(tmp_path)
    # A folder with something in it, where the new checkpoint's data belong.
    (tmp_path / "model.ckpt-2.data-00000-of-00001").mkdir()
    (tmp_path / "model.ckpt-2.data-00000-of-00001" / "mine").write_text("mine")
    with pytest.raises(saver.SaveError) as raised:
        save(tmp_path, 2)
    assert str(raised.value).startswith(f"{tmp_path}/model.ckpt-2: cannot be saved: ")
    assert "bytes" in str(raised.value) and "\n" not in str(raised.value)
    assert contents(tmp_path) == {**before, "mine": b"mine"}
    assert not (tmp_path / saver.PART).exists()


PARAMETER_SERVER = """
import sys
import tensorflow as tf
tf.distribute.Server({"ps": [sys.argv[1]], "worker": [sys.argv[2]]}, "ps", 0).join()
"""
WORKER = """
import os, sys
import tensorflow as tf
from cnn_mnist.checkpoints import saver
ps, worker, prefix = sys.argv[1:]
server = tf.distribute.Server({"ps": [ps], "worker": [worker]}, "worker", 0)
with tf.device("/job:ps/task:0"):
    tf.compat.v1.get_variable("value", initializer=[1.0, 2.0])
tf.compat.v1.train.create_global_step()
held = saver.Saver(sharded=True)
session = tf.compat.v1.Session(server.target)
session.run(tf.compat.v1.global_variables_initializer())
held.save(session, prefix, 0)
print("saved", flush=True)
sys.stdin.readline()
try:
    held.save(session, prefix, 1)
except Exception as error:
    print(type(error).__name__, flush=True)
os._exit(0)  # closing the session would wait for the parameter server
"""


def test_a_lost_parameter_server_is_no_error_of_the_disk(tmp_path):
    addresses = free_addresses(2)
    graph = "import tensorflow as tf\ntf.compat.v1.disable_eager_execution()\n"
    with (
        programs.start("-c", PARAMETER_SERVER, *addresses) as server,
        programs.start(
            "-c", graph + WORKER, *addresses, tmp_path / "model.ckpt", stdin=True
        ) as worker,
    ):
        assert worker.stdout.readline() == "saved\n"
        server.kill()
        server.wait()
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.communicate()[0] == "UnavailableError\n"
    assert saver.steps(tmp_path) == [0]
    assert not (tmp_path / saver.PART).exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError("no"), "OSError (no)"), (OSError(28, "full", "m/list"), "m/list: OSError (full)")],
)
def test_the_error_of_a_full_disk_tells_the_file_and_the_bytes_that_are_needed(error, told):
    with session_at(3) as (session, _):
        error = saver._save_error(saver.Path("nowhere/model.ckpt-3"), error, session, False)
    # Two float32 and one int64.
    start = f"nowhere/model.ckpt-3: cannot be saved: {told}; it takes 16 bytes, 0 are free"
    assert str(error).startswith(start)


def test_empty_folders_in_the_way_are_taken_away(tmp_path):
    for name in ("checkpoint", *files_of(2)):
        (tmp_path / name).mkdir(parents=True)
    save(tmp_path, 2)
    assert saver.read(tmp_path / "model.ckpt-2")["weights"].tolist() == [1.5, -1.5]
    assert all(path.is_file() for path in tmp_path.iterdir())


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path):
    save(tmp_path, 3, value=1.5)
    for path in tmp_path.glob("model.ckpt-3*"):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(saver.READ_ERRORS):
        saver.read(tmp_path / "model.ckpt-3")
    save(tmp_path, 3, value=2.5)
    assert saver.read(tmp_path / "model.ckpt-3")["weights"].tolist() == [2.5, -2.5]
    assert saver.steps(tmp_path) == [3]


def test_the_checkpoint_that_a_run_begins_from_is_not_written_anew(tmp_path):
    prefix = save(tmp_path, 3, value=1.5)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert save(tmp_path, 3, value=2.5, on_disk=prefix) == prefix
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    save(tmp_path, 3, 4, value=2.5, on_disk=prefix)
    assert saver.read(tmp_path / "model.ckpt-3")["weights"].tolist() == [1.5, -1.5]
    assert saver.read(tmp_path / "model.ckpt-4")["weights"].tolist() == [2.5, -2.5]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_saved(tmp_path, value):
    save(tmp_path, 1)
    before = contents(tmp_path)
    with pytest.raises(saver.NonFiniteError) as raised:
        save(tmp_path, 2000, value=value)
    assert str(raised.value) == (
        "step 2,000: NaN or infinity in 2 of 2 values of the variable weights; nothing of it was "
        "saved. Try a lower --learning_rate and another --model_dir"
    )
    assert contents(tmp_path) == before


def test_remains_of_a_save_that_was_cut_short_do_not_get_into_the_next(tmp_path):
    part = tmp_path / saver.PART
    part.mkdir()
    (part / "model.ckpt-1.index").write_bytes(b"half")
    (part / "model.ckpt-2.data-00000-of-00002").write_bytes(b"half")
    save(tmp_path, 2)
    assert names(tmp_path) == ["checkpoint", *files_of(2)]


def test_files_of_takes_tensorflows_names_alone(tmp_path):
    for name in (
        "model.ckpt-10.index",
        "model.ckpt-010.index",
        "model.ckpt-.index",
        "model.ckpt-10.index.bak",
        "model.ckpt-10.data-00000-of-00001",
        "xmodel.ckpt-10.index",
        "model.ckpt-1234567890123456789.index",
        "model.ckpt-0.meta",
    ):
        (tmp_path / name).touch()
    found = {
        step: sorted(p.name for p in paths) for step, paths in saver.files_of(tmp_path).items()
    }
    assert found == {
        10: ["model.ckpt-10.data-00000-of-00001", "model.ckpt-10.index"],
        0: ["model.ckpt-0.meta"],
    }
    assert saver.steps(tmp_path) == [10]
    assert saver.files_of(tmp_path / "missing") == {}


def test_a_step_that_others_take_during_a_save_is_in_the_name(tmp_path):
    with session_at(7) as (session, the_saver):
        prefix = the_saver.save(session, str(tmp_path / "model.ckpt"), 5)
        assert prefix == str(tmp_path / "model.ckpt-7")
        assert names(tmp_path) == ["checkpoint", *files_of(7)]
        assert saver.read(prefix)["global_step"] == 7
        assert tf.train.latest_checkpoint(str(tmp_path)) == prefix
        before = contents(tmp_path)
        with session.graph.as_default():
            tf.compat.v1.train.get_global_step().load(9, session)
        # The run is known to be on disk up to the step that was in it.
        assert the_saver.save(session, str(tmp_path / "model.ckpt"), 7) == prefix
    assert contents(tmp_path) == before


def test_what_is_not_finite_is_told_with_the_step_that_others_took(tmp_path):
    refused = pytest.raises(saver.NonFiniteError, match="^step 7: ")
    with session_at(7, np.nan) as (session, the_saver), refused:
        the_saver.save(session, str(tmp_path / "model.ckpt"), 5)
    assert names(tmp_path) == []


def test_a_copy_has_the_same_bytes_and_is_what_tensorflow_finds(tmp_path):
    save(tmp_path / "there", 4, 40)
    save(tmp_path / "here", 2, value=9)
    saver.copy(tmp_path / "there" / "model.ckpt-4", tmp_path / "here")
    copied = [name for name in files_of(4) if not name.endswith(".meta")]
    assert names(tmp_path / "here") == sorted(["checkpoint", *files_of(2), *copied])
    there, here = contents(tmp_path / "there"), contents(tmp_path / "here")
    assert [here[name] for name in copied] == [there[name] for name in copied]
    newest = tf.train.latest_checkpoint(str(tmp_path / "here"))
    assert newest == str(tmp_path / "here" / "model.ckpt-4")
    assert saver.read(newest)["weights"].tolist() == [1.5, -1.5]


def test_a_copy_is_published_like_a_save(tmp_path, monkeypatch):
    save(tmp_path / "there", 4)
    part = tmp_path / "here" / saver.PART
    part.mkdir(parents=True)
    (part / "model.ckpt-4.data-00000-of-00002").write_bytes(b"half")
    published = []
    real = saver.publish

    def publish(part, name):
        published.append((names(part), saver.steps(tmp_path / "here")))
        real(part, name)

    monkeypatch.setattr(saver, "publish", publish)
    saver.copy(tmp_path / "there" / "model.ckpt-4", tmp_path / "here")
    assert published == [([*files_of(4)[:2]], [])]
    assert names(tmp_path / "here") == ["checkpoint", *files_of(4)[:2]]


@pytest.mark.parametrize(
    "gone", [[".data-00000-of-00001", ".index", ".meta"], [".index"], [".data-00000-of-00001"]]
)
def test_of_a_checkpoint_that_is_being_deleted_nothing_is_copied(tmp_path, gone):
    prefix = save(tmp_path / "there", 4)
    save(tmp_path / "here", 2)
    before = contents(tmp_path / "here")
    for suffix in gone:
        saver.Path(prefix + suffix).unlink()
    with pytest.raises(FileNotFoundError):
        saver.copy(saver.Path(prefix), tmp_path / "here")
    assert contents(tmp_path / "here") == before
    assert not (tmp_path / "here" / saver.PART).exists()
