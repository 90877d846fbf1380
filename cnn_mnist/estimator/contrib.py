"""`tf.contrib`, which went with TensorFlow 2: the part of it that can be had.

Each of its modules is a list of places that are searched for a name, one after the other, so what
is found is TensorFlow's or tf_slim's own. A name that is nowhere raises, and says what replaced it.
"""

import importlib
from types import ModuleType
from typing import Any

from cnn_mnist.estimator.hparams import HParams
from cnn_mnist.estimator.input_data import DataSet, load_dataset, read_data_sets

_SLIM = "tf_slim"
_PLACES = {
    "cluster_resolver": ["tensorflow.distribute.cluster_resolver"],
    "data": ["tensorflow.data.experimental"],
    "distribute": [
        "tensorflow.compat.v1.distribute",
        "tensorflow.compat.v1.distribute.experimental",
    ],
    "estimator": [
        "cnn_mnist.estimator.v1",
        "cnn_mnist.estimator.v1.experimental",
        "cnn_mnist.estimator.experimental",
    ],
    "framework": [
        "tensorflow.compat.v1.train",
        "tf_slim",
        "tf_slim.ops.variables",
        "tensorflow",
    ],
    "keras": ["tensorflow.compat.v1.keras"],
    "layers": ["tf_slim.layers", "tf_slim"],
    "learn": [],
    "lookup": ["tensorflow.python.ops.lookup_ops", "tensorflow.lookup.experimental"],
    "metrics": ["tf_slim.metrics"],
    "rnn": ["tensorflow.compat.v1.nn.rnn_cell", "tensorflow.compat.v1.nn"],
    "slim": ["tf_slim"],
    "tpu": ["cnn_mnist.estimator.v1.tpu", "tensorflow.compat.v1.tpu"],
    "training": ["tf_slim.training"],
}
_HEADS = {  # of `contrib.estimator`, and what each is in upstream's module of the first heads
    "binary_classification_head": "_binary_logistic_head_with_sigmoid_cross_entropy_loss",
    "multi_class_head": "_multi_class_head_with_softmax_cross_entropy_loss",
    "regression_head": "_regression_head",
}
_INSTEAD = {
    "autograph": "tf.autograph",
    "batching": "tf.nondifferentiable_batch_function",
    "cloud": "the package tensorflow-io",
    "crf": "the package tensorflow-addons, which is not kept up any more",
    "cudnn_rnn": "tf.compat.v1.keras.layers.CuDNNLSTM",
    "eager": "tf itself: TensorFlow 2 is eager",
    "ffmpeg": "tf.audio, or the package tensorflow-io",
    "gan": "the package tensorflow-gan",
    "image": "the package tensorflow-addons, which is not kept up any more",
    "lite": "tf.lite",
    "opt": "tf.keras.optimizers",
    "predictor": "tf.saved_model.load",
    "quantize": "the package tensorflow-model-optimization",
    "saved_model": "tf.saved_model",
    "seq2seq": "the package tensorflow-addons, which is not kept up any more",
    "summary": "tf.summary",
    "tensorrt": "tf.experimental.tensorrt",
    "tensor_forest": "the package tensorflow-decision-forests",
    "boosted_trees": "the package tensorflow-decision-forests",
}


class _Module(ModuleType):
    """A module whose names are elsewhere.

    Args:
      name: what it was called, from `tensorflow` on.
      own: what stands in it.
      places: modules, or objects in modules, whose names are this one's, too.
    """

    __path__: list[str] = []  # it can hold modules

    def __init__(self, name: str, own: dict[str, Any], places: list[str] | None = None) -> None:
        super().__init__(name)
        vars(self).update(own)
        self._places = places or []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        for place in self._places:
            try:
                found = _get(place, name)
            except ModuleNotFoundError as error:
                if error.name != _SLIM:
                    raise
                raise AttributeError(
                    f"{self._short()}.{name} needs the package tf_slim: `pip install tf_slim`"
                ) from None
            if found is not None:
                return found
        raise AttributeError(f"{self._short()}.{name} {self._reason(name)}")

    def _short(self) -> str:
        return self.__name__.replace("tensorflow", "tf", 1)

    def _reason(self, name: str) -> str:
        if self._places:
            return f"is not in what stands for {self._short()} now: {', '.join(self._places)}"
        if name in _INSTEAD:
            return f"went with TensorFlow 2; in its place there is {_INSTEAD[name]}"
        return "went with TensorFlow 2, and nothing here stands for it"


def _get(place: str, name: str) -> Any:
    """A name in a module, or in an object of a module; a submodule, too; None if there is none."""
    parts = place.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            if error.name == _SLIM or count == 1:
                raise
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        break
    if hasattr(found, name):
        return getattr(found, name)
    try:
        return importlib.import_module(f"{place}.{name}")
    except ImportError:
        return None


def _batch_and_drop_remainder(batch_size: int) -> Any:
    """`contrib.data.batch_and_drop_remainder`, for `Dataset.apply`."""
    return lambda data: data.batch(batch_size, drop_remainder=True)


def _head(name: str) -> Any:
    """Makes a head for the canned estimators of the first interface, `v1`."""

    def make(*args: Any, **kwargs: Any) -> Any:
        heads = importlib.import_module("tensorflow_estimator.python.estimator.canned.head")
        return getattr(heads, name)(*args, **kwargs)

    return make


_MNIST = {"DataSet": DataSet, "load_mnist": read_data_sets, "read_data_sets": read_data_sets}
_OWN = {
    "data": {"batch_and_drop_remainder": _batch_and_drop_remainder},
    "estimator": {name: _head(new) for name, new in _HEADS.items()},
    "learn": {
        "datasets": _Module(
            "tensorflow.contrib.learn.datasets",
            {
                "load_dataset": load_dataset,
                "mnist": _Module("tensorflow.contrib.learn.datasets.mnist", _MNIST),
            },
        )
    },
    "training": {"HParams": HParams},
}
CONTRIB = _Module(
    "tensorflow.contrib",
    {
        name: _Module(f"tensorflow.contrib.{name}", _OWN.get(name, {}), places)
        for name, places in _PLACES.items()
    },
)
_TUTORIALS = "tensorflow.examples.tutorials"
EXAMPLES = _Module(
    "tensorflow.examples",
    {
        "tutorials": _Module(
            _TUTORIALS,
            {
                "mnist": _Module(
                    f"{_TUTORIALS}.mnist",
                    {"input_data": _Module(f"{_TUTORIALS}.mnist.input_data", _MNIST)},
                )
            },
        )
    },
)
