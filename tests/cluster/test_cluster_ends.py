"""How clusters of real processes end: kills, signals, and flags that are refused."""

import contextlib
import json
import os
import re
import signal
import time

import numpy as np
import pytest
from clusters import flags, nothing_is_left_of, process_of, start, train

from cnn_mnist.checkpoints import saver
from cnn_mnist.cluster import launcher

RESUME = "the newest checkpoint is whole: start the same commands again, and they resume there"


def read_until(process, pattern):
    """Reads lines up to the one that has the pattern in it; returns them."""
    lines = [process.stdout.readline()]
    while not re.search(pattern, lines[-1]):
        assert process.poll() is None, lines
        lines.append(process.stdout.readline())
    return "".join(lines)


class Processes:
    """A chief and a worker, without the launcher, at the same addresses as often as started."""

    def __init__(self, data_dir, folder, *more):
        self.folder, self._configs = folder, launcher.tf_configs(1, evaluator=False)
        self._same = flags(data_dir, folder / "model_dir", "--log_every_n_iter=2", *more)
        self.address = json.loads(self._configs["chief"])["cluster"]

    @contextlib.contextmanager
    def running(self):
        with contextlib.ExitStack() as stack:
            yield {
                name: stack.enter_context(
                    start("cnn_mnist.main", self._same, self.folder / name, config)
                )
                for name, config in self._configs.items()
            }


long = pytest.mark.long


@pytest.mark.parametrize("victim", [pytest.param("chief", marks=long), "worker-0"])
def test_without_one_all_end_and_started_again_come_to_the_same(small_data_dir, tmp_path, victim):
    more = ("--strategy=multi_worker", "--steps=40")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(whole, flags(small_data_dir, "model_dir", *more), workers=1)
    broken.mkdir()
    cluster = Processes(small_data_dir, broken, *more, "--cluster_timeout=100")
    with cluster.running() as running:
        read_until(running["chief"], "Saving checkpoints for 14 ")
        killed = running.pop(victim)
        killed.kill()
        ((other, process),) = running.items()
        printed, _ = process.communicate()
    assert process.returncode == 1, printed
    who, job = ("the chief", "chief") if victim == "chief" else ("worker 0", "worker")
    said = f"error: {who} at {cluster.address[job][0]} is gone; {RESUME}\n"
    assert printed.count("error: ") == 1 and printed.endswith(said), printed
    with cluster.running() as running:
        printed = {name: process.communicate()[0] for name, process in running.items()}
    assert {name: process.returncode for name, process in running.items()} == {
        "chief": 0,
        "worker-0": 0,
    }, printed
    assert re.search(r"^resuming at step (7|14|21|28): ", printed["chief"]), printed
    expected, found = (
        saver.read(folder / "model_dir" / "model.ckpt-40") for folder in (whole, broken)
    )
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_worker_that_is_told_to_end_has_the_chief_save(small_data_dir, tmp_path):
    cluster = Processes(small_data_dir, tmp_path, "--steps=1000000")
    with cluster.running() as running:
        read_until(running["chief"], "softmax_tensor")
        running["worker-0"].send_signal(signal.SIGTERM)
        printed = {name: process.communicate()[0] for name, process in running.items()}
    assert {name: process.returncode for name, process in running.items()} == {
        "chief": 1,
        "worker-0": 143,
    }, printed
    saved = re.search(
        r"^error: worker 0 was told to end, and step ([\d,]+) is saved: start the same commands "
        r"again, and they resume there\n\Z",
        printed["chief"],
        re.MULTILINE,
    )
    assert saved, printed
    assert saver.steps(tmp_path / "model_dir")[-1] == int(saved[1].replace(",", "")) > 0
    assert "error" not in printed["worker-0"]


@long
def test_a_training_that_is_done_ends_all_at_once(small_data_dir, tmp_path):
    cluster = Processes(small_data_dir, tmp_path, "--steps=3")
    for said in ("trained 3 steps", "step 3 of 3 is reached: nothing left to train"):
        with cluster.running() as running:
            printed = {name: process.communicate()[0] for name, process in running.items()}
            codes = {process.returncode for process in running.values()}
        assert codes == {0}, printed
        assert said in printed["chief"]
    assert printed["worker-0"].endswith("nothing left to train\n")


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=long), signal.SIGTERM])
def test_a_signal_to_the_launcher_ends_all_and_saves(small_data_dir, tmp_path, number):
    more = ("--strategy=auto", "--steps=1000000", "--log_every_n_iter=2")
    arguments = ["--workers=1", *flags(small_data_dir, "model_dir", *more)]
    with start("cnn_mnist.cluster", arguments, tmp_path) as launcher:
        read_until(launcher, "softmax_tensor")
        launcher.send_signal(number)
        printed = launcher.communicate()[0]
    code = 128 + number
    assert launcher.returncode == code, printed
    assert "Traceback" not in printed
    saved = re.search(rf"chief +\| {number.name}: saved at step ([\d,]+);", printed)
    assert saved, printed
    assert saver.steps(tmp_path / "model_dir")[-1] == int(saved[1].replace(",", "")) > 0
    for name in ("chief", "worker-0", "evaluator"):
        assert re.search(rf"^{name} +\| ended with {code}$", printed, re.MULTILINE), printed
    assert nothing_is_left_of(tmp_path)


