"""A process that runs `cnn_mnist.main.main` many times, watched, each time in a fork of itself.

Loading TensorFlow takes most of the life of a short run. This process loads it once; each run is a
fork of it, with a process id, a memory and an end of its own, and is the program unchanged but for
what `_watch` wraps: it writes down what the run does, and can send it a signal at a named point.

It reads one `Plan` in JSON per line from stdin, and answers each with two lines on stdout: the
process id of the run, and its exit code, as `subprocess` tells it.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

# Functions that change a folder, by the names under which Python's audit hooks announce them.
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate")
MODEL_DIR = "model_dir"  # of every run, below the folder where it runs
START = -1  # in `Point.step`: what is done before the first save


@dataclasses.dataclass(frozen=True)
class Point:
    """A moment in a run: before the n-th operation on the files of `model_dir` in one save.

    Attributes:
      folder: where it saves, below the working directory.
      step: what it saves; or `START`.
      operation: 0 is the call of `save`; one of the others is its return. What follows until the
        next save belongs to it, too.
    """

    folder: str
    step: int
    operation: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
      flags: of the command.
      folder: where it runs.
      output: the file that gets its stdout and stderr.
      log: the file that gets one line of JSON for each thing that it does.
      keep: a folder that gets a copy of each checkpoint of `model_dir`; "" for none.
      signal: what it sends itself at `at`; 0 for nothing.
      at: where.
      clean_up: whether it ends as Python does, which takes TensorFlow a second.
      environment: variables that it has beside those of this process.
    """

    flags: list[str]
    folder: str
    output: str
    log: str
    keep: str = ""
    signal: int = 0
    at: Point | None = None
    clean_up: bool = False
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


class Log:
    """What a run does: lines that are in the file at once, whatever becomes of the process."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, **entry: Any) -> None:
        os.write(self._file, (json.dumps(entry) + "\n").encode())


class Saves:
    """Counts what is done to the files of `model_dir` in each save; sends the planned signal."""

    def __init__(self, plan: Plan, log: Log) -> None:
        self._plan = plan
        self._log = log
        self._model_dir = Path(plan.folder).absolute() / MODEL_DIR
        self._save = (MODEL_DIR, START)
        self._operation = 0
        self._busy = False

    def begin(self, folder: str, step: int) -> None:
        """A save is called."""
        self._save = folder, step
        self._operation = 0
        self.operation("save is called")

    def operation(self, name: str) -> None:
        """Something is about to be done."""
        if self._busy:
            return
        self._busy = True  # what is done here, to the log, is not the run's
        folder, step = self._save
        self._log.write(folder=folder, step=step, operation=self._operation, name=name)
        if self._plan.at == Point(folder, step, self._operation):
            os.kill(os.getpid(), self._plan.signal)
        self._operation += 1
        self._busy = False

    def audit(self, event: str, arguments: tuple) -> None:
        """Python's audit hook: is told of each operation before it is done."""
        if self._busy or (event != "open" and event not in CHANGES):
            return
        path = arguments[0]
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        if event == "open":
            mode, flags = arguments[1:3]
            if not (flags & (os.O_WRONLY | os.O_RDWR) or set(mode or "") & set("wax+")):
                return
        # A path that is relative to an open folder is one of `shutil.rmtree`.
        in_open_folder = event in ("os.remove", "os.rmdir") and arguments[1] not in (-1, None)
        path = Path(os.fsdecode(path)).absolute()
        if in_open_folder or path.is_relative_to(self._model_dir):
            name = re.sub(r"\.\d+\.part", ".PID.part", os.path.relpath(path, self._model_dir))
            self.operation(f"{event} {name}")


def _watch(plan: Plan) -> None:
    import tensorflow as tf

    from cnn_mnist import estimator
    from cnn_mnist.checkpoints import saver
    from cnn_mnist.data import splits

    log = Log(plan.log)
    saves = Saves(plan, log)
    sys.addaudithook(saves.audit)

    sync = os.fsync

    def fsync(fd: Any) -> None:
        saves.operation("os.fsync")
        sync(fd)

    os.fsync = fsync

    saver_class: Any = saver.Saver
    save = saver_class.save

    def watched_save(self: Any, session: Any, path: str, global_step: Any, **rest: Any) -> Any:
        folder = os.path.relpath(Path(path).parent)
        saves.begin(folder, int(global_step))
        saved = save(self, session, path, global_step, **rest)
        saves.operation("save returns")
        if plan.keep and folder == MODEL_DIR:
            for file in Path(folder).glob(f"model.ckpt-{int(global_step)}.*"):
                shutil.copy(file, plan.keep)
        return saved

    saver_class.save = watched_save

    batch_indices = splits.batch_indices

    def watched_indices(step: int, **rest: Any) -> Any:
        indices = batch_indices(step, **rest)
        log.write(batch=step, images=hashlib.sha256(indices.tobytes()).hexdigest())
        return indices

    splits.batch_indices = watched_indices

    class Steps(estimator.SessionRunHook):
        def begin(self) -> None:
            self._step = tf.compat.v1.train.get_global_step()

        def after_create_session(self, session: Any, coord: Any) -> None:
            self._done = int(session.run(self._step))

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self._done += 1
            log.write(done=self._done)

    train = estimator.Estimator.train

    def watched_train(self: Any, input_fn: Any, hooks: Any = (), **rest: Any) -> Any:
        return train(self, input_fn, hooks=[*hooks, Steps()], **rest)

    estimator.Estimator.train = watched_train


def _run(plan: Plan) -> int:
    from cnn_mnist import main

    os.environ.update(plan.environment)
    os.chdir(plan.folder)
    output = os.open(plan.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    _watch(plan)
    code = main.main(["cnn_mnist", *plan.flags])
    if not plan.clean_up:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _load() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from cnn_mnist.utils import console

    console.show_log_lines(console.stderr_console())  # before TensorFlow adds a handler of its own
    from cnn_mnist.training import run  # noqa: F401


def main() -> int:
    """Serves until stdin ends."""
    # Python 3.12 warns of threads, which a fork lacks; NumPy's expect it, and no other runs here.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    _load()
    for line in sys.stdin:
        values = json.loads(line)
        at = values.pop("at")
        plan = Plan(**values, at=at and Point(**at))
        pid = os.fork()
        if pid == 0:
            return _run(plan)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
