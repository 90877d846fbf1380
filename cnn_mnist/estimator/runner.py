"""Runs a program of the Estimator's, without a change to it, on today's TensorFlow.

    python -m cnn_mnist.estimator [--api=v1|v2|auto] PROGRAM.py ARGS...
    python -m cnn_mnist.estimator [--api=v1|v2|auto] -m MODULE ARGS...

In the folder of a file called `cnn_mnist.py`, as the classic tutorial's is, the command is
`cnn_mnist_estimator`: Python would take the file for this package.

The program is `__main__`, has its own `sys.argv` and ends with its own exit code. It finds every
spelling of the Estimator, legacy Keras, and `tf.contrib` as far as that can be had.

--api=v1: `import tensorflow as tf` means what is `tf.compat.v1` today, without eager execution.
--api=v2: it means TensorFlow as it is.
--api=auto (default): one of them, by what the program and its modules use; it is told which.
"""

import functools
import importlib
import importlib.abc
import importlib.util
import runpy
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from cnn_mnist.estimator.api import decide, uses
from cnn_mnist.estimator.keras import REMEDY, choose_legacy, chosen
from cnn_mnist.estimator.spellings import install
from cnn_mnist.estimator.tf1 import Importer
from cnn_mnist.utils.console import NVIDIA_DRIVER, quiet_start
from cnn_mnist.utils.errors import InputError, UsageError, reason, shown

_APIS = ("v1", "v2", "auto")
_USAGE = "usage: python -m cnn_mnist.estimator [--api=v1|v2|auto] (PROGRAM.py | -m MODULE) ARGS..."
_OURS = (str(Path(__file__).parent), runpy.__file__, "<frozen runpy>", "<frozen importlib")


@dataclass(frozen=True)
class Program:
    """A program, and how it is run.

    Attributes:
      api: one of `_APIS`.
      name: the file's or the module's.
      arguments: of the program.
      is_module: whether `name` is that of a module.
    """

    api: str
    name: str
    arguments: list[str]
    is_module: bool


def main() -> None:
    """Runs the program that `sys.argv` names; its exceptions and its `SystemExit` are raised.

    Raises:
      SystemExit: with 2, after one line, if it cannot be run.
    """
    try:
        program = _parse(sys.argv[1:])
        choose_legacy()
        run, file, folder = _module(program) if program.is_module else _script(program)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    importer = Importer([program.name.split(".")[0]] if program.is_module else [])
    serve = functools.partial(_serve, program.api, importer, file, folder)
    if "tensorflow" in sys.modules:
        serve()
    else:
        sys.meta_path.insert(0, _Watch(serve))
    sys.excepthook = _show
    run()


def _parse(arguments: list[str]) -> Program:
    """Reads the command; what follows the program's name is the program's.

    Raises:
      UsageError: if no program is named, or an option is none of ours.
    """
    api = "auto"
    while arguments and arguments[0].startswith("-"):
        option, *arguments = arguments
        name, equals, value = option.partition("=")
        if option in ("-h", "--help"):
            print(__doc__)
            raise SystemExit(0)
        if not equals and arguments:
            value, *arguments = arguments
        if name == "-m" and value:
            return Program(api, value, arguments, is_module=True)
        if name != "--api" or value not in _APIS:
            raise UsageError(f"{shown(option)}: expected --api=v1, v2 or auto, or -m; {_USAGE}")
        api = value
    if not arguments:
        raise UsageError(f"no program is named; {_USAGE}")
    return Program(api, arguments[0], arguments[1:], is_module=False)


def _script(program: Program) -> tuple[Callable[[], Any], Path, Path]:
    """Reads a program's file; returns what runs it, the file, and where its modules are."""
    file = Path(program.name)
    try:
        code = compile(file.read_bytes(), program.name, "exec", dont_inherit=True)
    except OSError as error:
        raise InputError(
            f"{shown(program.name)}: {error.strerror}; name a program's file"
        ) from None
    except (SyntaxError, ValueError) as error:
        line = f" line {error.lineno}:" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else reason(error)
        raise InputError(f"{shown(program.name)}:{line} this is not Python 3: {what}") from None
    folder = file.resolve().parent

    def run() -> None:
        sys.argv = [program.name, *program.arguments]
        sys.path[0] = str(folder)
        _run_as_main(code, program.name)

    return run, file, folder


def _run_as_main(code: CodeType, file: str) -> None:
    module = ModuleType("__main__")
    module.__file__ = file
    sys.modules["__main__"] = module
    exec(code, vars(module))


def _module(program: Program) -> tuple[Callable[[], Any], Path, Path]:
    """Finds a module; returns what runs it, its file, and where its modules are.

    Nothing is imported yet: the packages that hold it may import TensorFlow.
    """
    sys.argv = [program.name, *program.arguments]  # as its packages see it
    first, *rest = program.name.split(".")
    spec = importlib.util.find_spec(first) if first else None
    for place in (spec.submodule_search_locations if spec else None) or []:
        inside = Path(place, *rest)
        files = [inside / "__main__.py", *([inside.with_suffix(".py")] if rest else [])]
        for file in files:
            if file.is_file():
                return lambda: _run_module(program.name), file, Path(place).parent
    if spec is None or rest or spec.origin is None or spec.submodule_search_locations:
        raise InputError(f"-m {shown(program.name)}: there is no such module, or it cannot be run")
    return lambda: _run_module(program.name), Path(spec.origin), Path(spec.origin).parent


def _run_module(name: str) -> None:
    runpy.run_module(name, run_name="__main__", alter_sys=True)


class _Watch(importlib.abc.MetaPathFinder):
    """Calls a function as soon as TensorFlow has been imported, whoever does that."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Finds TensorFlow as Python does."""
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with quiet_start():
                    execute(module)
                    if not NVIDIA_DRIVER.exists():  # beside one the program may choose devices yet
                        module.config.list_physical_devices()
                self._then()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _serve(api: str, importer: Importer, file: Path, folder: Path) -> None:
    """Prepares TensorFlow for the program, which is importing it."""
    install(contrib=True)
    if api == "auto":
        tf, v1 = (importlib.import_module(name) for name in ("tensorflow", "tensorflow.compat.v1"))
        api, why = decide(uses([file], folder), tf, v1)
        number = "1" if api == "v1" else "2"
        print(
            f"{file.name} is taken for a program of TensorFlow {number} (--api={api}): {why}",
            file=sys.stderr,
        )
    if api == "v1":
        importer.serve()
    else:
        importer.leave()


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Shows an exception as Python does, without the lines of this package."""
    found = traceback.TracebackException(kind, error, trace)
    seen = set()
    left = [found]
    while left:
        part = left.pop()
        seen.add(id(part))
        frames = [frame for frame in part.stack if not frame.filename.startswith(_OURS)]
        part.stack = traceback.StackSummary.from_list(frames)
        inner = (part.__cause__, part.__context__)
        left += [one for one in inner if one is not None and id(one) not in seen]
    print(*found.format(), sep="", end="", file=sys.stderr)
    if chosen() == "3" and "not available with Keras 3" in str(error):
        print(f"With legacy Keras it is there: {REMEDY}", file=sys.stderr)
