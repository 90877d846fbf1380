"""Exports a trained network as a SavedModel that takes raw or encoded images."""

import shlex
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.models import graphs
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console, sessions
from cnn_mnist.utils.files import whole_folder

RAW = "serving_default"
ENCODED = "encoded"
EXAMPLES = "assets.extra/images.npy"


def saved_model(recipe: Recipe, model_dir: str, export_dir: str, examples: np.ndarray) -> list[str]:
    """Writes the newest checkpoint of `model_dir` as a SavedModel, whole or not at all.

    Two signatures, both with the outputs `classes`, `int64 [B]`, and `probabilities`,
    `float32 [B, 10]`:

    - `serving_default`: `images`, `uint8 [B, 28, 28]`, light ink on dark ground;
    - `encoded`: `images`, `string [B]`, each a PNG or JPEG file with the same kind of
      picture, which is made grey, and 28 x 28 if it is of another size.

    `assets.extra/images.npy` holds `examples`, `uint8 [N, 28, 28]`, for a first try.

    Returns:
      What a person can do with the folder: commands to type.

    Raises:
      InputError: if `export_dir` exists and is not an empty folder.
      CheckpointError: if `model_dir` has no checkpoint of this network.
    """
    checkpoint = restore.newest(recipe, model_dir)
    with whole_folder(export_dir) as folder:
        _build(recipe, checkpoint, str(folder))
        (folder / "assets.extra").mkdir()
        np.save(folder / EXAMPLES, examples, allow_pickle=False)
    quoted, cli = shlex.quote(export_dir), console.command("saved_model_cli")
    of_raw = f"--dir {quoted} --tag_set serve --signature_def {RAW}"
    return [
        f"its inputs    {cli} show {of_raw}",
        f"ten digits    {cli} run {of_raw} --inputs images={quoted}/{EXAMPLES}",
    ]


def _build(recipe: Recipe, checkpoint: str, folder: str) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session(config=sessions.config()) as session:
        encoded = tf.compat.v1.placeholder(tf.string, [None], name="encoded_images")
        mode = estimator.ModeKeys.PREDICT
        of_raw = graphs.build(recipe, mode)
        of_encoded = graphs.build(recipe, mode, images=decoded(encoded))
        signature = tf.compat.v1.saved_model.predict_signature_def
        signatures = {
            RAW: signature({"images": of_raw.images}, of_raw.spec.predictions),
            ENCODED: signature({"images": encoded}, of_encoded.spec.predictions),
        }
        restore.read_into(session, checkpoint, recipe)
        builder = tf.compat.v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signatures, strip_default_attrs=True
        )
        builder.save()


@tf.autograph.experimental.do_not_convert  # it would leave a file in the temporary folder
def decoded(encoded: Any) -> Any:
    """Image files, `string [B]` -> `uint8 [B, 28, 28]`."""

    def one(content: Any) -> Any:
        picture = tf.io.decode_image(content, channels=1, expand_animations=False)  # [H, W, 1]
        picture = tf.image.resize(picture, [28, 28], method="area")
        return tf.cast(tf.round(picture[:, :, 0]), tf.uint8)

    return tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec([28, 28], tf.uint8))
