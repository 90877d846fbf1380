"""What a person sees: the screen, TensorFlow's log lines, its start-up noise.

Results go to stdout; progress, log lines and errors go to stderr.
"""

import contextlib
import functools
import importlib.util
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from rich.console import Console

from cnn_mnist.utils import processor
from cnn_mnist.utils.process import interactive

# TensorFlow 2.15 to 2.21 writes this to stderr on every start, on a machine where nothing is wrong,
# whatever TF_CPP_MIN_LOG_LEVEL says.
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

# TensorFlow's servers say this when a step, or a session, is over.
CLUSTER_NOISE = (
    "] Local rendezvous is aborting with status: ",
    "] BaseCollectiveExecutor::StartAbort ",
    "] Aborting Ring",
    "Additional GRPC error information from remote target ",
    ":UNKNOWN:Error received from peer ",
    "The error could be from a previous operation. Restart your program to reset.",
    "] Input of GeneratorDatasetOp::Dataset will not be optimized",
    "tf.data options across serialization boundaries",
    'warnings.warn("To make it possible to preserve tf.data options across',
    "\t [[{{node ",
)
# TensorFlow says this of a step in which no other process of the cluster took one.
_STEP_OF_CLUSTER = "It seems that global step (tf.train.get_global_step) has not been increased"

# The Estimator's lines about loss, steps a second and checkpoints begin so.
_TRAINING_LINES = ("loss = ", "global_step/sec", "softmax_tensor", "Saving checkpoints for")
# TensorFlow's warnings to itself: one of its own modules calls another that is deprecated.
_OWN_DEPRECATION = re.compile(
    r"From .*[/\\]tensorflow(_estimator)?[/\\]python[/\\].* is deprecated"
)

WITHOUT_ONEDNN = (
    "TensorFlow was loaded before, without oneDNN: it is slower on this processor, and the last "
    "bits of a training are not the command's; set TF_ENABLE_ONEDNN_OPTS=1 in the environment"
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


def shows_bars(console: Console) -> bool:
    """Whether a progress bar moves there: on a terminal, and in a notebook that has widgets."""
    widgets = importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal or (console.is_jupyter and widgets)


def show_log_lines(console: Console) -> None:
    """Prints the program's log lines, if `is_shown`, through `console`, above a progress bar."""
    # TensorFlow adds a handler of its own unless the root logger has one.
    logging.basicConfig(handlers=[_ConsoleHandler(console)], level=logging.WARNING, force=True)
    logging.getLogger("tensorflow").setLevel(logging.INFO)


@contextlib.contextmanager
def shown(progress: bool) -> Iterator[Console]:
    """Loads TensorFlow without its noise; gives the screen for progress.

    While entered, TensorFlow's log lines and ours are shown as by `show_log_lines`; where the
    caller's program has a log of its own, they go there. Without progress only warnings are shown.
    """
    load_tensorflow()
    handlers = logging.getLogger().handlers
    screen = next((h.console for h in handlers if isinstance(h, _ConsoleHandler)), stderr_console())
    loggers = [logging.getLogger(name) for name in ("tensorflow", "cnn_mnist")]
    before = [(log, log.handlers, log.propagate, log.level) for log in loggers]
    for log in loggers:
        if not handlers:
            log.handlers, log.propagate = [_ConsoleHandler(screen)], False
        log.setLevel(logging.INFO if progress else logging.WARNING)
    try:
        yield screen if progress else Console(quiet=True)
    finally:
        for log, its_handlers, propagate, level in before:
            log.handlers, log.propagate = its_handlers, propagate
            log.setLevel(level)


def is_shown(record: logging.LogRecord, *, bars: bool) -> bool:
    """Whether a log line is of use to a person who watches a training run.

    Warnings and errors are, unless TensorFlow warns itself. The Estimator's training lines are only
    where no progress bar shows the same.
    """
    message = record.getMessage()
    if record.levelno > logging.INFO:
        return not _OWN_DEPRECATION.match(message)
    return not bars and message.startswith(_TRAINING_LINES)


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
        self.addFilter(lambda record: is_shown(record, bars=shows_bars(console)))

    def emit(self, record: logging.LogRecord) -> None:
        self.console.print(self.format(record), markup=False)


def start_program() -> None:
    """Makes this process a program of ours: its environment, and what it shows of the log."""
    tame_environment()
    show_log_lines(stderr_console())


def start_tensorflow() -> None:
    """The same, for a program that needs TensorFlow at once."""
    start_program()
    load_tensorflow()


# Set by a program that uses no Keras, or loads it when it does. TensorFlow loads it at its start,
# which takes half a second, for whoever opens models that hold optimizers of Keras.
keras_later = False


@functools.cache
def load_tensorflow() -> None:
    """Loads TensorFlow, once, without its noise; tells where it came before, and without oneDNN."""
    given = os.environ.get("TF_ENABLE_ONEDNN_OPTS") is not None or processor.onednn_unasked()
    if "tensorflow" in sys.modules and not given and processor.onednn_pays():
        logging.getLogger(__name__).warning(WITHOUT_ONEDNN)
    with quiet_start(), _without_keras() if keras_later else contextlib.nullcontext():
        import tensorflow as tf

        tf.config.list_physical_devices()  # says now what TensorFlow has to say of the devices


@contextlib.contextmanager
def _without_keras() -> Iterator[None]:
    """While entered, what TensorFlow's start imports of legacy Keras is empty."""
    name = "tf_keras.src.optimizers"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = types.ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]


