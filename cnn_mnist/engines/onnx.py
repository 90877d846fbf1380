"""Opens an ONNX model with onnxruntime. Its notes are in its `metadata_props`."""

from pathlib import Path

import numpy as np

from cnn_mnist.engines import notes
from cnn_mnist.engines.engine import (
    Engine,
    content_of,
    require_packages,
    require_signature,
    wrong,
)
from cnn_mnist.utils.errors import reason

EXPECTED = "an ONNX model with its notes"
MODULES = ("onnxruntime",)
TYPES = {"tensor(uint8)": "uint8", "tensor(int64)": "int64", "tensor(float)": "float32"}
OUTPUTS = ["classes", "probabilities"]
FATAL = 4  # of onnxruntime's levels of its log: what is wrong is raised


def opened(path: str | Path) -> Engine:
    """The network in a file.

    Raises:
      ModelError: the file cannot be read, is no ONNX model, or lacks the notes.
      UsageError: onnxruntime is not installed.
    """
    content = content_of(path)
    require_packages("--engine=onnx", "onnx", MODULES)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    try:
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common
        why = reason(error) if content else "an empty file"
        raise wrong(path, why, EXPECTED) from None
    try:
        noted = notes.read_texts(session.get_modelmeta().custom_metadata_map)
    except ValueError as error:
        raise wrong(path, f"a model with {error}", EXPECTED) from None
    tensors = [*session.get_inputs(), *session.get_outputs()]
    found = [(each.name, TYPES.get(each.type, each.type), each.shape) for each in tensors]
    require_signature(path, noted.form, found)

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        classes, probabilities = session.run(OUTPUTS, {"images": images})
        return classes, probabilities

    return Engine(noted, f"onnxruntime {onnxruntime.__version__}", run)
