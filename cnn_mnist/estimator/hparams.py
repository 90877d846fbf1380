"""`tf.contrib.training.HParams`: named values that a command line can change."""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

_ASSIGNMENT = re.compile(r"\s*(\w+)(?:\[(\d+)\])?\s*=\s*(\[[^\]]*\]|[^,\[\]]*)\s*(?:,|$)")


class HParams:
    """Hyperparameters as attributes, each of the type that its first value had.

    A value is an int, float, bool, string, None or a list of one of these. What is wrong raises
    ValueError, and KeyError or AttributeError for a name that there is not.
    """

    def __init__(self, **values: Any) -> None:
        self._types: dict[str, tuple[type, bool]] = {}
        for name, value in values.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value: Any) -> None:
        """Adds one."""
        if hasattr(self, name):
            raise ValueError(f"HParams: {name!r} is there already, or is a method's name")
        several = isinstance(value, list | tuple)
        if several and not value:
            raise ValueError(f"HParams: {name!r} is an empty list, which has no type")
        self._types[name] = (type(value[0] if several else value), several)
        setattr(self, name, value)

    def set_hparam(self, name: str, value: Any) -> None:
        """Gives one a new value, as its type."""
        kind, several = self._types[name]
        if several != isinstance(value, list | tuple):
            raise ValueError(
                f"HParams: {name!r} is {'a' if several else 'no'} list, found {value!r}"
            )
        made = [_as(kind, name, item) for item in value] if several else _as(kind, name, value)
        setattr(self, name, made)

    def del_hparam(self, name: str) -> None:
        """Removes one."""
        del self._types[name]
        delattr(self, name)

    def parse(self, text: str) -> "HParams":
        """Sets those that a text names: `rate=0.1,sizes=[3,5],sizes[1]=7,name=mine`."""
        place = 0
        while place < len(text):
            found = _ASSIGNMENT.match(text, place)
            if not found:
                raise ValueError(f"HParams: expected name=value, found {text[place:]!r}")
            name, index, value = found.groups()
            if name not in self._types:
                raise ValueError(f"HParams: no {name!r}; there are {', '.join(self._types)}")
            if index is not None:
                items = list(getattr(self, name))
                items[int(index)] = value
                self.set_hparam(name, items)
            elif value.startswith("["):
                self.set_hparam(name, [item.strip() for item in value[1:-1].split(",")])
            else:
                self.set_hparam(name, value)
            place = found.end()
        return self

    def override_from_dict(self, values: dict[str, Any]) -> "HParams":
        """Sets those that a dictionary names."""
        for name, value in values.items():
            self.set_hparam(name, value)
        return self

    def parse_json(self, text: str) -> "HParams":
        """Sets those that a JSON object names."""
        return self.override_from_dict(json.loads(text))

    def values(self) -> dict[str, Any]:
        """Returns all of them."""
        return {name: getattr(self, name) for name in self._types}

    def get(self, name: str, default: Any = None) -> Any:
        """Returns one, or `default` if it is not there."""
        return getattr(self, name) if name in self._types else default

    def to_json(
        self,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """Returns all of them as a JSON object."""
        return json.dumps(self.values(), indent=indent, separators=separators, sort_keys=sort_keys)

    def __contains__(self, name: str) -> bool:
        return name in self._types

    def __repr__(self) -> str:
        return f"HParams({', '.join(f'{name}={value!r}' for name, value in self.values().items())})"


def _as(kind: type, name: str, value: Any) -> Any:
    """A value as `kind`; a text is read first."""
    if value is None or kind is type(None) or kind is type(value):
        return value
    read: Callable[[str], Any] = str if kind is str else ast.literal_eval
    try:
        if isinstance(value, str):
            value = (
                {"true": True, "false": False}.get(value.lower()) if kind is bool else read(value)
            )
        if kind is bool and value in (0, 1):
            return bool(value)
        if kind in (int, float) and not isinstance(value, bool) and kind(value) == value:
            return kind(value)
    except (SyntaxError, TypeError, ValueError):
        pass
    if kind is str:
        return str(value)
    raise ValueError(f"HParams: {name!r} is of type {kind.__name__}, found {value!r}")
