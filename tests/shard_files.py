"""Data sets in shards, for the tests that read them: unlike numbers of images that tell theirs."""

import hashlib

import numpy as np

from cnn_mnist.data import shard_list, tfrecord
from cnn_mnist.data.shard_list import Shard
from cnn_mnist.data.sharded import ShardedSplit

COUNTS = (3, 17, 1, 40, 8, 22, 5)  # 96 images
TEST_COUNTS = (2, 4)


def numbered(numbers):
    """Images that carry their number in two pixels; their labels are its last digit."""
    numbers = np.asarray(numbers)
    images = np.zeros((len(numbers), 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(numbers, 256)
    return images, (numbers % 10).astype(np.int32)


def numbers_of(images):
    return images[..., 0, 0].astype(int) * 256 + images[..., 0, 1]


def dealt(counts):
    """For each shard, the places of its records in the order of all."""
    every = sorted((place, shard) for shard, count in enumerate(counts) for place in range(count))
    return [[n for n, (_, s) in enumerate(every) if s == shard] for shard in range(len(counts))]


def write_shard(path, numbers):
    content = tfrecord.encode(*numbered(numbers)).tobytes()
    path.write_bytes(content)
    return Shard(path, len(numbers), len(content), hashlib.sha256(content).hexdigest())


def write_shards(folder, counts=COUNTS, test_counts=TEST_COUNTS):
    """Writes shards of numbered images and their list; returns the `ShardList`."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = {
        name: [
            write_shard(folder / f"{name}-{i:05}-of-{len(of_all):05}.tfrecord", numbers)
            for i, numbers in enumerate(dealt(of_all))
        ]
        for name, of_all in (("train", counts), ("test", test_counts))
    }
    shard_list.write(folder, **shards)
    return shard_list.read(folder)


def split_of(shards, begin=0, end=None):
    """The training split of a `ShardList`."""
    count = sum(shard.records for shard in shards.train)
    return ShardedSplit(shards.train, begin, count if end is None else end)


def flip(path, place):
    """Damages one byte of a file, whose size stays."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)
