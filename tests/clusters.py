"""Clusters of real processes, each of which is marked, so that none is left behind unseen."""

import contextlib
import json
import re
import time
from pathlib import Path

from cnn_mnist.cluster import launcher
from stress import programs

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
    environment = {MARK: str(folder), **({"TF_CONFIG": config} if config else {})}
    process = programs.start(
        "-m",
        module,
        *arguments,
        cwd=folder,
        env=environment,
        merged=True,
        fresh=module == "cnn_mnist.cluster",  # which itself starts new interpreters
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


def train(folder, arguments, workers, evaluator=False):
    """Trains with a cluster to its good end; returns what its processes printed, by their names.

    As `cnn_mnist.cluster` starts it, but for the processes, which need not load TensorFlow.
    """
    configs = launcher.tf_configs(workers, evaluator)
    printed = {}
    with contextlib.ExitStack() as stack:
        processes = {
            name: stack.enter_context(start("cnn_mnist.main", arguments, folder, config))
            for name, config in configs.items()
        }
        for name, process in processes.items():
            printed[name], _ = process.communicate()
            assert process.returncode == 0, (name, printed)
            assert "Traceback" not in printed[name]
    return printed


def launch(folder, *arguments):
    """Runs `python -m cnn_mnist.cluster` to its good end; returns what it printed."""
    with start("cnn_mnist.cluster", arguments, folder) as launcher:
        printed, _ = launcher.communicate()
    assert launcher.returncode == 0, printed
    assert "Traceback" not in printed
    assert nothing_is_left_of(folder)
    return printed