def tame_environment() -> None:
    """Removes from the environment what would stop a library from working.

    Keras and matplotlib do not load with a backend that they do not know or cannot find. Rich
    prints nothing on a screen of 0 columns. In a notebook matplotlib keeps its backend, which shows
    the person's own figures.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if not interactive():
        os.environ["MPLBACKEND"] = "agg"
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and not int(columns):
        del os.environ["COLUMNS"]


class Named:
    """Prints lines of several processes, each after the name of its own, whole."""

    def __init__(self, width: int) -> None:
        """Takes how many characters the longest name has."""
        self._width, self._printing = width, threading.Lock()

    def __call__(self, name: str, line: str, sink: IO[str]) -> None:
        """Prints a line, which ends with its line break."""
        with self._printing:
            print(f"{name:{self._width}} | {line}", end="", file=sink, flush=True)


def quiet_start() -> contextlib.AbstractContextManager[None]:
    """For the start of TensorFlow: drops its noise from stderr, and lets it take oneDNN."""
    processor.prefer_onednn()
    return without(START_UP_NOISE + (() if NVIDIA_DRIVER.exists() else NO_GPU_NOISE))


@contextlib.contextmanager
def quiet_cluster() -> Iterator[None]:
    """Drops what TensorFlow's servers write to stderr in every step."""

    def is_news(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_STEP_OF_CLUSTER)

    log = logging.getLogger("tensorflow")
    log.addFilter(is_news)
    try:
        with without(CLUSTER_NOISE):
            yield
    finally:
        log.removeFilter(is_news)


@contextlib.contextmanager
def without(noise: Iterable[str]) -> Iterator[None]:
    """Drops lines that contain a piece of noise from stderr, and nothing else.

    TensorFlow writes it from C++, so it is caught at the file descriptor. Another process, `grep`,
    passes the other lines on: they arrive even if TensorFlow aborts this process, as it does on a
    processor that it cannot run on. Where there is no `grep`, nothing is dropped.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # 1: warnings and errors
    if shutil.which("grep") is None:
        yield
        return
    command = ["grep", "--line-buffered", "--text", "--invert-match", "--fixed-strings"]
    command += [f"--regexp={line}" for line in noise]
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


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """While entered, what is written to stderr, from C too, is dropped."""
    with Path(os.devnull).open("wb") as nothing, redirected(nothing.fileno()):
        yield
