"""Images in memory -> digits, with a graph that is built once and called many times.

Axes: B batch, H height, W width, C channels, K classes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import record, restore
from cnn_mnist.data.form import MNIST
from cnn_mnist.engines.engine import in_chunks
from cnn_mnist.models import graphs
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import sessions


class Predictor:
    """A trained network, ready to be asked: a context manager. Several threads may call `predict`.

    The graph is the PREDICT graph of `cnn_model_fn`, so the answers are those of
    `Estimator.predict`, bit for bit. With the weights as constants one image took 0.8 ms instead of
    1.0, and batches 2 % less time, but TensorFlow then rounds otherwise: probabilities differed by
    up to 2.4e-6.

    Attributes:
      checkpoint: the prefix of the checkpoint that was read.
      global_step: the step at which it was saved.
      form: what the images are, and the names of the classes; MNIST's where nothing is noted.
    """

    def __init__(self, model_dir: str | Path, recipe: str | Recipe | None = None) -> None:
        """Reads the newest checkpoint of `model_dir`, or the one whose prefix it is.

        Args:
          model_dir: a folder of checkpoints, or a prefix such as `model_dir/model.ckpt-1500`.
          recipe: names the network; None for what is noted in `model_dir`, or else the classic one.

        Raises:
          CheckpointError: there is none, it cannot be read, or it is of another network.
        """
        self.checkpoint = model_dir = str(model_dir)
        is_prefix = Path(f"{model_dir}.index").is_file()
        recipe = record.recipe_of(model_dir, recipe)
        self.form = record.form_of(Path(model_dir).parent if is_prefix else model_dir) or MNIST
        if is_prefix:
            restore.check_fits(recipe, model_dir, self.form)
        else:
            self.checkpoint = restore.newest(recipe, model_dir, self.form)
        with tf.Graph().as_default():
            mode = estimator.ModeKeys.PREDICT
            fed = {
                dtype: graphs.build(recipe, mode, self.form, dtype=dtype)
                for dtype in ("uint8", "float32")
            }
            self._session = tf.compat.v1.Session(config=sessions.config())
            try:
                self.global_step = restore.read_into(self._session, self.checkpoint, recipe)
            except restore.CheckpointError:
                self._session.close()
                raise
        self._runs: dict[str, Any] = {}  # dtype -> images -> classes and probabilities
        for dtype, graph in fed.items():
            asked = [graph.spec.predictions[name] for name in ("classes", "probabilities")]
            self._runs[dtype] = self._session.make_callable(asked, [graph.images])

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classifies images, in chunks of 200, so that memory does not grow with their number.

        Args:
          images: `uint8` 0 to 255 or `float32` 0 to 1, of shape `[B, H, W]` (of one channel),
            `[B, H, W, C]` or `[B, H * W * C]`, as `form` has them; B may be 0.

        Returns:
          Classes, `int64 [B]`, and probabilities, `float32 [B, K]`.

        Raises:
          TypeError: images of another dtype.
          ValueError: images of another shape.
        """
        images = np.asarray(images)
        if images.dtype.name not in self._runs:
            raise TypeError(f"images are {images.dtype}, expected {' or '.join(self._runs)}")
        return in_chunks(self._runs[images.dtype.name], images, self.form)

    def close(self) -> None:
        """Frees the session; `predict` cannot be called any more."""
        self._session.close()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
