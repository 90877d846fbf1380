"""Processes that watch each other, by real sockets; nothing here loads TensorFlow."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from cnn_mnist.cluster import tf_config
from cnn_mnist.cluster.watch import Watch
from cnn_mnist.utils.listening import free_addresses
from conftest import ROOT, listening

WATCHED = """
import signal, sys, time
from cnn_mnist.cluster import peers, watch
from cnn_mnist.cluster.watch import Watch

peers.LOOK_EVERY, watch.GRACE, peers.TELL_AFTER, peers.ANSWER_WITHIN = 0.1, {grace}, 0.2, 0.2
with Watch({others!r}, {timeout}, lambda line: print(line, flush=True)) as watch:
    print("ready", flush=True)
    {body}

print("ended", flush=True)
time.sleep(0.5)  # five looks
"""

UNTIL_A_SIGNAL = """
    while watch.received is None:
        time.sleep(0.02)
    print(watch.received.name, flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def watching(others, *, body="time.sleep(600)", grace=600, timeout=600):
    """A process with a `Watch`, when it is ready."""
    code = WATCHED.format(others=others, body=body.strip(), grace=grace, timeout=timeout)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            yield process
        finally:
            process.kill()


def end_of(process):
    stdout, stderr = process.communicate()
    return process.returncode, stdout, stderr


def test_without_one_of_the_others_the_process_ends_and_names_it():
    with listening() as chief, contextlib.ExitStack() as stack:
        worker = stack.enter_context(listening())
        with watching({"the chief": chief, "worker 1": worker}) as process:
            stack.close()
            assert end_of(process) == (
                1,
                "",
                f"error: worker 1 at {worker} is gone; the newest checkpoint is whole: start the "
                "same commands again, and they resume there\n",
            )


def test_who_is_silent_is_awaited_for_a_time():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        address = "{}:{}".format(*listener.getsockname())
        with watching({"worker 1": address}, timeout=0.5) as process:
            code, stdout, stderr = end_of(process)
    assert (code, stdout) == (1, f"waiting for worker 1 at {address} to answer, for 0 s so far\n")
    assert stderr.startswith(f"error: waited 0.5 s (--cluster_timeout) for worker 1 at {address} ")
    assert stderr.count("\n") == 1


def test_who_answers_again_in_time_is_awaited_no_more():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        address = "{}:{}".format(*listener.getsockname())
        with watching({"worker 1": address}) as process:
            line = process.stdout.readline()
            assert line == f"waiting for worker 1 at {address} to answer, for 0 s so far\n"
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                    if connection.recv(99):
                        break
            listener.listen(64)
            assert process.poll() is None


def test_after_the_last_step_one_alone_is_needed():
    body = "watch.after_last_step(); print('through', flush=True); time.sleep(600)"
    with contextlib.ExitStack() as stack:
        chief = stack.enter_context(listening())
        with watching({"the chief": chief, "worker 1": free_addresses(1)[0]}, body=body) as process:
            assert process.stdout.readline() == "through\n"
            stack.close()
            code, stdout, stderr = end_of(process)
    assert (code, stdout) == (1, "")
    assert stderr.startswith(f"error: the chief at {chief} is gone; ")


def test_a_signal_is_noted_and_the_process_goes_on():
    with listening() as chief, watching({"the chief": chief}, body=UNTIL_A_SIGNAL) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "SIGTERM\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)  # five looks


def test_a_step_that_does_not_end_is_not_waited_for_without_end():
    with listening() as chief, watching({"the chief": chief}, grace=0.3) as process:
        process.terminate()
        assert end_of(process) == (143, "", "SIGTERM: the step could not be ended\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(number):
    with listening() as chief, watching({"the chief": chief}, body=UNTIL_A_SIGNAL) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "SIGINT\n"
        process.send_signal(number)
        assert end_of(process) == (128 + number, "", "")


def test_a_watch_that_is_over_leaves_signals_as_they_were():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    source, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    try:
        with listening() as chief, Watch({tf_config.CHIEF: chief}, 600, pytest.fail) as watch:
            assert all(signal.getsignal(number) != before[number] for number in before)
        assert watch.received is None
        assert {number: signal.getsignal(number) for number in before} == before
    finally:
        assert signal.set_wakeup_fd(-1) == end
        os.close(source)
        os.close(end)


def test_when_it_is_over_nothing_ends_the_process_any_more():
    with contextlib.ExitStack() as stack:
        chief = stack.enter_context(listening())
        with watching({"the chief": chief}, body="pass") as process:
            assert process.stdout.readline() == "ended\n"
            stack.close()
            assert end_of(process) == (0, "", "")


def test_a_signal_that_comes_with_the_last_step_is_noted():
    with Watch({}, 600, pytest.fail) as watch:
        os.kill(os.getpid(), signal.SIGINT)
    assert watch.received == signal.SIGINT
