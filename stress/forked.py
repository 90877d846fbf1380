"""Runs the program hundreds of times without loading TensorFlow hundreds of times.

A worker is a process that has loaded everything and computed nothing; each run is a child that it
forks, which works in the very state in which a program of its own would, and ends as such a program
ends. A crash ends the child alone, and is seen.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_mnist.data import dataset
from cnn_mnist.utils import console
from stress.tally import Tally

WORKERS = 2
PATIENCE = 300  # seconds until a run counts as hanging, on however busy a machine
ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or the negative number of a signal; what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str | None:
        """The one line of its error; None if there is not exactly one, or anything like a trace."""
        lines = [line for line in self.stderr.splitlines() if not line.startswith("INFO:")]
        found = [line for line in lines if line.startswith("error: ")]
        quiet = all(line.startswith(("error: ", "WARNING:", "step ")) for line in lines)
        return found[0] if len(found) == 1 and quiet else None

    @property
    def told(self) -> str:
        """Its end, for a line of the tally."""
        last = " | ".join(self.stderr.strip().splitlines()[-6:])
        return f"exit code {self.code}, stderr: {last:.900}"


def share(function: str, count: int, seed: int, folder: Path, **options: Any) -> Tally:
    """Lets two workers make `count` tries between them, and adds up their tallies.

    Args:
      function: "module:name" of a function (numbers of the tries, seed, an empty folder, **options)
        -> tally, which a worker calls.
    """
    tally = Tally()
    with contextlib.ExitStack() as stack:
        workers = []
        for k in range(min(WORKERS, count)):
            place = folder / f"worker{k}"
            place.mkdir()
            numbers = list(range(k, count, WORKERS))
            task = json.dumps([function, numbers, seed, str(place), options])
            log = stack.enter_context((place / "log").open("w+"))
            # A mount name space of its own: what it mounts is gone when it ends.
            command = [*_namespace(), sys.executable, "-m", "stress.forked", task]
            # A process of several threads, as NumPy's BLAS starts them, may hang when it forks.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            worker = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(_end, worker)
            workers.append((worker, log))
        for worker, log in workers:
            try:
                printed = worker.communicate(timeout=PATIENCE * (3 + count))[0]
            except subprocess.TimeoutExpired:
                tally.add(holds=False, else_say="the worker hangs")
                continue
            if worker.returncode:
                log.seek(0)
                tally.add(holds=False, else_say=f"the worker ended: {log.read()[-1500:]}")
                continue
            part = json.loads(printed.splitlines()[-1])
            tally.tried += part["tried"]
            tally.held += part["held"]
            tally.broken += part["broken"]
    return tally


def _namespace() -> list[str]:
    """The command that gives a process mounts of its own; nothing where that cannot be had."""
    kinds = [["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]]
    for kind in kinds:
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run([*kind, "true"], capture_output=True).returncode == 0:
                return kind
    return []


def _end(worker: subprocess.Popen) -> None:
    """Ends a worker and its children, all in the session that it leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def call(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Ended]:
    """Calls a function in a child; returns what it returns, and how the child ended.

    The child ends as Python ends a program, with whatever its threads and exit handlers do then.
    A return value of None is also that of a child that crashed or raised.
    """
    base = Path(f"forked-{os.getpid()}")
    result, out, err = (base.with_suffix(f".{kind}") for kind in ("result", "out", "err"))
    result.unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        for path, descriptor in ((out, 1), (err, 2)):
            file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(file, descriptor)
            os.close(file)
        code = 70
        try:
            value = function(*arguments)
            result.write_bytes(pickle.dumps(value))
            code = 0
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
        except BaseException:
            traceback.print_exc()
        raise _ChildEnds(code)
    status = os.waitstatus_to_exitcode(_wait(child))
    value = pickle.loads(result.read_bytes()) if status == 0 and result.exists() else None
    return value, Ended(status, *(path.read_text(errors="replace") for path in (out, err)))


def _wait(child: int) -> int:
    """The status with which a child ended, by itself or, if it hangs, killed."""
    end = time.monotonic() + PATIENCE
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    return ended[1]


class _ChildEnds(SystemExit):
    """Takes a child up to the end of its program."""


def program(*flags: str, before: Callable[[], None] | None = None) -> Ended:
    """Runs `python -m cnn_mnist.main` with flags, in a child.

    Args:
      before: called in the child first.
    """
    return call(_main, flags, before)[1]


def _main(flags: Sequence[str], before: Callable[[], None] | None) -> None:
    from cnn_mnist import main

    if before:
        before()
    sys.exit(main.main(["main", *flags]))


def real_program(*flags: str) -> Ended:
    """The same in a process of its own, as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "cnn_mnist.main", *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def small_data(folder: Path) -> str:
    """Writes a small data set into a folder, and returns the flag that names it."""
    data = dataset.load()
    train = dataset.in_memory(data.train)
    parts = [data.validation.images[:37], train.images[:130]]
    labels = [data.validation.labels[:37], train.labels[:130]]
    folder.mkdir()
    np.savez(
        folder / "mnist.npz",
        x_train=np.concatenate(parts),
        y_train=np.concatenate(labels).astype(np.uint8),
        x_test=data.test.images[:67],
        y_test=data.test.labels[:67].astype(np.uint8),
    )
    return f"--data_dir={folder}"


def variables(prefix: str | Path) -> str:
    """The sha256 of all variables of a checkpoint: names, types, shapes, bits."""
    from cnn_mnist.checkpoints import saver

    content = hashlib.sha256()
    for name, value in sorted(saver.read(prefix).items()):
        content.update(f"{name} {value.dtype} {value.shape} ".encode())
        content.update(value.tobytes())
    return content.hexdigest()


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Works in a folder. A child that leaves it stays there."""
    before = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)


def _work(task: str) -> None:
    function, numbers, seed, folder, options = json.loads(task)
    # As the program itself does before it loads TensorFlow.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    console.show_log_lines(console.stderr_console())
    for module in ("commands", "checkpoints", "curves", "evaluation", "report", "training"):
        importlib.import_module(f"cnn_mnist.{module}")
    importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
    module, name = function.split(":")
    os.chdir(folder)
    tally = getattr(importlib.import_module(module), name)(numbers, seed, Path(folder), **options)
    print(json.dumps(dataclasses.asdict(tally)), flush=True)


if __name__ == "__main__":
    _work(sys.argv[1])
