"""Tests of folders, archives, and parts of them, and of how a data set in them is recognised."""

import gzip
import io
import random
import tarfile
import zipfile

import numpy as np
import pytest
from format_files import assert_read, examples, idx_files, packed, png, put
from mnist_files import failure, peak_of

from cnn_mnist.data import places
from cnn_mnist.data.formats import table
from cnn_mnist.data.places import natural, open_place


def zipped(files, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(files, kind=""):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


ARCHIVES = {
    "a.zip": zipped,
    "stored.zip": lambda files: zipped(files, zipfile.ZIP_STORED),
    "a.tar": tarred,
    "a.tar.gz": lambda files: tarred(files, "gz"),
    "a.tgz": lambda files: tarred(files, "gz"),
}


SPLIT = [(split, name) for split in ("train", "test") for name in "ab"]


def formats():
    """The same data in some formats, by their names; pictures come in an order of their own."""
    made = examples((9, 9))
    stream = io.BytesIO()
    np.savez(stream, **made)
    return {
        "idx": idx_files(made),
        "idx in gzip": packed(idx_files(made)),
        "npz": {"some/mnist.npz": stream.getvalue(), "some/README.md": b"words"},
    }


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("form", formats())
def test_archives_are_read_without_unpacking(tmp_path, name, form):
    content = ARCHIVES[name](formats()[form])
    put(tmp_path, {name: content})
    for place in (tmp_path, tmp_path / name):
        data = assert_read(place, examples((9, 9)))
        assert data.format.endswith(f"in a {'zip' if 'zip' in name else 'tar'} archive")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_pictures_in_an_archive(tmp_path):
    tone = {f"top/{c}/{i}.png": 10 * i + (c == "a") for c in "ab" for i in (1, 2)}
    files = {name: png(np.full((9, 11), value, np.uint8)) for name, value in tone.items()}
    for name, pack in ARCHIVES.items():
        put(tmp_path, {name: pack(files)})
        data = table.read(tmp_path / name)
        assert data.reading.form.class_names == ("a", "b")
        images = np.concatenate([split.images for split in data.splits.values()])
        labels = np.concatenate([split.labels for split in data.splits.values()])
        assert sorted(images[:, 0, 0].tolist()) == [10, 11, 20, 21]
        np.testing.assert_array_equal(labels == 0, images[:, 0, 0] % 10 == 1)


def test_a_part_of_a_folder_or_archive(tmp_path):
    made = examples()
    both = {f"{folder}/{n}": c for folder in ("one", "two") for n, c in idx_files(made).items()}
    put(tmp_path, {"a.zip": zipped(both)})
    assert_read(tmp_path / "a.zip" / "two", made)
    assert_read(tmp_path / "a.zip" / "one/", made)
    for wrong in ("a.zip/tw", "a.zip/three", "a", "b.zip/one"):
        message = failure(table.read, tmp_path / wrong)
        assert "expected a folder that can be listed, found" in message


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_cut_archive_is_refused(tmp_path, name):
    content = ARCHIVES[name](idx_files(examples()))
    rng = random.Random(3)
    end = len(content.rstrip(b"\0")) if name == "a.tar" else len(content)
    for size in sorted({rng.randrange(4, end) for _ in range(40)}):
        put(tmp_path, {name: content[:size]})
        message = failure(table.read, tmp_path / name)
        assert message.startswith(str(tmp_path / name)), size


def test_a_damaged_tar_header_is_not_taken_for_the_end(tmp_path):
    files = {f"{c}/{i}.png": png(np.full((9, 11), 40, np.uint8)) for c in "ab" for i in range(3)}
    content = bytearray(tarred(files))
    place = bytes(content).index(b"b/1.png")
    content[place + 3] ^= 1
    put(tmp_path, {"a.tar": bytes(content)})
    message = failure(table.read, tmp_path)
    assert f"byte offset {place} of the tar archive: expected a member's header or a" in message
    assert "found another block; " in message


def test_members_that_a_zip_list_lost_are_noticed(tmp_path):
    content = bytearray(zipped(idx_files(examples())))
    end = bytes(content).index(b"PK\5\6")
    content[end + 10] = 5
    put(tmp_path, {"a.zip": bytes(content)})
    assert "expected 5 members, found 4 of 5" in failure(table.read, tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.npz"])
def test_a_damaged_name_in_a_zip_list_is_not_left_out(tmp_path, name):
    """Without its test images a data set would be another one."""
    made = examples()
    if name == "a.npz":
        np.savez(tmp_path / name, **made)
        content = bytearray((tmp_path / name).read_bytes())
        members = ("x_test.npy", "y_test.npy")
    else:
        stored = {f"{s}/{c}/1.png": png(made["x_test"][i]) for i, (s, c) in enumerate(SPLIT)}
        content = bytearray(zipped(stored))
        members = ("test/a/1.png", "test/b/1.png")
    for member in members:
        content[content.rindex(member.encode()) + len(member) - 1] ^= 1
    put(tmp_path, {name: bytes(content)})
    message = failure(table.read, tmp_path)
    place = content.index(members[0][:-1].encode()) - 30
    assert message.startswith(f"{tmp_path / name}: byte offset {place}: expected the member ")
    assert f", found b'{members[0]}'; " in message


def test_bounds(tmp_path, monkeypatch):
    files = idx_files(examples())
    for name, pack in ARCHIVES.items():
        put(tmp_path, {name: pack(files)})
    monkeypatch.setattr(places, "MAX_MEMBERS", 3)
    for name in ARCHIVES:
        assert "expected at most 3 members, found 4; unpack" in failure(table.read, tmp_path / name)
    monkeypatch.setattr(places, "MAX_FILES", 3)
    put(tmp_path / "plain", files)
    message = failure(table.read, tmp_path / "plain")
    assert "expected at most 3 files, found more; give" in message


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    zeros = bytes(100 << 20)
    monkeypatch.setattr(places, "RATIO_FROM", 1 << 20)
    put(tmp_path, {"a.zip": zipped({"a.npz": zeros}), "a.tgz": gzip.compress(zeros)})
    for name, expected in (("a.zip", "a.npz: expected at most 300 times"), ("a.tgz", "at most")):
        peak, message = peak_of(table.read, tmp_path / name)
        assert expected in message
        assert peak < 64 << 20


def test_links_that_lead_back_are_followed_once(tmp_path):
    put(tmp_path / "data", idx_files(examples()))
    (tmp_path / "data" / "again").symlink_to(tmp_path / "data")
    (tmp_path / "self").symlink_to("self")
    assert_read(tmp_path, examples())
    assert [file.name for file in open_place(tmp_path).files][-1] == "self"


def test_several_formats_in_one_folder(tmp_path):
    for files in formats().values():
        put(tmp_path, files)
    message = failure(table.read, tmp_path)
    assert "expected IDX files or an .npz file, found both; remove " in message


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({"train_32x32.mat": b"MATLAB"}, "found 1 .mat; save the arrays of train_32x32.mat with"),
        ({"1.png": b"", "2.png": b""}, "2 pictures, such as 1.png, are not in folders of two"),
        ({"a/1.gif": b"", "b/2.gif": b""}, "a/1.gif is of a kind that is not read here"),
        ({"images": b"\0\0\x08\x03more"}, "images looks like an IDX file; name the four files"),
        ({"a.zip": zipped({"b.zip": zipped({})})}, "b.zip is an archive in an archive; unpack"),
        ({"a.zip": b"no zip"}, "a.zip is no zip or tar archive by its content; replace"),
        ({"notes.txt": b"x", "more": b""}, "found 1 named more, 1 .txt; see the table of"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_is_closest(tmp_path, files, hint):
    message = failure(table.read, put(tmp_path, files))
    assert "expected the four IDX files, an .npz file or another of the forms of" in message
    assert hint in message


def test_names_sort_as_people_count():
    names = ["10.png", "9.png", "a2", "a10", "a1b3", "a1b20", ""]
    assert sorted(names, key=natural) == ["", "9.png", "10.png", "a1b3", "a1b20", "a2", "a10"]
