"""What is in a `model_dir`: the newest whole checkpoint, and whether its variables fit a recipe.

What counts are the checkpoints' own files. The file `checkpoint`, which names the newest to
TensorFlow's readers, is corrected where it disagrees with them.
"""

import contextlib
import dataclasses
import functools
import logging
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.checkpoints.saver import READ_ERRORS
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.models import graphs
from cnn_mnist.models.averaging import variables_to_restore
from cnn_mnist.models.networks import NETWORKS
from cnn_mnist.recipes import RECIPES, Recipe
from cnn_mnist.utils import curves
from cnn_mnist.utils.errors import InputError, RunError, reason

BEST = "best"  # the folder of the best checkpoint, below the model_dir
PLACES = ("", BEST, "eval", "eval_validation", "report")  # where a run writes, below the model_dir
# Files that a killed run leaves half-written: of `files.write_files`, and of TensorFlow's own.
LEFTOVER = re.compile(r"\..+\.\d+\.part|\.probe|(graph\.pbtxt|checkpoint)\.tmp[0-9a-f]{32}")

log = logging.getLogger(__name__)


class CheckpointError(InputError):
    """A checkpoint that is missing, unreadable or of another network."""


@contextlib.contextmanager
def _reading(checkpoint: str) -> Iterator[None]:
    """Turns what TensorFlow raises for a damaged checkpoint into a `CheckpointError`."""
    try:
        yield
    except READ_ERRORS as error:
        raise CheckpointError(
            f"--model_dir: {checkpoint} cannot be read: {reason(error)}; "
            "name another folder or an older checkpoint in it"
        ) from error


def newest(recipe: Recipe, model_dir: str, form: Form = MNIST) -> str:
    """The prefix of the newest whole checkpoint in a folder; warns of newer, damaged ones.

    Raises:
      CheckpointError: there is none, none is whole, or it does not fit the recipe.
    """
    checkpoint = newest_whole(model_dir)
    if checkpoint is None:
        there = _one_level_down(model_dir)
        raise CheckpointError(
            f"--model_dir={model_dir}: holds no checkpoint; {there or '--mode=train makes one'}"
        )
    check_fits(recipe, checkpoint, form)
    return checkpoint


def _one_level_down(model_dir: str) -> str:
    """Names the folders in a folder that hold checkpoints, and how to ask for one; or ""."""
    found = [path for path in sorted(Path(model_dir).glob("*")) if saver.steps(path)]
    if not found:
        return ""
    *others, last = (shlex.quote(str(path)) for path in found)
    text = f"{', '.join(others)} and {last} hold one" if others else f"{last} holds one"
    make = [f"make eval RECIPE={path.name}" for path in found if path.name in RECIPES]
    with_make = f", or {make[0]}" if make and Path(model_dir) == Path("model_dir") else ""
    return f"{text}: --model_dir={shlex.quote(str(found[0]))}{with_make}"


def newest_whole(model_dir: str) -> str | None:
    """The prefix of the newest checkpoint that can be read to its last byte; None if there is none.

    Raises:
      CheckpointError: there are checkpoints, and none is whole.
    """
    damages = []
    for checkpoint in _candidates(Path(model_dir)):
        try:
            require_whole(checkpoint)
        except READ_ERRORS as error:
            damages.append(f"{checkpoint} is damaged: {reason(error)}")
            continue
        for damage in damages:
            log.warning("%s; it is passed over", damage)
        return str(checkpoint)
    if damages:
        raise CheckpointError(
            f"--model_dir={model_dir}: none of its {len(damages)} checkpoints can be read; "
            f"{damages[0]}; bring back one that is whole, or name another --model_dir"
        )
    return None


def resume(recipe: Recipe, model_dir: str, form: Form = MNIST) -> int:
    """Lets the Estimator go on from the newest whole checkpoint; returns its step, 0 without one.

    Deletes what a killed run left half-written. Only the one trainer of the folder may call it.

    Raises:
      CheckpointError: there are checkpoints and none can be used.
    """
    folder = Path(model_dir)
    checkpoint = newest_whole(model_dir)
    if checkpoint is not None:
        check_fits(recipe, checkpoint, form, training=True)
    for name in PLACES:
        if (folder / name).is_dir():
            _delete_leftovers(folder / name)
    if checkpoint is None:
        _require_untrained(folder)
        return 0
    if _named_by_state(folder) != checkpoint:
        saver.write_state(folder, int(checkpoint.rpartition("-")[2]))
    return step_of(checkpoint)


def require_whole(checkpoint: str | Path) -> None:
    """Raises READ_ERRORS for a checkpoint that is damaged, or of another step than its name."""
    named, step = saver.step_in_name(checkpoint), saver.read(checkpoint).get("global_step")
    if named is not None and step is not None and step.tolist() != named:
        raise RunError(f"it is of step {step}")


def step_of(checkpoint: str) -> int:
    """The global step that a checkpoint was saved at; raises CheckpointError for a damaged one."""
    with _reading(checkpoint):
        return int(tf.train.load_variable(checkpoint, "global_step"))