@long
@pytest.mark.parametrize("restarts", [0, 1])
def test_the_launcher_starts_all_again_as_often_as_it_may(small_data_dir, tmp_path, restarts):
    more = ("--steps=300", "--save_checkpoints_steps=20", "--log_every_n_iter=10")
    arguments = [
        *("--workers=1", f"--max_restarts={restarts}", "--no-evaluator"),
        *flags(small_data_dir, "model_dir", *more),
    ]
    with start("cnn_mnist.cluster", arguments, tmp_path) as launcher:
        read_until(launcher, r"chief +\| .*Saving checkpoints for 20 ")
        os.kill(process_of(tmp_path, "worker")[0], signal.SIGKILL)
        printed = launcher.communicate()[0]
    assert "Traceback" not in printed
    assert re.search(r"^worker-0 +\| ended with 137$", printed, re.MULTILINE), printed
    assert re.search(r"^chief +\| error: worker 0 at .* is gone; ", printed, re.MULTILINE), printed
    again = r"^chief +\| chief and workers are started again, and may be 0 times more$"
    assert bool(re.search(again, printed, re.MULTILINE)) == bool(restarts), printed
    assert launcher.returncode == 1 - restarts, printed
    if restarts:
        assert saver.steps(tmp_path / "model_dir")[-1] == 300
    assert nothing_is_left_of(tmp_path)


def test_a_worker_with_other_flags_than_the_chief_is_refused(small_data_dir, tmp_path):
    configs = launcher.tf_configs(1, evaluator=False)
    same = flags(small_data_dir, "model_dir", "--steps=1000000", "--strategy=multi_worker")

    def process(name, *more):
        return start("cnn_mnist.main", [*same, *more], tmp_path / name, configs[name])

    with process("chief") as chief:
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
            for each in (chief, worker):
                each.send_signal(signal.SIGTERM)
            for each in (chief, worker):
                printed, _ = each.communicate()
                assert each.returncode == 143, printed
    assert saver.steps(tmp_path / "chief" / "model_dir")[-1] >= 4
    assert [path.name for path in (tmp_path / "worker-0").iterdir()] == ["indices"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--workers=-1"], "--workers"),
        (["--workers=two"], "--workers"),
        (["--max_restarts=-1"], "--max_restarts"),
        (["--max_restarts="], "--max_restarts"),
    ],
)
def test_wrong_counts_are_one_line(arguments, named, tmp_path):
    with start("cnn_mnist.cluster", arguments, tmp_path) as launcher:
        printed, _ = launcher.communicate()
    assert launcher.returncode == 2
    expected = rf"error: {named}: expected a whole number of at least \d, found '.*'; see --help\n"
    assert re.fullmatch(expected, printed)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--ps=1", "--ps: was taken out: --strategy=multi_worker needs no parameter servers;"),
        ("--restarts=1", "--restarts: was taken out: --max_restarts starts chief and workers"),
    ],
)
def test_what_was_taken_out_is_told_in_a_sentence(argument, said, tmp_path):
    with start("cnn_mnist.cluster", [argument], tmp_path) as launcher:
        printed, _ = launcher.communicate()
    assert (launcher.returncode, printed.count("\n")) == (2, 1)
    assert printed.startswith(f"error: {said}")


def test_a_wrong_flag_of_all_processes_ends_all_with_2(small_data_dir, tmp_path):
    arguments = flags(small_data_dir, "model_dir", "--batch_size=1")
    with start(
        "cnn_mnist.cluster", ["--workers=1", "--no-evaluator", *arguments], tmp_path
    ) as all_:
        printed, _ = all_.communicate()
    assert all_.returncode == 2, printed
    assert re.search(r"chief +\| error: --batch_size=1: expected at least 2", printed)
    assert not (tmp_path / "model_dir").exists()
