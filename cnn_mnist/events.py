"""TensorBoard's event files: that they are written, and that it is told if they are not.

TensorFlow writes them from a thread. When the disk is full, the thread dies with a traceback of its
own; whoever gives it another event, or asks for all to be on disk, gets the error.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnn_mnist import stderr
from cnn_mnist.errors import RunError, reason
from cnn_mnist.files import naming, write_files

FILES = "events.out.tfevents.*"
PROBE, PROBE_BYTES = ".probe", 1 << 16
WRITER_THREADS = ("EventLoggerThread",)  # TensorFlow's names for them


class CurvesError(RunError):
    """Curves that could not be written."""


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """While entered, the threads that write event files print no traceback when they fail."""
    before = threading.excepthook

    def quietly(failure: Any) -> None:
        if failure.thread is None or failure.thread.name not in WRITER_THREADS:
            before(failure)

    threading.excepthook = quietly
    try:
        yield
    finally:
        threading.excepthook = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops what TensorFlow's C++ code writes to stderr of a failure, which is raised as well."""
    with Path(os.devnull).open("w") as nowhere, stderr.redirected(nowhere.fileno()):
        yield


def require_space(folder: str | os.PathLike) -> None:
    """Checks that a file can be made in a folder, which is made if need be, and be written.

    TensorFlow's writer would begin without one, print lines from its thread, and lose the curves.

    Raises:
      OSError: it cannot.
    """
    with naming(folder):
        for path in write_files(folder, {PROBE: bytes(PROBE_BYTES)}):
            path.unlink()


def flush(folder: str | os.PathLike) -> None:
    """Waits until all that was given to the writer of a folder can be read from its event file.

    Raises:
      CurvesError: it cannot be written; a full disk.
    """
    import tensorflow as tf

    try:
        with tf.Graph().as_default():  # FileWriter belongs to graphs
            tf.compat.v1.summary.FileWriterCache.get(str(folder)).flush()
    except tf.errors.OpError as error:
        raise failed(folder, error) from error
    # TensorFlow's writer minds neither that it has no file, nor that it wrote half a record.
    paths = sorted(Path(folder).glob(FILES), key=lambda path: path.stat().st_mtime_ns)
    try:
        for _ in tf.compat.v1.train.summary_iterator(str(paths[-1])):
            pass
    except (LookupError, tf.errors.OpError) as error:
        raise failed(paths[-1] if paths else folder, error) from error


def failed(folder: str | os.PathLike, error: Exception) -> CurvesError:
    """What to raise instead of an error of TensorFlow's writer."""
    return CurvesError(
        f"{folder}: the curves cannot be written: {reason(error)}; "
        "make room, if that is missing, and run the same command again"
    )
