import errno
import os
from pathlib import Path

import pytest

from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.files import whole_folder, write_files


def found(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_all_and_makes_the_folder(tmp_path):
    folder = tmp_path / "new" / "folder"
    paths = write_files(str(folder), {"a.txt": b"one", "b.png": b"\x89two"})
    assert paths == [folder / "a.txt", folder / "b.png"]
    assert found(folder) == {"a.txt": b"one", "b.png": b"\x89two"}
    write_files(folder, {"a.txt": b"three"})
    assert found(folder) == {"a.txt": b"three", "b.png": b"\x89two"}


def test_files_have_the_users_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        (path,) = write_files(tmp_path, {"a.txt": b"one"})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_when_one_cannot_be_written_everything_stays_as_it_was(tmp_path, monkeypatch, error):
    write_files(tmp_path, {"a.txt": b"old"})
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise error

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(type(error)):
        write_files(tmp_path, {"a.txt": b"new", "b.txt": b"new", "c.txt": b"new"})
    assert found(tmp_path) == {"a.txt": b"old"}


def test_when_one_cannot_be_moved_no_temporary_file_is_left(tmp_path):
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(OSError):
        write_files(tmp_path, {"a.txt": b"new", "b.txt": b"new", "c.txt": b"new"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_a_file_in_the_place_of_the_folder(tmp_path):
    path = tmp_path / "taken"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_files(path, {"a.txt": b"new"})
    assert Path(path).read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["new", "new/below/it", "empty", "link", ".", "n" * 255])
def test_a_whole_folder(tmp_path, monkeypatch, name):
    here = tmp_path / "here"
    (here / "empty").mkdir(parents=True)
    (here / "link").symlink_to("empty")
    monkeypatch.chdir(here / "empty" if name == "." else here)
    target = Path(name).resolve()
    with whole_folder(name) as folder:
        assert not folder.exists()
        write_files(folder, {"a.txt": b"one"})
        assert not target.exists() or not any(target.iterdir())
    assert found(target) == {"a.txt": b"one"}
    assert target.stat().st_mode & 0o077 == (here.stat().st_mode & 0o077)
    assert (here / "link").is_symlink()
    assert not list(tmp_path.rglob(".export*"))


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_folder_that_is_not_whole_is_not_there(tmp_path, error):
    with pytest.raises(type(error)) as caught, whole_folder(str(tmp_path / "new")) as folder:
        write_files(folder, {"a.txt": b"one"})
        raise error
    assert getattr(caught.value, "filename", str(tmp_path / "new")) == str(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_stays_as_it_is(tmp_path):
    write_files(tmp_path / "full", {"a.txt": b"one"})
    with pytest.raises(InputError, match="is not empty"), whole_folder(str(tmp_path / "full")):
        raise AssertionError
    with pytest.raises(OSError) as caught, whole_folder(str(tmp_path / "new")) as folder:
        folder.mkdir()
        write_files(tmp_path / "new", {"b.txt": b"from somebody else"})
    assert caught.value.filename == str(tmp_path / "new")
    assert found(tmp_path / "full") == {"a.txt": b"one"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "new"]
