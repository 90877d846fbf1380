"""Real sockets: how another process is, and waiting for it; nothing here loads TensorFlow."""

import contextlib
import socket
import threading
import time

import pytest

from cnn_mnist.cluster import peers
from cnn_mnist.cluster.watch import Watch
from cnn_mnist.utils.listening import free_addresses
from conftest import listening


def nobody():
    return free_addresses(1)[0]


def test_who_answers_is_there_until_it_ends():
    with listening() as address:
        assert [peers.look(address) for _ in range(3)] == [peers.THERE] * 3
    assert peers.look(address) == peers.GONE
    assert not peers.is_there(address)


def test_who_does_not_answer_is_silent(monkeypatch):
    """As a process that is stopped, to which the kernel still lets connect."""
    monkeypatch.setattr(peers, "ANSWER_WITHIN", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        address = "{}:{}".format(*listener.getsockname())
        assert [peers.look(address) for _ in range(3)] == [peers.SILENT] * 3
    assert peers.look("no-such-host.invalid:2222") == peers.SILENT


def test_another_program_at_the_address_is_not_the_process():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(99)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert peers.look("{}:{}".format(*listener.getsockname())) == peers.GONE
        thread.join()


def test_a_server_of_tensorflow_is_there(servers):
    assert peers.is_there(servers.member(0, 2).chief)


@pytest.fixture
def soon(monkeypatch):
    """Everything in a fraction of a second."""
    monkeypatch.setattr(peers, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(peers, "TELL_AFTER", 0.1)


def test_a_wait_tells_for_whom_and_that_it_is_over(soon):
    shown = []
    waiting = peers.Waiting("worker 0", 600, shown.append)
    waiting.note(True)  # was never missed
    waiting.note(False)
    waiting.note(True)  # was missed for too short a time to speak of it
    assert shown == []
    waiting.note(False)
    time.sleep(0.1)
    for _ in range(3):
        waiting.note(False)
    assert shown == ["waiting for worker 0, for 0 s so far"]
    waiting.note(True)
    waiting.note(True)
    assert shown[1:] == ["worker 0 is there"]


def test_a_wait_that_goes_on_tells_so_again(soon, monkeypatch):
    monkeypatch.setattr(peers, "TELL_EVERY", 0.2)
    shown = []
    waiting = peers.Waiting("worker 0", 600, shown.append)
    while len(shown) < 3:
        waiting.note(False, " to begin")
    assert all(line.startswith("waiting for worker 0 to begin, for ") for line in shown)


def test_a_wait_ends_and_begins_anew_when_it_was_over():
    waiting = peers.Waiting("worker 0 at d:4", 0.5, lambda line: None)
    assert waiting.note(False) is False
    time.sleep(0.5)
    assert waiting.note(True) is True
    waiting.note(False)
    time.sleep(0.5)
    with pytest.raises(peers.ClusterError) as raised:
        waiting.note(False)
    assert str(raised.value) == (
        "waited 0.5 s (--cluster_timeout) for worker 0 at d:4: look whether it runs, and whether "
        "its address is right; then start this process again"
    )


def test_all_are_waited_for(soon):
    shown = []
    with listening() as first, contextlib.ExitStack() as stack:
        late = nobody()
        timer = threading.Timer(0.3, lambda: stack.enter_context(listening(late)))
        timer.start()
        Watch({"worker 0": first, "worker 1": late}, 600, shown.append).wait_for_all()
        timer.join()
        assert peers.is_there(late)
    assert shown == [
        f"waiting for worker 1 at {late}, for 0 s so far",
        f"worker 1 at {late} is there",
    ]


def test_who_does_not_come_is_named(soon):
    address = nobody()
    with (
        listening() as first,
        pytest.raises(peers.ClusterError, match=f"for worker 1 at {address}:"),
    ):
        Watch({"worker 0": first, "worker 1": address}, 0.5, lambda line: None).wait_for_all()
