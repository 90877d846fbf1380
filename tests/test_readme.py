"""README's first commands, typed one after the other in a copy of the project."""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from conftest import ROOT

FIRST = [
    "make train RECIPE=fast",
    "make train",
    "make eval",
    "make tensorboard",
    "make web",
    "make cluster RECIPE=fast",
]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "node_modules", "dist", "trained-*", "*cache*")
# Of a user who has no hour to spend, and has set everything up.
SHORT = {"STEPS": "20", "VENV": "venv", "PORT": "0"}


@pytest.fixture
def project(tmp_path):
    """A copy of the project beside a virtual environment that is set up: that of the tests."""
    copy = shutil.copytree(ROOT, tmp_path / "project", ignore=LEFT_OUT)
    for path in (copy / "model_dir").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "README.md":
            path.unlink()
    (copy / "venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if not path.name.startswith("installed"):
            (copy / "venv" / path.name).symlink_to(path)
    (copy / "venv" / "installed").touch()
    modules = ROOT / "web" / "node_modules"
    if modules.is_dir():
        (copy / "web" / "node_modules").symlink_to(modules)
    return copy


def start(project, command):
    """The command as a shell runs it: make, and what make starts, in a process group."""
    names = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "RECIPE", "MODEL_DIR", "CONSTRAINTS", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.Popen(
        ["sh", "-c", command],
        cwd=project,
        env={**environment, **SHORT, "TF_CPP_MIN_LOG_LEVEL": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def typed(project, command):
    """Exit code, stdout and stderr of a command."""
    process = start(project, command)
    stdout, stderr = process.communicate()
    return process.returncode, stdout, stderr


def served(project, command):
    """The page that a command serves at the address that it prints; then Ctrl-C ends it."""
    process = start(project, command)
    lines = iter(process.stdout.readline, "")
    try:
        address = next(filter(None, (re.search(r"http://\S+", line) for line in lines)))
        with urllib.request.urlopen(address[0]) as response:
            return response.read().decode()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate()
        assert "Traceback" not in stderr


def test_the_first_block_is_what_is_typed_here():
    text = (ROOT / "README.md").read_text()
    block = re.search(r"## From nothing.*?```sh\n(.*?)```", text, re.DOTALL)[1]
    assert [line.partition("#")[0].strip() for line in block.splitlines()] == FIRST


@pytest.mark.long
def test_the_first_commands_work_as_they_are_typed(project):
    train_fast, train, evaluate, tensorboard, web, cluster = FIRST
    code, stdout, stderr = typed(project, train_fast)
    assert code == 0, stderr
    assert "\ncheckpoints   model_dir/fast/model.ckpt-20\n" in stdout

    # Before the classic network is trained, the next command names what is there.
    code, stdout, stderr = typed(project, evaluate)
    assert (code, stdout) == (2, "")
    assert stderr.splitlines()[0] == (
        "error: --model_dir=model_dir: holds no checkpoint; model_dir/fast holds one: "
        "--model_dir=model_dir/fast, or make eval RECIPE=fast"
    )
    code, stdout, stderr = typed(project, f"{evaluate} RECIPE=fast")
    assert code == 0, stderr
    assert "on 10,000 images at step 20\n" in stdout

    code, stdout, stderr = typed(project, train)
    assert code == 0, stderr
    assert "\ncheckpoints   model_dir/model.ckpt-20\n" in stdout
    code, stdout, stderr = typed(project, evaluate)
    assert code == 0, stderr
    assert "\ncheckpoints   model_dir/model.ckpt-20\n" in stdout
    assert stderr == ""

    assert "<title>TensorBoard</title>" in served(project, tensorboard)
    assert "<title>TensorBoard</title>" in served(project, f"{tensorboard} RECIPE=fast")
    if shutil.which("npm"):
        assert "<title>" in served(project, web)
        models = project / "web" / "dist" / "models"
        assert (models / "trained-fast" / "model.json").is_file()
    else:
        code, _, stderr = typed(project, web)
        assert code == 2 and "The page needs Node.js" in stderr
    # Twenty steps read few digits, so that the exit code is not asked for.
    _, stdout, stderr = typed(project, "make digits RECIPE=fast")
    assert re.search(r"^right: \d+ of 20; wrong: ", stdout, re.MULTILINE), stderr

    code, stdout, stderr = typed(project, cluster)
    assert code == 0, stderr
    place = "model_dir/cluster/fast/model.ckpt-20"
    assert re.search(rf"^evaluator \| checkpoints   {place}$", stdout, re.MULTILINE)
