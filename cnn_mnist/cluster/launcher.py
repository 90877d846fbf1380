"""Trains with a cluster of several processes on this machine.

python -m cnn_mnist.cluster --workers=2 --max_restarts=3 --steps=2000

It starts a chief, workers and an evaluator on addresses of the loopback, gives each a `TF_CONFIG`,
puts its name before each line that it prints, passes signals on, starts all again if one fails, and
ends when all have ended. All other flags are those of `python -m cnn_mnist.main`, for each of the
processes.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO

from cnn_mnist.utils import console
from cnn_mnist.utils.errors import Parser, UsageError, whole_number
from cnn_mnist.utils.listening import free_addresses
from cnn_mnist.utils.process import SIGNALS, code_of, end_with_parent

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

    0: trained. 2: a process has a wrong flag or folder. Otherwise the chief's own if it failed; if
    not, that of the worker that failed first, or of the evaluator. 143 and 130: SIGTERM or Ctrl-C.
    """

    def command() -> int:
        options, flags = _parser().parse_known_args(argv)
        for former, remedy in FORMER.items():
            if getattr(options, former) is not None:
                raise UsageError(f"--{former}: was taken out: {remedy}")
        configs = tf_configs(options.workers, options.evaluator)
        return Launcher(configs, flags).run(options.max_restarts)

    return code_of(command)


def tf_configs(workers: int, evaluator: bool) -> dict[str, str]:
    """Name -> `TF_CONFIG` of the `chief`, of each `worker-N`, and of the `evaluator`."""
    tasks = {CHIEF: (CHIEF, 0)}
    tasks |= {f"worker-{index}": ("worker", index) for index in range(workers)}
    tasks |= {EVALUATOR: (EVALUATOR, 0)} if evaluator else {}
    cluster: dict[str, list[str]] = {}
    for (job, _), address in zip(tasks.values(), free_addresses(len(tasks)), strict=True):
        cluster.setdefault(job, []).append(address)
    return {
        name: json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})
        for name, (job, index) in tasks.items()
    }


class Launcher:
    """The processes, from their start to their end.

    Chief and workers train together or not at all: if one fails, the others end by themselves, and
    then all are started again. Nobody needs the evaluator.
    """

    def __init__(self, configs: dict[str, str], flags: list[str]) -> None:
        """Takes `tf_configs`, and flags of `cnn_mnist.main`."""
        self._configs, self._flags = configs, flags
        self._running: dict[str, subprocess.Popen] = {}
        self._codes: dict[str, int] = {}  # of those that have ended
        self._printers: list[threading.Thread] = []
        self._print = console.Named(max(map(len, configs)))
        self._received: list[int] = []
        self._passed_on = 0  # how many of them

    def run(self, restarts: int) -> int:
        """Starts all, as often again as `restarts` says; waits for all; returns the exit code."""
        for number in SIGNALS:  # `code_of` brings the former handlers back
            signal.signal(number, lambda number, _: self._received.append(number))
        try:
            code = self._train()
            while code not in (0, 2) and restarts and not self._received:
                restarts -= 1
                again = f"chief and workers are started again, and may be {restarts} times more\n"
                self._print(CHIEF, again, sys.stderr)
                code = self._train()
            # Of a training that failed, the evaluator would only wait for more.
            self._wait([EVALUATOR], time.monotonic() if code else math.inf)
        finally:
            self._send(signal.SIGKILL, list(self._running))
        for printer in self._printers:
            printer.join(timeout=1)
        if self._received:
            return 128 + self._received[0]
        return code or self._codes.get(EVALUATOR, 0)

    def _train(self) -> int:
        """Starts who is not running, and waits for chief and workers; returns the exit code."""
        trainers = [name for name in self._configs if name != EVALUATOR]
        for name in self._configs:
            ended_well = self._codes.pop(name, 1) == 0 and name == EVALUATOR
            if not (ended_well or name in self._running):
                self._start(name)
        failed = self._wait(trainers)
        # Who has a wrong flag has all others told to end.
        return failed if failed == 2 else self._codes[CHIEF] or failed

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
            preexec_fn=end_with_parent,
        )
        self._running[name] = process
        for source, sink in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            printer = threading.Thread(target=self._copy, args=(name, source, sink), daemon=True)
            printer.start()
            self._printers.append(printer)

    def _wait(self, names: Sequence[str], stop_at: float = math.inf) -> int:
        """Passes signals on until all of `names` have ended, and ends those that do not by then.

        Args:
          names: of processes.
          stop_at: when they get SIGTERM, in seconds of the monotonic clock.

        Returns:
          The code of the first that failed before the chief ended well, or 0.
        """
        failed, kill_at = 0, math.inf
        while any(name in self._running for name in names):
            time.sleep(LOOK_EVERY)
            now = time.monotonic()
            # Not in the handler, which may run while a process is started.
            for number in self._received[self._passed_on :]:
                self._passed_on += 1
                self._send(number, list(self._running))
                kill_at = min(kill_at, now + PATIENCE)
            if now >= kill_at:
                self._send(signal.SIGKILL, names)
            elif now >= stop_at:
                stop_at, kill_at = math.inf, now + PATIENCE
                self._send(signal.SIGTERM, names)
            for name in [name for name, each in self._running.items() if each.poll() is not None]:
                code = self._running.pop(name).returncode
                code = 128 - code if code < 0 else code  # as a shell tells a signal
                self._codes[name] = code
                if code:
                    self._print(name, f"ended with {code}\n", sys.stderr)
                if code and not failed and name in names and self._codes.get(CHIEF, 1):
                    failed = code
                    # A wrong flag ends all; otherwise they end by themselves, and name who is gone.
                    stop_at = now + (0 if code == 2 else PATIENCE)
        return failed

    def _send(self, number: int, names: Sequence[str]) -> None:
        for name in names:
            if name in self._running:
                self._running[name].send_signal(number)

    def _copy(self, name: str, source: IO[str], sink: IO[str]) -> None:
        try:
            for line in source:
                self._print(name, line, sink)
        except BrokenPipeError:  # the reader has gone: `... | head`
            self._received.append(signal.SIGTERM)
            for _ in source:  # to its end, or else the process waits for a reader
                pass


def _parser() -> Parser:
    parser = Parser(
        prog="python -m cnn_mnist.cluster",
        description="Trains with a cluster of several processes on this machine. All other flags "
        "are those of `python -m cnn_mnist.main`.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--workers", type=whole_number(0), default=2, help="How many train beside the chief.")
    add(
        "--evaluator",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Whether a process of its own scores the checkpoints.",
    )
    add(
        "--max_restarts",
        type=whole_number(0),
        default=0,
        help="How often chief and workers are started again after one of them failed.",
    )
    for former in FORMER:
        add(f"--{former}", help=argparse.SUPPRESS)
    return parser
