"""Saves checkpoints that can be trusted.

A checkpoint is written into a folder of its own, read back, and forced onto the disk. Then its
files are moved to where they are looked for, the `.index` file last. So a `.index` means a whole
checkpoint, whenever the run was killed. Names, format and the state file `checkpoint` are those of
TensorFlow's own Saver.
"""

import contextlib
import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist.utils.errors import RunError, reason
from cnn_mnist.utils.events import quiet
from cnn_mnist.utils.files import sync, write_files

KEPT = 5  # checkpoints, as many as the Estimator keeps
PART = ".saving"  # the folder of a save that is under way
STATE = "checkpoint"  # the file that names the newest checkpoint to TensorFlow's readers
INDEX = ".index"
# A file of a checkpoint: model.ckpt-1000.index, .meta, .data-00000-of-00001
FILE_NAME = re.compile(r"model\.ckpt-(0|[1-9]\d{0,17})(\.index|\.meta|\.data-\d{5}-of-\d{5})")

# What TensorFlow's reader raises for damaged files; it checks checksums.
READ_ERRORS = (tf.errors.OpError, LookupError, RuntimeError, ValueError, OverflowError, MemoryError)

# What TensorFlow raises where another process of the session is gone.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError)


class SaveError(RunError):
    """A checkpoint that could not be written. Those before it are whole."""


class NonFiniteError(RunError):
    """NaN or infinity in a training run, which was stopped before it reached a checkpoint."""


class Saver(tf.compat.v1.train.Saver):
    """A Saver whose checkpoints become visible when they are whole, finite and on the disk."""

    def __init__(self, *, keep: int = KEPT, on_disk: str | None = None, **options: Any) -> None:
        """Keeps so many checkpoints; does not rewrite `on_disk`, which the run begins from."""
        super().__init__(save_relative_paths=True, **options)
        self._keep = keep
        self._on_disk = on_disk

    def save(
        self,
        sess: Any,
        save_path: str,
        global_step: int = 0,
        *,
        write_meta_graph: bool = True,
        **ignored: Any,
    ) -> str:
        """Saves `save_path-STEP` and returns this prefix; STEP is what the checkpoint holds.

        Raises:
          SaveError: it cannot be written: no space, no permission.
          NonFiniteError: a variable holds NaN or infinity.
          tf.errors.OpError: of `LOST`: a process of the cluster that held variables is gone.
        """
        prefix = Path(f"{save_path}-{global_step}")
        if str(prefix) == self._on_disk:
            return str(prefix)
        folder = prefix.parent
        try:
            with _part(folder) as part:
                written = str(part / prefix.name)
                with quiet():
                    super().save(
                        sess, written, write_meta_graph=write_meta_graph, write_state=False
                    )
                values = read(written)
                step = int(values.get("global_step", global_step))
                require_finite(values, f"step {step:,}")
                if step != global_step:  # others went on training meanwhile
                    prefix = _renamed(part, prefix, Path(f"{save_path}-{step}"))
                publish(part, prefix.name)
                write_state(folder, step, self._keep)
                # Checkpoints of later steps are damaged: the run went on from an earlier one. They
                # are not counted, and stay until the run reaches their steps.
                for old in [old for old in steps(folder) if old <= step][: -self._keep]:
                    delete(folder, old)
        except (OSError, *READ_ERRORS) as error:
            of_cluster = isinstance(error, LOST) and sess.sess_str  # which has an address
            if of_cluster or isinstance(error, NonFiniteError):
                raise
            raise _save_error(prefix, error, sess, write_meta_graph) from error
        self._on_disk = str(prefix)
        return str(prefix)


@contextlib.contextmanager
def _part(folder: Path) -> Iterator[Path]:
    """Makes the folder of a save that is under way; it is gone in the end."""
    part = folder / PART
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def add_to_graph(model_dir: str, *, sharded: bool = True) -> None:
    """Lets a `Saver` write the checkpoints of the graph that is being built.

    Args:
      model_dir: where the run goes on from the newest checkpoint.
      sharded: whether each process writes what it holds; if not, all comes to the one that saves.
    """
    # Replicas of a network share a graph: the first one adds it.
    if not tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.SAVERS):
        begins_from = tf.train.latest_checkpoint(model_dir)
        saver = Saver(on_disk=begins_from, sharded=sharded, defer_build=True)
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.SAVERS, saver)


def read(prefix: str | Path) -> dict[str, np.ndarray]:
    """Every variable in a checkpoint: its name -> its value; READ_ERRORS for a damaged one."""
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def require_finite(values: dict[str, np.ndarray], when: str) -> None:
    """Raises NonFiniteError for the first variable that holds NaN or infinity."""
    for name, value in values.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            count = np.count_nonzero(~np.isfinite(value))
            raise non_finite(when, f"{count:,} of {value.size:,} values of the variable {name}")


