"""Which TensorFlow a program is written for, read from what it uses.

A name that only `tf.compat.v1` has, as `tf.layers` or `tf.train.AdamOptimizer`, speaks for
TensorFlow 1; one that only TensorFlow 2 has speaks for 2. A program that says `tf.compat.v1` itself
is one of TensorFlow 2.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST_FILES = 1000  # of a program that are read
_REMOVED = ("contrib", "examples")  # of TensorFlow 1; `tf.compat.v1` has neither


def uses(files: list[Path], folder: Path) -> Counter:
    """Counts the names of TensorFlow that a program uses: "layers.dense" for `tf.layers.dense`.

    Args:
      files: of the program; those of its modules in `folder` that they import are read, too.
      folder: where the program's modules are.
    """
    found: Counter = Counter()
    left, seen = list(files), set(files)
    while left:
        try:
            tree = ast.parse(left.pop().read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue  # the program itself was read before; of others, Python will tell
        found.update(_names_of_tensorflow(tree))
        for file in _imported_files(tree, folder):
            if file not in seen and len(seen) < _MOST_FILES:
                seen.add(file)
                left.append(file)
    return found


def _names_of_tensorflow(tree: ast.AST) -> Iterator[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = [name for node in imports for name in node.names]
    called = {name.asname or name.name for name in names if name.name == "tensorflow"}
    for name in names:
        if name.name.startswith("tensorflow."):
            yield name.name.partition(".")[2]
    inner = set()  # `tf.nn` within `tf.nn.relu`
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if node.module.split(".")[0] == "tensorflow":
                place = node.module.partition(".")[2]
                yield from (f"{place}.{name.name}".lstrip(".") for name in node.names)
        elif isinstance(node, ast.Attribute) and node not in inner:
            parts: list[str] = []
            part: ast.AST = node
            while isinstance(part, ast.Attribute):
                parts.insert(0, part.attr)
                part = part.value
                inner.add(part)
            if isinstance(part, ast.Name) and part.id in called:
                yield ".".join(parts)


def _imported_files(tree: ast.AST, folder: Path) -> Iterator[Path]:
    """The files in a folder that imports can mean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            modules += [f"{node.module or ''}.{name.name}".lstrip(".") for name in node.names]
        else:
            continue
        for module in modules:
            place = folder.joinpath(*module.split("."))
            yield from filter(Path.is_file, (place.with_suffix(".py"), place / "__init__.py"))


def decide(used: Counter, tf: Any, v1: Any) -> tuple[str, str]:
    """Decides which TensorFlow a program is written for.

    Args:
      used: the names, as `uses` counts them.
      tf: the module `tensorflow`.
      v1: the module `tensorflow.compat.v1`.

    Returns:
      "v1" or "v2", and why, as part of a sentence.
    """
    old: Counter = Counter()
    new: Counter = Counter()
    for name, count in used.items():
        if name.split(".")[0] in ("compat", "python", "core"):
            continue
        in_v1 = name.split(".")[0] in _REMOVED or _has(v1, name)
        in_v2 = name.split(".")[0] not in _REMOVED and _has(tf, name)
        if in_v1 != in_v2:
            (old if in_v1 else new)[name] += count
    if old.total() > new.total():
        return "v1", f"it uses {_some(old)}"
    return "v2", f"it uses {_some(new)}" if new else "it uses no name of TensorFlow 1 alone"


def _has(module: Any, name: str) -> bool:
    """Whether a module has a name, as far as it goes through modules: methods are the same."""
    for part in name.split("."):
        if not hasattr(module, "__path__") and not hasattr(module, "__spec__"):
            return True
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


def _some(names: Counter) -> str:
    """The three most used."""
    return ", ".join(f"tf.{name}" for name, _ in sorted(names.most_common(3)))
