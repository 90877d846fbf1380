import threading

import pytest
from servers import Servers

from cnn_mnist.cluster import notice


def reader(servers, member, name, server):
    return notice.Reader(servers.target(member), member.device, name, server)


def test_what_is_written_is_read_by_everybody(servers):
    chief, worker = servers.member(0, 2), servers.member(1, 2)
    readers = [reader(servers, member, notice.TRAINED, 0) for member in (chief, worker)]
    assert [each.read() for each in readers] == [None, None]
    for text in ('{"steps": 3}', "ä\nb", "", "again"):
        notice.write(servers.target(chief), chief.device, notice.TRAINED, [0], text)
        assert [each.read() for each in readers] == [text, text]


def test_each_server_and_each_name_has_a_text_of_its_own(servers):
    chief = servers.member(0, 1, 2)
    server = servers.member(1, 1, 2, role="ps")
    done = [reader(servers, chief, notice.DONE, index) for index in (0, 1)]
    trained = reader(servers, server, notice.TRAINED, 0)
    notice.write(servers.target(chief), chief.device, notice.DONE, [1], "one")
    assert [each.read() for each in (*done, trained)] == [None, "one", None]
    notice.write(servers.target(chief), chief.device, notice.DONE, [0, 1], notice.WELL)
    assert [each.read() for each in (*done, trained)] == [notice.WELL, notice.WELL, None]
    assert reader(servers, server, notice.DONE, 1).read() == notice.WELL


def test_a_text_is_there_after_its_writer_has_gone(servers):
    chief = servers.member(0, 1)
    thread = threading.Thread(
        target=notice.write,
        args=(servers.target(chief), chief.device, notice.DONE, [0], notice.WELL),
    )
    thread.start()
    thread.join()
    assert reader(servers, chief, notice.DONE, 0).read() == notice.WELL


@pytest.mark.parametrize("gone", [0, 1])
def test_a_server_that_is_gone_does_not_keep_the_other_from_being_told(gone):
    # These servers are there; the other parameter server has never been.
    some = Servers(missing=("ps", gone))
    chief = some.member(0, 1, 2)
    # A daemon: should it wait for the other, it would do so for ever.
    thread = threading.Thread(
        target=notice.write,
        args=(some.target(chief), chief.device, notice.DONE, [1 - gone], "why"),
        daemon=True,
    )
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert reader(some, chief, notice.DONE, 1 - gone).read() == "why"
