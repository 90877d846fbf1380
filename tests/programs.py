"""Programs in processes of their own, without the seconds that each would take to load TensorFlow.

Python's fork server has loaded TensorFlow and computed nothing (see `loaded`). A program is a child
of it: it gets its arguments, folder, environment, standard streams and session, and works and ends
as one of a new interpreter. What an interpreter does before (what importing costs, what TensorFlow
says when it starts, what it reads from the environment then) wants `fresh=True`.
"""

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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATH = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
_context = multiprocessing.get_context("forkserver")


def run(*arguments, **options):
    """Runs a program to its end; `start` tells the options."""
    with start(*arguments, **options) as program:
        stdout, stderr = program.communicate()
    return subprocess.CompletedProcess(arguments, program.returncode, stdout, stderr)


def start(
    *arguments, cwd=None, env=None, merged=False, stdin=False, largest_file=None, fresh=False
):
    """Starts `python` with arguments: `-m` and a module, or `-c` and code; then its own.

    Args:
      cwd: its folder.
      env: variables that it has beside those of the tests.
      merged: whether stderr goes to stdout.
      stdin: whether it has an input, which is a file to write to; else it has none.
      largest_file: bytes of the largest file that it can write, as if the disk were full then.
      fresh: whether it gets an interpreter of its own.

    Returns:
      A `subprocess.Popen`, or a `Program`, which has its methods.
    """
    arguments = [str(argument) for argument in arguments]
    environment = {**os.environ, "PYTHONPATH": PATH, **(env or {})}
    if fresh:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=functools.partial(_limit, largest_file),
            start_new_session=True,
        )
    return Program(arguments, str(cwd or Path.cwd()), environment, merged, stdin, largest_file)


class Program:
    """A running program, with what the tests need of a `subprocess.Popen`."""

    def __init__(self, arguments, cwd, environment, merged, stdin, largest_file):
        _start_server()
        self.args = arguments
        self.returncode = None
        self.stdin = self.stderr = None
        its_stdin = None
        if stdin:
            its_stdin, own = _context.Pipe(duplex=False)
            self.stdin = _file(own, "w")
        own, its_stdout = _context.Pipe(duplex=False)
        self.stdout = _file(own, "r")
        its_stderr = its_stdout
        if not merged:
            own, its_stderr = _context.Pipe(duplex=False)
            self.stderr = _file(own, "r")
        its_ends = (its_stdin, its_stdout, its_stderr)
        self._process = _context.Process(
            target=_child,
            args=(arguments, cwd, environment, largest_file, *its_ends),
            daemon=True,  # ended with the tests, if they are interrupted
        )
        self._process.start()
        self.pid = self._process.pid
        for end in filter(None, its_ends):
            end.close()

    def poll(self):
        """Its exit code, or the negative number of the signal that ended it; None: it runs."""
        self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout=None):
        """Waits for its end and returns `returncode`."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, timeout=None):
        """Reads what is left of its output and waits for its end; returns stdout and stderr."""
        read = {}

        def read_all(stream):
            read[stream] = stream.read()

        streams = [stream for stream in (self.stdout, self.stderr) if stream]
        threads = [threading.Thread(target=read_all, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout)
            if thread.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait()
        return read[self.stdout], read.get(self.stderr)

    def send_signal(self, number):
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is not None:
            self.kill()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


def _file(connection, mode):
    """The file of one end of a pipe."""
    file = os.fdopen(os.dup(connection.fileno()), mode, errors="replace")
    connection.close()
    return file


def _start_server():
    """Lets the fork server start, with the environment that loading wants."""
    # A process of several threads, as NumPy's BLAS starts them, may hang when it forks.
    wanted = {"PYTHONPATH": PATH, "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        _context.set_forkserver_preload(["loaded", __name__])
        multiprocessing.forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _limit(largest_file):
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))


def _child(arguments, cwd, environment, largest_file, *standard_streams):
    """Runs a program in this process, which then ends."""
    os.setsid()
    for descriptor, stream in enumerate(standard_streams):
        if stream:  # else it has the empty input of the fork server
            os.dup2(stream.fileno(), descriptor)
    for stream in filter(None, standard_streams):
        stream.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout.reconfigure(line_buffering=False, write_through=False)
    logging.basicConfig(handlers=[], force=True)  # without those of `loaded`
    logging.getLogger("tensorflow").setLevel(logging.NOTSET)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    _limit(largest_file)
    code = 0
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
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120  # as Python's own end
    os._exit(code or 0)


def _python(kind, what, *arguments):
    sys.argv = [kind, *arguments]
    if kind == "-m":
        sys.modules.pop(what, None)  # it is to be loaded as `__main__`
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
