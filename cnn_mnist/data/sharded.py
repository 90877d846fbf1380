"""Training images that stay in shards on disk: which of them come in which step.

Each epoch reads the shards in an order of its own, and the records of each shard in an order of
their own. The steps read the endless row of records that this makes: every image comes once per
epoch, and a batch may end one shard, or epoch, and begin the next.

So a shard is the unit of memory and of shuffling: a batch's images are of one shard, or of two or
three where one ends. Records should be dealt to the shards round robin, so that every shard is a
sample of the whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cnn_mnist.data import tfrecord
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.shard_list import Shard, prefixes
from cnn_mnist.data.sources import DatasetError
from cnn_mnist.data.splits import Split, permutation


class Reading(NamedTuple):
    """Records of one shard, in the order in which they come."""

    shard: int  # its number in the list
    records: np.ndarray  # int64 [n], their numbers in the shard


class ShardedSplit:
    """Training images in shards."""

    damage = ""  # what `fault` returns

    def __init__(self, shards: Sequence[Shard], begin: int, end: int, form: Form = MNIST) -> None:
        """Leaves out the images, in the order of all, before `begin` and from `end` on."""
        self.shards, self.form = tuple(shards), form
        self._begin, self._end = begin, end
        records = [shard.records for shard in shards]
        # Of each shard, the first record that is trained on, and how many: int64 [shards].
        self.firsts = prefixes(records, begin)
        self.counts = prefixes(records, end) - self.firsts

    def __len__(self) -> int:
        """Number of images."""
        return self._end - self._begin

    @property
    def image_shape(self) -> tuple[int, ...]:
        """As of `Examples`."""
        return self.form.image_shape

    def batches(self, batch_size: int, seed: int) -> ShardedBatches:
        """As of `Examples`."""
        self.damage = ""
        return ShardedBatches(self, batch_size, seed)

    def pieces(self) -> Iterator[Split]:
        """As of `Examples`: some thousands at a time, shard after shard."""
        for shard, first, count in zip(self.shards, self.firsts, self.counts, strict=True):
            left_out = int(first)
            for records in tfrecord.read(shard.path, int(first + count)):
                if left_out < len(records.starts):
                    yield Split(*records.decode(slice(left_out, None), self.form))
                left_out = max(0, left_out - len(records.starts))

    def digest(self, validation: Split) -> str:
        """As of `Examples`; of the shards' sha256, which tell the images of the validation, too."""
        shards = [[shard.records, shard.sha256] for shard in self.shards]
        return hashlib.sha256(json.dumps([shards, self._begin, self._end]).encode()).hexdigest()

    def fault(self) -> str:
        """As of `Examples`; names the shard."""
        return self.damage


class ShardedBatches:
    """The batches of all steps: a function of seed, shards and batch size.

    The shards of the rows asked for last stay in memory, as bytes: one, or as many as a batch
    reaches over. Only the rows asked for are decoded.

    A visit is one reading of one shard; the visits are numbered from 0 on, over all epochs.
    """

    def __init__(self, split: ShardedSplit, batch_size: int, seed: int) -> None:
        """Sets what the batches depend on."""
        self._split, self._batch_size, self._seed = split, batch_size, seed
        self._used = np.flatnonzero(split.counts)
        self._read: dict[int, tfrecord.Records] = {}

    def indices(self, step: int, first: int = 0, size: int | None = None) -> np.ndarray:
        """As of `Batches`; the images are numbered through one shard after another."""
        counts = self._split.counts
        before = np.cumsum(counts) - counts - self._split.firsts
        readings = self.readings(step, first, size)
        return np.concatenate([before[shard] + records for shard, records in readings])

    def rows(
        self, step: int, first: int = 0, size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As of `Batches`; the message of a DatasetError names the shard."""
        readings = self.readings(step, first, size)
        wanted = {reading.shard for reading in readings}
        self._read = {number: read for number, read in self._read.items() if number in wanted}
        try:
            form = self._split.form
            decoded = [self._records(shard).decode(records, form) for shard, records in readings]
        except DatasetError as error:
            self._split.damage = str(error)
            raise
        images, labels = zip(*decoded, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def whole(self, steps: range) -> tuple[np.ndarray, np.ndarray]:
        """As of `Batches`."""
        group = []
        with contextlib.suppress(DatasetError):  # `fault` tells it
            for step in steps:
                group.append(self.rows(step))
        if not group:
            batch = (0, self._batch_size)
            images = np.empty([*batch, *self._split.image_shape], np.uint8)
            return images, np.empty(batch, np.int32)
        images, labels = (np.stack(arrays) for arrays in zip(*group, strict=True))
        return images, labels

    def readings(self, step: int, first: int = 0, size: int | None = None) -> list[Reading]:
        """Where the same rows are; at least one reading, which may be of no record."""
        left = self._batch_size - first if size is None else size
        number, offset = self._place(step * self._batch_size + first)
        readings: list[Reading] = []
        while left or not readings:
            shard, records = self._visit(number)
            records = records[offset : offset + left]
            readings.append(Reading(shard, records))
            left -= len(records)
            number, offset = number + 1, 0
        return readings

    def _place(self, position: int) -> tuple[int, int]:
        """Where an image of the endless row is: the visit, and how many of it come before."""
        epoch, within = divmod(position, len(self._split))
        ends = np.cumsum(self._split.counts[self._shards(epoch)])
        index = int(np.searchsorted(ends, within, side="right"))
        before = int(ends[index - 1]) if index else 0
        return epoch * len(self._used) + index, within - before

    def _visit(self, number: int) -> Reading:
        """What a visit reads."""
        epoch, index = divmod(number, len(self._used))
        shard = int(self._shards(epoch)[index])
        order = permutation(int(self._split.counts[shard]), self._seed, epoch, shard + 1)
        return Reading(shard, self._split.firsts[shard] + order)

    def _shards(self, epoch: int) -> np.ndarray:
        """The order of the shards in an epoch."""
        return self._used[permutation(len(self._used), self._seed, epoch, 0)]

    def _records(self, number: int) -> tfrecord.Records:
        if number not in self._read:
            shard = self._split.shards[number]
            self._read[number] = next(tfrecord.read(shard.path, shard.records, at_once=shard.size))
        return self._read[number]
