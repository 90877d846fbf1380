"""The Estimator, revived: the one door to `tf.estimator`, on every TensorFlow from 2.15 on.

    from cnn_mnist import estimator                  # tf.estimator
    from cnn_mnist.estimator import v1 as estimator  # tf.compat.v1.estimator

The attributes of this module are the public names of `tf.estimator`, upstream's own objects; they
are loaded when the first is looked up. `v1` is the surface of `tf.compat.v1.estimator`, and
`inputs` is `v1.inputs`, which `tf.estimator` had in TensorFlow 1 and classic code still calls. None
of them prints that it is deprecated, and nothing that TensorFlow has is changed, unless `install`
is called. `python -m cnn_mnist.estimator PROGRAM.py` runs a program as it is.
"""

import sys
from types import ModuleType
from typing import Any

from cnn_mnist.estimator.keras import VersionError
from cnn_mnist.estimator.spellings import install, uninstall
from cnn_mnist.utils import processor

__all__ = ["VersionError", "install", "uninstall"]  # and what `__getattr__` finds


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "tensorflow" not in sys.modules:
        processor.prefer_onednn()
    # Not `from cnn_mnist.estimator import upstream`, which looks here for the name first.
    from cnn_mnist.estimator.core import parts

    if name in parts():
        return parts()[name]
    from cnn_mnist.estimator.upstream import v1, v2

    found = {"v1": v1, "inputs": v1.inputs, **_public(v2)}
    if name not in found:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found[name]


def __dir__() -> list[str]:
    from cnn_mnist.estimator.upstream import v2

    return sorted({*_public(v2), *__all__, "inputs", "v1"})


def _public(api: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(api).items() if not name.startswith("_")}
