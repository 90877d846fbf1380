"""One trainer per `model_dir`.

The system frees the lock when the process ends, however it ends. The file stays, and tells who
holds the lock.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.files import naming

FILE = "trainer.lock"
PATIENCE = 1.0  # seconds for the holder, which has just got the lock, to write who it is


class LockError(InputError):
    """Another process is training in the same `model_dir`."""


@contextlib.contextmanager
def held(model_dir: str) -> Iterator[None]:
    """Keeps other trainers out of `model_dir`, which is made if need be.

    Raises:
      LockError: another process holds the lock; the message names it and its host.
    """
    Path(model_dir).mkdir(parents=True, exist_ok=True)
    holder = {"pid": os.getpid(), "host": socket.gethostname()}
    with (Path(model_dir) / FILE).open("a+") as file:
        _lock(file, model_dir)
        with naming(file.name):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), json.dumps(holder).encode())
        yield


def _lock(file: IO[str], model_dir: str) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if (holder := _holder(file)) or time.monotonic() >= end:
            raise LockError(
                f"--model_dir={model_dir}: is being trained by {holder or 'another process'}; "
                "wait for it, end it, or name another --model_dir"
            )
        time.sleep(0.02)


def _holder(file: IO[str]) -> str | None:
    """Who holds the lock; None if the file still tells of somebody who has ended."""
    file.seek(0)
    try:
        told = json.loads(file.read())
        pid, host = int(told["pid"]), str(told["host"])
        if host == socket.gethostname():
            os.kill(pid, 0)  # asks whether the process is there
    except PermissionError:  # it is, and another user's
        pass
    except (ValueError, LookupError, TypeError, OSError, OverflowError):
        return None
    return f"process {pid} on {host}"
