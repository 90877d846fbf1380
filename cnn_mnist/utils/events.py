"""TensorBoard's event files: that they are written, and that it is told if they are not.

TensorFlow writes them from a thread. When the disk is full, the thread dies and prints a traceback;
the next call that adds an event, or flushes, raises the error.
"""

import contextlib
import errno
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnn_mnist.utils.console import redirected
from cnn_mnist.utils.curves import EVENT_FILES
from cnn_mnist.utils.errors import RunError, reason
from cnn_mnist.utils.files import naming, write_files
from cnn_mnist.utils.lazy import tf

PROBE, PROBE_BYTES = ".probe", 1 << 16
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
WRITER_THREAD = "EventLoggerThread"  # TensorFlow's name for it

log = logging.getLogger(__name__)


class CurvesError(RunError):
    """Curves that could not be written, on a full disk."""


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """While entered, the threads that write event files print no traceback when they fail."""
    before = threading.excepthook

    def quietly(failure: Any) -> None:
        if failure.thread is None or failure.thread.name != WRITER_THREAD:
            before(failure)

    threading.excepthook = quietly
    try:
        yield
    finally:
        threading.excepthook = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops what TensorFlow's C++ code writes to stderr about an error that it also raises."""
    with Path(os.devnull).open("w") as nowhere, redirected(nowhere.fileno()):
        yield


def require_space(folder: str | os.PathLike) -> None:
    """Raises OSError if no file can be written in a folder, which is made if need be.

    TensorFlow's writer would begin without one, print lines from its thread, and lose the curves.
    """
    with naming(folder):
        for path in write_files(folder, {PROBE: bytes(PROBE_BYTES)}):
            path.unlink()


def begin(folder: str | os.PathLike) -> None:
    """Lets the Estimator's curves begin in a new file; raises OSError if none can be made.

    TensorFlow keeps a folder's writer until the process ends. In a notebook its file may have been
    deleted since, or lie in the folder that the process worked in before.
    """
    _await_new_file(folder)
    tf.compat.v1.summary.FileWriterCache.clear()


def writer_of_hooks(folder: str | os.PathLike) -> Any:
    """The `FileWriter` of a folder that TensorFlow's hooks use."""
    with tf.Graph().as_default():  # FileWriter belongs to graphs
        return tf.compat.v1.summary.FileWriterCache.get(str(folder))


def writer(folder: str | os.PathLike) -> Any:
    """A new `FileWriter`, for curves without a graph; raises OSError if it cannot make a file."""
    _await_new_file(folder)
    with tf.Graph().as_default():
        return tf.compat.v1.summary.FileWriter(str(folder))


def _await_new_file(folder: str | os.PathLike) -> None:
    """Checks that an event file can be made, and waits for a second in which none was begun.

    TensorFlow names an event file by the second in which it is begun, and would write over it.
    """
    require_space(folder)
    while any(Path(folder).glob(f"events.out.tfevents.{int(time.time())}.*")):
        time.sleep(0.05)


def flush(writer: Any, step: int | None = None, graph: Any = None) -> None:
    """Makes sure that all that was given to a `FileWriter` is in its event file.

    If somebody deleted or damaged that file, its curves are lost and nothing else: a warning tells
    it, and those to come go into a new file.

    Args:
      step: the file must tell of it; None if that is not known.
      graph: is written into the new file, too.

    Raises:
      CurvesError: the disk is full.
    """
    folder = Path(writer.get_logdir())
    try:
        writer.flush()
        # TensorFlow's writer minds neither that it has no file, nor that it wrote half a record.
        _require_whole(folder, step)
    except (RunError, OSError, tf.errors.OpError) as error:
        if _is_full(folder):
            raise CurvesError(
                f"{folder}: the curves cannot be written: {reason(error)}; "
                "make room and run the same command again"
            ) from error
        log.warning(
            "%s: its event file was deleted or damaged (%s): curves up to here are lost, those to "
            "come go into a new file",
            folder,
            reason(error),
        )
        with contextlib.suppress(OSError):  # a place that can no longer be written to
            folder.mkdir(parents=True, exist_ok=True)
            writer.close()
            writer.reopen()
            if graph is not None:
                writer.add_graph(graph)


def _require_whole(folder: Path, step: int | None) -> None:
    """Checks that the newest event file can be read to its end, and tells of a step."""
    paths = sorted(folder.glob(EVENT_FILES), key=lambda path: path.stat().st_mtime_ns)
    if not paths:
        raise RunError("there is none")
    steps = {event.step for event in tf.compat.v1.train.summary_iterator(str(paths[-1]))}
    if step is not None and step not in steps:
        raise RunError(f"{paths[-1].name} has nothing of step {step:,}")


def _is_full(folder: Path) -> bool:
    try:
        require_space(folder)
    except OSError as error:
        return error.errno in NO_ROOM
    return False
