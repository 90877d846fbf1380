"""Damaged and hostile IDX files, gzip files and `mnist.npz`: refused in one line, or read right."""

import gzip
import hashlib
import io
import os
import random
import struct
import zipfile
from pathlib import Path

import numpy as np

from cnn_mnist.data import dataset
from stress.hostile import NO_FILES, Case, Limits, damaged, npy_file, tries
from stress.tally import Tally

# Memory beyond the data themselves, which take less than 1 MB.
LIMITS = Limits(r"byte offset \d+", seconds=1.0, memory=64 << 20)
NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
KEYS = tuple(NAMES)
NPZ = "mnist.npz"
VALIDATION_SIZE = 37

Arrays = dict[str, np.ndarray]


def idx(count: int, seed: int, folder: Path) -> Tally:
    """Reads `count` damaged data sets; `dataset.load` must refuse them or be right."""
    makers = Makers(random.Random(seed), small_arrays())
    return tries(count, makers.one, read, dataset.DatasetError, folder, LIMITS)


def read(folder: str) -> str:
    """What `load` makes of a folder, as a digest."""
    data = dataset.load(folder, VALIDATION_SIZE)
    train = dataset.in_memory(data.train)
    images = np.concatenate([data.validation.images, train.images])
    labels = np.concatenate([data.validation.labels, train.labels])
    return digest(
        dict(zip(KEYS, (images, labels, data.test.images, data.test.labels), strict=True))
    )


def small_arrays() -> Arrays:
    """Real images, few enough to be read in a moment: 167 to train with, 67 to test with."""
    data = dataset.load()
    return {
        "x_train": data.validation.images[:167],
        "y_train": data.validation.labels[:167].astype(np.uint8),
        "x_test": data.test.images[:67],
        "y_test": data.test.labels[:67].astype(np.uint8),
    }


def digest(arrays: Arrays) -> str:
    """Tells data sets apart, whatever integer type their labels have."""
    total = hashlib.sha256()
    for key in KEYS:
        kind = np.uint8 if key.startswith("x_") else np.int32
        total.update(repr(arrays[key].shape).encode() + arrays[key].astype(kind).tobytes())
    return total.hexdigest()


def idx_file(array: np.ndarray) -> bytes:
    """The IDX file of an array."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def plain_reading(contents: dict[str, bytes]) -> str | None:
    """A reader of uncompressed IDX files, as strict as it is simple; None: they are not good."""
    arrays = {}
    for key in KEYS:
        content = contents[key]
        rank = 3 if key.startswith("x_") else 1
        if len(content) < 4 + 4 * rank:
            return None
        magic, *shape = struct.unpack_from(f">{1 + rank}I", content)
        size = int(np.prod([int(side) for side in shape], dtype=object))
        sides = shape[1:]
        if magic != 0x800 + rank or shape[0] < 1 or not all(8 <= side <= 256 for side in sides):
            return None
        if len(content) != 4 + 4 * rank + size:
            return None
        arrays[key] = np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        return None
    classes = int(arrays["y_train"].max()) + 1
    gap = classes > 10 and len(set(arrays["y_train"].tolist())) < classes
    if classes < 2 or gap or arrays["y_test"].max() >= classes:
        return None
    for split in ("train", "test"):
        if len(arrays[f"x_{split}"]) != len(arrays[f"y_{split}"]):
            return None
    if len(arrays["y_train"]) <= VALIDATION_SIZE:
        return None
    return digest(arrays)


def zip_of(members: dict[str, bytes], method: int) -> bytes:
    """A zip archive of named members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


