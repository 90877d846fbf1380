"""Runs the program unchanged, but for what `_watch` wraps: it notes what the run does.

`python -m stress.watched PLAN FLAGS...`, with a `Plan` in JSON. It can also send itself a signal at
a named point, so that a run is killed where nobody could aim from outside.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

# Functions that change a folder, by the names under which Python's audit hooks announce them.
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate")
MODEL_DIR = "model_dir"  # of every run, below the folder where it runs
START = -1  # in `Point.step`: what is done before the first save


@dataclasses.dataclass(frozen=True)
class Point:
    """A moment in a run: before the n-th operation on the files of `model_dir` in one save."""

    folder: str  # where it saves, below the working directory
    step: int  # what it saves; or `START`
    # 0 is the call of `save`; one of the others is its return. What follows until the next save
    # belongs to it, too.
    operation: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is noted of a run, and when it gets a signal."""

    log: str  # the file that gets one line of JSON for each thing that the run does
    keep: str = ""  # a folder that gets a copy of each checkpoint of `model_dir`; "" for none
    signal: int = 0  # what it sends itself at `at`; 0 for nothing
    at: Point | None = None


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
        self._model_dir = Path(MODEL_DIR).absolute()
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


if __name__ == "__main__":
    from cnn_mnist import main
    from cnn_mnist.utils import process

    values = json.loads(sys.argv[1])
    at = values.pop("at")
    _watch(Plan(**values, at=at and Point(**at)))
    process.end_program(main.main(["cnn_mnist", *sys.argv[2:]]))
