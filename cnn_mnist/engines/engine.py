"""An exported network in memory: images to digits, as of a `Predictor`.

Axes: B batch, b images of a part of it, H height, W width, C channels, K classes.
"""

import importlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_mnist.data import limits
from cnn_mnist.data.form import Form
from cnn_mnist.engines.notes import Notes
from cnn_mnist.utils.errors import InputError, UsageError, reason, shown

CHUNK = 200  # images a run of a graph: the fastest of 10 to 1000; activations take 20 MB

# Images, `uint8 [b, H, W]` or `[b, H, W, 3]` -> classes, `int64 [b]`, probabilities, `[b, K]`.
Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class ModelError(InputError):
    """A file that is no exported network: the message is one line."""


class Engine:
    """An exported network, ready to be asked. Several threads may call `predict`.

    Attributes:
      form: what the images are, and the names of the classes.
      preprocess: how a picture becomes such an image, one of `placement.WAYS`.
      runtime: the name and the version of what computes.
    """

    def __init__(self, notes: Notes, runtime: str, run: Run) -> None:
        """Takes what computes a part of a batch."""
        self.form, self.preprocess = notes
        self.runtime = runtime
        self._run, self._lock = run, threading.Lock()

    def predict(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classifies images, in chunks of 200.

        Args:
          images: `uint8` 0 to 255, of shape `[B, H, W]` (of one channel), `[B, H, W, C]` or
            `[B, H * W * C]`, as `form` has them; B may be 0.

        Returns:
          Classes, `int64 [B]`, and probabilities, `float32 [B, K]`.

        Raises:
          TypeError: images of another dtype.
          ValueError: images of another shape.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8:
            raise TypeError(f"images are {images.dtype}, expected uint8")
        return in_chunks(self._locked, images, self.form)

    def _locked(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            return self._run(images)


def in_chunks(run: Run, images: np.ndarray, form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Classifies images, 200 at a time, so that memory does not grow with their number.

    Args:
      run: classifies a part of them.
      images: as of `Engine.predict`, of any dtype that `run` takes.
      form: what the images are.

    Returns:
      Classes, `int64 [B]`, and probabilities, `float32 [B, K]`.

    Raises:
      ValueError: images of another shape.
    """
    expected = limits.item_shapes(form)
    if images.shape[1:] not in expected:
        raise ValueError(
            f"images have the shape {images.shape}, expected [B] and one of {expected}"
        )
    images = images.reshape(len(images), *form.image_shape)
    classes = np.empty(len(images), np.int64)
    probabilities = np.empty((len(images), form.num_classes), np.float32)
    for first in range(0, len(images), CHUNK):
        chunk = slice(first, first + CHUNK)
        classes[chunk], probabilities[chunk] = run(images[chunk])
    return classes, probabilities


def content_of(path: str | Path) -> bytes:
    """All bytes of a model's file.

    Raises:
      ModelError: it is not there, is no regular file, or cannot be read.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise wrong(path, "a folder, a pipe or a device", "a file")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        if isinstance(error, ModelError):
            raise
        raise wrong(path, reason(error), "a readable file") from error


def wrong(path: str | Path, found: str, expected: str) -> ModelError:
    """The error of a model's file."""
    found = " ".join(found.split())
    return ModelError(
        f"--model={shown(path)}: expected {expected}, found {found:.200}; name a file that "
        "--mode=export wrote"
    )


def require_signature(
    path: str | Path, form: Form, found: Sequence[tuple[str, str, Sequence[Any]]]
) -> None:
    """Checks inputs and outputs of a model against its notes.

    Args:
      path: of the file.
      form: of the images, as noted.
      found: name, dtype and shape of each input and output; None, text, or a number below 1 stands
        for a size that is free.

    Raises:
      ModelError: they are others; the message names what was found.
    """
    expected = [
        ("images", "uint8", (None, *form.image_shape)),
        ("classes", "int64", (None,)),
        ("probabilities", "float32", (None, form.num_classes)),
    ]
    free = [
        (name, kind, tuple(n if isinstance(n, int) and n > 0 else None for n in shape))
        for name, kind, shape in found
    ]
    if sorted(free) != sorted(expected):
        raise wrong(path, _told(free), _told(expected))


def _told(tensors: Sequence[tuple[str, str, Sequence[Any]]]) -> str:
    shapes = [(n, k, ", ".join("B" if s is None else str(s) for s in sh)) for n, k, sh in tensors]
    return ", ".join(f"{name} {kind} [{shape}]" for name, kind, shape in sorted(shapes))


def require_packages(flag: str, extra: str, modules: Sequence[str]) -> None:
    """Checks that packages are there; `extra` is the one of setup.py that installs them.

    Raises:
      UsageError: one is not, or cannot be loaded.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # of a package that does not fit the others, any
            found = f"no {module}"
            if not isinstance(error, ModuleNotFoundError) or error.name != module.partition(".")[0]:
                found = f"that {module} cannot be loaded ({reason(error)})"
            raise UsageError(
                f"{flag}: needs {' and '.join(modules)}, found {found}; install what it needs: "
                f"pip install 'cnn_mnist[{extra}]', or in its folder pip install '.[{extra}]'"
            ) from None