def latest(model_dir: str) -> tuple[str, int]:
    """The prefix and the step of the checkpoint that a training has just saved, which is whole."""
    checkpoint = tf.train.latest_checkpoint(model_dir)
    return checkpoint, step_of(checkpoint)


def saved_step(model_dir: str) -> int:
    """The global step of the checkpoint that the Estimator goes on from; 0 if there is none."""
    checkpoint = tf.train.latest_checkpoint(model_dir)
    return step_of(checkpoint) if checkpoint else 0


def check_fits(
    recipe: Recipe, checkpoint: str, form: Form = MNIST, *, training: bool = False
) -> None:
    """Checks the names and shapes of a checkpoint's variables; see `variable_shapes`.

    Raises:
      CheckpointError: it cannot be read, or is of another network.
    """
    with _reading(checkpoint):
        found = dict(tf.train.list_variables(checkpoint))
    for name, shape in variable_shapes(recipe, form, training=training).items():
        if found.get(name) != shape:
            has = f"of the shape {found[name]}" if name in found else "missing"
            raise CheckpointError(
                f"--model_dir: {checkpoint} is of another network: its variable "
                f"{name} is {has}, expected {shape}; name another folder"
            )


def variable_shapes(
    recipe: Recipe, form: Form = MNIST, *, training: bool = False
) -> dict[str, list[int]]:
    """Names and shapes of the variables that are read from a checkpoint of the recipe.

    To go on with the training these are all, otherwise those of the scored network.
    """
    network = NETWORKS.get(recipe.network)  # another program may give the name another one
    return dict(_variable_shapes(recipe, form, training, network))


@functools.lru_cache(maxsize=4)
def _variable_shapes(
    recipe: Recipe, form: Form, training: bool, network: Any
) -> dict[str, list[int]]:
    return {name: v.shape.as_list() for name, v in _variables(recipe, form, training).items()}


def scored_values(recipe: Recipe, checkpoint: str, form: Form = MNIST) -> dict[str, np.ndarray]:
    """The scored network in a checkpoint that fits the recipe, and `global_step`.

    By the variables' names in the network, such as `conv2d/kernel`; the checkpoint may have others.
    Raises CheckpointError for a damaged one.
    """
    variables = _variables(recipe, form, training=False)
    with _reading(checkpoint):
        reader = tf.train.load_checkpoint(checkpoint)
        return {v.op.name: reader.get_tensor(name) for name, v in variables.items()}


def _variables(recipe: Recipe, form: Form, training: bool) -> dict[str, Any]:
    """Name in a checkpoint of the recipe -> variable of a graph that it is read into."""
    mode = estimator.ModeKeys.TRAIN if training else estimator.ModeKeys.PREDICT
    with tf.Graph().as_default():
        graphs.build(recipe, mode, form)
        if not training:
            return variables_to_restore(recipe)
        return {v.op.name: v for v in tf.compat.v1.global_variables()}


def read_into(session: Any, checkpoint: str, recipe: Recipe) -> int:
    """Gives the default graph's variables their values; returns the global step.

    Raises CheckpointError for a damaged checkpoint.
    """
    with _reading(checkpoint):
        tf.compat.v1.train.Saver(variables_to_restore(recipe)).restore(session, checkpoint)
    return step_of(checkpoint)


def _candidates(folder: Path) -> list[Path]:
    """The prefixes of all checkpoints that are, or should be, in a folder; the newest first.

    Files without an `.index` mean that it was lost, unless it lies in the folder of a save that was
    cut short: then there never was such a checkpoint.
    """
    unpublished = set(saver.files_of(folder / saver.PART)) - set(saver.steps(folder))
    steps = sorted(set(saver.files_of(folder)) - unpublished, reverse=True)
    state = _named_by_state(folder)
    if steps:
        named = saver.step_in_name(state or "") or 0
        # What `checkpoint` names was there. If it is newer than all, it is lost.
        lost = [named] if named > steps[0] else []
        return [folder / f"model.ckpt-{step}" for step in lost + steps]
    if (folder / saver.STATE).exists():
        # Checkpoints of another name, or none where there should be one.
        return [Path(state or folder / "model.ckpt")]
    return []


def _named_by_state(folder: Path) -> str | None:
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except READ_ERRORS:
        return None
    return state.model_checkpoint_path if state else None


def _require_untrained(folder: Path) -> None:
    """Checks that a folder never had a checkpoint: the first is saved before the first step."""
    found = dataclasses.asdict(curves.read_curves(folder))
    traces = [name for name, curve in found.items() if curve["steps"]]
    if traces or (folder / BEST).exists():
        what = f"its curves ({', '.join(traces)})" if traces else f"the folder {BEST} in it"
        raise CheckpointError(
            f"--model_dir={folder}: holds no checkpoint, though {what} tell of a training; bring "
            "the checkpoints back, name another --model_dir, or delete it to begin anew"
        )


def _delete_leftovers(folder: Path) -> None:
    for path in folder.iterdir():
        if LEFTOVER.fullmatch(path.name):
            saver.remove(path)
    for step in set(saver.files_of(folder)) - set(saver.steps(folder)):
        saver.delete(folder, step)
    # Last: while it is there, `_candidates` takes none of those files for a checkpoint.
    shutil.rmtree(folder / saver.PART, ignore_errors=True)
