"""Trains with a cluster of several processes on this machine.

python -m cnn_mnist.cluster --workers=2 --ps=1 --steps=2000

It starts a chief, workers, parameter servers and an evaluator on addresses of the loopback, gives
each a `TF_CONFIG`, puts its name before each line that it prints, passes signals on, and ends when
all have ended. All other flags are those of `python -m cnn_mnist.main`, for each of the processes.
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
from collections.abc import Callable, Sequence
from typing import IO

from cnn_mnist.utils.errors import Parser
from cnn_mnist.utils.process import SIGNALS, code_of

PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal that a child gets when its parent ends
PATIENCE = 30.0  # seconds for all to end, after a signal or the chief's failure
LOOK_EVERY = 0.1  # seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code.

    0: trained. The chief's own if it failed; if not, that of the evaluator, or of a role of which
    every process failed. 143 and 130: ended by SIGTERM or Ctrl-C.
    """

    def command() -> int:
        options, flags = _parser().parse_known_args(argv)
        configs = tf_configs(options.workers, options.ps, options.evaluator)
        return Launcher(configs, flags, options.restarts).run()

    return code_of(command)


def tf_configs(workers: int, servers: int, evaluator: bool) -> dict[str, str]:
    """Name -> `TF_CONFIG` of the `chief`, of each `worker-N` and `ps-N`, and of the `evaluator`."""
    counts = {"chief": 1, "worker": workers, "ps": servers, "evaluator": int(evaluator)}
    free = iter(free_addresses(sum(counts.values())))
    cluster = {job: [next(free) for _ in range(count)] for job, count in counts.items() if count}
    return {
        job if job in ("chief", "evaluator") else f"{job}-{index}": json.dumps(
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
    """The processes, from their start to their end."""

    def __init__(self, configs: dict[str, str], flags: list[str], restarts: int) -> None:
        """Takes `tf_configs`, flags of `cnn_mnist.main`, and how often a process is restarted."""
        self._configs, self._flags = configs, flags
        self._width = max(map(len, configs))
        self._restarts = dict.fromkeys(configs, restarts)
        self._running: dict[str, subprocess.Popen] = {}
        self._codes: dict[str, int] = {}
        self._printers: list[threading.Thread] = []
        self._printing = threading.Lock()
        self._received: list[int] = []
        self._passed_on = 0  # how many of them
        self._chief_failed = False  # and is not started again
        self._stop_at = self._kill_at = math.inf  # seconds of the monotonic clock

    def run(self) -> int:
        """Starts all, waits for all; returns the exit code."""
        for number in SIGNALS:  # `code_of` brings the former handlers back
            signal.signal(number, lambda number, _: self._received.append(number))
        try:
            for name in self._configs:
                if not self._received:
                    self._start(name)
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
        if self._chief_failed:
            return self._codes["chief"]
        roles: dict[str, list[int]] = {}
        for name, code in self._codes.items():
            roles.setdefault(name.partition("-")[0], []).append(code)
        return max(map(min, roles.values()))

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
        now = time.monotonic()
        if now >= self._kill_at:
            self._send(signal.SIGKILL)
        elif now >= self._stop_at:
            self._stop_at = math.inf
            self._send(signal.SIGTERM)
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                del self._running[name]
                self._ended(name, process.returncode)

    def _send(self, number: int) -> None:
        self._kill_at = min(self._kill_at, time.monotonic() + PATIENCE)
        for process in self._running.values():
            process.send_signal(number)

    def _ended(self, name: str, code: int) -> None:
        code = 128 - code if code < 0 else code  # as a shell tells a signal
        self._codes[name] = code
        ending = self._received or self._chief_failed
        if code and not ending and code != 2 and self._restarts[name]:
            self._restarts[name] -= 1
            self._say(name, f"ended with {code}; it is started again\n", sys.stderr)
            self._start(name)
        elif code:
            self._say(name, f"ended with {code}\n", sys.stderr)
            if name == "chief":  # the others would only wait for it
                self._chief_failed = True
                self._stop_at = time.monotonic() + (0 if code == 2 else PATIENCE)

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
    add("--ps", type=_count(0), default=1, help="How many parameter servers.")
    add(
        "--evaluator",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Whether a process of its own scores the checkpoints.",
    )
    add(
        "--restarts", type=_count(0), default=0, help="How often a process that fails is restarted."
    )
    return parser
