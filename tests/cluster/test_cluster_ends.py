"""How clusters of real processes end: kills, signals, and flags that are refused."""

import contextlib
import json
import os
import re
import signal
import time

import pytest
from clusters import flags, nothing_is_left_of, process_of, start

from cnn_mnist.checkpoints import saver
from cnn_mnist.cluster import launcher


def read_until(process, pattern):
    """Reads lines up to the one that has the pattern in it; returns them."""
    lines = [process.stdout.readline()]
    while not re.search(pattern, lines[-1]):
        assert process.poll() is None, lines
        lines.append(process.stdout.readline())
    return "".join(lines)


@pytest.mark.long
def test_a_chief_that_is_killed_and_started_again_counts_no_step_twice(small_data_dir, tmp_path):
    """What the workers are at when it comes back belongs to steps that it gives out again."""
    more = ("--steps=150", "--save_checkpoints_steps=50", "--log_every_n_iter=10")
    arguments = ["--workers=1", "--restarts=1", *flags(small_data_dir, "model_dir", *more)]
    with start("cnn_mnist.cluster", [*arguments, "--no-evaluator"], tmp_path) as launcher:
        read_until(launcher, r"chief +\| .*Saving checkpoints for [^0]")
        os.kill(process_of(tmp_path, "chief")[0], signal.SIGKILL)
        printed = launcher.communicate()[0]
    assert launcher.returncode == 0, printed
    assert "Traceback" not in printed
    assert "ended with 137; it is started again" in printed
    assert saver.steps(tmp_path / "model_dir")[-1] == 150
    assert saver.read(tmp_path / "model_dir" / "model.ckpt-150")["global_step"] == 150
    assert nothing_is_left_of(tmp_path)


@pytest.mark.parametrize(
    ("strategy", "number", "code"),
    [
        pytest.param("parameter_server", signal.SIGTERM, 143, marks=pytest.mark.long),
        ("sync", signal.SIGINT, 130),
    ],
)
def test_a_signal_to_the_launcher_ends_all_and_saves(
    small_data_dir, tmp_path, strategy, number, code
):
    more = (f"--strategy={strategy}", "--steps=1000000", "--log_every_n_iter=2")
    arguments = ["--workers=1", *flags(small_data_dir, "model_dir", *more)]
    with start("cnn_mnist.cluster", arguments, tmp_path) as launcher:
        read_until(launcher, "softmax_tensor")
        launcher.send_signal(number)
        printed = launcher.communicate()[0]
    assert launcher.returncode == code, printed
    assert "Traceback" not in printed
    saved = re.search(rf"chief +\| {number.name}: saved at step ([\d,]+);", printed)
    assert saved, printed
    assert saver.steps(tmp_path / "model_dir")[-1] == int(saved[1].replace(",", "")) > 0
    for name in ("chief", "worker-0", "ps-0", "evaluator"):
        assert re.search(rf"^{name} +\| ended with {code}$", printed, re.MULTILINE), printed
    assert nothing_is_left_of(tmp_path)


@pytest.mark.long
def test_a_dead_parameter_server_ends_all_and_is_named(small_data_dir, tmp_path):
    more = ("--steps=1000000", "--log_every_n_iter=2", "--cluster_timeout=100")
    arguments = ["--workers=1", "--ps=2", *flags(small_data_dir, "model_dir", *more)]
    with start("cnn_mnist.cluster", [*arguments, "--no-evaluator"], tmp_path) as launcher:
        read_until(launcher, "softmax_tensor")
        pid, spec = process_of(tmp_path, "ps", 1)
        address = spec["ps"][1]
        os.kill(pid, signal.SIGKILL)
        printed = launcher.communicate()[0]
    assert launcher.returncode == 1, printed
    assert "Traceback" not in printed
    for name in ("chief", "worker-0", "ps-0"):
        gone = rf"^{name} +\| error: ps 1 at {address} is gone"
        assert re.search(gone, printed, re.MULTILINE), printed
        assert re.search(rf"^{name} +\| ended with 1$", printed, re.MULTILINE), printed
    assert nothing_is_left_of(tmp_path)


