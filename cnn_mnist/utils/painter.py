"""Figures drawn by a process of their own, while this one computes.

matplotlib takes a second to load, and each figure some tenths more. In the second process that
passes while TensorFlow loads and while the network computes.
"""

import contextlib
import importlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

SERVE = "import sys; sys.path[:] = {!r}; from cnn_mnist.utils import painter; painter.serve()"


class Painter:
    """A context manager with a process that draws; it ends with this one, however that ends.

    Where this process has loaded matplotlib already, or has no Python to start, it draws by itself:
    then a person's own settings of matplotlib count.
    """

    def __init__(self) -> None:
        self._process = None
        if "matplotlib" not in sys.modules and sys.executable:
            with contextlib.suppress(OSError):  # no room for another process
                self._process = _started()
        self._thread = ThreadPoolExecutor(1)  # asks for one figure after the other

    def draw(self, module: str, function: str, *arguments: Any) -> "Future[bytes]":
        """The PNG file of the figure that a function of a module returns.

        Args:
          module: its full name; it need not be loaded here.
          function: its name in there.
          arguments: of the function; they can be pickled.
        """
        return self._thread.submit(self._drawn, module, function, arguments)

    def _drawn(self, *asked: Any) -> bytes:
        if self._process:
            try:
                assert self._process.stdin and self._process.stdout
                pickle.dump(asked, self._process.stdin)
                self._process.stdin.flush()
                png, error = pickle.load(self._process.stdout)
            except (OSError, EOFError):  # it was killed
                self._process = None
            else:
                if error is not None:
                    raise error
                return png
        return _drawn(*asked)

    def __enter__(self) -> "Painter":
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._process:
            self._process.kill()
            self._process.communicate()


def _started() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", SERVE.format(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"MPLBACKEND": "agg"},
        start_new_session=True,  # Ctrl-C is for this process alone
    )


def _drawn(module: str, function: str, arguments: tuple[Any, ...]) -> bytes:
    from cnn_mnist.utils import drawing

    return drawing.png(getattr(importlib.import_module(module), function)(*arguments))


def serve() -> None:
    """Draws what is asked for on stdin until there is no more; the answers go to stdout."""
    asking, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    import cnn_mnist.utils.drawing  # noqa: F401 - now, while nothing is asked

    while True:
        try:
            asked = pickle.load(asking)
        except EOFError:
            break
        try:
            answer: tuple[bytes, BaseException | None] = _drawn(*asked), None
        except Exception as error:
            answer = b"", error
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:  # nobody waits any more
            break
    os._exit(0)  # without what is left in a broken pipe
