"""The hook that saves checkpoints, and the curves with them."""

from typing import Any

import tensorflow as tf

from cnn_mnist.utils import events


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


def saving_hook(model_dir: str, steps: int, steps_per_call: int = 1) -> Any:
    """The hook that saves every so many steps, curves too."""
    hook = tf.compat.v1.train.CheckpointSaverHook(
        model_dir, save_steps=steps, listeners=[CurvesToo(model_dir)]
    )
    # Or else it asks for the step after every step, in a run of the session of its own.
    hook._set_steps_per_run(steps_per_call)
    return hook
