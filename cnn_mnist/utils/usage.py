"""What can be told of a command before TensorFlow is loaded: its flags and folders."""

import argparse
import os
from pathlib import Path
from typing import NoReturn

from cnn_mnist.utils.errors import InputError

LONGEST_NAME = 255  # bytes of a file's name, on Linux and macOS


class UsageError(InputError):
    """A command that cannot be run as it was typed."""


class Parser(argparse.ArgumentParser):
    """Of the flags of the small commands; raises UsageError for what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Receives what `argparse` found."""
        message = message.removeprefix("argument ")
        raise UsageError(one_line(f"{message}; see --help"))


def shown(argument: str) -> str:
    """An argument as it is, or quoted where it is empty or would break the line."""
    return argument if argument and argument.isprintable() else repr(argument)


def one_line(message: str) -> str:
    """A message without line breaks and other characters that a terminal would obey."""
    words = " ".join(message.split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def check_folder(flag: str, name: str, *, writable: bool) -> None:
    """Checks that a folder is there or can be made. Nothing is made.

    Args:
      flag: the name of the flag, without dashes.
      name: the folder.
      writable: whether files are to be written there.

    Raises:
      UsageError: the message starts with the flag.
    """
    start = f"--{flag}={shown(name) if name else ''}"
    if not name:
        raise UsageError(f"{start}: is not a folder and cannot become one; give it a name")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{start}: expected a name in UTF-8, which TensorFlow needs") from None
    path = Path(name)
    longest = max((len(part.encode()) for part in path.parts), default=0)
    if longest > LONGEST_NAME:
        raise UsageError(
            f"{start:.200}: expected names of at most {LONGEST_NAME} bytes, found {longest}"
        )
    try:
        existing = next(place for place in (path, *path.parents) if _is_there(place))
    except OSError as error:
        raise UsageError(f"{start:.200}: cannot be looked at ({error.strerror})") from None
    if not existing.is_dir():
        raise UsageError(
            f"{start}: is not a folder and cannot become one; {existing} is in its way"
        )
    if writable and not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(
            f"{start}: expected a place to write to, but {existing} is write-protected"
        )


def _is_there(path: Path) -> bool:
    """Whether there is anything of this name, be it a link to nowhere."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
