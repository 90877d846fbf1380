"""What processes of a cluster leave for each other, by way of real servers."""

import pytest

from cnn_mnist.cluster import board
from cnn_mnist.cluster.board import Board


@pytest.fixture
def members(servers):
    return [servers.member(rank, 3) for rank in range(3)]


def test_each_reads_what_another_has_written(servers, members):
    chief, worker, other = (Board(servers.target(each), each) for each in members)
    assert [each.read(board.TRAINED) for each in (chief, worker, other)] == [None] * 3
    chief.write(board.TRAINED, "a network \N{SNOWMAN}")
    worker.write("worker 0", "through")
    assert [each.read(board.TRAINED) for each in (chief, worker, other)] == [
        "a network \N{SNOWMAN}"
    ] * 3
    assert [chief.read(name) for name in ("worker 0", "worker 1")] == ["through", None]
    chief.write(board.DONE, board.WELL)
    assert other.read(board.DONE) == board.WELL


def test_an_empty_text_is_one(servers, members):
    chief, worker = (Board(servers.target(each), each) for each in members[:2])
    chief.write(board.TRAINED, "")
    assert worker.read(board.TRAINED) == ""