def test_without_the_launcher_a_chief_comes_back_and_a_dead_parameter_server_ends_all(
    small_data_dir, tmp_path
):
    configs = launcher.tf_configs(1, 2, evaluator=False)
    more = ("--steps=1000000", "--log_every_n_iter=2", "--cluster_timeout=100")
    same = flags(small_data_dir, tmp_path / "model_dir", *more)

    def process(name):
        return start("cnn_mnist.main", same, tmp_path / name, configs[name])

    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(process(name)) for name in configs}
        killed = running.pop("chief")
        # The second; which steps the chief itself takes part in is a matter of chance.
        read_until(killed, r"Saving checkpoints for (1[0-9]|[2-9]\d|\d{3,}) ")
        killed.kill()
        killed.communicate()
        reached = saver.steps(tmp_path / "model_dir")[-1]
        running["chief"] = stack.enter_context(process("chief"))
        seen = read_until(running["chief"], "softmax_tensor")
        running.pop("ps-1").kill()
        printed = {name: process.communicate()[0] for name, process in running.items()}
    assert {name: process.returncode for name, process in running.items()} == {
        "chief": 1,
        "worker-0": 1,
        "ps-0": 1,
    }
    address = json.loads(configs["chief"])["cluster"]["ps"][1]
    for said in printed.values():
        assert re.search(rf"^error: ps 1 at {address} is gone", said, re.MULTILINE), printed
        assert "Traceback" not in said
    assert reached >= 7
    assert f"resuming at step {reached}: " in seen + printed["chief"]


def test_a_worker_with_other_flags_than_the_chief_is_refused(small_data_dir, tmp_path):
    configs = launcher.tf_configs(1, 1, evaluator=False)
    same = flags(small_data_dir, "model_dir", "--steps=1000000", "--strategy=sync")

    def process(name, *more):
        return start("cnn_mnist.main", [*same, *more], tmp_path / name, configs[name])

    with process("chief") as chief, process("ps-0") as server:
        with process("worker-0", "--batch_size=16") as worker:
            printed, _ = worker.communicate()
        assert worker.returncode == 2, printed
        refusal = r"^error: .*--batch_size is 16, the chief's 18;.*\n\Z"
        assert re.search(refusal, printed, re.MULTILINE)
        # One with the chief's flags is let in by the chief, which has waited for it.
        with process("worker-0", "--index_log_dir=indices") as worker:
            indices = tmp_path / "worker-0" / "indices" / "worker_0.jsonl"
            while not indices.exists() or len(indices.read_text().splitlines()) < 5:
                assert worker.poll() is None
                time.sleep(0.05)
            chief.send_signal(signal.SIGTERM)
            printed, _ = chief.communicate()
            assert chief.returncode == 143, printed
            assert saver.steps(tmp_path / "chief" / "model_dir")[-1] >= 4
            for other in (worker, server):
                assert other.poll() is None  # the chief may come back
                other.send_signal(signal.SIGTERM)
                printed, _ = other.communicate()
                assert other.returncode == 143, printed
    assert [path.name for path in (tmp_path / "worker-0").iterdir()] == ["indices"]
    assert list((tmp_path / "ps-0").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--workers=-1"], "--workers"),
        (["--workers=two"], "--workers"),
        (["--ps=0"], "--ps"),
        (["--ps="], "--ps"),
        (["--restarts=-1"], "--restarts"),
    ],
)
def test_wrong_counts_are_one_line(arguments, named, tmp_path):
    with start("cnn_mnist.cluster", arguments, tmp_path) as launcher:
        printed, _ = launcher.communicate()
    assert launcher.returncode == 2
    expected = rf"error: {named}: expected a whole number of at least \d, found '.*'; see --help\n"
    assert re.fullmatch(expected, printed)


def test_a_wrong_flag_of_all_processes_ends_all_with_2(small_data_dir, tmp_path):
    arguments = flags(small_data_dir, "model_dir", "--batch_size=1", "--strategy=sync")
    with start(
        "cnn_mnist.cluster", ["--workers=1", "--no-evaluator", *arguments], tmp_path
    ) as all_:
        printed, _ = all_.communicate()
    assert all_.returncode == 2, printed
    assert re.search(r"chief +\| error: --batch_size=1: expected at least 2", printed)
    assert not (tmp_path / "model_dir").exists()
