"""The hook that saves checkpoints, and the curves with them; and the first checkpoint."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.models.model_fn import cnn_model_fn, params_of
from cnn_mnist.utils import events, sessions


class CurvesToo(tf.compat.v1.train.CheckpointSaverListener):
    """Puts the curves up to a checkpoint's step on disk before the checkpoint.

    TensorFlow keeps up to two minutes of them in memory; a killed run, which goes on from its
    checkpoint, would never draw them again. A checkpoint is saved though they are lost.
    """

    def __init__(self, model_dir: str) -> None:
        self._model_dir = model_dir

    def before_save(self, session: Any, global_step_value: int) -> None:
        events.flush(events.writer_of_hooks(self._model_dir), graph=session.graph)

    def after_save(self, session: Any, global_step_value: int) -> None:
        # TensorFlow notes each checkpoint there: without the note its file was deleted, and the
        # newest is an earlier run's.
        writer = events.writer_of_hooks(self._model_dir)
        events.flush(writer, int(global_step_value), session.graph)


def save_first(what: Record, model_dir: str) -> None:
    """Saves the checkpoint of step 0, with the first weights of one process.

    Several processes that train together begin with a checkpoint.
    """
    with tf.Graph().as_default():
        tf.compat.v1.train.create_global_step()
        form = what.form
        images = tf.zeros([1, form.height, form.width, form.channels], tf.uint8)
        mode, params = estimator.ModeKeys.TRAIN, params_of(what.recipe, form)
        cnn_model_fn({"x": images}, tf.zeros([1], tf.int32), mode, params)
        first = saver.Saver()
        with tf.compat.v1.Session(config=sessions.config()) as session:
            session.run(tf.compat.v1.global_variables_initializer())
            first.save(session, str(Path(model_dir) / "model.ckpt"), 0, write_meta_graph=False)


def saving_hook(model_dir: str, steps: int, steps_per_call: int = 1) -> Any:
    """The hook that saves every so many steps, curves too."""
    hook = tf.compat.v1.train.CheckpointSaverHook(
        model_dir, save_steps=steps, listeners=[CurvesToo(model_dir)]
    )
    # Or else it asks for the step after every step, in a run of the session of its own.
    hook._set_steps_per_run(steps_per_call)
    return hook
