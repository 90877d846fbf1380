"""Damaged data sets in all formats but IDX and `mnist.npz`: refused in one line, or read right."""

import csv
import gzip
import hashlib
import importlib.util
import io
import json
import random
import tarfile
import zipfile
from typing import Literal

import numpy as np
from PIL import Image

from stress.hostile import Case, damaged, npy_file

SIDE = 12
COUNTS = {"train": 20, "test": 10}
CLASSES = 4
FOLDER = ("",)  # culprits: a refusal that names the folder, as every one does

Splits = dict[str, tuple[np.ndarray, np.ndarray]]


def digest(splits: Splits, names: tuple[str, ...]) -> str:
    """Tells data sets apart; what `table.read` makes of one has the same."""
    total = hashlib.sha256(json.dumps(names).encode())
    for split in sorted(splits):
        images, labels = splits[split]
        total.update(f"{split} {images.shape}".encode())
        total.update(images.astype(np.uint8).tobytes() + labels.astype(np.int32).tobytes())
    return total.hexdigest()


def by_label(splits: Splits) -> str | None:
    """The digest of splits whose classes are named by their labels; None: they are no data set."""
    values = sorted({int(v) for _, labels in splits.values() for v in labels})
    if not 2 <= len(values) <= 1000 or min(values) < 0:
        return None
    placed = {s: (x, np.searchsorted(np.array(values), y)) for s, (x, y) in splits.items()}
    return digest(placed, tuple(map(str, values)))


def small(channels: int = 1) -> Splits:
    """Images with dark corners; every label in either split."""
    rng = np.random.RandomState(9)  # noqa: NPY002 - frozen streams
    shape = (SIDE, SIDE, channels)[: 2 if channels == 1 else 3]
    made = {}
    for split, count in COUNTS.items():
        images = rng.randint(0, 256, (count, *shape)).astype(np.uint8)
        images[:, 0, 0] = images[:, -1, -1] = 0
        made[split] = images, np.arange(count) * 3 % CLASSES
    return made


def picture(pixels: np.ndarray, kind: str) -> bytes:
    """A picture file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def plain_table(content: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """A reader of tables with a header and the label first, as strict as it is simple."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n \r\t")
        rows = list(csv.reader(text.split("\n"), quoting=csv.QUOTE_NONE))
        head, *body = rows
        if not body or len({len(row) for row in rows}) != 1 or head[0].strip().lower() != "label":
            return None
        values = np.array([[float(v) for v in row] for row in body])
        labels = [int(row[0]) if "." not in row[0] else int(float(row[0])) for row in body]
    except (ValueError, csv.Error, IndexError):
        return None
    pixels = values[:, 1:]
    side = round(pixels.shape[1] ** 0.5)
    if side * side != pixels.shape[1] or not ((pixels >= 0) & (pixels <= 255)).all():
        return None
    return np.rint(pixels).reshape(-1, side, side), np.array(labels)


