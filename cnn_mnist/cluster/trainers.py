"""The graph with which a chief or a worker of a cluster trains, and the hooks that belong to it.

Shapes are written with these axes: b rows of a part of a batch, H height, W width.
"""

import json
import time
from typing import IO, Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore, saver
from cnn_mnist.cluster import notice
from cnn_mnist.cluster.asynchronous import Asynchronous
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.synchronous import Synchronous
from cnn_mnist.data.dataset import DatasetError, Examples
from cnn_mnist.models import parts
from cnn_mnist.models.model_fn import given, spec
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import hooks

# Seconds without a step after which the chief takes the last batches of a worker that was killed.
PATIENCE = 15.0


class Trainer:
    """The graph of a chief or a worker: its input function and its model function.

    Attributes:
      steps: an `Asynchronous` or a `Synchronous`, of the newest graph.
    """

    steps: Any

    def __init__(
        self, settings: Settings, recipe: Recipe, split: Examples, index_log: IO[str] | None = None
    ) -> None:
        """Sets what is trained; `index_log` is told the images of each step, in a line of JSON."""
        self._settings, self._recipe, self._index_log = settings, recipe, index_log
        self._batches = split.batches(recipe.batch_size, recipe.seed)
        self._image_shape = split.image_shape

    def input_fn(self) -> tuple[dict[str, Any], Any]:
        """The part of a batch that this process trains on; images `uint8 [b, H, W]`, or
        `[b, H, W, 3]`.

        It is picked out in the step itself: which it is, is not known before.
        """
        recipe, cluster = self._recipe, self._settings.cluster
        with tf.name_scope("input"):
            if self._settings.strategy == "sync":
                rank = cluster.trainers.index(cluster.address)
                self.steps = Synchronous(rank, len(cluster.trainers), recipe.batch_size)
            else:
                self.steps = Asynchronous(recipe.batch_size, recipe.steps, cluster.device)
            part = self.steps.part
            parts.set_part(part)
            images, labels = tf.numpy_function(self._rows, [part.step], (tf.uint8, tf.int32))
            images = tf.ensure_shape(images, [part.size, *self._image_shape])
            return {"x": images}, tf.ensure_shape(labels, [part.size])

    def _rows(self, step: Any) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels of this process's part of a step's batch."""
        where = (int(step), self.steps.part.first, self.steps.part.size)
        if self._index_log:
            images = self._batches.indices(*where).tolist()
            print(json.dumps({"step": int(step), "images": images}), file=self._index_log)
        try:
            return self._batches.rows(*where)
        except DatasetError:  # raised here, it would reach the others' screens as a traceback
            return np.empty([0, *self._image_shape], np.uint8), np.empty(0, np.int32)

    def model_fn(
        self, features: Any, labels: Any, mode: str, params: dict[str, Any], config: Any
    ) -> Any:
        """`cnn_model_fn`, whose step is taken together with the others."""
        recipe, form = given(params)
        made = spec(features, labels, mode, recipe, self.steps.minimize, form)
        local_init = None
        if self._settings.cluster.role == "chief":
            # Not sharded: every value comes to the chief, so only it needs the disk.
            saver.add_to_graph(self._settings.model_dir, sharded=False)
        elif self._settings.strategy == "sync":
            default = tf.compat.v1.train.Scaffold.default_local_init_op()
            local_init = tf.group(default, self.steps.begin())
        scaffold = tf.compat.v1.train.Scaffold(local_init_op=local_init)
        return made._replace(loss=self.steps.loss(made.loss), scaffold=scaffold)


class Start(estimator.SessionRunHook):
    """For the chief: lets the training begin when the weights are there, and calls the workers."""

    def __init__(self, trainer: Trainer, model_dir: str, notice_text: str) -> None:
        self._trainer, self._model_dir, self._text = trainer, model_dir, notice_text

    def begin(self) -> None:
        self._trainer.steps.build_start()
        self._put = notice.board(notice.TRAINED, 0).assign(self._text, read_value=False)

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._trainer.steps.start(session, restore.saved_step(self._model_dir))
        session.run(self._put)


class Finish(estimator.SessionRunHook):
    """For the chief: waits at the end for workers' steps. Must come before the hook that saves."""

    def __init__(self, steps: int, stop: hooks.StopOnSignal) -> None:
        self._steps, self._stop = steps, stop

    def begin(self) -> None:
        self._step = tf.compat.v1.train.get_global_step().read_value()

    def end(self, session: Any) -> None:
        changed, last = time.monotonic(), -1
        while self._stop.received is None and time.monotonic() - changed < PATIENCE:
            step = int(session.run(self._step))
            if step >= self._steps:
                return
            if step != last:
                changed, last = time.monotonic(), step
            time.sleep(0.05)
