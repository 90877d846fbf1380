"""The errors that a command tells in one line, and how they say what was found."""

import argparse
import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

LONGEST_SHOWN = 60  # characters of a value of JSON that is quoted in a message


class InputError(ValueError):
    """A flag, a file or a folder that cannot be used as it is: exit code 2.

    The message is one line: what is meant, what was found, what was expected, what to do.
    """


class UsageError(InputError):
    """A command that cannot be run as it was typed."""


class RunError(RuntimeError):
    """A run that cannot go on, though its input was good: exit code 1.

    The message is one line: what happened, where, what to do.
    """


class Parser(argparse.ArgumentParser):
    """Reads the flags of the small commands; raises UsageError for what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Receives what `argparse` found."""
        raise UsageError(one_line(f"{message.removeprefix('argument ')}; see --help"))


def whole_number(least: int) -> Callable[[str], int]:
    """The `type` of a `Parser`'s flag that takes whole numbers from `least` on."""

    def number(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, found {text!r}"
            )
        return int(text)

    return number


def shown(name: object) -> str:
    """A path or an argument as it is, or quoted where it is empty or would break the line."""
    text = str(name)
    return text if text and text.isprintable() else repr(text)


def in_json(value: Any) -> str:
    """A value of JSON, for a message: short, and in characters that can be printed."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def one_line(message: str) -> str:
    """A message without line breaks and other characters that a terminal would obey."""
    words = " ".join(message.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def reason(error: Exception, longest: int = 200) -> str:
    """What an error says, in one line.

    Of TensorFlow's, what happened and not where in a graph. Of others also the type: the text of a
    `KeyError` is only the key.
    """
    name = type(error).__name__
    if isinstance(error, InputError | RunError):
        text = str(error)
    elif message := getattr(error, "message", ""):  # as TensorFlow's have
        text = re.split(r"\nNode: '[^\n]*'\n", str(message))[-1]  # before: where it was built
        text = re.split(r"\n\s*\[\[", text)[0]  # after it: which op it was
    else:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        text = f"{name} ({said})" if said else name
    return " ".join(text.split())[:longest] or name
