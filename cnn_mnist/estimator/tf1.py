"""`import tensorflow as tf` as a program of TensorFlow 1 means it: `tf.compat.v1`.

The program, and every module that is not installed, gets that for `tensorflow`; installed packages,
TensorFlow's own among them, get TensorFlow as it is.
"""

import builtins
import importlib
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

# Modules that are the same for both; `tensorflow.compat.v1` has none of them.
_SAME = ("compat", "contrib", "core", "examples", "python")


class _TensorFlow1(ModuleType):
    """The module `tensorflow` that programs of TensorFlow 1 see."""

    def __init__(self) -> None:
        super().__init__("tensorflow")
        tf, v1 = (importlib.import_module(name) for name in ("tensorflow", "tensorflow.compat.v1"))
        self.__path__ = list(tf.__path__)
        self.__version__ = v1.__version__
        self._places = v1, tf  # the second has what was no public name: `tf.python`

    def __getattr__(self, name: str) -> Any:
        for place in self._places:
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(f"module 'tensorflow' has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._places[0])})


class Importer:
    """Stands for Python's `__import__`, and can give TensorFlow 1 to the program.

    Args:
      packages: installed packages that belong to the program.
    """

    def __init__(self, packages: Sequence[str] = ()) -> None:
        self._packages = packages
        self._installed = _installed_folders()
        self._tensorflow: ModuleType | None = None
        self._import = builtins.__import__
        builtins.__import__ = self

    def serve(self) -> None:
        """Gives TensorFlow 1 to the program from now on; eager execution is off, as it was there.

        What `spellings.install` adds is there, too, if that was called.
        """
        from tensorflow.python.util import deprecation

        with deprecation.silence():  # it says that its own way is deprecated
            importlib.import_module("tensorflow.compat.v1").disable_v2_behavior()
        self._tensorflow = _TensorFlow1()

    def leave(self) -> None:
        """Gives imports back to Python."""
        builtins.__import__ = self._import

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Imports as Python's `__import__` does."""
        found = self._import(self._of_v1(name, globals, level), globals, locals, fromlist, level)
        # Asked after importing: the first import of TensorFlow is what lets `serve` be called.
        if self._tensorflow is None or not self._is_programs(name, globals, level):
            return found
        if name == "tensorflow":
            for part in fromlist or ():
                if part != "*" and not hasattr(self._tensorflow, part):
                    importlib.import_module(f"tensorflow.{part}")  # says so if there is none
            return self._tensorflow
        return found if fromlist else self._tensorflow

    def _of_v1(self, name: str, globals: Mapping[str, Any] | None, level: int) -> str:
        """The name in `tensorflow.compat.v1` of a module that the program imports."""
        if self._tensorflow is not None and self._is_programs(name, globals, level):
            first, _, rest = name.partition(".")
            of_v1 = f"{first}.compat.v1.{rest}"
            if rest and rest.split(".")[0] not in _SAME and _is_there(of_v1):
                return of_v1
        return name

    def _is_programs(self, name: str, importer: Mapping[str, Any] | None, level: int) -> bool:
        """Whether TensorFlow is imported, and by the program."""
        if level or name.split(".")[0] != "tensorflow":
            return False
        if importer is None or importer.get("__name__", "").split(".")[0] in self._packages:
            return True
        file = importer.get("__file__")
        return not file or not str(Path(file).resolve()).startswith(self._installed)


def _is_there(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _installed_folders() -> tuple[str, ...]:
    """Where Python's own modules and installed packages are, and this package."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names] + site.getsitepackages()
    folders += [site.getusersitepackages(), str(Path(__file__).parents[1])]
    return tuple(f"{Path(folder).resolve()}/" for folder in folders)
