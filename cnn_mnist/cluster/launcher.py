"""Trains with a cluster of several processes on this machine.

python -m cnn_mnist.cluster --workers=2 --max_restarts=3 --steps=2000

It starts a chief, workers and an evaluator on addresses of the loopback, gives each a `TF_CONFIG`,
puts its name before each line that it prints, passes signals on, starts all again if one fails, and
ends when all have ended. All other flags are those of `python -m cnn_mnist.main`, for each of the
processes.
"""

import argparse
import contextlib
import ctypes
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from cnn_mnist.utils.errors import Parser, UsageError
from cnn_mnist.utils.process import SIGNALS, code_of

PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal that a child gets when its parent ends
PATIENCE = 30.0  # seconds for all to end, after a signal or the chief's failure
LOOK_EVERY = 0.1  # seconds
CHIEF, EVALUATOR = "chief", "evaluator"
# Flags that were taken out -> what to do.
FORMER = {
    "ps": "--strategy=multi_worker needs no parameter servers; leave it out",
    "restarts": "--max_restarts starts chief and workers again together",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code.

    0: trained. The chief's own if it failed; if not, that of the worker that failed first, or of
    the evaluator. 143 and 130: ended by SIGTERM or Ctrl-C.
    """

    def command() -> int:
        options, flags = _parser().parse_known_args(argv)
        for former, remedy in FORMER.items():
            if getattr(options, former) is not None:
                raise UsageError(f"--{former}: was taken out: {remedy}")
        configs = tf_configs(options.workers, options.evaluator)
        return Launcher(configs, flags, options.max_restarts).run()

    return code_of(command)


def tf_configs(workers: int, evaluator: bool) -> dict[str, str]:
    """Name -> `TF_CONFIG` of the `chief`, of each `worker-N`, and of the `evaluator`."""
    counts = {"chief": 1, "worker": workers, "evaluator": int(evaluator)}
    free = iter(free_addresses(sum(counts.values())))
    cluster = {job: [next(free) for _ in range(count)] for job, count in counts.items() if count}
    return {
        job if job in (CHIEF, EVALUATOR) else f"{job}-{index}": json.dumps(
            {"cluster": cluster, "task": {"type": job, "index": index}}
        )
        for job, addresses in cluster.items()
        for index in range(len(addresses))
    }


def free_addresses(count: int) -> list[str]:
    """Addresses of the loopback at which nothing listens."""
    with contextlib.ExitStack() as stack:
        each = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return ["{}:{}".format(*server.getsockname()) for server in each]


class Launcher:
    """The processes, from their start to their end.

    Chief and workers train together or not at all: if one fails, the others end by themselves, and
    then all are started again. Nobody needs the evaluator.
    """

    def __init__(self, configs: dict[str, str], flags: list[str], restarts: int) -> None:
        """Takes `tf_configs`, flags of `cnn_mnist.main`, and how often what failed is restarted."""
        self._configs, self._flags = configs, flags
        self._width = max(map(len, configs))
        self._trainers = [name for name in configs if name != EVALUATOR]
        self._restarts = restarts
        self._running: dict[str, subprocess.Popen] = {}
        self._codes: dict[str, int] = {}
        self._printers: list[threading.Thread] = []
        self._printing = threading.Lock()
        self._received: list[int] = []
        self._passed_on = 0  # how many of them
        self._failed = 0  # the code of the trainer that failed first
        self._stop_at = self._kill_at = math.inf  # seconds of the monotonic clock

    def run(self) -> int:
        """Starts all, waits for all; returns the exit code."""
        for number in SIGNALS:  # `code_of` brings the former handlers back
            signal.signal(number, lambda number, _: self._received.append(number))
        try:
            self._start_all(self._configs)
            while self._running:
                time.sleep(LOOK_EVERY)
                self._look()
        finally:
            for process in self._running.values():
                process.kill()
        for printer in self._printers:
            printer.join(timeout=1)
        if self._received:
            return 128 + self._received[0]
        return self._codes[CHIEF] or self._failed or self._codes.get(EVALUATOR, 0)

    def _start_all(self, names: Iterable[str]) -> None:
        for name in names:
            if not self._received:
                self._start(name)

    def _start(self, name: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "cnn_mnist.main", *self._flags],
            env={**os.environ, "TF_CONFIG": self._configs[name]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C on a terminal is for this process, which passes it on
            preexec_fn=_end_with_parent,
        )
        self._running[name] = process
        for source, sink in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            printer = threading.Thread(target=self._print, args=(name, source, sink), daemon=True)
            printer.start()
            self._printers.append(printer)

    def _look(self) -> None:
        """Passes signals on, ends what has been waited for long enough, and sees who has ended."""
        # Not in the handler, which may run while a process is started.
        for number in self._received[self._passed_on :]:
            self._passed_on += 1
            self._send(number)
            self._kill_at = min(self._kill_at, time.monotonic() + PATIENCE)
        now = time.monotonic()
        if now >= self._kill_at:
            self._send(signal.SIGKILL)
        elif now >= self._stop_at:
            self._stop_at, self._kill_at = math.inf, now + PATIENCE
            self._send(signal.SIGTERM)
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                del self._running[name]
                self._ended(name, process.returncode)

    def _send(self, number: int) -> None:
        for name, process in self._running.items():
            if number in SIGNALS and self._received or name in self._trainers or self._is_over():
                process.send_signal(number)

    def _is_over(self) -> bool:
        """Whether nobody will train any more."""
        return not any(name in self._running for name in self._trainers)

    def _ended(self, name: str, code: int) -> None:
        code = 128 - code if code < 0 else code  # as a shell tells a signal
        self._codes[name] = code
        if code:
            self._say(name, f"ended with {code}\n", sys.stderr)
        if self._received:
            return
        if code and name != EVALUATOR and not self._failed and self._codes.get(CHIEF, 1):
            self._failed = code
            # A wrong flag ends all at once; otherwise they end by themselves, and name who is gone.
            self._stop_at = time.monotonic() + (0 if code == 2 else PATIENCE)
        if not (self._failed and self._is_over()):
            return
        if self._failed == 2 or not self._restarts:
            self._stop_at = time.monotonic()  # the evaluator would only wait
            return
        self._restarts -= 1
        again = f"chief and workers are started again, and may be {self._restarts} times more\n"
        self._say(CHIEF, again, sys.stderr)
        self._failed, self._stop_at, self._kill_at = 0, math.inf, math.inf
        ended = [name for name, code in self._codes.items() if code or name != EVALUATOR]
        for each in ended:
            del self._codes[each]
        self._start_all(ended)

    def _print(self, name: str, source: IO[str], sink: IO[str]) -> None:
        try:
            for line in source:
                self._say(name, line, sink)
        except BrokenPipeError:  # the reader has gone: `... | head`
            self._received.append(signal.SIGTERM)
            for _ in source:  # to its end, or else the process waits for a reader
                pass

    def _say(self, name: str, line: str, sink: IO[str]) -> None:
        with self._printing:
            print(f"{name:{self._width}} | {line}", end="", file=sink, flush=True)


def _end_with_parent() -> None:
    """Lets a child end when this process does, were it by SIGKILL; on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, found {text!r}"
            )
        return int(text)

    return count


def _parser() -> Parser:
    parser = Parser(
        prog="python -m cnn_mnist.cluster",
        description="Trains with a cluster of several processes on this machine. All other flags "
        "are those of `python -m cnn_mnist.main`.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--workers", type=_count(0), default=2, help="How many train beside the chief.")
    add(
        "--evaluator",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Whether a process of its own scores the checkpoints.",
    )
    add(
        "--max_restarts",
        type=_count(0),
        default=0,
        help="How often chief and workers are started again after one of them failed.",
    )
    for former in FORMER:
        add(f"--{former}", help=argparse.SUPPRESS)
    return parser
