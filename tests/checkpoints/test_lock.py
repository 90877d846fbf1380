import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from cnn_mnist.checkpoints import lock
from conftest import ROOT

HOLDER = """
import sys, time
from cnn_mnist.checkpoints import lock
with lock.held(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_folder_is_made_and_the_file_tells_who_holds_the_lock(tmp_path):
    folder = tmp_path / "new" / "folder"
    with lock.held(str(folder)):
        told = json.loads((folder / lock.FILE).read_text())
    assert told == {"pid": os.getpid(), "host": socket.gethostname()}


def test_another_process_is_named_with_its_host(tmp_path, holder):
    with pytest.raises(lock.LockError) as raised, lock.held(str(tmp_path)):
        pytest.fail("two processes hold one lock")
    assert str(raised.value) == (
        f"--model_dir={tmp_path}: is being trained by process {holder.pid} on "
        f"{socket.gethostname()}; wait for it, end it, or name another --model_dir"
    )


def test_whoever_fails_to_get_the_lock_leaves_the_holders_name(tmp_path, holder):
    with pytest.raises(lock.LockError), lock.held(str(tmp_path)):
        pass
    assert json.loads((tmp_path / lock.FILE).read_text())["pid"] == holder.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_goes_with_its_process(tmp_path, holder, number):
    holder.send_signal(number)
    holder.wait()
    with lock.held(str(tmp_path)):
        assert json.loads((tmp_path / lock.FILE).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"pid": "x", "host": 1}',
        b'{"pid": 1e99}',
        b"\xff\xfe",
        b"9" * 999,
    ],
)
def test_stale_content_keeps_nobody_out_and_is_replaced(tmp_path, content):
    (tmp_path / lock.FILE).write_bytes(content)
    with lock.held(str(tmp_path)):
        assert json.loads((tmp_path / lock.FILE).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    "content",
    [b"", b"rubbish", b'{"pid": 2147483600, "host": "' + socket.gethostname().encode() + b'"}'],
)
def test_a_holder_that_does_not_tell_its_name_is_another_process(
    tmp_path, holder, content, monkeypatch
):
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    (tmp_path / lock.FILE).write_bytes(content)
    with pytest.raises(lock.LockError, match="trained by another process; "):
        lock.held(str(tmp_path)).__enter__()


def test_a_folder_in_the_place_of_the_file_is_told_with_its_path(tmp_path):
    (tmp_path / lock.FILE).mkdir()
    with pytest.raises(OSError, match=re.escape(str(tmp_path / lock.FILE))):
        lock.held(str(tmp_path)).__enter__()


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), lock.held(str(tmp_path)):
        raise KeyError
    with lock.held(str(tmp_path)):
        pass
