"""Opens a `.tflite` file with LiteRT, once called TensorFlow Lite.

Behind the model is a zip archive with files that belong to it, as the metadata of TensorFlow Lite
has it: runtimes pass over it, and any program for zip archives can open it. It holds
`notes.json` and, for readers of that metadata, `labels.txt`, a class a line.
"""

import hashlib
import importlib.metadata
import io
import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

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

SIGNATURE = "serving_default"
LABELS = "labels.txt"
DIGEST = "model_sha256"  # a key of the notes
EXPECTED = "a LiteRT model with its notes"
MODULES = ("ai_edge_litert.interpreter",)
NOISE = ("Created TensorFlow Lite XNNPACK delegate for CPU",)


def with_notes(model: bytes, noted: dict[str, Any]) -> bytes:
    """The content of the file: the model, and behind it its notes.

    The notes hold the sha256 of the model: LiteRT does not find every damage itself.
    """
    noted = noted | {DIGEST: hashlib.sha256(model).hexdigest()}
    files = {
        LABELS: "".join(f"{name}\n" for name in noted["class_names"]).encode(),
        notes.FILE: notes.as_bytes(noted),
    }
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:  # "a": behind what is there
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of 1980: the same bytes every time
    return file.getvalue()


def opened(path: str | Path) -> Engine:
    """The network in a file.

    Raises:
      ModelError: the file cannot be read, is no LiteRT model, is damaged, or lacks the notes.
      UsageError: LiteRT is not installed.
    """
    content = content_of(path)
    noted, model = _parts(path, content)
    require_packages("--engine=litert", "litert", MODULES)
    from ai_edge_litert.interpreter import Interpreter

    from cnn_mnist.utils import console

    with console.without(NOISE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            interpreter = Interpreter(model_content=model, num_threads=os.cpu_count())
            runner = interpreter.get_signature_runner(SIGNATURE)
        except (ValueError, RuntimeError) as error:
            raise wrong(path, reason(error), EXPECTED) from None
        details = runner.get_input_details() | runner.get_output_details()
        found = [
            (name, np.dtype(detail["dtype"]).name, tuple(map(int, detail["shape_signature"])))
            for name, detail in details.items()
        ]
        require_signature(path, noted.form, found)
        runner(images=np.zeros((1, *noted.form.image_shape), np.uint8))  # its first has a log line

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        given = runner(images=images)
        return given["classes"], given["probabilities"]

    return Engine(noted, f"LiteRT {importlib.metadata.version('ai-edge-litert')}", run)


def _parts(path: str | Path, content: bytes) -> tuple[notes.Notes, bytes]:
    """The notes of a file, and its model."""
    if content[4:8] != b"TFL3":
        raise wrong(path, "another kind of file" if content else "an empty file", EXPECTED)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            first = min((entry.header_offset for entry in archive.infolist()), default=0)
            noted = json.loads(archive.read(notes.FILE))
        if hashlib.sha256(content[:first]).hexdigest() != noted[DIGEST]:
            raise ValueError(f"a damaged model, of another {DIGEST}")
        return notes.read(noted), content[:first]
    except (zipfile.BadZipFile, KeyError):
        raise wrong(path, "a model without notes, or a part of one", EXPECTED) from None
    except Exception as error:  # `zipfile` and `json` let nearly anything through
        found = str(error) if type(error) is ValueError else f"damaged notes, {reason(error)}"
        raise wrong(path, found, EXPECTED) from None
