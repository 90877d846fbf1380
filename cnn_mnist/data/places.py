"""The files of a place, which is a folder, a single file, or a zip or tar archive.

A file of an archive is read as one on disk is: nothing is unpacked to disk, and only what a reader
asks for is unpacked at all. A tar archive in gzip, which has no list, is unpacked into memory.

Where there is no such file, a path means those whose names begin so: `gzip/emnist-letters` the
files `emnist-letters-*` in `gzip`, and `emnist.zip/gzip` what is in that folder of the archive.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnn_mnist.data.sources import PIECE, DatasetError, Source, first_bytes
from cnn_mnist.utils.errors import one_line, reason, shown

MAX_DEPTH = 5  # folders below a place that are looked into
MAX_FILES = 1_000_000  # of a folder
MAX_MEMBERS = 250_000  # of an archive
MAX_LIST = 64 << 20  # bytes of a zip archive's list of members; 250,000 take about 25 MB
MAX_AT_ONCE = 1 << 20  # bytes that a library may read at once, beyond a zip archive's list
MAX_PADDING = 1 << 16  # bytes of a gzip file: names, and the zeros that may follow its content
MAX_WHOLE = 2 << 30  # bytes of a file that must be in memory as a whole
MAX_RATIO, RATIO_FROM = 300, 256 << 20  # a file of more bytes is at most so many times its packed
ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"
TAR_BLOCK = 512
# What systems leave in folders and archives, and what belongs to no data set.
LITTER = re.compile(r"(^|/)(\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)$|(^|/)(__MACOSX|\.git)/")


@dataclass(frozen=True, eq=False)
class File:
    """A file of a place."""

    name: str  # below the place: "train/3/17.png"
    path: Path  # on disk: the file itself, or the archive that holds it
    member: str  # its name in the archive; empty on disk
    _open: Callable[[], Any]

    def __str__(self) -> str:
        return str(self.source())

    @property
    def base(self) -> str:
        """The name without its folders."""
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The folders of the name; empty for none."""
        return self.name.rpartition("/")[0]

    def source(self, member: str = "", *, compressed: bool = False) -> Source:
        """Where its content comes from; `member`: of an archive that the file is itself."""
        inner = ", ".join(name for name in (self.member, member) if name)
        return Source(self.path, inner, compressed or bool(self.member) or bool(member))

    def open(self) -> io.BufferedReader:
        """Its content, in bytes; raises what reading raises, or a DatasetError."""
        return self._open()

    @contextmanager
    def unpacked(self, expected: str) -> Iterator[tuple[Source, io.BufferedIOBase]]:
        """Its content, unpacked if it is gzip (told by its first bytes), and where it comes from.

        What goes wrong while it is read becomes a DatasetError.
        """
        with self.source().reading("a readable file"):
            stream = self.open()
        with stream:
            with self.source().reading(expected):
                packed = stream.peek(2)[:2] == GZIP
            source = self.source(compressed=packed)
            with source.reading(expected):
                if packed:
                    with gzip.GzipFile(fileobj=_Gzip(stream)) as content:  # type: ignore[arg-type]
                        yield source, content
                else:
                    yield source, stream

    def start(self, size: int = 512) -> bytes:
        """Its first bytes, unpacked if it is gzip; as many as can be read."""
        content = bytearray()
        with contextlib.suppress(DatasetError), self.unpacked("readable content") as (_, stream):
            while len(content) < size and (piece := stream.read1(min(PIECE, size - len(content)))):
                content += piece
        return bytes(content)

    def whole(self, most: int = MAX_WHOLE) -> bytearray:
        """All its bytes, as they are; DatasetError if there are more than `most`."""
        source = self.source()
        with source.reading("a readable file"), self.open() as stream:
            while piece := stream.read1(PIECE):
                source.content.extend(piece)
                if len(source.content) > most:
                    raise source.error(most, f"at most {most} bytes", "more")
        return source.content


@dataclass(frozen=True)
class Place:
    """A folder, a file or an archive, and the files in it, sorted by their names."""

    path: Path
    files: tuple[File, ...]
    archive: str = ""  # "zip" or "tar"

    def error(self, expected: str, found: str, remedy: str) -> DatasetError:
        """One line that begins with the place."""
        return DatasetError(
            one_line(f"{shown(self.path)}: expected {expected}, found {found}; {remedy}")
        )

    def part(self, files: Iterable[File]) -> Place:
        """The place with some of its files."""
        return Place(self.path, tuple(files), self.archive)


