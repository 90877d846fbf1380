"""What the commands do where they cannot do all that they would."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from cnn_mnist import main
from conftest import ROOT
from stress import programs


@pytest.fixture(scope="module")
def trained(small_data_dir, tmp_path_factory):
    """The flags of the small data, and a folder that they were trained in."""
    folder = tmp_path_factory.mktemp("trained") / "model_dir"
    flags = [f"--data_dir={small_data_dir}", "--validation_size=37"]
    more = ["--recipe=tfjs", "--train_size=0", "--steps=2", "--mode=train"]
    assert main.main(["main", *flags, *more, f"--model_dir={folder}"]) == 0
    return [*flags, "--train_size=0"], folder


def files_below(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("protected", ["", pytest.param("report", marks=pytest.mark.long)])
def test_eval_of_a_write_protected_folder_prints_its_table(trained, tmp_path, protected):
    flags, folder = trained
    model_dir = shutil.copytree(folder, tmp_path / "model_dir")
    place = model_dir / protected
    place.mkdir(exist_ok=True)
    before = files_below(tmp_path)
    command = [sys.executable, "-m", "cnn_mnist.main", *flags, "--mode=eval"]
    if os.geteuid() == 0:  # whom permissions do not stop: a mount does, in a name space of its own
        mounts = f"mount --bind {place} {place} && mount -o remount,ro,bind {place} && "
        command = ["unshare", "--mount", "sh", "-c", f"{mounts} exec {shlex.join(command)}"]
    else:
        place.chmod(0o555)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = files_below(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    place.chmod(0o755)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "Every class, the worst first"
    assert lines[-4].startswith("test accuracy 0.") and lines[-4].endswith(" at step 2")
    name = f"model_dir/{protected}".rstrip("/")
    assert lines[-3] == f"report        left out, with all its files: {name} is write-protected"
    assert lines[-2] == "checkpoints   model_dir/model.ckpt-2"
    assert lines[-1].startswith("curves ")
    after = files_below(tmp_path)
    assert {p: t for p, t in after.items() if p not in (place, scratch)} == {
        p: t for p, t in before.items() if p not in (place, scratch)
    }


NOTHING_LEFT = """
import sys
from cnn_mnist import main
from cnn_mnist.utils import process
for line in sys.argv[1:]:
    assert main.main(["main", *line.split()]) == 0, line
process.leave(0)  # as a command ends: Python's own end would delete some files
"""


def test_nothing_is_left_in_the_temporary_folder(small_data_dir, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    shards = ("--shards=3", "--output_dir=shards", f"--data_dir={small_data_dir}")
    written = programs.run("-m", "cnn_mnist.shards", *shards, cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    small = "--validation_size=37 --train_size=0"
    commands = [
        f"--recipe=tfjs {small} --data_dir={small_data_dir} --steps=2 --model_dir=one",
        f"--recipe=tfjs {small} --data_dir={small_data_dir} --steps=5 --model_dir=one"
        " --steps_per_call=2",
        f"--recipe=tfjs {small} --data_dir=shards --steps=3 --model_dir=two --steps_per_call=2",
        f"--mode=predict --images={ROOT}/tests/digits/1_large.png --model_dir=one",
        f"--mode=export --export_dir=exported --model_dir=one --data_dir={small_data_dir} {small}",
    ]
    # A new interpreter, which has not looked yet where the temporary folder is.
    environment = {"TMPDIR": str(scratch)}
    done = programs.run("-c", NOTHING_LEFT, *commands, cwd=tmp_path, env=environment, fresh=True)
    assert done.returncode == 0, done.stderr
    assert list(scratch.rglob("*")) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        *("scratch", "shards", "one", "two", "exported"),
    }
