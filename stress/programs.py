"""Programs in processes of their own, without the seconds that each would take to load TensorFlow.

Python's fork server has loaded TensorFlow and computed nothing (see `loaded`). A program is a child
of it: it gets its arguments, folder, environment, standard streams and session, and works as one of
a new interpreter. What an interpreter does before (what importing costs, what TensorFlow says when
it starts, what it reads from the environment then) wants `fresh=True`. The tests use it, too.
"""

import atexit
import functools
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import resource
import runpy
import signal
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
PATH = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
_context = multiprocessing.get_context("forkserver")
_lock = threading.Lock()  # `multiprocessing` looks after its children in whatever thread it starts


def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess:
    """Runs a program to its end; `start` tells the options; `timeout` is in seconds."""
    timeout = options.pop("timeout", None)
    with start(*arguments, **options) as program:
        try:
            stdout, stderr = program.communicate(timeout)
        except subprocess.TimeoutExpired:
            program.kill()
            raise
    return subprocess.CompletedProcess(arguments, program.returncode, stdout, stderr)


def start(
    *arguments: Any,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    merged: bool = False,
    stdin: bool = False,
    output: Path | None = None,
    largest_file: int | None = None,
    fresh: bool = False,
) -> Any:
    """Starts `python` with arguments: `-m` and a module, or `-c` and code; then its own.

    Args:
      arguments: of Python.
      cwd: its folder.
      env: variables that it has beside those of this process.
      merged: whether stderr goes to stdout.
      stdin: whether it has an input, which is a file to write to; else it has none.
      output: a file that gets stdout and stderr.
      largest_file: bytes of the largest file that it can write, as if the disk were full then.
      fresh: whether it gets an interpreter of its own.

    Returns:
      A `subprocess.Popen`, or a `Program`, which has its methods.
    """
    arguments = tuple(map(str, arguments))
    environment = {**os.environ, "PYTHONPATH": PATH, **(env or {})}
    if not fresh:
        options = (str(cwd or Path.cwd()), environment, merged, stdin, output)
        return Program(arguments, *options, largest_file)
    file = output.open("wb") if output else None
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=file or subprocess.PIPE,
        stderr=subprocess.STDOUT if merged or file else subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=functools.partial(_limit, largest_file) if largest_file else None,
        start_new_session=True,
    )
    if file:
        file.close()
    atexit.register(process.kill)  # Ctrl-C does not reach its session
    return process


class Program:
    """A running program, with what is needed of a `subprocess.Popen`."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        cwd: str,
        environment: dict[str, str],
        merged: bool,
        stdin: bool,
        output: Path | None,
        largest_file: int | None,
    ) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self.stdin: IO | None = None
        self.stdout: IO | None = None
        self.stderr: IO | None = None
        its_stdin = its_stdout = its_stderr = None
        if stdin:
            its_stdin, own = _context.Pipe(duplex=False)
            self.stdin = _file(own, "w")
        if not output:
            own, its_stdout = _context.Pipe(duplex=False)
            self.stdout = _file(own, "r")
        if not output and not merged:
            own, its_stderr = _context.Pipe(duplex=False)
            self.stderr = _file(own, "r")
        its_ends = (its_stdin, its_stdout, its_stderr or its_stdout)
        with _lock:
            _start_server()
            self._process = _context.Process(
                target=_child,
                args=(arguments, cwd, environment, output, largest_file, *its_ends),
                daemon=True,  # ended with this process, if that is interrupted
            )
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        for end in filter(None, its_ends):
            end.close()

    def poll(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it; None: it runs."""
        with _lock:
            self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end and returns `returncode`."""
        wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str | None]:
        """Reads what is left of its output and waits for its end; returns stdout and stderr."""
        read: dict[IO, str] = {}

        def read_all(stream: IO) -> None:
            read[stream] = stream.read()

        streams = [stream for stream in (self.stdout, self.stderr) if stream]
        threads = [threading.Thread(target=read_all, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout)
            if thread.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait()
        assert self.stdout
        return read[self.stdout], read[self.stderr] if self.stderr else None

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self.kill()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


def _file(connection: Connection, mode: str) -> IO:
    """The file of one end of a pipe."""
    file = os.fdopen(os.dup(connection.fileno()), mode, errors="replace")
    connection.close()
    return file


def _start_server() -> None:
    """Lets the fork server start, with the environment that loading wants."""
    # A process of several threads, as NumPy's BLAS starts them, may hang when it forks.
    wanted = {"PYTHONPATH": PATH, "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        _context.set_forkserver_preload(["stress.loaded", __name__])
        multiprocessing.forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _limit(largest_file: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))


def _child(
    arguments: tuple[str, ...],
    cwd: str,
    environment: dict[str, str],
    output: Path | None,
    largest_file: int | None,
    *standard_streams: Connection | None,
) -> None:
    """Runs a program in this process, which then ends."""
    os.setsid()
    for descriptor, stream in enumerate(standard_streams):
        if stream:  # else it has the empty input of the fork server
            os.dup2(stream.fileno(), descriptor)
    for stream in filter(None, standard_streams):
        stream.close()
    if output:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout.reconfigure(line_buffering=False, write_through=False)  # type: ignore[union-attr]
    # Ignored where a shell started this behind itself.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(handlers=[], force=True)  # without those of `loaded`
    logging.getLogger("tensorflow").setLevel(logging.NOTSET)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    if largest_file:
        _limit(largest_file)
    code: Any = 0
    try:
        _python(*arguments)
    except SystemExit as ended:
        code = ended.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    for text in (sys.stdout, sys.stderr):
        try:
            text.flush()
        except OSError:
            code = 120  # as Python's own end
    os._exit(code or 0)


def _python(kind: str, what: str, *arguments: str) -> None:
    sys.argv = [kind, *arguments]
    sys.path.insert(0, str(Path.cwd()))  # as Python does
    if kind == "-m":
        sys.modules.pop(what, None)  # it is to be loaded as `__main__`
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
