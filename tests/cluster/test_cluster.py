"""What each process of a cluster trains on, and what comes of it; `test_cluster_ends`: its end."""

import json
import re
import shutil

import numpy as np
import pytest
from clusters import BATCH, IMAGES, SEED, STEPS, flags, launch, start, train
from form_data import FORMS, arrays
from mnist_files import write_idx

from cnn_mnist.checkpoints import saver
from cnn_mnist.data.splits import batch_indices
from cnn_mnist.utils import curves


def batches(folder):
    """What the lines of `--index_log_dir` tell: name of a process -> [(step, images), ...]."""
    return {
        path.stem: [
            (line["step"], line["images"]) for line in map(json.loads, path.open(encoding="ascii"))
        ]
        for path in folder.glob("*.jsonl")
    }


def batch(step):
    return batch_indices(step, size=IMAGES, batch_size=BATCH, seed=SEED).tolist()


def variables(model_dir, step=STEPS):
    return saver.read(model_dir / f"model.ckpt-{step}")


def losses(model_dir):
    return curves.read_curves(model_dir).train_loss


@pytest.fixture(scope="module")
def alone(small_data_dir, tmp_path_factory):
    """The folder of a run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    with start("cnn_mnist.main", flags(small_data_dir, "model_dir"), folder) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return folder


def together(data_dir, folder, **processes):
    more = ("--strategy=multi_worker", "--index_log_dir=indices")
    train(folder, flags(data_dir, "model_dir", *more), **processes)
    return folder


@pytest.fixture(scope="module")
def two(small_data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return together(small_data_dir, folder, workers=1, evaluator=True)


@pytest.fixture(scope="module")
def four(small_data_dir, tmp_path_factory):
    """A batch of 18 is parted into 4, 5, 4 and 5 rows."""
    return together(small_data_dir, tmp_path_factory.mktemp("four"), workers=3)


@pytest.fixture(params=["two", pytest.param("four", marks=pytest.mark.long)])
def several(request):
    return request.getfixturevalue(request.param)


def test_the_parts_of_a_step_are_its_batch(several):
    noted = batches(several / "indices")
    assert len(noted) == {"two": 2, "four": 4}[several.name.rstrip("0123456789")]
    parts = {}
    for name in sorted(noted):  # the chief, then the workers by number: the order of the rows
        assert [step for step, _ in noted[name]] == list(range(STEPS))
        for step, images in noted[name]:
            parts.setdefault(step, []).append(images)
    for step in range(STEPS):
        assert sum(parts[step], []) == batch(step)
        sizes = [len(part) for part in parts[step]]
        assert max(sizes) - min(sizes) <= 1


def test_each_image_is_trained_on_once_per_epoch(several):
    noted = sorted(
        (step, name, images)
        for name, lines in batches(several / "indices").items()
        for step, images in lines
    )
    images = [image for _, _, part in noted for image in part]
    assert sorted(images[:IMAGES]) == list(range(IMAGES))
    assert sorted(images[IMAGES : 2 * IMAGES]) == list(range(IMAGES))


def test_the_losses_of_a_cluster_are_those_of_one_process(alone, several):
    expected, found = losses(alone / "model_dir"), losses(several / "model_dir")
    assert found.steps == expected.steps == tuple(range(1, STEPS + 1))
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-5)


def test_a_cluster_of_one_trains_to_the_bits_of_one_process(small_data_dir, alone, tmp_path):
    train(tmp_path, flags(small_data_dir, "model_dir", "--strategy=multi_worker"), workers=0)
    assert losses(tmp_path / "model_dir") == losses(alone / "model_dir")
    found = variables(tmp_path / "model_dir")
    for name, value in variables(alone / "model_dir").items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_checkpoint_of_a_cluster_is_that_of_one_process(alone, several):
    found, expected = (variables(folder / "model_dir") for folder in (several, alone))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-3, err_msg=name)
    assert saver.steps(several / "model_dir") == [0, 7, 14, 16]


def test_the_evaluator_scores_the_last_checkpoint(alone, two):
    expected = curves.read_curves(alone / "model_dir").validation_loss
    found = curves.read_curves(two / "model_dir").validation_loss
    assert found.steps[-1] == expected.steps[-1] == STEPS
    assert found.values[-1] == pytest.approx(expected.values[-1], abs=1e-4)


def test_one_process_and_a_cluster_resume_each_others_checkpoints(
    small_data_dir, alone, two, tmp_path
):
    """Each goes on from the other's last checkpoint, to the same losses."""
    for name, whole in (("process", two), ("cluster", alone)):
        shutil.copytree(whole / "model_dir", tmp_path / name)
    more = flags(small_data_dir, tmp_path / "process", f"--steps={STEPS + 4}")
    with start("cnn_mnist.main", more, tmp_path) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert f"resuming at step {STEPS}" in printed
    index = ("--index_log_dir=indices", "--strategy=multi_worker")
    more = flags(small_data_dir, tmp_path / "cluster", f"--steps={STEPS + 4}", *index)
    printed = train(tmp_path, more, workers=1)
    assert f"resuming at step {STEPS}" in printed["chief"]
    trained = [step for step, _ in batches(tmp_path / "indices")["worker_0"]]
    assert trained == list(range(STEPS, STEPS + 4))
    found, expected = losses(tmp_path / "cluster"), losses(tmp_path / "process")
    assert found.steps == expected.steps == tuple(range(1, STEPS + 5))
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-5)


@pytest.mark.long
def test_a_cluster_reads_as_many_digits_as_one_process(cnn_mnist, tmp_path):
    """On all of MNIST, after 800 steps; by the report of the evaluator and of one process.

    In step they differ by rounding, which 800 steps make larger; with a learning rate that falls
    to 0 both come to rest.
    """
    flags = ("--network=small_cnn", "--learning_rate=0.1", "--learning_rate_schedule=cosine")
    flags += ("--steps=800", "--log_every_n_iter=0")
    alone = cnn_mnist(*flags, f"--model_dir={tmp_path / 'alone'}").stdout
    expected = float(re.search(r"test accuracy ([\d.]+)", alone)[1])
    assert expected > 0.975
    printed = launch(
        tmp_path, "--strategy=multi_worker", *flags, f"--model_dir={tmp_path / 'together'}"
    )
    accuracy = float(re.search(r"evaluator \| test accuracy ([\d.]+)", printed)[1])
    assert accuracy == pytest.approx(expected, abs=0.001)


@pytest.mark.long
def test_a_cluster_trains_small_colour_images_of_five_classes(mnist, tmp_path):
    """In step, two processes come to what one comes to."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    write_idx(data_dir, arrays(mnist, FORMS["unlike"], train=167))
    with start("cnn_mnist.main", flags(data_dir, "model_dir"), tmp_path / "one") as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, printed
    together(data_dir, tmp_path / "two", workers=1)
    found, expected = (variables(tmp_path / name / "model_dir") for name in ("two", "one"))
    assert found.keys() == expected.keys()
    assert found["dense_1/kernel"].shape == (128, 5)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-3, err_msg=name)
