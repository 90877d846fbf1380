"""The roots of all errors that `main` tells in one line."""


class InputError(ValueError):
    """A flag, a file or a folder that cannot be used as it is: exit code 2.

    The message is one line: what is meant, what was found, what was expected, what to do.
    """


class RunError(RuntimeError):
    """A run that cannot go on, though its input was good: exit code 1.

    The message is one line: what happened, where, what to do.
    """
