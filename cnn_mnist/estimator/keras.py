"""Which Keras `tf.keras` is. The Estimator is made for Keras 2, which `tf-keras` keeps alive.

From TensorFlow 2.16 on, `tf.keras` is Keras 3 or that legacy Keras. TensorFlow decides when the
first name of `tf.keras`, or of a module that is made of it, is looked up; until then the
environment variable TF_USE_LEGACY_KERAS tells it which. After that it cannot be changed.

With Keras 3 the canned estimators and the heads fail somewhere inside it; `refuse` puts one
sentence in the place of that. What Keras 3 does in a model function is watched by `model_fns`.
"""

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from cnn_mnist.utils.errors import InputError

VARIABLE = "TF_USE_LEGACY_KERAS"
_YES = ("true", "True", "1")  # as TensorFlow reads the variable
REMEDY = (
    "run the program by `python -m cnn_mnist.estimator PROGRAM.py`, or call `estimator.install()` "
    f"before `tf.keras` is first used, or set {VARIABLE}=1"
)
# Where TensorFlow has Keras, or a part of it.
_MODULES = ("tensorflow", "tensorflow.compat.v1", "tensorflow.compat.v2")
_PARTS = {"keras", "layers", "losses", "metrics", "optimizers", "initializers"}


class VersionError(InputError, ImportError):
    """A TensorFlow, Keras or tensorflow-estimator with which something cannot be had."""


def chosen() -> str:
    """Which Keras `tf.keras` is: "legacy", "3", or "" as long as TensorFlow has not decided."""
    modules = [sys.modules[name] for name in _MODULES if name in sys.modules]
    found = {
        _which(vars(module)[part]) for module in modules for part in _PARTS & vars(module).keys()
    }
    return "3" if "3" in found else "legacy" if "legacy" in found else ""


def _which(module: ModuleType) -> str:
    """Which Keras a module of TensorFlow's comes from, or "" if that is not yet decided."""
    inside = vars(module)
    if inside.get("_tfll_initialized") is False:
        return ""
    decided = inside.get("_tfll_keras_version", module.__name__)
    return "3" if decided.startswith(("keras_3", "keras._tf_keras")) else "legacy"


def choose_legacy() -> bool:
    """Lets `tf.keras` be legacy Keras, where that is still open; returns whether it is.

    Where TF_USE_LEGACY_KERAS says no, Keras 3 is wanted and stays. TensorFlow 2.15 has no other
    than Keras 2.

    Raises:
      VersionError: if the package `tf-keras` is missing, or made for another TensorFlow.
    """
    tensorflow = _tensorflow_version()
    if tensorflow.startswith("2.15."):
        return True
    found = chosen()
    if found == "3" or not found and os.environ.get(VARIABLE, "1") not in _YES:
        return False
    _check_version(tensorflow)
    os.environ[VARIABLE] = "1"
    _lead_imports_to_legacy()
    return True


def _tensorflow_version() -> str:
    """The version that is loaded, or installed under one of its names."""
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            if "tensorflow" not in sys.modules:
                return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return importlib.import_module("tensorflow").__version__


def _check_version(tensorflow: str) -> None:
    """Checks that the installed `tf-keras` fits a TensorFlow."""
    minor = ".".join(tensorflow.split(".")[:2])
    try:
        found = importlib.metadata.version("tf-keras")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found.split(".")[:2] != minor.split("."):
        raise VersionError(
            f"the Estimator needs legacy Keras: the package tf-keras {minor} for TensorFlow "
            f"{tensorflow}, but {found} is installed: `pip install tf-keras~={minor}.0` mends that"
        )


def _lead_imports_to_legacy() -> None:
    """Lets `from tensorflow.keras import layers` find legacy Keras, where TensorFlow is loaded.

    TensorFlow laid the paths of such imports when it was imported.
    """
    spec = importlib.util.find_spec("tf_keras")
    assert spec and spec.origin  # its version was found
    apis = Path(spec.origin).parent / "api"
    for name, api in (("tensorflow", "_v2"), ("tensorflow.compat.v1", "_v1")):
        if module := sys.modules.get(name):
            path = str(apis / api)
            module.__path__ = [path, *(one for one in module.__path__ if one != path)]


def refuse(api: ModuleType, name: str) -> None:
    """Lets a class or function of `api` raise, when it is called, that it needs legacy Keras."""

    def refused(*args: Any, **kwargs: Any) -> NoReturn:
        raise VersionError(f"{name} needs legacy Keras, but this program uses Keras 3: {REMEDY}")

    found = getattr(api, name)
    if isinstance(found, type):
        found.__init__ = refused  # type: ignore[misc]
    else:
        setattr(sys.modules[found.__module__], name, refused)
        setattr(api, name, refused)
