"""TensorBoard's event files: that they are written, and that it is told if they are not.

TensorFlow writes them from a thread. When the disk is full, the thread dies with a traceback of its
own; whoever gives it another event, or asks for all to be on disk, gets the error.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    sys.stderr.flush()
    screen = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(screen, 2)
        os.close(screen)


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
    """Waits until everything that was given to the writer of a folder is in its event file.

    Raises:
      CurvesError: it cannot be written; a full disk.
    """
    import tensorflow as tf

    try:
        with tf.Graph().as_default():  # FileWriter belongs to graphs
            tf.compat.v1.summary.FileWriterCache.get(str(folder)).flush()
    except tf.errors.OpError as error:
        raise failed(folder, error) from error
    if not any(Path(folder).glob(FILES)):  # TensorFlow's writer does not mind
        raise CurvesError(f"{folder}: no file for the curves can be made in it: no space or inode?")


def failed(folder: str | os.PathLike, error: Exception) -> CurvesError:
    """What to raise instead of an error of TensorFlow's writer."""
    return CurvesError(
        f"{folder}: the curves cannot be written: {reason(error)}; "
        "mend that and run the same command again"
    )
