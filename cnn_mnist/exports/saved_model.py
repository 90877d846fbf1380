"""Exports a trained network as a SavedModel that takes raw or encoded images."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.placement import DIGIT
from cnn_mnist.engines import notes
from cnn_mnist.engines.engine import Engine
from cnn_mnist.models import graphs
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console, sessions
from cnn_mnist.utils.files import whole_folder, write_files

RAW = "serving_default"
ENCODED = "encoded"
EXTRA = "assets.extra"
EXAMPLES = f"{EXTRA}/images.npy"

Prove = Callable[[Path], None]  # takes the folder of an export, before it is put in its place


def unproved(folder: Path) -> None:
    """A `Prove` that asks for nothing."""


def saved_model(
    recipe: Recipe,
    model_dir: str,
    export_dir: str,
    examples: np.ndarray,
    form: Form = MNIST,
    *,
    preprocess: str = DIGIT,
    prove: Prove = unproved,
    place: str | None = None,
) -> list[str]:
    """Writes the newest checkpoint of `model_dir` as a SavedModel, whole or not at all.

    Two signatures, both with the outputs `classes`, `int64 [B]`, and `probabilities`,
    `float32 [B, K]`:

    - `serving_default`: `images`, `uint8 [B, H, W]` (of digits light ink on dark ground), or
      `uint8 [B, H, W, 3]`, as `form` has them;
    - `encoded`: `images`, `string [B]`, each a PNG or JPEG file with the same kind of picture,
      which is made grey or coloured as `form` has it, and scaled if it is of another size.

    `assets.extra/images.npy` holds `examples`, images for a first try, and
    `assets.extra/notes.json` the names of the classes and what else `engines.notes` tells.

    Args:
      recipe: what was trained.
      model_dir: the folder of the training.
      export_dir: the folder to make.
      examples: images, as of `serving_default`.
      form: of the images.
      preprocess: how a picture becomes such an image, for the notes.
      prove: raises if the export is not good; nothing is left of it then.
      place: what the lines below call the folder; None for `export_dir`.

    Returns:
      What a person can do with the folder: commands to type.

    Raises:
      InputError: if `export_dir` exists and is not an empty folder.
      CheckpointError: if `model_dir` has no checkpoint of this network.
    """
    checkpoint = restore.newest(recipe, model_dir, form)
    with whole_folder(export_dir) as folder:
        build(recipe, checkpoint, str(folder), form)
        noted = notes.content(recipe, restore.step_of(checkpoint), form, preprocess)
        write_files(folder / EXTRA, {notes.FILE: notes.as_bytes(noted)})
        np.save(folder / EXAMPLES, examples, allow_pickle=False)
        prove(folder)
    quoted, cli = shlex.quote(place or export_dir), console.command("saved_model_cli")
    of_raw = f"--dir {quoted} --tag_set serve --signature_def {RAW}"
    return [
        f"its inputs    {cli} show {of_raw}",
        f"ten digits    {cli} run {of_raw} --inputs images={quoted}/{EXAMPLES}",
    ]


def opened(folder: Path, form: Form, preprocess: str) -> Engine:
    """The export in a folder, by the loader of TensorFlow 2."""
    serve = tf.saved_model.load(str(folder)).signatures[RAW]

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        given = serve(images=tf.constant(images))
        return given["classes"].numpy(), given["probabilities"].numpy()

    return Engine(notes.Notes(form, preprocess), f"TensorFlow {tf.__version__}", run)


def build(recipe: Recipe, checkpoint: str, folder: str, form: Form) -> None:
    """Writes a SavedModel of a checkpoint into a folder that is not there yet."""
    with tf.Graph().as_default(), tf.compat.v1.Session(config=sessions.config()) as session:
        encoded = tf.compat.v1.placeholder(tf.string, [None], name="encoded_images")
        mode = estimator.ModeKeys.PREDICT
        of_raw = graphs.build(recipe, mode, form)
        of_encoded = graphs.build(recipe, mode, form, images=decoded(encoded, form))
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
def decoded(encoded: Any, form: Form = MNIST) -> Any:
    """Image files, `string [B]` -> `uint8 [B, H, W]`, or `[B, H, W, 3]`."""

    def one(content: Any) -> Any:
        channels = form.channels
        picture = tf.io.decode_image(content, channels=channels, expand_animations=False)
        picture = tf.image.resize(picture, [form.height, form.width], method="area")
        if channels == 1:
            picture = picture[:, :, 0]
        return tf.cast(tf.round(picture), tf.uint8)

    return tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec(form.image_shape, tf.uint8))
