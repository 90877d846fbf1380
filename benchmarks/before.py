"""The package as it was at some commit, in a git worktree of its own, to measure against."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import ROOT


@contextlib.contextmanager
def worktree(commit: str, repository: Path = ROOT) -> Iterator[Path]:
    """While entered, a folder holds the files of a commit of a repository.

    Raises:
      RuntimeError: there is no such commit, or no git.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "before")
        _git(repository, "worktree", "add", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git(repository, "worktree", "remove", "--force", str(tree))


def _git(repository: Path, *arguments: str) -> None:
    try:
        subprocess.run(
            ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise RuntimeError(f"git {arguments[0]}: {error}") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"git {' '.join(arguments[:2])}: {error.stderr.strip()}") from None
