"""One network on several devices: here, on one processor that is cut into several.

Each test's trainings run in processes of their own, as a processor is cut before it is used.
"""

import json

import pytest

from stress import programs

PROGRAM = """
import os
import sys
import tempfile
import tensorflow as tf
tempfile.tempdir = os.environ["TMPDIR"]
count = int(sys.argv[1])
processor = tf.config.list_physical_devices("CPU")[0]
pieces = [tf.config.LogicalDeviceConfiguration()] * count
tf.config.set_logical_device_configuration(processor, pieces)
from cnn_mnist import main
from cnn_mnist.checkpoints import saver
from cnn_mnist.utils import curves
code = main.main(["cnn_mnist", *sys.argv[3:]])
import json
if code == 0:
    values = saver.read(tf.train.latest_checkpoint(sys.argv[2]))
    print(json.dumps({
        "losses": curves.read_curves(sys.argv[2]).train_loss.values,
        "norms": {name: float((v.astype("float64") ** 2).sum()) for name, v in values.items()},
    }))
sys.exit(code)
"""


def train(devices, model_dir, *flags):
    """Runs the program on a processor that is cut into devices."""
    more = (f"--model_dir={model_dir}", "--mode=train", "--log_every_n_iter=0")
    place = model_dir.parent / "temporary"
    place.mkdir(exist_ok=True)
    done = programs.run(
        "-c", PROGRAM, devices, model_dir, *flags, *more, env={"TMPDIR": str(place)}
    )
    assert list(place.iterdir()) == []
    return done


def result(run):
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


# 130 images, so that a batch of 12 ends one epoch and begins the next. A curve has each step.
FLAGS = (
    "--network=small_cnn",
    "--dropout_rate=0.4",
    "--augment=shift_and_rotation",
    "--optimizer=momentum",
    "--learning_rate=0.01",
    "--batch_size=12",
    "--validation_size=37",
    "--eval_every_steps=1",
    "--save_checkpoints_steps=5",
)


@pytest.fixture(scope="module")
def alone(small_data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return result(train(1, folder, *FLAGS, f"--data_dir={small_data_dir}", "--steps=13"))


@pytest.mark.parametrize("devices", [2, pytest.param(3, marks=pytest.mark.long)])
def test_several_devices_train_as_one_does(alone, devices, small_data_dir, tmp_path):
    """The losses agree within rounding, though the run is interrupted and its masks are random."""
    flags = (*FLAGS, f"--data_dir={small_data_dir}", "--strategy=mirrored")
    result(train(devices, tmp_path, *flags, "--steps=6"))
    together = result(train(devices, tmp_path, *flags, "--steps=13"))
    assert len(together["losses"]) == 13
    assert together["losses"] == pytest.approx(alone["losses"], abs=2e-5)
    assert together["norms"] == pytest.approx(alone["norms"], rel=1e-3)


@pytest.mark.parametrize(
    ("devices", "flags", "message"),
    [
        (1, (), "--strategy=mirrored: expected at least two GPUs, found 0"),
        (2, ("--batch_size=13",), "--batch_size=13: expected a multiple of 2"),
        (2, ("--steps_per_call=4",), "--steps_per_call=4: expected 1"),
    ],
)
def test_what_several_devices_cannot_do(devices, flags, message, small_data_dir, tmp_path):
    flags = (*FLAGS, *flags, f"--data_dir={small_data_dir}", "--strategy=mirrored", "--steps=2")
    run = train(devices, tmp_path / "model", *flags)
    assert run.returncode == 2, run.stderr
    assert run.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert not list((tmp_path / "model").glob("model.ckpt*"))
