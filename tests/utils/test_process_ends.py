import errno
import os
import signal
import subprocess
import sys

import pytest
import tensorflow as tf

from cnn_mnist.utils import process
from cnn_mnist.utils.errors import InputError, RunError
from conftest import ROOT


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize("code", [0, 2, 143])
def test_a_command_that_ends_by_itself_tells_its_own_code(code, capsys):
    assert process.code_of(lambda: code) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("--steps=x: expected a number"), 2, "--steps=x: expected a number"),
        (RunError("NaN at step 3; lower it"), 1, "NaN at step 3; lower it"),
        (OSError(errno.ENOSPC, "No space left", "a/b"), 1, "a/b: No space left"),
        (OSError("without a number"), 1, "without a number"),
        (tf.errors.DataLossError(None, None, "bad\n\t [[node]]"), 1, "bad"),
    ],
)
def test_an_error_is_one_line_and_a_code(error, code, line, capsys):
    assert process.code_of(raising(error)) == code
    assert capsys.readouterr() == ("", f"error: {line}\n")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143), (SystemExit(), 0)]
)
def test_signals_and_help_say_nothing(error, code, capsys):
    assert process.code_of(raising(error)) == code
    assert capsys.readouterr() == ("", "")


def test_an_error_of_our_own_keeps_its_traceback():
    with pytest.raises(KeyError):
        process.code_of(raising(KeyError("a mistake in the program")))


def test_a_signal_ends_the_command_and_its_handler_with_it():
    before = signal.getsignal(signal.SIGTERM)
    assert process.code_of(lambda: os.kill(os.getpid(), signal.SIGTERM)) == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_has_gone_is_no_traceback():
    script = (
        "import sys; from cnn_mnist.utils.process import code_of; "
        "sys.exit(code_of(lambda: print('x')))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (1, b"")
