"""What several tests share: data, and commands run as a user runs them."""

import contextlib
import importlib.metadata
import os
import signal
import socket
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # a test's output is its result

import numpy as np
import pytest

from cnn_mnist.data import dataset
from cnn_mnist.utils import processor
from stress import programs
from stress.programs import ROOT

__all__ = ["ROOT"]
# A training here and one of the command are compared bit by bit.
processor.prefer_onednn()
# A shell that runs the tests in the background lets them, and their programs, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
# TensorFlow 2.15 has Keras 2 alone.
HAS_KERAS_3 = not importlib.metadata.version("tensorflow").startswith("2.15.")
collect_ignore = [] if HAS_KERAS_3 else ["estimator/test_keras_3.py"]


@pytest.fixture(scope="session")
def mnist():
    """The embedded data set."""
    return dataset.load()


@pytest.fixture(scope="session")
def small(mnist):
    """Real images for a run of a second: 130 / 37 / 67, every digit in each."""

    def some(split, size):
        small_split = dataset.Split(split.images[:size], split.labels[:size])
        assert set(small_split.labels) == set(range(10))
        return small_split

    return dataset.Dataset(some(mnist.train, 130), some(mnist.validation, 37), some(mnist.test, 67))


@pytest.fixture(scope="session")
def small_data_dir(small, tmp_path_factory):
    """A folder that `--data_dir` can name, with the images of `small`."""
    folder = tmp_path_factory.mktemp("small_mnist")
    np.savez(
        folder / "mnist.npz",
        x_train=np.concatenate([small.validation.images, small.train.images]),
        y_train=np.concatenate([small.validation.labels, small.train.labels]).astype(np.uint8),
        x_test=small.test.images,
        y_test=small.test.labels.astype(np.uint8),
    )
    return folder


@pytest.fixture
def cnn_mnist(tmp_path):
    """Runs `python -m cnn_mnist.main` with flags, in an empty folder; returns what it printed."""

    def run(*flags, **options):
        return programs.run("-m", "cnn_mnist.main", *flags, cwd=tmp_path, **options)

    return run


def scalars(folder):
    """Every scalar in the event files of a folder: `{tag: [(step, value), ...]}`."""
    import tensorflow as tf

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@contextlib.contextmanager
def listening(address="127.0.0.1:0"):
    """Somebody who is there, as TensorFlow's servers are, but does nothing else; the address."""
    host, port = address.split(":")

    def answer():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # HTTP/2's settings

    with socket.create_server((host, int(port))) as listener:
        threading.Thread(target=answer, daemon=True).start()
        try:
            yield "{}:{}".format(*listener.getsockname())
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def _started_servers():
    from servers import Servers

    return Servers()


@pytest.fixture
def servers(_started_servers):
    """TensorFlow's servers of a cluster, in this process, with nothing in them."""
    _started_servers.reset()
    return _started_servers
