"""Broken networks, volumes and clocks: what docs/clusters.md says of them, on real processes.

Where a test needs what this machine may not have, such as network namespaces, it is skipped, and
says so.
"""

import shutil
import time

import pytest

from cnn_mnist.checkpoints import saver
from stress import networks, volumes
from stress.clocks import Clock
from stress.clusters import KINDS, NAMES, SAVE, TRAINERS, WHILE, Training
from stress.trainings import small_data

pytestmark = pytest.mark.long
STEPS = 120


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture
def network():
    if why := networks.why_not():
        pytest.skip(why)
    with networks.made(NAMES) as made:
        yield made


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """What a training leaves that nothing disturbs."""
    training = Training(data_dir, tmp_path_factory.mktemp("whole"), None, steps=STEPS)
    training.start(*NAMES)
    training.end()
    return training.result()


def ends_well(training, whole):
    training.end()
    assert training.wrong_with_result(whole) == ""
    assert training.left_behind() == ""


def at_step(training, step):
    while training.step() < step:
        time.sleep(0.01)


@pytest.mark.parametrize("victim", TRAINERS[:2])
def test_a_process_that_is_stopped_for_a_while_is_waited_for(data_dir, tmp_path, whole, victim):
    training = Training(data_dir, tmp_path, None, steps=STEPS)
    training.start(*NAMES)
    at_step(training, 10)
    training.do(victim, "SIGSTOP")
    time.sleep(WHILE)
    training.do(victim, "SIGCONT")
    ends_well(training, whole)


def test_a_chief_that_is_stopped_before_the_first_step_is_named(data_dir, tmp_path):
    """Also by a worker that was in the midst of asking it what is trained."""
    training = Training(data_dir, tmp_path, None, steps=STEPS)
    training.start(*NAMES)
    while "starting: " not in training.text("chief"):
        time.sleep(0.01)
    training.do("chief", "SIGSTOP")
    try:
        for line in training.ends_with(1, *TRAINERS[1:]).values():
            assert "the chief at 127.0.0.1:" in line
    finally:
        training.kill_all()


def test_a_connection_that_is_down_for_a_while_is_waited_for(data_dir, tmp_path, whole, network):
    training = Training(data_dir, tmp_path, network, steps=STEPS)
    training.start(*NAMES)
    at_step(training, 10)
    training.do("worker-1", "down")
    time.sleep(WHILE)
    training.do("worker-1", "up")
    ends_well(training, whole)


def test_a_connection_that_drops_packets_makes_it_slower(data_dir, tmp_path, whole, network):
    """Down for a tenth of a second, again and again."""
    training = Training(data_dir, tmp_path, network, steps=STEPS)
    training.start(*NAMES)
    at_step(training, 10)
    for _ in range(20):
        training.do("worker-0", "down")
        time.sleep(0.1)
        training.do("worker-0", "up")
        time.sleep(0.2)
    ends_well(training, whole)


@pytest.mark.parametrize("kind", ["stopped", "cut off"])
def test_who_is_away_for_too_long_is_named_and_all_start_again(
    data_dir, tmp_path, whole, network, kind
):
    training = Training(data_dir, tmp_path, network, steps=STEPS)
    training.start(*NAMES)
    at_step(training, 50)
    training.disturb("worker-0", KINDS[kind], _Now())
    ends_well(training, whole)


def test_a_volume_that_stands_still_for_a_while_is_waited_for(data_dir, tmp_path, whole):
    training = Training(data_dir, tmp_path, None, steps=STEPS)
    if why := volumes.why_not(tmp_path):
        pytest.skip(why)
    with volumes.mounted(training.model_dir) as volume:
        training.start(*NAMES)
        at_step(training, 10)
        volume.freeze()
        time.sleep(WHILE)
        reached = training.step()
        volume.thaw()
        assert reached <= SAVE + 1  # the chief is in the midst of a save
        ends_well(training, whole)


@pytest.mark.parametrize("hours", [5, -5])
@pytest.mark.parametrize("victim", TRAINERS[:2])
def test_a_clock_that_jumps_changes_nothing(data_dir, tmp_path, whole, victim, hours):
    if not shutil.which("cc"):
        pytest.skip("no C compiler here, for a clock that jumps")
    (tmp_path / "clock").mkdir()
    clock = Clock(tmp_path / "clock")
    training = Training(data_dir, tmp_path, None, steps=STEPS)
    training.start(victim, env=clock.environment, fresh=True)
    training.start(*(name for name in NAMES if name != victim))
    at_step(training, 10)
    clock.jump(3600 * hours)
    at_step(training, 60)
    clock.jump(0)
    ends_well(training, whole)


class _Now:
    """In place of `random`: at once."""

    def random(self):
        return 1.0

    def randrange(self, first, end):
        return first


def test_all_packets_through_a_thin_link_come_to_the_same(data_dir, tmp_path, whole, network):
    for name in TRAINERS:
        network.limit(name, "2mbit")
    training = Training(data_dir, tmp_path, network, steps=STEPS)
    training.start(*NAMES)
    ends_well(training, whole)


def test_where_the_disk_is_full_the_chief_says_so_and_the_others_name_it(data_dir, tmp_path):
    training = Training(data_dir, tmp_path, None, steps=STEPS)
    training.start("worker-0", "worker-1")
    training.start("chief", largest_file=30_000)  # bytes; a checkpoint has more
    said = training.ends_with(1, *TRAINERS)
    assert "/model.ckpt-0: cannot be saved: " in said["chief"]
    for name in TRAINERS[1:]:
        assert said[name].startswith("error: ") and "the chief at 127.0.0.1:" in said[name]
    assert saver.steps(tmp_path / "model_dir") == []
