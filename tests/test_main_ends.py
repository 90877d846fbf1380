"""How a training ends that is not let alone: signals, a second trainer, a full disk."""

import re
import signal
import time

import numpy as np
import pytest

from cnn_mnist.checkpoints import saver
from stress import programs


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
