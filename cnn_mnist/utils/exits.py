"""How a command ends: with one line for what went wrong, and an exit code."""

import os
import signal
import sys
from collections.abc import Callable

from cnn_mnist.utils.errors import InputError, RunError, reason
from cnn_mnist.utils.signals import ending_program, interactive


def code_of(command: Callable[[], int]) -> int:
    """Runs a command, tells its error on stderr, and returns the exit code.

    Its own, as a rule 0. 1: failed while running. 2: wrong flag, file or folder; nothing was
    written. 143 and 130: ended by SIGTERM or Ctrl-C. Errors that none of this explains are raised.
    """
    try:
        with ending_program():
            code = command()
            sys.stdout.flush()
            return code
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        # Off a terminal nothing else tells that it has arrived; a training has told.
        if interactive() and not interrupt.args:
            print("KeyboardInterrupt", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as ended:  # `--help`, SIGTERM
        return int(ended.code or 0)
    except BrokenPipeError:  # the reader of stdout has gone: `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        return 1
    except OSError as error:  # a full disk, a folder that may not be written to
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    except Exception as error:
        if not _is_of_tensorflow(error):
            raise
        print(f"error: {reason(error, 300)}", file=sys.stderr)
        return 1


def _is_of_tensorflow(error: Exception) -> bool:
    """Whether it is an error of TensorFlow's C++ code, as of a file that cannot be written."""
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(error, tf.errors.OpError)
