"""Modules that are loaded when they are first used: TensorFlow takes seconds.

`from cnn_mnist.utils.lazy import tf` stands in modules that are loaded before TensorFlow, such as
those with the tables that the flags and their help list: networks, optimizers and schedules.
"""

import importlib
from typing import Any


class _Module:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


tf: Any = _Module("tensorflow")
