"""The file descriptor of stderr, to which TensorFlow's C++ code writes past Python."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def redirected(descriptor: int) -> Iterator[None]:
    """While entered, what is written to stderr goes to another open file."""
    sys.stderr.flush()
    screen = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(screen, 2)
        os.close(screen)
