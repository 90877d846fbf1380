"""The classic MNIST convolutional network on a real Estimator and today's TensorFlow.

Importing the package costs nothing: TensorFlow is loaded when a name below is first used.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Predictor": "inference.predictor",
    "Recipe": "recipes",
    "cnn_model_fn": "models.model_fn",
    "load": "data.dataset",
}

__all__ = ["Predictor", "Recipe", "__version__", "cnn_model_fn", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
