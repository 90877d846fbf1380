"""What a training with a model function of its own takes of the Estimator.

The whole of it has canned estimators, and so loads Keras, which takes half a second. These parts do
not. They are the very objects of the whole.
"""

import functools
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import tensorflow as tf

from cnn_mnist.estimator.model_fns import watched
from cnn_mnist.estimator.package import FIRST, load_part, loading, mark_as_warned, version

# Module of the package -> the names in there, and their public ones where they are others.
_MODULES = {
    "estimator": {"EstimatorV2": "Estimator"},
    "hooks.basic_session_run_hooks": dict.fromkeys(
        ("LoggingTensorHook", "StepCounterHook", "SummarySaverHook"), ""
    ),
    "hooks.session_run_hook": dict.fromkeys(("SessionRunArgs", "SessionRunHook"), ""),
    "mode_keys": {"ModeKeys": ""},
    "model_fn": {"EstimatorSpec": ""},
    "run_config": {"RunConfig": ""},
}
_KERAS = {"keras", "tf_keras"}  # the packages that `tf.keras` can stand for
_NO_METRICS = SimpleNamespace(metrics=SimpleNamespace(Metric=()))  # of which nothing is an instance


class _WithoutKeras(ModuleType):
    """`tensorflow` for a module that asks whether something is a metric of Keras.

    Where no Keras is loaded nothing is, and to ask TensorFlow's own `tf.keras` would load it.
    """

    def __getattr__(self, name: str) -> Any:
        if name == "keras" and not _KERAS & sys.modules.keys():
            return _NO_METRICS
        return getattr(tf, name)


@functools.cache
def parts() -> dict[str, Any]:
    """The parts by their public names; none where TensorFlow has an Estimator of its own."""
    if version() <= FIRST:
        return {}
    api = ModuleType("core")
    with loading():
        watch()
        for module, names in _MODULES.items():
            its = load_part(f"python.estimator.{module}")
            if module == "model_fn":
                vars(its)["tf"] = _WithoutKeras(tf.__name__)
            vars(api).update({new or name: getattr(its, name) for name, new in names.items()})
    mark_as_warned(api)
    return {name: value for name, value in vars(api).items() if not name.startswith("_")}


@functools.cache
def watch() -> None:
    """Looks for what would be wrong in model functions; where TensorFlow has no Estimator."""
    base = load_part("python.estimator.estimator").Estimator
    base._call_model_fn = watched(base._call_model_fn)
