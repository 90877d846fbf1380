"""The whole of the Estimator, as its own package and, on 2.15, TensorFlow hand it out.

Attributes:
  v2: the module that is `tf.estimator` on TensorFlow 2.15.
  v1: that which is `tf.compat.v1.estimator` there.
"""

import importlib
from types import ModuleType
from typing import Any

from cnn_mnist.estimator.core import watch
from cnn_mnist.estimator.keras import chosen, refuse
from cnn_mnist.estimator.package import (
    FIRST,
    NAME,
    load_whole,
    loading,
    mark_as_warned,
    prepare,
    version,
)

# Of the canned estimators and the heads, those that use no Keras.
_WITHOUT_KERAS = (
    "BaselineClassifier",
    "BaselineRegressor",
    "Head",
    "KMeansClustering",
    "LinearSDCA",
)


def _load() -> tuple[ModuleType, ModuleType]:
    """Imports the API modules that TensorFlow 2.15 loads as `tf[.compat.v1].estimator`."""
    with loading():
        prepare()
        # First, lest a failed import of a part confuse it.
        load_whole()
        apis = [
            importlib.import_module(f"{NAME}.python.estimator.api._{api}.estimator")
            for api in ("v2", "v1")
        ]
        for api in apis:
            mark_as_warned(api)
    v2, v1 = apis
    if version() > FIRST:
        watch()
        if chosen() == "3":
            _refuse_keras_3(v2, v1)
    return v2, v1


def _refuse_keras_3(*apis: ModuleType) -> None:
    """Puts one sentence in the place of what Keras 3 makes fail."""
    from tensorflow_estimator.python.estimator import keras_lib

    refuse(keras_lib, "model_to_estimator")
    for api in (*apis, *(api.experimental for api in apis)):
        for name in dir(api):
            if _needs_keras_2(getattr(api, name)):
                refuse(api, name)


def _needs_keras_2(found: Any) -> bool:
    """Whether it is a head, or a canned estimator that is made of Keras."""
    module, name = getattr(found, "__module__", ""), getattr(found, "__name__", "")
    if isinstance(found, type):
        return (".canned." in module or ".head." in module) and name not in _WITHOUT_KERAS
    return name.endswith("_logit_fn_builder")


v2, v1 = _load()
