"""What the chief of a cluster leaves for the others, by way of real servers."""

import pytest

from cnn_mnist.cluster import board
from cnn_mnist.cluster.board import Board


@pytest.fixture
def members(servers):
    return [servers.member(rank, 3) for rank in range(3)]


def test_each_reads_what_the_chief_has_written_last(servers, members):
    chief, worker, other = (Board(servers.target(each), each) for each in members)
    assert [each.read() for each in (chief, worker, other)] == [{}] * 3
    notice = {board.TRAINED: {"network": "a \N{SNOWMAN}", "steps": 7}}
    chief.write(**notice)
    assert [each.read() for each in (chief, worker, other)] == [notice] * 3
    chief.write(**notice, done=board.WELL)
    assert worker.read() == {**notice, board.DONE: "well"}
    assert other.read()[board.DONE] == board.WELL


def test_an_empty_notice_is_as_none(servers, members):
    chief, worker = (Board(servers.target(each), each) for each in members[:2])
    chief.write()
    assert worker.read() == {}
