"""Exports a trained network for LiteRT, once called TensorFlow Lite: one file, `model.tflite`."""

import dataclasses
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist.checkpoints import restore
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.placement import DIGIT
from cnn_mnist.engines import litert, notes
from cnn_mnist.exports import saved_model
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console
from cnn_mnist.utils.files import whole_folder, write_files

FILE = "model.tflite"
CALIBRATION = 200  # training images, the first
# What the converter and its calibration write to stderr, whatever they are given.
NOISE = (
    "Ignored output_format.",
    "Ignored drop_control_dependency.",
    "fully_quantize: ",
    "Skipping runtime version metadata in the model.",
    "Created TensorFlow Lite XNNPACK delegate for CPU",
)


def litert_model(
    recipe: Recipe,
    model_dir: str,
    export_dir: str,
    form: Form = MNIST,
    *,
    quantize: str = "none",
    calibration: np.ndarray | None = None,
    preprocess: str = DIGIT,
    prove: saved_model.Prove = saved_model.unproved,
    place: str | None = None,
) -> list[str]:
    """Writes the newest checkpoint of `model_dir` as a `.tflite` file, whole or not at all.

    Its signature `serving_default` takes `images`, `uint8 [B, H, W]` or `uint8 [B, H, W, 3]`, as
    `form` has them, and gives `classes`, `int64 [B]`, and `probabilities`, `float32 [B, K]`; B is
    free. It computes in `float32`, whatever the recipe's precision. In the file there are also
    notes, as `engines.litert` tells.

    Args:
      recipe, model_dir, export_dir, form: as of `saved_model.saved_model`.
      quantize: `none`; `dynamic`: weights of 8 bits; `int8`: activations, too, with ranges found
        on `calibration`.
      calibration: training images, of which the first 200 are taken; needed for `int8`.
      preprocess, prove, place: as of `saved_model.saved_model`.

    Returns:
      What a person can do with the file, in lines.

    Raises:
      InputError: if `export_dir` exists and is not an empty folder.
      CheckpointError: if `model_dir` has no checkpoint of this network.
    """
    recipe = dataclasses.replace(recipe, precision="float32")
    checkpoint = restore.newest(recipe, model_dir, form)
    noted = notes.content(recipe, restore.step_of(checkpoint), form, preprocess)
    with whole_folder(export_dir) as folder:
        source = folder.parent / "saved_model"
        saved_model.build(recipe, checkpoint, str(source), form)
        model = converted(source, quantize, calibration)
        noted |= {"quantize": quantize, "signature": litert.SIGNATURE}
        write_files(folder, {FILE: litert.with_notes(model, noted)})
        prove(folder)
    path = shlex.quote(str(Path(place or export_dir) / FILE))
    return [
        f"its input     {noted['input']}",
        f"its outputs   {noted['output']}",
        f"reads         {console.command('cnn_mnist')} --mode=predict --engine=litert "
        f"--model={path} --images=FILE",
    ]


def converted(source: Path, quantize: str, calibration: np.ndarray | None) -> bytes:
    """A SavedModel as TensorFlow's converter writes it for LiteRT."""
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(source), signature_keys=[litert.SIGNATURE]
    )
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "int8":
        if calibration is None:
            raise ValueError("int8 needs images to calibrate with, found none")
        images = calibration[:CALIBRATION]

        def representative() -> Iterator[dict[str, Any]]:
            for image in images:
                yield {"images": image[None]}

        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with console.without(NOISE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own use of its deprecated interpreter
        return converter.convert()
