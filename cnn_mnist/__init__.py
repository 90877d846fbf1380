"""The classic MNIST convolutional network on a real Estimator and today's TensorFlow.

    import cnn_mnist

    run = cnn_mnist.train("fast", "model_dir/fast")
    report = cnn_mnist.evaluate("model_dir/fast")
    found = cnn_mnist.explain("model_dir/fast")
    cnn_mnist.export("model_dir/fast", "exported", format="saved_model")
    with cnn_mnist.Predictor("model_dir/fast") as predictor:
        classes, probabilities = predictor.predict(images)

Importing the package costs nothing: TensorFlow is loaded when it is first needed.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Dataset": "data.dataset",
    "Predictor": "inference.predictor",
    "RECIPES": "recipes",
    "Recipe": "recipes",
    "cnn_model_fn": "models.model_fn",
    "evaluate": "evaluation.evaluate",
    "explain": "explanations.explain",
    "export": "exports.export",
    "load": "data.dataset",
    "train": "training.train",
}
_OF_TENSORFLOW = ("Predictor", "cnn_model_fn")  # their modules load it

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _OF_TENSORFLOW:
        from cnn_mnist.utils import console

        console.load_tensorflow()
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
