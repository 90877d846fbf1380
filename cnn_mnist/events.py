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

from cnn_mnist.errors import RunError

FILES = "events.out.tfevents.*"
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
    reason = " ".join(str(getattr(error, "message", error)).split())
    return CurvesError(
        f"{folder}: the curves cannot be written: {reason:.200}; "
        "mend that and run the same command again"
    )