class Makers:
    """Makes cases, one after another, each of them at random."""

    def __init__(self, rng: random.Random, base: Arrays) -> None:
        self.rng = rng
        self.base = base
        self.right = digest(base)
        self.plain = {key: idx_file(array) for key, array in base.items()}
        self.packed = {key: gzip.compress(c, 6, mtime=0) for key, c in self.plain.items()}
        self.members = {f"{key}.npy": npy_file(array) for key, array in base.items()}
        self.archives = (
            zip_of(self.members, zipfile.ZIP_STORED),
            zip_of(self.members, zipfile.ZIP_DEFLATED),
        )

    def one(self) -> Case:
        """The next case."""
        makers = (
            *(3 * [self.damaged_content] + 3 * [self.damaged_gzip] + 3 * [self.damaged_zip]),
            *(self.swapped, self.members_of_gzip),
            *(self.damaged_npy, self.damaged_npy, self.other_members),
            *(self.no_file, self.sparse_idx, self.zip64),
        )
        return self.rng.choice(makers)()

    # What a file is given as

    def idx_case(self, done: str, contents: dict[str, bytes], *culprits: str) -> Case:
        """IDX files, each plain or gzip at random; the simple reader tells what is right."""
        files, names = {}, {}
        for key, content in contents.items():
            pack = self.rng.random() < 0.5
            names[key] = NAMES[key] + (".gz" if pack else "")
            files[names[key]] = gzip.compress(content, 1, mtime=0) if pack else content
        reading = plain_reading(contents)
        kind = {names[key].endswith(".gz") for key in culprits}
        return Case(
            f"{done} ({'gzip' if True in kind else 'plain'})",
            files,
            tuple(names[key] for key in culprits),
            {reading} if reading else set(),
            refusable=reading is None,
        )

    def npz_case(self, done: str, content: bytes, *, good: bool = False) -> Case:
        """`mnist.npz`; what can be read of it is what was there before."""
        return Case(done, {NPZ: content}, (NPZ,), {self.right}, refusable=not good)

    def partners(self, key: str) -> tuple[str, str]:
        """The file and the one with which its number of examples must agree."""
        return key, ("y" if key.startswith("x") else "x") + key[1:]

    # IDX and gzip

    def damaged_content(self) -> Case:
        key = self.rng.choice(KEYS)
        headers = 16 if key.startswith("x_") else 8
        done, content = damaged(self.rng, self.plain[key], (0, 2, 4, 8, 12, headers), headers)
        return self.idx_case(f"{key}: {done}", {**self.plain, key: content}, *self.partners(key))

    def damaged_gzip(self) -> Case:
        key = self.rng.choice(KEYS)
        size = len(self.packed[key])
        edges = (0, 1, 2, 3, 9, 10, 11, size - 8, size - 4, size - 1)
        done, content = damaged(self.rng, self.packed[key], edges, 12)
        files = {f"{NAMES[k]}.gz": packed for k, packed in self.packed.items()}
        files[f"{NAMES[key]}.gz"] = content
        culprits = tuple(f"{NAMES[k]}.gz" for k in self.partners(key))
        return Case(f"gzip of {key}: {done}", files, culprits, {self.right})

    def members_of_gzip(self) -> Case:
        """One content in several gzip members, or one too many."""
        key = self.rng.choice(KEYS)
        content = self.plain[key]
        cuts = sorted(self.rng.randrange(len(content)) for _ in range(self.rng.randint(1, 9)))
        parts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
        extra = self.rng.random() < 0.5
        parts += [self.rng.randbytes(self.rng.randint(1, 9))] * extra
        packed = b"".join(gzip.compress(part, 1, mtime=0) for part in parts)
        files = {NAMES[k]: c for k, c in self.plain.items()}
        files[NAMES[key]] = packed + bytes(self.rng.randint(0, 9))
        done = f"{key}: {len(parts)} gzip members" + ", one too many" * extra
        allowed = set() if extra else {self.right}
        return Case(done, files, (NAMES[key],), allowed, refusable=extra)

    def swapped(self) -> Case:
        one, other = self.rng.sample(KEYS, 2)
        contents = {**self.plain, one: self.plain[other], other: self.plain[one]}
        return self.idx_case(f"{one} and {other} swapped", contents, one, other)

    # npz

    def damaged_zip(self) -> Case:
        good = self.rng.choice(self.archives)
        directory, end = good.index(b"PK\1\2"), good.index(b"PK\5\6")
        edges = (0, 4, 30, 41, directory, directory + 46, end, end + 4, end + 21, len(good) - 1)
        start = self.rng.choice((0, directory, end))
        done, content = damaged(self.rng, good[start:], [e - start for e in edges if e >= start])
        return self.npz_case(f"npz from byte {start} on: {done}", good[:start] + content)

    def damaged_npy(self) -> Case:
        """A damaged member whose checksum is right."""
        name = self.rng.choice(list(self.members))
        done, content = damaged(self.rng, self.members[name][:128], (6, 8, 10, 118, 127))
        members = {**self.members, name: content + self.members[name][128:]}
        return self.npz_case(f"{name} in npz, header: {done}", self.zipped(members))

    def other_members(self) -> Case:
        """Members more, at another place, with one pixel more or less bright."""
        members = dict(self.members)
        choice = self.rng.randrange(3)
        if choice == 0:
            content = self.zipped({**members, "more.npy": b"rubbish"})
            return self.npz_case("npz with one member more", content, good=True)
        if choice == 1:
            content = self.rng.randbytes(self.rng.randint(1, 300))
            return self.npz_case("rubbish before the npz", content + self.rng.choice(self.archives))
        images = self.base["x_test"].copy()
        pixel, value = self.rng.randrange(images.size), self.rng.randrange(256)
        images.reshape(-1)[pixel] = value
        members["x_test.npy"] = npy_file(images)
        case = self.npz_case(f"pixel {pixel} of x_test in npz {value}", self.zipped(members))
        case.allowed, case.refusable = {digest({**self.base, "x_test": images})}, False
        return case

    def zipped(self, members: dict[str, bytes]) -> bytes:
        return zip_of(members, self.rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))

    # What is no file, and what lies about its size

    def no_file(self) -> Case:
        """A folder, a pipe, a link to nowhere or to itself where a file should be."""
        if self.rng.random() < 0.5:
            name, others = NPZ, {}
        else:
            name = self.rng.choice(list(NAMES.values())) + self.rng.choice(("", ".gz"))
            others = {n: self.plain[k] for k, n in NAMES.items() if not name.startswith(n)}
        done = self.rng.choice(list(NO_FILES))

        def place(folder: Path) -> None:
            NO_FILES[done](folder / name)

        return Case(f"{done} named {name}", others, (name,), place=place)

    def sparse_idx(self) -> Case:
        """A file with a hole: plain values, or what follows a gzip file."""
        key = self.rng.choice(KEYS)
        packed = self.rng.random() < 0.5
        content = bytearray(self.packed[key] if packed else self.plain[key])
        if packed and self.rng.random() < 0.5:
            cut = self.rng.randrange(1, len(self.plain[key]))
            content = bytearray(gzip.compress(self.plain[key][:cut]))
        claimed = len(self.base[key])
        if not packed:
            claimed = self.rng.choice((claimed, 10**6, 2**32 - 1))
            struct.pack_into(">I", content, 4, claimed)
        files = {NAMES[k]: c for k, c in self.plain.items()}
        files[NAMES[key]] = bytes(content)
        size = self.rng.choice((5 << 30, 1 << 40))

        def place(folder: Path) -> None:
            os.truncate(folder / NAMES[key], size)

        done = (
            f"{key}: {'gzip' if packed else 'plain'}, a hole up to {size} bytes, {claimed} claimed"
        )
        culprits = tuple(NAMES[k] for k in self.partners(key))
        return Case(done, files, culprits, place=place)

    def zip64(self) -> Case:
        """A zip archive with sizes and offsets of 64 bits, which lie."""
        content = self.archives[0]
        directory, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
        values = [self.rng.choice((0, 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)) for _ in range(3)]
        first = bytearray(content[directory : directory + 46 + len("x_train.npy")])
        struct.pack_into("<2I", first, 20, 2**32 - 1, 2**32 - 1)
        struct.pack_into("<H", first, 30, 28)
        struct.pack_into("<I", first, 42, 2**32 - 1)
        listed = (
            first + struct.pack("<HH3Q", 1, 24, *values) + content[directory + len(first) : end]
        )
        tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 4, 4, len(listed), directory, 0)
        done = f"npz with sizes and offset of 64 bits: {values}"
        return self.npz_case(done, content[:directory] + listed + tail)