class _Gzip(io.BufferedReader):
    """A file of which `gzip` cannot skip gigabytes of zeros, which it does one by one."""

    _skipped = 0

    def read(self, size: int | None = -1) -> bytes:
        self._skipped += size == 1
        if self._skipped > MAX_PADDING:
            raise gzip.BadGzipFile(f"more than {MAX_PADDING} bytes of names and padding")
        return super().read(size)


class _Bounded(io.BufferedReader):
    """A file of which a library cannot read more at once than it should."""

    most = MAX_LIST

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self.most:
            raise zipfile.BadZipFile(f"{size} bytes at once, at most {self.most}")
        return super().read(size)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts names as people count: 2.png before 10.png."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(p[:18]), p) if i % 2 else (0, p) for i, p in enumerate(parts)]


def open_place(path: str | os.PathLike) -> Place:
    """The files of a folder, a file or an archive; see the module for what `path` may be.

    Raises:
      DatasetError: it is not there, cannot be listed, or has too many files.
    """
    whole = Path(path)
    try:
        if whole.is_dir():
            return Place(whole, tuple(_files_of_folder(whole)))
        if stat.S_ISREG(whole.stat().st_mode):
            return _place_of_file(whole)
        raise NotADirectoryError(0, "Not a directory", str(whole))
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        if isinstance(error, DatasetError):
            raise
        part = _part_of_place(whole) if isinstance(error, OSError) else None
        if part is None:
            raise Place(whole, ()).error(
                "a folder that can be listed",
                reason(error),
                "give --data_dir a folder or an archive with one of the forms of docs/data.md",
            ) from error
        return part


def _part_of_place(path: Path) -> Place | None:
    """The files whose names begin as the end of a path does; None if there are none."""
    above = next((parent for parent in path.parents if parent.exists()), None)
    if above is None:
        return None
    rest = str(path.relative_to(above)).replace(os.sep, "/")
    archive = ""
    if above.is_file():
        place = open_place(above)
        files, archive = place.files, place.archive
    elif "/" in rest:
        return None
    else:
        try:
            with os.scandir(above) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
        except OSError:
            return None
        files = tuple(file_on_disk(name, above / name) for name in names)
    chosen = tuple(file for file in files if _continues(file.name, rest))
    return Place(path, chosen, archive) if chosen else None


def _continues(name: str, start: str) -> bool:
    return name == start or (name.startswith(start) and name[len(start)] in "/-_")


def _files_of_folder(folder: Path) -> list[File]:
    """All files, and what is no file and no folder; an empty folder counts as such."""
    found: list[tuple[str, Path]] = []
    seen: set[tuple[int, int]] = set()

    def look(below: str, here: Path, depth: int) -> None:
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:  # a link to what was listed
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(here) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        if below and not listed:
            found.append((below.rstrip("/"), here))
        for entry in listed:
            name = below + entry.name
            if _is_folder(entry):
                if depth < MAX_DEPTH and not LITTER.search(name + "/"):
                    look(name + "/", here / entry.name, depth + 1)
            elif not LITTER.search(name):
                found.append((name, here / entry.name))
            if len(found) > MAX_FILES:
                raise Place(folder, ()).error(
                    f"at most {MAX_FILES} files", "more", "give --data_dir a smaller folder"
                )

    look("", folder, 0)
    found.sort(key=lambda entry: natural(entry[0]))
    return [file_on_disk(name, path) for name, path in found]


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def file_on_disk(name: str, path: Path) -> File:
    """A file by its path; nothing is looked at."""

    def opened() -> io.BufferedReader:
        first_bytes(path)  # raises for what is no regular file
        return io.BufferedReader(path.open("rb", buffering=0))

    return File(name, path, "", opened)


def _place_of_file(path: Path) -> Place:
    file = file_on_disk(path.name, path)
    if kind := archive_kind(file):
        return open_archive(file, kind)
    return Place(path, (file,))


def archive_kind(file: File) -> str:
    """ "zip" or "tar" if it is such an archive by its name and its first bytes, else empty."""
    name = file.base.lower()
    if name.endswith(".zip"):
        return "zip" if file.start(4) in (ZIP, b"PK\x05\x06") else ""
    if re.search(r"\.(tar|tar\.gz|tgz)$", name):
        return "tar" if len(file.start(1)) else ""
    return ""


def open_archive(file: File, kind: str) -> Place:
    """The files of an archive on disk."""
    with file.source().reading(f"a {kind} archive"):
        members = _zip_members(file) if kind == "zip" else _tar_members(file)
    files = [
        File(name, file.path, name, opened)
        for name, opened in members
        if not LITTER.search(name) and name
    ]
    files.sort(key=lambda member: natural(member.name))
    names = [member.name for member in files]
    for one, other in zip(names, names[1:], strict=False):
        if one == other:
            raise file.source(one).error_at("", "one member of this name", "two", "pack it anew")
    return Place(file.path, tuple(files), kind)


