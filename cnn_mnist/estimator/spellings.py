"""`install()`: every spelling of the Estimator that programs use works, in this process alone.

    tf.estimator · import tensorflow.estimator · from tensorflow import estimator
    tf.compat.v1.estimator · from tensorflow.compat.v1 import estimator · tf.compat.v2.estimator
    from tensorflow.estimator.export import X · from tensorflow.python.estimator.canned import dnn
    tf.keras.estimator.model_to_estimator

What TensorFlow has is never replaced.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from cnn_mnist.estimator.keras import choose_legacy, chosen

_UPSTREAM = "tensorflow_estimator.python.estimator"
_undo: list[Callable[[], Any]] = []  # what takes an installation back


def install(contrib: bool = False) -> None:
    """Lets every spelling of the Estimator work from now on, in any order of imports.

    Legacy Keras is chosen where that is still possible, which is before `tf.keras` is first used.
    A second call adds what the first one left out.

    Args:
      contrib: whether `tf.contrib`, too, is there, as far as it can be had (see `contrib`), and
        `tensorflow.examples.tutorials.mnist`.

    Raises:
      VersionError: if a package is missing, or one that cannot serve is installed.
    """
    choose_legacy()
    door = importlib.import_module("cnn_mnist.estimator")
    tf = importlib.import_module("tensorflow")
    # TensorFlow replaces each of the two when it is first imported, and what was set is gone.
    v1 = importlib.import_module("tensorflow.compat.v1")
    v2 = importlib.import_module("tensorflow.compat.v2")
    for module in (tf, v2, v1.compat.v2, v2.compat.v2):
        _add(module, "estimator", door)
    for module in (v1, v1.compat.v1, v2.compat.v1):
        _add(module, "estimator", door.v1)
    modules = {
        "tensorflow.estimator": door,
        "tensorflow.compat.v1.estimator": door.v1,
        "tensorflow.compat.v2.estimator": door,
        "tensorflow.python.estimator": importlib.import_module(_UPSTREAM),  # of TensorFlow 1
    }
    if chosen() == "3":
        refusing = ModuleType("tensorflow.keras.estimator")
        vars(refusing)["model_to_estimator"] = importlib.import_module(
            f"{_UPSTREAM}.keras_lib"
        ).model_to_estimator
        # What the first `from tensorflow.keras import X` would put in the place of `tf.keras`.
        _add(importlib.import_module("tensorflow.keras"), "estimator", refusing)
    if contrib:
        from cnn_mnist.estimator.contrib import CONTRIB, EXAMPLES

        for module in (tf, v1):
            _add(module, "contrib", CONTRIB)
            _add(module, "examples", EXAMPLES)
        modules |= {"tensorflow.contrib": CONTRIB, "tensorflow.examples": EXAMPLES}
    _find(modules)


def uninstall() -> None:
    """Takes `install()` back. Which Keras `tf.keras` is stays as it was chosen."""
    while _undo:
        _undo.pop()()


def _add(module: Any, name: str, value: Any) -> None:
    if not hasattr(module, name):
        setattr(module, name, value)
        _undo.append(lambda: _remove(module, name, value))


def _remove(module: Any, name: str, value: Any) -> None:
    if getattr(module, name, None) is value:
        delattr(module, name)


def _find(modules: dict[str, ModuleType]) -> None:
    finder = _Finder({name: found for name, found in modules.items() if not _is_there(name)})
    sys.meta_path.insert(0, finder)
    _undo.append(finder.leave)


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # ValueError: a module without a specification
        return name in sys.modules


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules under other names than their own.

    Args:
      modules: by the name under which each, with what is in it, is imported.
    """

    def __init__(self, modules: dict[str, ModuleType]) -> None:
        self._modules = modules
        self._imported: dict[str, ModuleType] = {}

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Finds a module that has another name."""
        found = self._modules.get(name) or self._inside(name)
        if found is None:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, is_package=True)
        spec.loader_state = found, found.__spec__
        return spec

    def _inside(self, name: str) -> ModuleType | None:
        """A module in one of those that this finds."""
        parent, _, last = name.rpartition(".")
        holder = self._modules.get(parent) or self._imported.get(parent)
        if holder is None:
            return None
        try:
            inside = getattr(holder, last)
        except AttributeError as error:
            if holder.__name__.startswith(_UPSTREAM):
                return importlib.import_module(f"{holder.__name__}.{last}")
            raise ImportError(str(error), name=name) from None  # says what replaced it
        return inside if isinstance(inside, ModuleType) else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Gives the module that is there."""
        return spec.loader_state[0]

    def exec_module(self, module: ModuleType) -> None:
        """Keeps the module as it is: Python has given it the other name's specification."""
        assert module.__spec__
        self._imported[module.__spec__.name] = module
        module.__spec__ = module.__spec__.loader_state[1]

    def leave(self) -> None:
        """Takes back what was imported."""
        sys.meta_path.remove(self)
        for name, module in reversed(self._imported.items()):
            parent, _, last = name.rpartition(".")
            if not module.__name__.startswith(f"{sys.modules[parent].__name__}."):  # not its own
                _remove(sys.modules[parent], last, module)
            del sys.modules[name]
