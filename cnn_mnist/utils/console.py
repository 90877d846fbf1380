"""What a person sees: the screen, TensorFlow's log lines, its start-up noise.

Results go to stdout; progress, log lines and errors go to stderr.
"""

import contextlib
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from cnn_mnist.utils.process import interactive

# Written to stderr by TensorFlow 2.15 to 2.21 on every start, whatever TF_CPP_MIN_LOG_LEVEL says,
# on a machine where nothing is wrong.
START_UP_NOISE = (
    "All log messages before absl::InitializeLog() is called are written to STDERR",
    "oneDNN custom operations are on",
    "Could not find cuda drivers on your machine, GPU will not be used",
    "This TensorFlow binary is optimized to use available CPU instructions",
    "To enable the following instructions:",
    "Unable to register cuDNN factory",
    "Unable to register cuFFT factory",
    "Unable to register cuBLAS factory",
    "TF-TRT Warning: Could not find TensorRT",
)
# Noise only where there is no NVIDIA driver; beside one it is a real error.
NO_GPU_NOISE = ("failed call to cuInit",)
NVIDIA_DRIVER = Path("/proc/driver/nvidia")

# Of TensorFlow's servers: how they tell that a step, or a session, is over.
CLUSTER_NOISE = (
    "] Local rendezvous is aborting with status: ",
    "] RecvTensor cancelled for ",
    "\t [[{{node ",
)
# Said of a step in which another process of the cluster was no faster.
_STEP_OF_CLUSTER = "It seems that global step (tf.train.get_global_step) has not been increased"

# Of the Estimator's lines, those that tell of the training: loss, steps a second, checkpoints.
_TRAINING_LINES = ("loss = ", "global_step/sec", "softmax_tensor", "Saving checkpoints for")
# TensorFlow's warnings to itself: one of its own modules calls another that is deprecated.
_OWN_DEPRECATION = re.compile(
    r"From .*[/\\]tensorflow(_estimator)?[/\\]python[/\\].* is deprecated"
)


def stderr_console() -> Console:
    """The screen for progress and log lines. Lines are never wrapped, so they can be searched."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def command(name: str) -> str:
    """How the user types, from here, a program that is installed beside this Python."""
    here = Path(sys.executable).parent
    if shutil.which(name) == str(here / name):
        return name
    return shlex.quote(os.path.relpath(here / name))


def show_log_lines(console: Console) -> None:
    """Prints TensorFlow's log lines through `console`, above a progress bar if there is one.

    Warnings and errors are shown unless TensorFlow means only itself; the Estimator's training
    lines only where no progress bar shows the same, which is off a terminal.
    """
    handler = _ConsoleHandler(console)
    handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    handler.addFilter(lambda record: is_shown(record, terminal=console.is_terminal))
    # TensorFlow adds a handler of its own unless the root logger has one.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("tensorflow").setLevel(logging.INFO)


def is_shown(record: logging.LogRecord, *, terminal: bool) -> bool:
    """Whether a log line is of use to a person who watches a training run."""
    message = record.getMessage()
    if record.levelno > logging.INFO:
        if message.startswith(_STEP_OF_CLUSTER) and "TF_CONFIG" in os.environ:
            return False
        return not _OWN_DEPRECATION.match(message)
    return not terminal and message.startswith(_TRAINING_LINES)


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False)


def start_tensorflow() -> Console:
    """Loads TensorFlow without its noise; returns the screen for progress and log lines."""
    tame_environment()
    screen = stderr_console()
    show_log_lines(screen)
    with quiet_start():
        import tensorflow as tf

        tf.config.list_physical_devices()  # says now what TensorFlow has to say of the devices
    return screen


def tame_environment() -> None:
    """Takes out of the environment what libraries would obey to no good end.

    Keras and matplotlib do not load with a backend that they do not know or cannot find, and Rich
    prints nothing on a screen without columns. In a notebook matplotlib keeps the backend that
    shows the person's own figures.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if not interactive():
        os.environ["MPLBACKEND"] = "agg"
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and not int(columns):
        del os.environ["COLUMNS"]


def quiet_start() -> contextlib.AbstractContextManager[None]:
    """Drops TensorFlow's start-up noise from stderr."""
    noise = START_UP_NOISE if NVIDIA_DRIVER.exists() else START_UP_NOISE + NO_GPU_NOISE
    return without(noise)


def quiet_cluster() -> contextlib.AbstractContextManager[None]:
    """Drops what TensorFlow's servers write to stderr in every step."""
    return without(CLUSTER_NOISE)


@contextlib.contextmanager
def without(noise: Iterable[str]) -> Iterator[None]:
    """Drops lines that contain a piece of noise from stderr, and nothing else.

    TensorFlow writes it from C++, so it has to be caught at the file descriptor. A process of its
    own passes the other lines on: they arrive even if TensorFlow ends this process on the spot, as
    it does on a processor that it cannot run on. Where there is no `grep`, nothing is dropped.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # 1: warnings and errors
    command = ["grep", "--line-buffered", "--text", "--invert-match", "--fixed-strings"]
    command += [f"--regexp={line}" for line in noise]
    if shutil.which("grep") is None:
        yield
        return
    # A session of its own: Ctrl-C is for this process, which then closes the pipe.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2, start_new_session=True) as grep:
        assert grep.stdin is not None
        with redirected(grep.stdin.fileno()):
            yield


@contextlib.contextmanager
def redirected(descriptor: int) -> Iterator[None]:
    """While entered, what is written to stderr, from C++ too, goes to another open file."""
    sys.stderr.flush()
    screen = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(screen, 2)
        os.close(screen)