Members = list[tuple[str, Callable[[], Any]]]  # names, and how they are opened


def _zip_members(file: File) -> Members:
    raw = _Bounded(file.path.open("rb", buffering=0))
    archive = zipfile.ZipFile(raw)
    infos = archive.infolist()
    _check_members(file, len(infos))
    check_list(file.source(), raw, archive)
    return [
        (info.filename, functools.partial(_open_member, file, archive, info))
        for info in infos
        if not info.is_dir()
    ]


def check_list(source: Source, raw: io.BufferedReader, archive: zipfile.ZipFile) -> None:
    """Compares a zip archive's list of members with its end and with the members themselves.

    How many there are, and how each is named, stands twice in it: what damage has taken out of the
    list is not left out in silence.
    """
    infos = archive.infolist()
    size = raw.seek(0, io.SEEK_END)
    raw.seek(max(0, size - 22 - 0xFFFF))
    tail = raw.read(22 + 0xFFFF)
    end = tail.rfind(b"PK\x05\x06")
    claimed = int.from_bytes(tail[end + 10 : end + 12], "little")
    if claimed not in (len(infos), 0xFFFF):  # the latter stands for more
        found = f"{len(infos)} of {claimed}"
        raise source.error_at("the list of members", f"{claimed} members", found)
    for info in infos:
        raw.seek(info.header_offset)
        header = raw.read(30)
        name = raw.read(int.from_bytes(header[26:28], "little"))
        listed = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
        if header[:4] != ZIP or name != listed:
            expected = f"the member {info.orig_filename[:60]!r}, as the list says"
            raise source.error(info.header_offset, expected, repr(name[:60]))


def _open_member(file: File, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> io.BufferedReader:
    source = file.source(info.filename)
    check_member(source, info)
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * info.compress_size:
        expected = f"at most {MAX_RATIO} times the {info.compress_size} bytes that it takes packed"
        raise source.error_at("", expected, f"{info.file_size} bytes", "pack it anew")
    return io.BufferedReader(archive.open(info))  # type: ignore[arg-type]


def check_member(source: Source, info: zipfile.ZipInfo, remedy: str = "pack it anew") -> None:
    """Refuses what zip archives of data sets do not have.

    bzip2 and LZMA can also grow without bound in a single read.
    """
    plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not plain or info.flag_bits & 1:
        what = "array" if info.filename.endswith(".npy") else "file"
        found = f"an encrypted {what}" if plain else "another compression"
        raise source.error(0, f"a stored or deflated {what}", found, remedy)


def _check_members(file: File, count: int) -> None:
    if count > MAX_MEMBERS:
        remedy = "unpack it and give --data_dir the folder"
        raise file.source().error_at("", f"at most {MAX_MEMBERS} members", count, remedy)


class _TarFile(_Bounded):
    most = MAX_AT_ONCE


def _tar_members(file: File) -> Members:
    raw: Any = _TarFile(file.path.open("rb", buffering=0))
    if raw.peek(2)[:2] == GZIP:
        raw.close()
        raw = _TarFile(io.BytesIO(_gunzipped(file)))  # type: ignore[arg-type]
    archive = tarfile.open(fileobj=raw, mode="r:")  # noqa: SIM115 - stays open with its members
    members: Members = []
    for count, info in enumerate(archive):
        _check_members(file, count + 1)
        if info.isfile() and not info.issparse():
            members.append(
                (
                    info.name.removeprefix("./"),
                    functools.partial(archive.extractfile, info),
                )
            )
    # tarfile takes a damaged header for the end.
    raw.seek(archive.offset)
    block = raw.read(TAR_BLOCK)
    if block != bytes(TAR_BLOCK):
        found = "another block" if block else "the end of the content"
        raise file.source().error_at(
            f"byte offset {archive.offset} of the tar archive",
            "a member's header or a block of zeros, which ends the archive",
            found,
        )
    return members


def _gunzipped(file: File) -> bytearray:
    packed = file.path.stat().st_size
    with file.unpacked("a tar archive in gzip") as (source, stream):
        content = source.content
        while piece := stream.read1(PIECE):
            content.extend(piece)
            large = len(content) > RATIO_FROM and len(content) > MAX_RATIO * packed
            if large or len(content) > MAX_WHOLE:
                expected = f"at most {min(MAX_WHOLE, max(RATIO_FROM, MAX_RATIO * packed))} bytes"
                remedy = "unpack it and give --data_dir the folder"
                raise source.error(len(content), expected, "more", remedy)
    return content