def non_finite(when: str, what: str) -> NonFiniteError:
    """The error that tells when NaN or infinity came, in what, and what to try."""
    return NonFiniteError(
        f"{when}: NaN or infinity in {what}; nothing of it was saved. "
        "Try a lower --learning_rate and another --model_dir"
    )


def publish(part: Path, name: str) -> None:
    """Moves the files of the checkpoint `name` from the folder `part` to the one around it.

    The `.index` comes last. An older one is deleted first, so it is never seen beside new data.
    """
    folder = part.parent
    files = sorted(part.iterdir(), key=lambda path: path.suffix == INDEX)
    for path in files:
        sync(path)
    remove(folder / f"{name}{INDEX}")
    for path in files:
        if (folder / path.name).is_dir():  # where a file belongs; `replace` would refuse
            remove(folder / path.name)
        path.replace(folder / path.name)
    sync(folder)


def copy(prefix: Path, folder: Path) -> None:
    """Puts a copy of a whole checkpoint, without its `.meta` file, into another folder.

    Raises FileNotFoundError if all or parts of it are gone; `folder` then stays as it is.
    """
    step = int(prefix.name.rpartition("-")[2])
    with _part(folder) as part:
        for path in files_of(prefix.parent).get(step, []):
            if path.suffix != ".meta":
                shutil.copyfile(path, part / path.name)
        copied = part / prefix.name
        try:
            read(copied)
        except READ_ERRORS as error:  # its files may have been deleted one by one
            raise FileNotFoundError(errno.ENOENT, reason(error), str(copied)) from error
        publish(part, prefix.name)
        write_state(folder, step)


def write_state(folder: Path, step: int, keep: int = KEPT) -> None:
    """Names to TensorFlow's readers, in the file `checkpoint`, the newest up to a step."""
    kept = [old for old in steps(folder) if old <= step][-keep:]
    lines = [f'model_checkpoint_path: "model.ckpt-{step}"']
    lines += [f'all_model_checkpoint_paths: "model.ckpt-{step}"' for step in kept]
    if (folder / STATE).is_dir():  # where a file belongs
        remove(folder / STATE)
    write_files(folder, {STATE: ("\n".join(lines) + "\n").encode()})


def delete(folder: Path, step: int) -> None:
    """Deletes the files of the checkpoint of a step, the `.index` first."""
    for path in sorted(files_of(folder).get(step, []), key=lambda path: path.suffix != INDEX):
        remove(path)


def remove(path: Path) -> None:
    """Deletes a file if it is there, or an empty folder in its place."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder that have a `.index` file, in order."""
    found = files_of(folder).items()
    return sorted(step for step, paths in found if any(path.suffix == INDEX for path in paths))


def step_in_name(prefix: str | Path) -> int | None:
    """The step in a checkpoint's prefix `model.ckpt-STEP`; None for one of another form."""
    match = FILE_NAME.fullmatch(f"{Path(prefix).name}{INDEX}")
    return int(match[1]) if match else None


def files_of(folder: Path) -> dict[int, list[Path]]:
    """The files of all checkpoints in a folder, by step."""
    found: dict[int, list[Path]] = {}
    if folder.is_dir():
        for path in folder.iterdir():
            if match := FILE_NAME.fullmatch(path.name):
                found.setdefault(int(match[1]), []).append(path)
    return found


def _renamed(folder: Path, old: Path, new: Path) -> Path:
    """Gives the files of the checkpoint `old` in a folder the name of `new`, which is returned."""
    for path in list(folder.iterdir()):
        path.rename(folder / f"{new.name}{path.name.removeprefix(old.name)}")
    return new


def _save_error(prefix: Path, error: Exception, sess: Any, with_graph: bool) -> SaveError:
    with sess.graph.as_default():
        variables = tf.compat.v1.global_variables()
    needed = sum(v.shape.num_elements() * v.dtype.size for v in variables)
    if with_graph:  # the .meta file
        needed += sess.graph.as_graph_def().ByteSize()
    free = shutil.disk_usage(prefix.parent).free if prefix.parent.is_dir() else 0
    # TensorFlow's errors name the file; Python's keep it apart.
    file = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    return SaveError(
        f"{prefix}: cannot be saved: {file}{reason(error)}; it takes {needed:,} bytes, {free:,} "
        "are free; the checkpoints before it are whole: make room, if that is missing, and run the "
        "same command again"
    )
