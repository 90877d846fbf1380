import contextlib
import os
import signal
import threading
import time

import pytest

from cnn_mnist.cluster import notice, parameter_server, peers
from cnn_mnist.cluster.launcher import free_addresses
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster
from conftest import listening


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(peers, "LOOK_EVERY", 0.05)


def place(servers, chief, *workers):
    """A real parameter server, of a chief and workers who only listen."""
    return Cluster(chief, workers, servers.member(0, 1).ps, "ps", 0)


def serve(servers, place, shown=(), timeout=600):
    target = servers.target(servers.member(0, 1, role="ps"))
    settings = Settings(place, "sync", "nowhere", 1000, 0, timeout, None)
    return parameter_server.serve(settings, target, list(shown).append)


@contextlib.contextmanager
def meanwhile(act):
    """Does something in a thread, a moment after the parameter server has begun."""
    timer = threading.Timer(0.3, act)
    timer.start()
    yield
    timer.join()


def say(servers, text):
    chief = servers.member(0, 1)
    notice.write(servers.target(chief), chief.device, notice.DONE, [0], text)


def test_it_serves_until_the_chief_is_done_and_all_have_gone(servers):
    with contextlib.ExitStack() as stack:
        chief, worker = (stack.enter_context(listening()) for _ in range(2))
        there = []

        def end():
            say(servers, notice.WELL)
            there.append(peers.reachable(worker))
            stack.close()

        with meanwhile(end):
            assert serve(servers, place(servers, chief, worker)) == 0
        assert there == [True]
        assert not peers.reachable(chief) and not peers.reachable(worker)


def test_a_worker_that_stays_is_not_waited_for_without_end(servers, monkeypatch):
    monkeypatch.setattr(parameter_server, "LAST_STEPS", 0.3)
    with listening() as chief, listening() as worker:
        say(servers, notice.WELL)
        assert serve(servers, place(servers, chief, worker)) == 0
        assert peers.reachable(worker)


def test_a_chief_that_failed_is_a_failure_here_too(servers):
    say(servers, "model.ckpt-3: cannot be saved: No space left on device")
    chief = free_addresses(1)[0]
    with pytest.raises(parameter_server.JobError) as raised:
        serve(servers, place(servers, chief))
    assert str(raised.value) == (
        "the chief ended: model.ckpt-3: cannot be saved: No space left on device"
    )


def test_a_chief_that_goes_without_a_word_may_come_back_for_a_time(servers):
    with contextlib.ExitStack() as stack:
        chief = stack.enter_context(listening())
        lost = pytest.raises(peers.ClusterError, match=f"waited 0.5 s .* for the chief at {chief}:")
        with meanwhile(stack.close), lost:
            serve(servers, place(servers, chief), timeout=0.5)


def test_a_signal_ends_it_when_the_chief_is_done(servers, monkeypatch):
    monkeypatch.setattr(parameter_server, "LAST_STEPS", 0.3)
    before = signal.getsignal(signal.SIGTERM)
    with listening() as chief:

        def end():
            while signal.getsignal(signal.SIGTERM) is before:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)  # six looks
            say(servers, notice.WELL)

        with meanwhile(end):
            assert serve(servers, place(servers, chief)) == 128 + signal.SIGTERM
