"""`shards.json`: what is taken for a list of shards, and the order of all images."""

import dataclasses
import hashlib
import json
import os

import numpy as np
import pytest
from mnist_files import failure, write_npz
from shard_files import COUNTS, dealt, flip, numbers_of, write_shards

from cnn_mnist.data import dataset, shard_list
from cnn_mnist.data.shard_list import FILE, first_images, prefixes, read


def change(folder, edit):
    """Edits `shards.json`, by a function of its content."""
    content = json.loads((folder / FILE).read_text())
    edit(content)
    (folder / FILE).write_text(json.dumps(content))


def entry(field, value):
    return lambda content: content["train"][1].__setitem__(field, value)


FORM = {"height": 28, "width": 28, "channels": 1, "class_names": list("0123456789")}


def without(field):
    return lambda content: content["train"][1].__delitem__(field)


@pytest.fixture
def folder(tmp_path):
    write_shards(tmp_path / "shards")
    return tmp_path / "shards"


def test_what_is_written_is_read(folder):
    shards = read(folder)
    assert [shard.records for shard in shards.train] == list(COUNTS)
    assert shards.train[3].path == folder / "train-00003-of-00007.tfrecord"
    for shard in (*shards.train, *shards.test):
        shard_list.check(shard)


def test_what_lies_behind_the_records_is_found(folder):
    shard = read(folder).train[3]
    content = shard.path.read_bytes() + b"more"
    shard.path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    longer = dataclasses.replace(shard, size=len(content), sha256=sha256)
    expected = f"byte offset {shard.size}: expected the end of the file, after 40 records, "
    assert f"{expected}found 4 more bytes; " in failure(shard_list.check, longer)
    shard.path.write_bytes(content[:-4])
    other = dataclasses.replace(shard, sha256=sha256)
    assert f"expected content with sha256 {sha256}, found {shard.sha256}" in failure(
        shard_list.check, other
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", "Expecting value"),
        (b'"\xff"', "UnicodeDecodeError"),
        (b"{", "Expecting"),
        (b"[" * 100_000, "Recursion"),
        (b"[1" + b"0" * 5000 + b"]", "; "),  # since Python 3.11 a ValueError
        (b"[]", "list"),
        (b"null", "NoneType"),
        (b"{}", "NoneType"),
        (b'{"train": {}, "test": []}', "dict"),
        (b'{"train": [], "test": []}', "0"),
        (b'{"train": [3], "test": []}', "int"),
        (b'{"train": [{}], "test": []}', "nothing"),
    ],
)
def test_a_list_that_is_none_is_refused(folder, text, found):
    (folder / FILE).write_bytes(text)
    message = failure(read, folder)
    assert message.startswith(f"{folder / FILE}: ")
    assert found in message.partition("found ")[2]


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        *[(without(f), f'"train"[1]."{f}": ') for f in ("file", "records", "bytes", "sha256")],
        *[(entry("file", v), '"train"[1]."file": ') for v in ("", ".", 3, None, "a\0b", "\ud800")],
        *[
            (entry("records", v), '"train"[1]."records": ')
            for v in (0, -1, 1.0, True, "17", 1_000_001, 10**30, None)
        ],
        *[(entry("bytes", v), '"train"[1]."bytes": ') for v in (0, -3, "9", 1e9, False)],
        (entry("bytes", 17 * 800), '"train"[1]."bytes": '),
        *[(entry("sha256", v), '"train"[1]."sha256": ') for v in ("", "0" * 63, "G" * 64, 5)],
        *[
            (lambda content, form=form: content.update(form=form), '"form": ')
            for form in (None, [], {}, FORM | {"width": 7}, FORM | {"class_names": ["a"]})
        ],
        (lambda content: content.update(form=FORM | {"height": 99}), '"train"[0]."bytes": '),
        (lambda content: content.pop("test"), '"test": '),
        (lambda content: content["test"].append("x"), '"test"[2]: '),
        (
            lambda content: [e.update(records=900_000, bytes=10**10) for e in content["test"]],
            '"test": ',
        ),
    ],
)
def test_a_wrong_field_is_named(folder, edit, place):
    change(folder, edit)
    message = failure(read, folder)
    assert message.startswith(f"{folder / FILE}: {place}expected ")


def test_a_list_is_not_read_without_end(folder):
    with (folder / FILE).open("ab") as file:
        file.truncate(shard_list.MAX_LIST + 1)
    assert f"more than {shard_list.MAX_LIST} bytes" in failure(read, folder)
    (folder / FILE).unlink()
    os.mkfifo(folder / FILE)
    assert "a regular file" in failure(read, folder)


