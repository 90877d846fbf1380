"""What is checked of a command before anything is loaded."""

import os
import tempfile
from pathlib import Path

import pytest

from cnn_mnist.utils.errors import UsageError, one_line
from cnn_mnist.utils.files import check_folder


def refusal(call, *args, **kwargs):
    with pytest.raises(UsageError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert len(message) < 1000
    return message


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with what a folder cannot be made of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("no folder")
    (tmp_path / "to_nowhere").symlink_to("nowhere")
    (tmp_path / "to_itself").symlink_to("to_itself")
    (tmp_path / "to_here").symlink_to(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [".", "new", "new/below/it", "to_here/new", "n" * 255, "\u00fc"])
def test_a_folder_that_is_there_or_can_be_made(here, name):
    check_folder("model_dir", name, writable=True)
    check_folder("model_dir", str(here / name), writable=True)
    assert len(list(here.iterdir())) == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is not a folder"),
        ("a_file", "is not a folder and cannot become one"),
        ("a_file/below/it", "is not a folder and cannot become one; a_file is in its way"),
        ("to_nowhere", "is not a folder"),
        ("to_nowhere/below", "to_nowhere is in its way"),
        ("to_itself", "is not a folder"),
        ("to_itself/below", "cannot be looked at (Too many levels of symbolic links)"),
        ("n" * 256, "names of at most 255 bytes, found 256"),
        ("new/" + "\u00fc" * 128, "names of at most 255 bytes, found 256"),
        ("new/" * 2000, "cannot be looked at (File name too long)"),
        ("n\udcff", "expected a name in UTF-8"),
        ("a_file/\n", "is not a folder"),
    ],
)
def test_a_folder_that_cannot_be(here, name, said):
    message = refusal(check_folder, "export_dir", name, writable=False)
    assert message.startswith("--export_dir=")
    assert said in message


def as_an_ordinary_user(call):
    """What `call()` returns, a string, in a process that may not write everywhere."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65_534)
        os.write(writing, call().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return said


def test_a_write_protected_place():
    with tempfile.TemporaryDirectory() as folder:  # which other users can look into
        Path(folder).chmod(0o555)
        name = f"{folder}/new"
        check_folder("model_dir", name, writable=False)
        said = as_an_ordinary_user(lambda: refusal(check_folder, "model_dir", name, writable=True))
    assert said == (
        f"--model_dir={name}: expected a place to write to, but {folder} is write-protected"
    )


def test_one_line():
    assert one_line("a\n  b\tc\x1b[2J\udcff") == r"a b c\x1b[2J\udcff"
