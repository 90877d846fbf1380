import itertools

import pytest
import tensorflow as tf
from estimators import estimator_of

from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import train
from cnn_mnist.utils.curves import Curve, Curves, read_curves

_SECONDS = itertools.count(1_700_000_000)


def write_events(folder, scalars, second=None):
    """An event file as the Estimator writes it; `scalars` is `{step: {tag: value}}`."""
    with tf.Graph().as_default():
        writer = tf.compat.v1.summary.FileWriter(str(folder / "new"))
    for step, values in scalars.items():
        value = [tf.compat.v1.Summary.Value(tag=t, simple_value=v) for t, v in values.items()]
        writer.add_summary(tf.compat.v1.Summary(value=value), step)
    writer.close()
    (written,) = (folder / "new").iterdir()
    path = folder / f"events.out.tfevents.{second or next(_SECONDS)}.host"
    written.rename(path)
    (folder / "new").rmdir()
    return path


@pytest.fixture
def validation_dir(tmp_path):
    folder = tmp_path / "eval_validation"
    folder.mkdir()
    return folder


def test_reads_loss_and_accuracy_of_training_and_validation(tmp_path, validation_dir):
    write_events(
        tmp_path,
        {
            1: {"loss": 2.5, "accuracy": 0.125},
            101: {"loss": 0.5, "accuracy": 0.75, "global_step/sec": 16.0},
        },
    )
    write_events(validation_dir, {100: {"loss": 9.0, "average_loss": 0.25, "accuracy": 0.875}})
    assert read_curves(tmp_path) == Curves(
        train_loss=Curve((1, 101), (2.5, 0.5)),
        train_accuracy=Curve((1, 101), (0.125, 0.75)),
        validation_loss=Curve((100,), (0.25,)),
        validation_accuracy=Curve((100,), (0.875,)),
    )


def test_without_an_average_loss_the_estimators_loss_counts(tmp_path, validation_dir):
    write_events(validation_dir, {100: {"loss": 9.0}})
    assert read_curves(str(tmp_path)).validation_loss == Curve((100,), (9.0,))


def test_nothing_recorded(tmp_path):
    assert read_curves(tmp_path) == Curves()
    assert read_curves(tmp_path / "missing") == Curves()
    (tmp_path / "events.out.tfevents.1700000000.host").touch()
    (tmp_path / "events.out.tfevents.1700000001.folder").mkdir()
    assert read_curves(tmp_path) == Curves()


def test_where_files_overlap_the_later_one_counts(tmp_path):
    write_events(tmp_path, {200: {"loss": 2.0}, 300: {"loss": 3.0}}, second=1_700_000_900)
    write_events(tmp_path, {1: {"loss": 9.0}, 200: {"loss": 8.0}}, second=1_700_000_800)
    write_events(tmp_path, {300: {"loss": 3.5}, 400: {"loss": 4.0}}, second=1_700_001_000)
    assert read_curves(tmp_path).train_loss == Curve((1, 200, 300, 400), (9.0, 2.0, 3.5, 4.0))


def test_a_file_cut_off_anywhere_counts_as_far_as_it_goes(tmp_path):
    steps = {step: {"loss": step / 4} for step in range(1, 7)}
    path = write_events(tmp_path, steps)
    content = path.read_bytes()
    lengths = []
    for size in range(0, len(content) + 1, 3):
        path.write_bytes(content[:size])
        curve = read_curves(tmp_path).train_loss
        assert curve.steps == tuple(range(1, len(curve.steps) + 1))
        assert curve.values == tuple(step / 4 for step in curve.steps)
        lengths.append(len(curve.steps))
    assert set(lengths) >= set(range(6)) and lengths == sorted(lengths)


def test_a_damaged_file_counts_up_to_the_damage_and_the_others_in_full(tmp_path):
    path = write_events(tmp_path, {step: {"loss": 1.0} for step in range(1, 7)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    write_events(tmp_path, {7: {"loss": 2.0}})
    steps = read_curves(tmp_path).train_loss.steps
    assert steps[:1] == (1,) and steps[-1] == 7 and len(steps) < 7


def test_reads_what_a_training_run_leaves(small, tmp_path):
    recipe = Recipe(batch_size=20, steps=6, learning_rate=0.05, validation_size=37)
    train(
        recipe, tmp_path, data=small, progress=False, save_checkpoints_steps=3, log_every_n_iter=0
    )
    score = estimator_of(recipe, tmp_path).evaluate(
        lambda: tf.data.Dataset.from_tensors(
            ({"x": small.validation.images}, small.validation.labels)
        ),
        name="again",
    )
    curves = read_curves(tmp_path)
    assert curves.train_loss.steps == curves.train_accuracy.steps == (1,)
    assert curves.train_loss.values[0] == pytest.approx(2.3, abs=0.3)  # ln 10: guessing
    assert curves.validation_loss.steps[-1] == curves.validation_accuracy.steps[-1] == 6
    assert curves.validation_loss.values[-1] == pytest.approx(score["average_loss"])
    assert curves.validation_accuracy.values[-1] == pytest.approx(score["accuracy"])