def test_a_shard_that_is_not_there_is_found_before_anything_is_read(folder):
    path = folder / "train-00004-of-00007.tfrecord"
    content = path.read_bytes()
    path.unlink()
    message = failure(dataset.load, folder, 5)
    assert message.startswith(f"{path}: expected a shard, found FileNotFoundError")
    path.write_bytes(content[:-1])
    assert f"{path}: expected {len(content)} bytes, found {len(content) - 1}" in failure(
        dataset.load, folder, 5
    )
    path.unlink()
    path.mkdir()
    assert f"{path}: expected a regular file" in failure(dataset.load, folder, 5)
    path.rmdir()
    path.symlink_to(path)
    assert f"{path}: expected a shard, found " in failure(dataset.load, folder, 5)


def test_damage_of_test_and_validation_images_is_found_before_anything_is_trained(folder):
    test, train = folder / "test-00001-of-00002.tfrecord", folder / "train-00000-of-00007.tfrecord"
    flip(test, 1000)
    assert failure(dataset.load, folder, 5).startswith(f"{test}: byte offset ")
    flip(test, 1000)
    flip(train, 100)
    assert failure(dataset.load, folder, 5).startswith(f"{train}: byte offset ")
    assert len(dataset.load(folder, 0).train) == 96


def test_the_same_file_twice_is_refused(folder):
    one, other = (folder / f"train-0000{i}-of-00007.tfrecord" for i in (4, 6))
    other.unlink()
    other.symlink_to(one)
    change(folder, lambda content: content["train"][6].update(bytes=one.stat().st_size))
    assert failure(read, folder) == (
        f"{other}: expected another file for each shard, found that of {one}; "
        f"mend {FILE} or the link"
    )


def test_shards_lie_on_several_disks(folder, tmp_path):
    before = dataset.load(folder, 20)
    disks = [tmp_path / "disk one", tmp_path / "dísk two"]
    for disk in disks:
        disk.mkdir()
    moved = sorted(folder.glob("train-*"))
    for number, path in enumerate(moved[:6]):
        path.rename(disks[number % 2] / path.name)
    moved[0].symlink_to(disks[0] / moved[0].name)
    moved[1].symlink_to(os.path.relpath(disks[1] / moved[1].name, folder))
    for i in (2, 4):
        change(folder, lambda c, i=i: c["train"][i].update(file=str(disks[0] / moved[i].name)))
    for i in (3, 5):
        name = f"../{disks[1].name}/{moved[i].name}"
        change(folder, lambda c, i=i, name=name: c["train"][i].update(file=name))
    after = dataset.load(folder, 20)
    np.testing.assert_array_equal(after.validation.images, before.validation.images)
    assert dataset.digest(after) == dataset.digest(before)
    for shard in after.train.shards:
        shard_list.check(shard)


def test_shards_beside_other_files_are_refused(folder):
    write_npz(folder)
    message = failure(dataset.load, folder)
    assert "expected shards or other files, found shards.json and mnist.npz; " in message


@pytest.mark.parametrize("counts", [COUNTS, (4, 4, 4), (1,), (5, 1)])
def test_the_first_images_are_those_a_dealer_dealt_first(counts):
    numbers = dealt(counts)
    for total in range(sum(counts) + 1):
        expected = [sum(number < total for number in shard) for shard in numbers]
        assert prefixes(counts, total).tolist() == expected


@pytest.mark.parametrize("count", [0, 1, 13, 95, 96])
def test_first_images_come_in_the_order_of_all(folder, count):
    split = first_images(read(folder).train, count)
    assert numbers_of(split.images).tolist() == list(range(count))
    assert split.labels.tolist() == [number % 10 for number in range(count)]
    assert not split.images.flags.writeable and not split.labels.flags.writeable


@pytest.mark.parametrize(("validation", "train", "length"), [(0, 0, 96), (13, 0, 83), (95, 1, 1)])
def test_a_data_set_in_shards_is_split_like_any_other(folder, validation, train, length):
    data = dataset.load(folder, validation, train)
    assert numbers_of(data.validation.images).tolist() == list(range(validation))
    assert numbers_of(data.test.images).tolist() == list(range(6))
    assert len(data.train) == length
    pieces = [numbers_of(piece.images) for piece in data.train.pieces()]
    assert sorted(np.concatenate(pieces)) == list(range(validation, validation + length))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((96, 0), "--validation_size: expected 0 to 95"), ((90, 7), "--train_size: expected 0 to 6")],
)
def test_sizes_that_cannot_be_are_refused(folder, sizes, message):
    assert failure(dataset.load, folder, *sizes).startswith(message)


def test_the_digest_tells_what_is_trained_on(folder, tmp_path):
    def digests(place):
        return [dataset.digest(dataset.load(place, *sizes)) for sizes in ((0, 0), (5, 0), (5, 9))]

    one = digests(folder)
    write_shards(tmp_path / "other", counts=(*COUNTS[:6], 6))
    other = digests(tmp_path / "other")
    assert len({*one, *other}) == 6
    write_shards(tmp_path / "same", test_counts=(1,))
    assert digests(tmp_path / "same") == one


def test_what_needs_arrays_says_so(folder):
    data = dataset.load(folder, 5)
    assert "found shards; " in failure(dataset.in_memory, data.train)
    assert dataset.in_memory(data.validation) is data.validation
