"""The root of all errors that are the user's to mend."""


class InputError(ValueError):
    """A flag, a file or a folder that cannot be used as it is.

    The message is one line: what is meant, what was found, what was expected, what to do. `main`
    prints it and ends with exit code 2.
    """
