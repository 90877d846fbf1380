"""Figures drawn by processes of their own, while this one computes.

matplotlib takes a second to load, and each figure some tenths more. In other processes that passes
while TensorFlow loads and while the network computes.
"""

import contextlib
import importlib
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cnn_mnist.utils.process import collect_rarely

PROCESSES = 2  # the figures of a report take one process more than a second
# Modules of figures, which whoever draws one names; as text, for they stand on floors above.
FIGURES = ("cnn_mnist.evaluation.figures", "cnn_mnist.explanations.figures")
SERVE = "import sys; sys.path[:] = {!r}; from cnn_mnist.utils import painter; painter.serve()"


class Painter:
    """A context manager with processes that draw; they end with this one, however that ends.

    Where this process has loaded matplotlib already, or has no Python to start, it draws by itself:
    then a person's own settings of matplotlib count.
    """

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        if "matplotlib" not in sys.modules and sys.executable:
            with contextlib.suppress(OSError):  # no room for another process
                for _ in range(PROCESSES):
                    self._processes.append(_started())
        self._free = self._processes.copy()
        self._by_itself = threading.Lock()  # matplotlib draws one figure at a time
        self._threads = ThreadPoolExecutor(max(1, len(self._processes)))

    def draw(self, module: str, function: str, *arguments: Any) -> "Future[bytes]":
        """The PNG file of the figure that a function of a module returns.

        Args:
          module: its full name; it need not be loaded here.
          function: its name in there.
          arguments: of the function; they can be pickled.
        """
        return self._threads.submit(self._drawn, module, function, arguments)

    def _drawn(self, *asked: Any) -> bytes:
        while process := self._free_process():
            try:
                assert process.stdin and process.stdout
                pickle.dump(asked, process.stdin)
                process.stdin.flush()
                png, error = pickle.load(process.stdout)
            except (OSError, EOFError):  # it was killed
                continue
            self._free.append(process)
            if error is not None:
                raise error
            return png
        with self._by_itself:
            return _drawn(*asked)

    def _free_process(self) -> "subprocess.Popen[bytes] | None":
        with contextlib.suppress(IndexError):  # of those that were not killed, none is free
            return self._free.pop()
        return None

    def __enter__(self) -> "Painter":
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.kill()
            process.communicate()


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


def _prepare() -> None:
    """Loads matplotlib, its fonts and the figures now, while nothing is asked."""
    from cnn_mnist.utils import drawing

    for module in FIGURES:
        importlib.import_module(module)
    paper = drawing.Paper(1, 1)
    paper.title("0")
    paper.axes((0.5, 0.5, 0.4, 0.4)).plot([0, 1])
    drawing.png(paper.figure)


def serve() -> None:
    """Draws what is asked for on stdin until there is no more; the answers go to stdout."""
    asking, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    collect_rarely()
    _prepare()
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
