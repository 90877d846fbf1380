"""`tensorflow-estimator` 2.15.0, the Estimator's own code, on a TensorFlow that has dropped it.

TensorFlow 2.15 is the last with `tf.estimator`. From 2.16 on, the package still holds the code, but
cannot be imported, because TensorFlow dropped private names of its own that the package uses.
Stand-ins for just these are put into `sys.modules`, each only where the real one cannot serve;
nothing that TensorFlow has is changed:

- `tensorflow.python.distribute.estimator_training`: see `coordinator`.
- `tensorflow.python.tpu.{session_support,tpu_embedding,tpu_embedding_gradient}` served TPUs alone.
  Their stand-ins can be imported; whoever uses a name of theirs is told that it is gone.
- `tf_export.ESTIMATOR_API_NAME` was used by the package's decorator `estimator_export` alone. Its
  stand-in notes a symbol's public name and marks it as deprecated, as that did; only TensorFlow's
  table of all public names, which `ESTIMATOR_API_NAME` kept apart, is left alone.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, NoReturn

import tensorflow as tf

from cnn_mnist.estimator.keras import VersionError

FIRST, LAST = (2, 15), (2, 21)  # TensorFlow's minor versions on which this room is tested
NAME = "tensorflow_estimator"
_NOTICE = "Use tf.keras instead."  # the deprecation of every public symbol of the package
_PACKAGE = "2.15.0"  # the last release of tensorflow-estimator, which TensorFlow 2.15 asks for


def version() -> tuple[int, ...]:
    """TensorFlow's: `(2, 21)`."""
    return tuple(int(number) for number in tf.__version__.split(".")[:2])


@functools.cache
def prepare() -> None:
    """Makes the package fit to be imported, where TensorFlow no longer sees to that.

    Raises:
      VersionError: TensorFlow or the package is another than those that fit together.
    """
    _check_versions()
    _supply_missing_modules()


def _check_versions() -> None:
    if version() < FIRST:
        raise VersionError(
            "cnn_mnist.estimator needs TensorFlow {}.{} or newer, but {} is installed".format(
                *FIRST, tf.__version__
            )
        )
    if version() > LAST:
        tf.get_logger().warning(
            "cnn_mnist.estimator is tested up to TensorFlow %s.%s and tries %s",
            *LAST,
            tf.__version__,
        )
    try:
        package = importlib.metadata.version("tensorflow-estimator")
    except importlib.metadata.PackageNotFoundError:
        package = "none"
    if package != _PACKAGE:
        raise VersionError(
            f"cnn_mnist.estimator needs tensorflow-estimator {_PACKAGE}, but {package} is "
            f"installed: `pip install tensorflow-estimator=={_PACKAGE}` mends that"
        )


class _TpuModule(ModuleType):
    """A module each of whose names is a class that raises when it is made or called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

        def gone(*args: Any, **kwargs: Any) -> NoReturn:
            raise NotImplementedError(
                f"TensorFlow {tf.__version__} no longer has {self.__name__}.{name}, made for TPUs"
            )

        setattr(self, name, type(name, (), {"__new__": gone, "__module__": self.__name__}))
        return vars(self)[name]


class _EstimatorExport:
    """`estimator_export`, a class whose instances decorate a public function or class.

    TensorFlow's own hooks, which the package exports as well, stay as they are.
    """

    def __init__(self, *names: str, v1: Sequence[str] | None = None) -> None:
        self._names = names if v1 is None else v1

    def __call__(self, symbol: Any) -> Any:
        from tensorflow.python.util import deprecation, tf_decorator

        if symbol.__module__.startswith("tensorflow."):
            return symbol
        symbol = deprecation.deprecated(None, _NOTICE)(symbol)
        tf_decorator.unwrap(symbol)[1]._tf_api_names_v1 = self._names
        return symbol


def _supply_missing_modules() -> None:
    from tensorflow.python.util import tf_export

    from cnn_mnist.estimator.coordinator import (
        init_run_config,
        run_remotely,
        should_run_distribute_coordinator,
        train_and_evaluate,
    )

    training = ModuleType("tensorflow.python.distribute.estimator_training")
    training.__dict__.update(
        init_run_config=init_run_config,
        should_run_distribute_coordinator=should_run_distribute_coordinator,
        train_and_evaluate=train_and_evaluate,
        estimator_train=functools.partial(run_remotely, "train"),
        estimator_evaluate=functools.partial(run_remotely, "eval"),
    )
    tpu = ("session_support", "tpu_embedding", "tpu_embedding_gradient")
    for module in (training, *(_TpuModule("tensorflow.python.tpu." + name) for name in tpu)):
        if module.__name__ not in sys.modules and not importlib.util.find_spec(module.__name__):
            sys.modules[module.__name__] = module
    if not hasattr(tf_export, "ESTIMATOR_API_NAME"):  # without it the real decorator cannot work
        export = ModuleType("tensorflow_estimator.python.estimator.estimator_export")
        export.__dict__.update(estimator_export=_EstimatorExport)
        sys.modules[export.__name__] = export


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While entered, a name that a newer TensorFlow lacks is a VersionError."""
    try:
        yield
    except (ImportError, AttributeError) as error:
        if version() <= LAST:
            raise
        raise VersionError(
            f"TensorFlow {tf.__version__} no longer has what the Estimator needs ({error}): use "
            "one up to {}.{}".format(*LAST)
        ) from error


class _Package(ModuleType):
    """The package, whose parts can be imported before itself; loaded when a name is looked up.

    Its own `__init__` imports every canned estimator, and with them all of Keras.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(load_whole(), name)


def load_part(name: str) -> ModuleType:
    """Imports a module of the package, without the package's other modules."""
    prepare()
    if NAME not in sys.modules:
        spec = importlib.util.find_spec(NAME)
        assert spec and spec.submodule_search_locations  # its version was found
        package = _Package(NAME)
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        sys.modules[NAME] = package
    return importlib.import_module(f"{NAME}.{name}")


def load_whole() -> ModuleType:
    """Imports the package."""
    prepare()
    before = sys.modules.get(NAME)
    if not isinstance(before, _Package):
        return importlib.import_module(NAME)
    del sys.modules[NAME]
    try:
        whole = importlib.import_module(NAME)
    except BaseException:
        sys.modules[NAME] = before
        raise
    # Its modules are those that were imported before.
    setattr(whole, "python", sys.modules[f"{NAME}.python"])  # noqa: B010
    return whole


def mark_as_warned(api: ModuleType) -> None:
    """Lets TensorFlow believe that it has warned of each public name of the Estimator.

    TensorFlow prints a deprecation once, and keeps a table of those that it has printed. Entries
    for the Estimator's own notice leave the symbols, and all other warnings, as they are.
    """
    from tensorflow.python.util import deprecation, tf_decorator

    public = {name: value for name, value in vars(api).items() if not name.startswith("_")}
    # The other notice: "The name tf.estimator.inputs is deprecated", when it is looked up in `v1`.
    looked_up: set[str] = getattr(api, "_tfmw_deprecated_checked", set())
    looked_up.update(public)
    for value in public.values():
        if isinstance(value, ModuleType):
            mark_as_warned(value)
            continue
        for function in (value, value.__init__, value.__new__):  # a class warns when it is made
            for decorator in tf_decorator.unwrap(function)[0]:
                if _NOTICE in (decorator.decorator_doc or ""):
                    deprecation._PRINTED_WARNING[value] = True  # where a class is deprecated
                    if decorator.decorated_target is not object.__init__:  # which others have too
                        deprecation._PRINTED_WARNING[decorator.decorated_target] = True
