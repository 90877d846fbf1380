"""Exports a trained network as an ONNX model: one file, `model.onnx`."""

import contextlib
import dataclasses
import logging
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from cnn_mnist.checkpoints import restore
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.placement import DIGIT
from cnn_mnist.engines import notes
from cnn_mnist.exports import saved_model
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console
from cnn_mnist.utils.files import whole_folder, write_files

FILE = "model.onnx"
OPSET = 17  # of the operators; onnxruntime has it since 1.12, of 2022


def onnx_model(
    recipe: Recipe,
    model_dir: str,
    export_dir: str,
    form: Form = MNIST,
    *,
    preprocess: str = DIGIT,
    prove: saved_model.Prove = saved_model.unproved,
    place: str | None = None,
) -> list[str]:
    """Writes the newest checkpoint of `model_dir` as an ONNX model, whole or not at all.

    It takes `images`, `uint8 [B, H, W]` or `uint8 [B, H, W, 3]`, as `form` has them, and gives
    `classes`, `int64 [B]`, and `probabilities`, `float32 [B, K]`; B is free. It computes in
    `float32`, whatever the recipe's precision. Names of the classes, preprocessing and opset are in
    its `metadata_props`.

    Args:
      recipe, model_dir, export_dir, form, preprocess, prove, place: as of
        `saved_model.saved_model`.

    Returns:
      What a person can do with the file, in lines.

    Raises:
      InputError: if `export_dir` exists and is not an empty folder.
      CheckpointError: if `model_dir` has no checkpoint of this network.
    """
    import onnx

    recipe = dataclasses.replace(recipe, precision="float32")
    checkpoint = restore.newest(recipe, model_dir, form)
    noted = notes.content(recipe, restore.step_of(checkpoint), form, preprocess)
    noted["opset"] = OPSET
    with whole_folder(export_dir) as folder:
        source = folder.parent / "saved_model"
        saved_model.build(recipe, checkpoint, str(source), form)
        model = converted(source, form)
        onnx.helper.set_model_props(model, notes.as_texts(noted))
        onnx.checker.check_model(model, full_check=True)
        write_files(folder, {FILE: model.SerializeToString()})
        prove(folder)
    path = shlex.quote(str(Path(place or export_dir) / FILE))
    return [
        f"its input     {noted['input']}",
        f"its outputs   {noted['output']}",
        f"its opset     {OPSET}",
        f"reads         {console.command('cnn_mnist')} --mode=predict --engine=onnx "
        f"--model={path} --images=FILE",
    ]


def converted(source: Path, form: Form) -> Any:
    """A SavedModel as tf2onnx writes it: an `onnx.ModelProto`."""
    serve = tf.saved_model.load(str(source)).signatures[saved_model.RAW]
    images = tf.TensorSpec([None, *form.image_shape], tf.uint8, name="images")
    network = tf.function(lambda images: serve(images=images), input_signature=[images])
    with _quiet():
        import tf2onnx

        model, _ = tf2onnx.convert.from_function(network, [images], opset=OPSET)
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops what tf2onnx tells of its own work; its import changes the root of the log, too."""
    root, before = logging.getLogger(), logging.root.manager.disable
    handlers, level = root.handlers[:], root.level
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.handlers[:] = handlers
        root.setLevel(level)