class Makers:
    """Makes cases, one after another, each of them at random."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.base = small()
        self.tables = {f"{split}.csv": self.table(*arrays) for split, arrays in self.base.items()}
        colour = small(3)
        self.colour = {
            split: (np.resize(x, (len(x), 32, 32, 3)), y) for split, (x, y) in colour.items()
        }

    def one(self) -> Case:
        """The next case."""
        makers = [self.damaged_table, self.damaged_table, self.damaged_packed_table]
        makers += [self.damaged_cifar, self.damaged_folders, self.damaged_folders]
        makers += [self.damaged_zip, self.damaged_tar, self.damaged_tar_gzip, self.other_npz]
        if importlib.util.find_spec("pyarrow"):
            makers.append(self.damaged_parquet)
        return self.rng.choice(makers)()

    # Tables

    def table(self, images: np.ndarray, labels: np.ndarray) -> bytes:
        lines = [",".join(["label", *(f"p{i}" for i in range(SIDE * SIDE))])]
        for row, label in zip(images.reshape(len(images), -1).tolist(), labels, strict=True):
            lines.append(",".join(map(str, [label, *row])))
        return ("\n".join(lines) + "\n").encode()

    def damaged_table(self) -> Case:
        name = self.rng.choice(list(self.tables))
        good = self.tables[name]
        edges = (0, 5, 6, good.index(b"\n"), good.index(b"\n") + 1, len(good) - 1)
        done, content = damaged(self.rng, good, edges, good.index(b"\n") + 40)
        if self.rng.random() < 0.5:  # a character that may be one
            place = self.rng.randrange(len(good))
            char = self.rng.choice(b'0123456789,.-+ex"\n\t; ')
            done = f"character {place} is {chr(char)!r}"
            content = good[:place] + bytes([char]) + good[place + 1 :]
        files = {**self.tables, name: content}
        read = {split: plain_table(files[f"{split}.csv"]) for split in COUNTS}
        right = None
        splits = {split: arrays for split, arrays in read.items() if arrays is not None}
        if len(splits) == 2 and splits["train"][0].shape[1:] == splits["test"][0].shape[1:]:
            right = by_label(splits)
        return Case(f"{name}: {done}", files, FOLDER, {right} if right else set())

    def damaged_packed_table(self) -> Case:
        packed = {f"{name}.gz": gzip.compress(c, 6, mtime=0) for name, c in self.tables.items()}
        name = self.rng.choice(list(packed))
        size = len(packed[name])
        done, packed[name] = damaged(self.rng, packed[name], (0, 1, 2, 3, 10, size - 8, size - 4))
        return Case(f"{name}: {done}", packed, FOLDER, {by_label(self.base) or ""})

    # Pictures

    def pictures(self, kind: str) -> dict[str, bytes]:
        return {
            f"{split}/{label}/{number}.{kind.lower()}": picture(image, kind)
            for split, (images, labels) in self.base.items()
            for number, (image, label) in enumerate(zip(images, labels, strict=True))
        }

    def right_pictures(self) -> str:
        """Sorted by class; those for training in the order that is always the same."""
        splits = {}
        for split, (images, labels) in self.base.items():
            order = np.argsort(labels, kind="stable")
            if split == "train":
                mixed = np.random.RandomState((20, 1)).permutation(len(order))  # noqa: NPY002
                order = order[mixed]
            splits[split] = images[order], labels[order]
        return by_label(splits) or ""

    def damaged_folders(self) -> Case:
        """Every byte of a PNG is under a checksum; of BMP and JPEG any picture may come."""
        kind = self.rng.choice(("PNG", "PNG", "BMP", "JPEG"))
        files = self.pictures(kind)
        name = self.rng.choice(list(files))
        done, files[name] = damaged(self.rng, files[name], (0, 8, 16, 29, 33, 54), 60)
        allowed = {self.right_pictures()} if kind == "PNG" else None
        return Case(f"{name}: {done}", files, (name,), allowed)

    # Records

    def damaged_cifar(self) -> Case:
        images, labels = self.colour["train"]
        names = [f"data_batch_{number}.bin" for number in range(1, 6)]
        files = {}
        parts = [(name, images[4 * i :][:4], labels[4 * i :][:4]) for i, name in enumerate(names)]
        for name, some, theirs in [*parts, ("test_batch.bin", *self.colour["test"])]:
            planes = some.transpose(0, 3, 1, 2).reshape(len(some), -1)
            rows = np.concatenate([theirs[:, None].astype(np.uint8), planes], axis=1)
            files[name] = rows.tobytes()
        name = self.rng.choice(list(files))
        done, files[name] = damaged(self.rng, files[name], (0, 1, 3073, 3074, 2 * 3073))
        splits = {}
        for split, members in (("train", names), ("test", ["test_batch.bin"])):
            if not all(files[m] and len(files[m]) % 3073 == 0 for m in members):
                return Case(f"{name}: {done}", files, (name,), set())
            every = np.frombuffer(b"".join(files[m] for m in members), np.uint8).reshape(-1, 3073)
            pixels = every[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            splits[split] = pixels, every[:, 0]
        good = max(y.max() for _, y in splits.values()) < 10
        right = {digest(splits, tuple("0123456789"))} if good else set()
        return Case(f"{name}: {done}", files, (name,), right, refusable=not good)

    # Archives

    def damaged_zip(self) -> Case:
        method = self.rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        folders = self.rng.random() < 0.5
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, content in (self.pictures("PNG") if folders else self.tables).items():
                archive.writestr(zipfile.ZipInfo(name), content, method)
        good = stream.getvalue()
        directory, end = good.index(b"PK\1\2"), good.index(b"PK\5\6")
        edges = (0, 4, 30, directory, directory + 46, end, end + 4, end + 21, len(good) - 1)
        start = self.rng.choice((0, directory, end))
        done, content = damaged(self.rng, good[start:], [e - start for e in edges if e >= start])
        right = self.right_pictures() if folders else by_label(self.base)
        case = Case(f"zip from {start} on: {done}", {"a.zip": good[:start] + content}, FOLDER)
        case.allowed = {right or ""}
        return case

    def tar(self, files: dict[str, bytes], mode: Literal["w:", "w:gz"]) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return stream.getvalue()

    def damaged_tar(self) -> Case:
        """Of PNG files, so that all of it is under some checksum."""
        good = self.tar(self.pictures("PNG"), "w:")
        edges = (0, 100, 124, 148, 156, 257, 500, 512, 1024, len(good) - 10240)
        done, content = damaged(self.rng, good, edges, 2048)
        return Case(f"tar: {done}", {"a.tar": content}, FOLDER, {self.right_pictures()})

    def damaged_tar_gzip(self) -> Case:
        good = self.tar(self.tables, "w:gz")
        done, content = damaged(self.rng, good, (0, 1, 2, 3, 10, len(good) - 8, len(good) - 4), 12)
        return Case(f"tar.gz: {done}", {"a.tgz": content}, FOLDER, {by_label(self.base) or ""})

    # Arrays and parquet

    def other_npz(self) -> Case:
        """Other types, shapes and names; a member may be damaged under a right checksum."""
        arrays: dict[str, np.ndarray] = {}
        style = self.rng.choice(("{0}_{1}", "{1}_{0}"))
        words = ("images", "labels") if style.startswith("{1}") else ("x", "y")
        for split, (images, labels) in self.base.items():
            pixels = self.rng.choice(
                (images / 255, images[..., None], images.reshape(len(images), -1), images * 1.0)
            )
            numbers = self.rng.choice((labels, labels[:, None], np.eye(CLASSES)[labels]))
            arrays[style.format(words[0], split)] = pixels
            arrays[style.format(words[1], split)] = numbers
        members = {f"{name}.npy": npy_file(array) for name, array in arrays.items()}
        name = self.rng.choice(list(members))
        done, head = damaged(self.rng, members[name][:128], (6, 8, 10, 118, 127))
        members[name] = head + members[name][128:]
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        # A header may still fit and say something else, such as another order or byte order.
        return Case(f"{name}: {done}", {"a.npz": stream.getvalue()}, ("a.npz",), None)

    def damaged_parquet(self) -> Case:
        import pyarrow as pa
        from pyarrow import parquet

        files = {}
        for split, (images, labels) in self.base.items():
            cells = [{"bytes": picture(image, "PNG"), "path": None} for image in images]
            stream = io.BytesIO()
            made = pa.table({"image": cells, "label": pa.array(labels.tolist())})
            parquet.write_table(made, stream, row_group_size=7, write_page_checksum=True)
            files[f"{split}.parquet"] = stream.getvalue()
        name = self.rng.choice(list(files))
        size = len(files[name])
        done, files[name] = damaged(self.rng, files[name], (0, 4, 20, size - 8, size - 4), 0)
        return Case(f"{name}: {done}", files, (name,), {by_label(self.base) or ""})
