"""Real sockets, and processes that watch each other; nothing here loads TensorFlow."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from cnn_mnist.cluster import peers
from cnn_mnist.cluster.launcher import free_addresses
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster
from conftest import ROOT, listening


def nobody():
    return free_addresses(1)[0]


def test_who_listens_is_reachable_until_it_ends():
    with listening() as address:
        assert peers.reachable(address) and peers.reachable(address)
    assert not peers.reachable(address)
    assert not peers.reachable("no-such-host.invalid:2222")


def test_who_is_busy_is_reachable():
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        address = "{}:{}".format(*listener.getsockname())
        assert all(peers.reachable(address) for _ in range(8))  # accepts none of them


def test_addresses_are_those_of_the_others():
    workers = ("b:2", "c:3")
    cluster = Cluster("a:1", workers, ("d:4", "e:5"), "worker", 1)
    assert peers.addresses(cluster, "ps") == {"ps 0": "d:4", "ps 1": "e:5"}
    assert peers.addresses(cluster, "chief", "worker") == {"the chief": "a:1", "worker 0": "b:2"}
    assert peers.addresses(Cluster("a:1", (), (), "evaluator", 0), "chief", "worker") == {
        "the chief": "a:1"
    }


@pytest.fixture
def soon(monkeypatch):
    """Everything in a fraction of a second."""
    monkeypatch.setattr(peers, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(peers, "TELL_AFTER", 0.1)


def test_a_wait_tells_for_whom_and_that_it_is_over(soon):
    shown = []
    waiting = peers.Waiting("ps 0", 600, shown.append)
    waiting.note(True)  # was never missed
    waiting.note(False)
    waiting.note(True)  # was missed for too short a time to speak of it
    assert shown == []
    waiting.note(False)
    time.sleep(0.1)
    for _ in range(3):
        waiting.note(False)
    assert shown == ["waiting for ps 0, for 0 s so far"]
    waiting.note(True)
    waiting.note(True)
    assert shown[1:] == ["ps 0 is there"]


def test_a_wait_that_goes_on_tells_so_again(soon, monkeypatch):
    monkeypatch.setattr(peers, "TELL_EVERY", 0.2)
    shown = []
    waiting = peers.Waiting("ps 0", 600, shown.append)
    while len(shown) < 3:
        waiting.note(False, " to begin")
    assert all(line.startswith("waiting for ps 0 to begin, for ") for line in shown)


def test_a_wait_ends_and_begins_anew_when_it_was_over():
    waiting = peers.Waiting("ps 0 at d:4", 0.5, lambda line: None)
    assert waiting.note(False) is False
    time.sleep(0.5)
    assert waiting.note(True) is True
    waiting.note(False)
    time.sleep(0.5)
    with pytest.raises(peers.ClusterError) as raised:
        waiting.note(False)
    assert str(raised.value) == (
        "waited 0.5 s (--cluster_timeout) for ps 0 at d:4: look whether it runs, and whether its "
        "address is right; then start this process again"
    )


def test_all_are_waited_for(soon):
    shown = []
    with listening() as first, contextlib.ExitStack() as stack:
        late = nobody()
        timer = threading.Timer(0.3, lambda: stack.enter_context(listening(late)))
        timer.start()
        peers.wait_for({"ps 0": first, "ps 1": late}, 600, shown.append)
        timer.join()
        assert peers.reachable(late)
    assert shown == [
        f"waiting for ps 1 at {late}, for 0 s so far",
        f"ps 1 at {late} is there",
    ]


def test_who_does_not_come_is_named(soon):
    address = nobody()
    with listening() as first, pytest.raises(peers.ClusterError, match=f"for ps 1 at {address}:"):
        peers.wait_for({"ps 0": first, "ps 1": address}, 0.5, lambda line: None)


WATCHED = """
import signal, sys, time
from cnn_mnist.cluster import peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster

peers.LOOK_EVERY, peers.GRACE, peers.TELL_AFTER = 0.1, {grace}, 0.2
cluster = Cluster({chief!r}, {workers!r}, {ps!r}, {role!r}, 0)
settings = Settings(cluster, {strategy!r}, "nowhere", 1000, 0, {timeout}, None)
with peers.Watch(settings, lambda line: print(line, flush=True)) as watch:
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


@pytest.fixture
def chief():
    with listening() as address:
        yield address


@contextlib.contextmanager
def watching(chief, *, role="worker", workers=(), body="time.sleep(600)", **options):
    """A process with a `Watch`, when it is ready."""
    own = (nobody(),) if role == "worker" else ()
    fields = {"ps": (), "strategy": "sync", "grace": 600, "timeout": 0.5, **options}
    code = WATCHED.format(
        chief=chief, workers=own + workers, role=role, body=body.strip(), **fields
    )
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


