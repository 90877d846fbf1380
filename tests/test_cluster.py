"""Clusters of real processes on the loopback: what each trains on, and what comes of it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cnn_mnist import cluster, curves, saver
from cnn_mnist.input_fns import batch_indices
from conftest import ROOT

IMAGES, SEED = 130, 3
# A batch that 4 does not divide, and that does not divide the images.
BATCH, STEPS = 18, 16
MARK = "CNN_MNIST_TEST_CLUSTER"  # in the environment of every process of a test


def flags(data_dir, model_dir, *more):
    return [
        *("--network=small_cnn", "--optimizer=adam", "--learning_rate=0.01", f"--seed={SEED}"),
        *(f"--batch_size={BATCH}", f"--steps={STEPS}", "--validation_size=37", "--mode=train"),
        *("--dropout_rate=0.3", "--augment=shift_and_rotation", "--average_decay=0.9"),
        *("--eval_every_steps=1", "--save_checkpoints_steps=7", "--log_every_n_iter=0"),
        *(f"--data_dir={data_dir}", f"--model_dir={model_dir}", *more),
    ]


@contextlib.contextmanager
def start(module, arguments, folder, config=None):
    """A process of `python -m MODULE`, marked, with a working directory of its own.

    It ends with the test, also where that fails.
    """
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**environment, "TF_CONFIG": config} if config else environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for it alone
    )
    try:
        yield process
    finally:
        process.terminate()
        process.stdout.close()
        process.wait()


def marked(folder):
    """The processes with the mark of a folder: process id -> command line."""
    mark = f"{MARK}={folder}".encode()
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found[int(path.name)] = (path / "cmdline").read_bytes().decode()
        except OSError:  # it has ended, or is another user's
            pass
    return found


def process_of(folder, role, index=0):
    """The process of a cluster in a role: its id, and the addresses of the cluster."""
    for pid, command in marked(folder).items():
        environment = Path(f"/proc/{pid}/environ").read_text()
        config = re.search(r"\0TF_CONFIG=([^\0]*)", environment)
        if config and "cnn_mnist.main" in command:
            config = json.loads(config[1])
            if config["task"] == {"type": role, "index": index}:
                return pid, config["cluster"]
    raise AssertionError(f"no {role} {index}")


def nothing_is_left_of(folder):
    end = time.monotonic() + 10  # what a process started ends shortly after it
    while marked(folder) and time.monotonic() < end:
        time.sleep(0.05)
    return marked(folder) == {}


def run(folder, *arguments):
    """Runs a cluster to its good end; returns what it printed."""
    with start("cnn_mnist.cluster", arguments, folder) as launcher:
        printed, _ = launcher.communicate()
    assert launcher.returncode == 0, printed
    assert "Traceback" not in printed
    assert nothing_is_left_of(folder)
    return printed


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


def synchronous(data_dir, folder, *arguments):
    more = ("--strategy=sync", "--index_log_dir=indices")
    run(folder, *arguments, *flags(data_dir, "model_dir", *more))
    return folder


@pytest.fixture(scope="module")
def one(small_data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return synchronous(small_data_dir, folder, "--workers=0", "--no-evaluator")


@pytest.fixture(scope="module")
def two(small_data_dir, tmp_path_factory):
    return synchronous(small_data_dir, tmp_path_factory.mktemp("two"), "--workers=1")


@pytest.fixture(scope="module")
def four(small_data_dir, tmp_path_factory):
    """With two parameter servers."""
    folder = tmp_path_factory.mktemp("four")
    return synchronous(small_data_dir, folder, "--workers=3", "--ps=2", "--no-evaluator")


@pytest.fixture(scope="module")
def asynchronous(small_data_dir, tmp_path_factory):
    """The folder of a run of three trainers, and what was printed."""
    folder = tmp_path_factory.mktemp("asynchronous")
    more = flags(small_data_dir, "model_dir", "--index_log_dir=indices", "--steps=60")
    return folder, run(folder, "--workers=2", *more)


@pytest.fixture(params=["one", "two", "four"])
def together(request):
    return request.getfixturevalue(request.param)


def test_the_parts_of_a_step_are_its_batch(together):
    noted = batches(together / "indices")
    assert len(noted) == {"one": 1, "two": 2, "four": 4}[together.name.rstrip("0123456789")]
    parts = {}
    for name in sorted(noted):  # the chief, then the workers by number: the order of the rows
        assert [step for step, _ in noted[name]] == list(range(STEPS))
        for step, images in noted[name]:
            parts.setdefault(step, []).append(images)
    for step in range(STEPS):
        assert sum(parts[step], []) == batch(step)
        sizes = [len(part) for part in parts[step]]
        assert max(sizes) - min(sizes) <= 1


def test_each_image_is_trained_on_once_per_epoch(together):
    noted = sorted(
        (step, name, images)
        for name, lines in batches(together / "indices").items()
        for step, images in lines
    )
    images = [image for _, _, part in noted for image in part]
    assert sorted(images[:IMAGES]) == list(range(IMAGES))
    assert sorted(images[IMAGES : 2 * IMAGES]) == list(range(IMAGES))


def test_the_losses_of_a_synchronous_cluster_are_those_of_one_process(alone, together):
    expected, found = losses(alone / "model_dir"), losses(together / "model_dir")
    assert found.steps == expected.steps == tuple(range(1, STEPS + 1))
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-5)


def test_a_chief_alone_trains_to_the_bits_of_one_process(alone, one):
    assert losses(one / "model_dir") == losses(alone / "model_dir")
    found = variables(one / "model_dir")
    for name, value in variables(alone / "model_dir").items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_checkpoint_of_a_cluster_is_that_of_one_process(alone, together, asynchronous):
    def shapes(folder, step=STEPS):
        checkpoint = variables(folder / "model_dir", step)
        return {name: (value.shape, value.dtype) for name, value in checkpoint.items()}

    assert shapes(together) == shapes(alone) == shapes(asynchronous[0], 60)
    assert saver.steps(together / "model_dir") == [0, 7, 14, 16]


def test_the_evaluator_scores_the_last_checkpoint(alone, two):
    expected = curves.read_curves(alone / "model_dir").validation_loss
    found = curves.read_curves(two / "model_dir").validation_loss
    assert found.steps[-1] == expected.steps[-1] == STEPS
    assert found.values[-1] == pytest.approx(expected.values[-1], abs=1e-4)


def test_an_asynchronous_cluster_takes_each_batch_once_and_whole(asynchronous):
    folder, printed = asynchronous
    noted = batches(folder / "indices")
    assert "chief" in noted
    taken = sorted(line for lines in noted.values() for line in lines)
    assert taken == [(step, batch(step)) for step in range(60)]
    assert saver.steps(folder / "model_dir")[-1] == 60
    assert variables(folder / "model_dir", 60)["global_step"] == 60
    assert curves.read_curves(folder / "model_dir").validation_accuracy.steps[-1] == 60
    assert "chief     | trained 60 steps" in printed


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
    index = ("--index_log_dir=indices", "--strategy=sync")
    more = flags(small_data_dir, tmp_path / "cluster", f"--steps={STEPS + 4}", *index)
    printed = run(tmp_path, "--workers=1", "--no-evaluator", *more)
    assert f"resuming at step {STEPS}" in printed
    trained = [step for step, _ in batches(tmp_path / "indices")["worker_0"]]
    assert trained == list(range(STEPS, STEPS + 4))
    found, expected = losses(tmp_path / "cluster"), losses(tmp_path / "process")
    assert found.steps == expected.steps == tuple(range(1, STEPS + 5))
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-5)


def test_a_chief_that_is_killed_and_started_again_counts_no_step_twice(small_data_dir, tmp_path):
    """What the workers are at when it comes back belongs to steps that it gives out again."""
    more = ("--steps=150", "--save_checkpoints_steps=50", "--log_every_n_iter=10")
    arguments = ["--workers=1", "--restarts=1", *flags(small_data_dir, "model_dir", *more)]
    with start("cnn_mnist.cluster", [*arguments, "--no-evaluator"], tmp_path) as launcher:
        lines = []
        while not re.search(r"chief +\| .*Saving checkpoints for [^0]", "".join(lines[-1:])):
            assert launcher.poll() is None, lines
            lines.append(launcher.stdout.readline())
        os.kill(process_of(tmp_path, "chief")[0], signal.SIGKILL)
        printed = launcher.communicate()[0]
    assert launcher.returncode == 0, printed
    assert "Traceback" not in printed
    assert "ended with 137; it is started again" in printed
    assert saver.steps(tmp_path / "model_dir")[-1] == 150
    assert variables(tmp_path / "model_dir", 150)["global_step"] == 150
    assert nothing_is_left_of(tmp_path)


@pytest.mark.parametrize(
    ("strategy", "number", "code"),
    [("parameter_server", signal.SIGTERM, 143), ("sync", signal.SIGINT, 130)],
)
def test_a_signal_to_the_launcher_ends_all_and_saves(
    small_data_dir, tmp_path, strategy, number, code
):
    more = (f"--strategy={strategy}", "--steps=1000000", "--log_every_n_iter=2")
    arguments = ["--workers=1", *flags(small_data_dir, "model_dir", *more)]
    with start("cnn_mnist.cluster", arguments, tmp_path) as launcher:
        lines = []
        while "softmax_tensor" not in "".join(lines[-3:]):
            assert launcher.poll() is None, lines
            lines.append(launcher.stdout.readline())
        launcher.send_signal(number)
        printed = launcher.communicate()[0]
    assert launcher.returncode == code, printed
    assert "Traceback" not in printed
    saved = re.search(rf"chief +\| {number.name}: saved at step ([\d,]+);", printed)
    assert saved, printed
    assert saver.steps(tmp_path / "model_dir")[-1] == int(saved[1].replace(",", "")) > 0
    for name in ("chief", "worker-0", "ps-0", "evaluator"):
        assert re.search(rf"^{name} +\| ended with {code}$", printed, re.MULTILINE), printed
    assert nothing_is_left_of(tmp_path)


def test_a_dead_parameter_server_ends_all_and_is_named(small_data_dir, tmp_path):
    more = ("--steps=1000000", "--log_every_n_iter=2", "--cluster_timeout=100")
    arguments = ["--workers=1", "--ps=2", *flags(small_data_dir, "model_dir", *more)]
    with start("cnn_mnist.cluster", [*arguments, "--no-evaluator"], tmp_path) as launcher:
        line = ""
        while "softmax_tensor" not in line:
            assert launcher.poll() is None
            line = launcher.stdout.readline()
        pid, spec = process_of(tmp_path, "ps", 1)
        address = spec["ps"][1]
        os.kill(pid, signal.SIGKILL)
        printed = launcher.communicate()[0]
    assert launcher.returncode == 1, printed
    assert "Traceback" not in printed
    for name in ("chief", "worker-0", "ps-0"):
        gone = rf"^{name} +\| error: ps 1 at {address} is gone"
        assert re.search(gone, printed, re.MULTILINE), printed
        assert re.search(rf"^{name} +\| ended with 1$", printed, re.MULTILINE), printed
    assert nothing_is_left_of(tmp_path)


def test_a_worker_with_other_flags_than_the_chief_is_refused(small_data_dir, tmp_path):
    configs = cluster.tf_configs(cluster.free_addresses(3), 1, 1, False)
    same = flags(small_data_dir, "model_dir", "--steps=1000000", "--strategy=sync")

    def process(name, *more):
        return start("cnn_mnist.main", [*same, *more], tmp_path / name, configs[name])

    with process("chief") as chief, process("ps-0") as server:
        with process("worker-0", "--batch_size=16") as worker:
            printed, _ = worker.communicate()
        assert worker.returncode == 2, printed
        refusal = r"^error: .*--batch_size is 16, the chief's 18;.*\n\Z"
        assert re.search(refusal, printed, re.MULTILINE)
        # One with the chief's flags is let in by the chief, which has waited for it.
        with process("worker-0", "--index_log_dir=indices") as worker:
            indices = tmp_path / "worker-0" / "indices" / "worker_0.jsonl"
            while not indices.exists() or len(indices.read_text().splitlines()) < 5:
                assert worker.poll() is None
                time.sleep(0.05)
            chief.send_signal(signal.SIGTERM)
            printed, _ = chief.communicate()
            assert chief.returncode == 143, printed
            assert saver.steps(tmp_path / "chief" / "model_dir")[-1] >= 4
            for other in (worker, server):
                assert other.poll() is None  # the chief may come back
                other.send_signal(signal.SIGTERM)
                printed, _ = other.communicate()
                assert other.returncode == 143, printed
    assert [path.name for path in (tmp_path / "worker-0").iterdir()] == ["indices"]
    assert list((tmp_path / "ps-0").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--workers=-1"], "--workers"),
        (["--workers=two"], "--workers"),
        (["--ps=0"], "--ps"),
        (["--ps="], "--ps"),
        (["--restarts=-1"], "--restarts"),
    ],
)
def test_wrong_counts_are_one_line(arguments, named, tmp_path):
    with start("cnn_mnist.cluster", arguments, tmp_path) as launcher:
        printed, _ = launcher.communicate()
    assert launcher.returncode == 2
    expected = rf"error: {named}: expected a whole number of at least \d, found '.*'\n"
    assert re.fullmatch(expected, printed)


def test_a_wrong_flag_of_all_processes_ends_all_with_2(small_data_dir, tmp_path):
    arguments = flags(small_data_dir, "model_dir", "--batch_size=1", "--strategy=sync")
    with start(
        "cnn_mnist.cluster", ["--workers=1", "--no-evaluator", *arguments], tmp_path
    ) as all_:
        printed, _ = all_.communicate()
    assert all_.returncode == 2, printed
    assert re.search(r"chief +\| error: --batch_size=1: expected at least 2", printed)
    assert not (tmp_path / "model_dir").exists()


def test_a_cluster_reads_as_many_digits_as_one_process(cnn_mnist, tmp_path):
    """On all of MNIST, after 400 steps; by the report of the evaluator and of one process.

    In step they differ by rounding; each by itself, the cluster never trains the same way twice.
    """
    flags = ("--network=small_cnn", "--learning_rate=0.1", "--steps=400", "--log_every_n_iter=0")
    alone = cnn_mnist(*flags, f"--model_dir={tmp_path / 'alone'}").stdout
    expected = float(re.search(r"test accuracy ([\d.]+)", alone)[1])
    assert expected > 0.95
    for strategy, tolerance in (("sync", 0.001), ("parameter_server", 0.015)):
        folder = tmp_path / strategy
        printed = run(folder, f"--strategy={strategy}", *flags, f"--model_dir={folder / 'm'}")
        accuracy = float(re.search(r"evaluator \| test accuracy ([\d.]+)", printed)[1])
        assert accuracy == pytest.approx(expected, abs=tolerance), strategy
