"""What can compute for `--mode=predict` in place of TensorFlow. To add one, list it here."""

from collections.abc import Callable
from typing import NamedTuple

from cnn_mnist.engines import litert, onnx
from cnn_mnist.engines.engine import Engine


class Entry(NamedTuple):
    """An entry of `ENGINES`: what it is called, and what opens its file."""

    meaning: str
    opened: Callable[[str], Engine]


ENGINES = {
    "litert": Entry("LiteRT, for a .tflite file", litert.opened),
    "onnx": Entry("onnxruntime, for an .onnx file", onnx.opened),
}
TENSORFLOW = "tensorflow"
NAMES = (TENSORFLOW, *ENGINES)
