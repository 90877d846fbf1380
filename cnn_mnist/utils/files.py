"""Folders that can be used, and files that appear whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cnn_mnist.utils.errors import InputError, UsageError, shown

LONGEST_NAME = 255  # bytes of a file's name, on Linux and macOS


def write_files(folder: str | os.PathLike, contents: Mapping[str, bytes]) -> list[Path]:
    """Writes files, name -> bytes, into a folder, which is made if need be; returns their paths.

    All are written to temporary names first, and moved into place once all are on disk. If one
    cannot be written, what was there before stays, and no temporary file is left.

    Raises:
      OSError: the folder or a file cannot be written; its `filename` names it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: folder / f".{name}.{os.getpid()}.part" for name in contents}
    try:
        for name, content in contents.items():
            with naming(folder / name), parts[name].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, part in parts.items():
            with naming(folder / name):
                part.replace(folder / name)
        sync(folder)
    except BaseException:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise
    return [folder / name for name in contents]


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Lets every `OSError` of the system name a path; that of a full disk has no name."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
            del error.filename2  # the second name of a move
        raise


def sync(path: str | os.PathLike) -> None:
    """Forces a file's content, or a folder's list of names, onto the disk."""
    with naming(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_free(export_dir: str, flag: str = "export_dir") -> None:
    """Raises InputError, which names the flag, unless a folder can be made or is empty."""
    folder = Path(export_dir)
    if not export_dir or (folder.exists() and not folder.is_dir()):
        raise InputError(f"--{flag}={export_dir}: is not a folder and cannot become one")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"--{flag}={export_dir}: is not empty; name a new folder")


@contextlib.contextmanager
def whole_folder(export_dir: str, flag: str = "export_dir") -> Iterator[Path]:
    """Makes the folder `export_dir`, with everything in it or not at all.

    Yields the path of a folder that is not there yet. What the caller has put there by the end
    becomes `export_dir`; if the caller fails, nothing is left but the folders above it.

    Raises:
      InputError: see `check_free`.
      OSError: it cannot be written to. Its `filename` is `export_dir`.
    """
    check_free(export_dir, flag)
    target = Path(export_dir).resolve()  # of a link, the folder itself
    with naming(export_dir):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export.") as parts:
            built = Path(parts, "whole")
            yield built
            built.replace(target)


def check_folder(flag: str, name: str, *, writable: bool) -> None:
    """Raises UsageError, which starts with the flag, if a folder neither exists nor can be made.

    Makes nothing. `writable`: whether files are to be written there.
    """
    start = f"--{flag}={shown(name) if name else ''}"
    if not name:
        raise UsageError(f"{start}: is not a folder and cannot become one; give it a name")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{start}: expected a name in UTF-8, which TensorFlow needs") from None
    path = Path(name)
    longest = max((len(part.encode()) for part in path.parts), default=0)
    if longest > LONGEST_NAME:
        raise UsageError(
            f"{start:.200}: expected names of at most {LONGEST_NAME} bytes, found {longest}"
        )
    try:
        existing = next(place for place in (path, *path.parents) if _is_there(place))
    except OSError as error:
        raise UsageError(f"{start:.200}: cannot be looked at ({error.strerror})") from None
    if not existing.is_dir():
        raise UsageError(
            f"{start}: is not a folder and cannot become one; {existing} is in its way"
        )
    if writable and not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(
            f"{start}: expected a place to write to, but {existing} is write-protected"
        )


def _is_there(path: Path) -> bool:
    """Whether there is anything of this name, even a link to nowhere."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
