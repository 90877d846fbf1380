"""Training images that stay in shards on disk: which of them come in which step.

In each epoch the shards come in an order of their own, one after another, and the records of each
in an order of their own. The steps read the endless row of records that this makes: every image
comes once per epoch, and a batch may end one shard, or epoch, and begin the next.

So a shard is the unit of memory, of shuffling too: a batch's images are of one shard, or of two or
three where one ends. Records that are dealt to the shards round robin make every shard a sample of
the whole.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cnn_mnist.data import tfrecord
from cnn_mnist.data.shard_list import Shard, check, prefixes
from cnn_mnist.data.sources import IMAGE_SHAPE, DatasetError, Split

REMEMBERED = 32  # shards; TensorFlow works on the newest two or three of those that it opened


class Reading(NamedTuple):
    """Records of one shard, in the order in which they come."""

    shard: int  # its number in the list
    records: np.ndarray  # int64 [n], their numbers in the shard


class ShardedSplit:
    """Training images in shards; their number is its length.

    Attributes:
      shards: the list of them.
      firsts: `int64 [shards]`, the first record of each that is trained on.
      counts: `int64 [shards]`, how many are trained on, from there on.
      opened: the numbers of the shards that were opened last, the newest last.
    """

    def __init__(self, shards: Sequence[Shard], begin: int, end: int) -> None:
        """Leaves out the images, in the order of all, before `begin` and from `end` on."""
        self.shards = tuple(shards)
        self._begin, self._end = begin, end
        records = [shard.records for shard in shards]
        self.firsts = prefixes(records, begin)
        self.counts = prefixes(records, end) - self.firsts
        self.opened: collections.deque[int] = collections.deque(maxlen=REMEMBERED)

    def __len__(self) -> int:
        """Number of images."""
        return self._end - self._begin

    def digest(self) -> str:
        """The sha256 of what decides the images of every step, by the sha256 of the shards."""
        shards = [[shard.records, shard.sha256] for shard in self.shards]
        return hashlib.sha256(json.dumps([shards, self._begin, self._end]).encode()).hexdigest()

    def pieces(self) -> Iterator[Split]:
        """All images, some thousands at a time, shard after shard.

        Raises:
          DatasetError: a shard is damaged.
        """
        for shard, first, count in zip(self.shards, self.firsts, self.counts, strict=True):
            passed = 0
            for records in tfrecord.read(shard.path, int(first + count)):
                here = len(records.starts)
                if passed + here > first:
                    yield Split(*records.decode(slice(max(0, int(first) - passed), here)))
                passed += here

    def fault(self) -> str:
        """What is wrong with a shard that was opened not long ago; empty if nothing is."""
        for number in dict.fromkeys(reversed(self.opened)):
            try:
                check(self.shards[number])
            except DatasetError as error:
                return str(error)
        return ""


class Order:
    """Which records make up the batch of a step: a function of seed, shards and batch size.

    A visit is one reading of one shard; the visits are numbered from 0 on, over all epochs.
    """

    def __init__(self, split: ShardedSplit, batch_size: int, seed: int) -> None:
        """Sets what the order depends on."""
        self._counts, self._batch_size, self._seed = split.counts, batch_size, seed
        self._used = np.flatnonzero(split.counts)
        self._firsts = split.firsts

    def place(self, position: int) -> tuple[int, int]:
        """Where an image of the endless row is: the visit, and how many of it come before."""
        epoch, within = divmod(position, int(self._counts.sum()))
        ends = np.cumsum(self._counts[self._shards(epoch)])
        index = int(np.searchsorted(ends, within, side="right"))
        before = int(ends[index - 1]) if index else 0
        return epoch * len(self._used) + index, within - before

    def visit(self, number: int) -> Reading:
        """What a visit reads."""
        epoch, index = divmod(number, len(self._used))
        shard = int(self._shards(epoch)[index])
        count = int(self._counts[shard])
        order = _permutation(count, self._seed, epoch, shard + 1)
        return Reading(shard, self._firsts[shard] + order)

    def rows(self, step: int, first: int = 0, size: int | None = None) -> list[Reading]:
        """Rows `first` to `first + size` of a step's batch; by default all of it."""
        left = self._batch_size - first if size is None else size
        number, offset = self.place(step * self._batch_size + first)
        readings = []
        while left:
            shard, records = self.visit(number)
            records = records[offset : offset + left]
            readings.append(Reading(shard, records))
            left -= len(records)
            number, offset = number + 1, 0
        return readings

    def indices(self, step: int, first: int, size: int) -> np.ndarray:
        """The numbers of the same images, counted from 0 on through one shard after another.

        Returns:
          `int64 [size]`.
        """
        before = np.cumsum(self._counts) - self._counts - self._firsts
        readings = self.rows(step, first, size)
        return np.concatenate([np.empty(0, np.int64), *(before[s] + r for s, r in readings)])

    def _shards(self, epoch: int) -> np.ndarray:
        return self._used[_permutation(len(self._used), self._seed, epoch, 0)]


class Rows:
    """Any rows of any step's batch, for a process of a cluster; only they are decoded.

    The shards of the rows asked for last stay in memory, as bytes: one, or as many as a batch
    reaches over.
    """

    def __init__(self, split: ShardedSplit, batch_size: int, seed: int) -> None:
        """Sets what the batches depend on."""
        self._split, self._order = split, Order(split, batch_size, seed)
        self._read: dict[int, tfrecord.Records] = {}

    def __call__(self, step: int, first: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows `first` to `first + size` of a step's batch.

        Returns:
          `uint8 [size, 28, 28]` and `int32 [size]`.

        Raises:
          DatasetError: a shard cannot be read or is damaged; the message names it.
        """
        images = np.empty([size, *IMAGE_SHAPE], np.uint8)
        labels = np.empty(size, np.int32)
        readings = self._order.rows(step, first, size)
        wanted = {reading.shard for reading in readings}
        self._read = {number: read for number, read in self._read.items() if number in wanted}
        begin = 0
        for number, records in readings:
            end = begin + len(records)
            images[begin:end], labels[begin:end] = self._records(number).decode(records)
            begin = end
        return images, labels

    def _records(self, number: int) -> tfrecord.Records:
        if number not in self._read:
            shard = self._split.shards[number]
            self._split.opened.append(number)
            whole = tfrecord.read(shard.path, shard.records, at_once=shard.size)
            self._read[number] = next(whole)
        return self._read[number]


@functools.lru_cache(maxsize=4)
def _permutation(size: int, seed: int, epoch: int, purpose: int) -> np.ndarray:
    """Of `size` numbers; the purpose is 0 for the shards, 1 and more for the records of one."""
    # The streams of NumPy's legacy generator are frozen for good (NEP 19).
    return np.random.RandomState([seed, epoch, purpose]).permutation(size)