def test_without_a_server_the_job_is_lost_and_the_process_ends(chief):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(listening())
        with watching(chief, ps=(server,)) as process:
            stack.close()
            assert end_of(process) == (
                1,
                "",
                f"error: ps 0 at {server} is gone, and with it the weights that it held; the "
                "newest checkpoint is whole: start the same commands again, and they resume "
                "there\n",
            )


def test_who_may_come_back_is_awaited_for_a_time(chief):
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(listening())
        with watching(chief, workers=(other,)) as process:
            stack.close()
            code, stdout, stderr = end_of(process)
    assert (code, stdout) == (1, f"waiting for worker 1 at {other}, for 0 s so far\n")
    assert stderr.startswith(f"error: waited 0.5 s (--cluster_timeout) for worker 1 at {other}: ")
    assert stderr.count("\n") == 1


def test_who_comes_back_in_time_is_awaited_no_more(chief):
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(listening())
        with watching(chief, workers=(other,), timeout=600) as process:
            stack.close()
            line = process.stdout.readline()
            assert line == f"waiting for worker 1 at {other}, for 0 s so far\n"
            with listening(other):
                assert process.stdout.readline() == f"worker 1 at {other} is there\n"


def test_who_comes_and_goes_is_told(chief):
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(listening())
        options = {"role": "chief", "strategy": "parameter_server"}
        with watching(chief, workers=(other,), **options) as process:
            stack.close()
            line = process.stdout.readline()
            assert line == f"worker 0 at {other} is not there; the training goes on without it\n"
            with listening(other):
                assert process.stdout.readline() == f"worker 0 at {other} is there\n"
            assert process.poll() is None


@pytest.mark.parametrize(("role", "servers"), [("worker", 0), ("ps", 2)])
def test_who_is_not_needed_may_stay_away(chief, role, servers):
    """Of a worker that trains by itself the other workers, of a parameter server everybody."""
    options = {"ps": tuple(nobody() for _ in range(servers)), "strategy": "parameter_server"}
    others = {"workers": (nobody(),), "timeout": 0.1, "body": "time.sleep(0.8)"}  # eight looks
    with watching(nobody() if role == "ps" else chief, role=role, **options, **others) as process:
        assert end_of(process) == (0, "ended\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_process_goes_on_until_the_chief_has_gone(number):
    with contextlib.ExitStack() as stack:
        chief = stack.enter_context(listening())
        with watching(chief, body=UNTIL_A_SIGNAL) as process:
            process.send_signal(number)
            assert process.stdout.readline() == f"{number.name}\n"
            time.sleep(0.5)  # five looks
            assert process.poll() is None
            stack.close()
            assert end_of(process) == (128 + number, "", f"{number.name}\n")


def test_a_chief_that_stays_is_not_waited_for_without_end(chief):
    with watching(chief, grace=0.3) as process:
        process.terminate()
        assert end_of(process) == (143, "", "SIGTERM\n")


def test_a_chief_that_cannot_end_its_step_says_so_and_ends(chief):
    ignoring = "signal.signal(signal.SIGTERM, lambda *_: None); print('deaf', flush=True)\n"
    ignoring += "    time.sleep(600)"
    with watching(chief, role="chief", grace=0.3, body=ignoring) as process:
        assert process.stdout.readline() == "deaf\n"
        process.terminate()
        assert end_of(process) == (
            143,
            "",
            "SIGTERM: the step could not be ended, the others are waited for\n",
        )


def test_the_second_signal_ends_it_at_once(chief):
    with watching(chief, body=UNTIL_A_SIGNAL) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "SIGINT\n"
        process.send_signal(signal.SIGTERM)
        assert end_of(process) == (143, "", "")


def test_the_second_signal_counts_however_soon_it_comes(chief):
    both = "signal.raise_signal(signal.SIGINT); signal.raise_signal(signal.SIGTERM)\n"
    with watching(chief, body=both + "    time.sleep(600)") as process:
        assert end_of(process) == (143, "", "")


def test_a_watch_that_is_over_leaves_signals_as_they_were(chief):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    source, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    try:
        for role in ("worker", "chief"):
            cluster = Cluster(chief, (nobody(),), (), role, 0)
            settings = Settings(cluster, "parameter_server", "nowhere", 1000, 0, 1, None)
            with peers.Watch(settings, pytest.fail) as watch:
                replaced = {
                    number for number in before if signal.getsignal(number) != before[number]
                }
                assert replaced == (set(before) if role == "worker" else set())
            assert watch.received is None
            assert {number: signal.getsignal(number) for number in before} == before
    finally:
        assert signal.set_wakeup_fd(-1) == end
        os.close(source)
        os.close(end)


def test_when_it_is_over_nothing_ends_the_process_any_more(chief):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(listening())
        with watching(chief, ps=(server,), body="pass") as process:
            assert process.stdout.readline() == "ended\n"
            stack.close()
            assert end_of(process) == (0, "", "")
