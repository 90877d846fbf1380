"""The roots of all errors that `main` tells in one line."""

import re


class InputError(ValueError):
    """A flag, a file or a folder that cannot be used as it is: exit code 2.

    The message is one line: what is meant, what was found, what was expected, what to do.
    """


class RunError(RuntimeError):
    """A run that cannot go on, though its input was good: exit code 1.

    The message is one line: what happened, where, what to do.
    """


def reason(error: Exception, longest: int = 200) -> str:
    """What an error says, in one line. Of TensorFlow's, what happened and not where in a graph."""
    text = str(getattr(error, "message", None) or error)
    text = re.split(r"\nNode: '[^\n]*'\n", text)[-1]  # before it: where the graph was built
    text = re.split(r"\n\s*\[\[", text)[0]  # after it: which op it was
    return " ".join(text.split())[:longest]
