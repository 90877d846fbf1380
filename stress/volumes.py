"""Volumes of their own for a training: small, and such as can be frozen for a while."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

SIZE = 64 * 2**20  # bytes


class Volume:
    """A file system at a place; whoever writes while it is frozen waits, as for a slow disk."""

    def __init__(self, place: Path) -> None:
        """Sets the place."""
        self.place = place

    def freeze(self) -> None:
        """Lets no write through from now on."""
        _run("fsfreeze", "--freeze", str(self.place))

    def thaw(self) -> None:
        """Lets all through again."""
        _run("fsfreeze", "--unfreeze", str(self.place))


@contextlib.contextmanager
def mounted(place: Path) -> Iterator[Volume]:
    """While entered, there is an empty volume at a place, which is made.

    Raises:
      OSError, CalledProcessError: this machine cannot have one.
    """
    place.mkdir(parents=True)
    image = place.with_name(f"{place.name}.image")
    with image.open("wb") as file:
        file.truncate(SIZE)
    _run("mkfs.ext4", "-q", str(image))
    _run("mount", "-o", "loop", str(image), str(place))
    volume = Volume(place)
    try:
        (place / "lost+found").rmdir()
        yield volume
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # it is not frozen
            volume.thaw()
        _run("umount", "--lazy", str(place))


def why_not(folder: Path) -> str:
    """Why this machine cannot have such volumes; "" if it can."""
    try:
        with mounted(folder / "volume") as volume:
            volume.freeze()
            volume.thaw()
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return f"no volumes here: {said.strip()}"
    return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
