"""The images of a data set, and which of them make up the batch of a training step.

The batch of a step is a function of (seed, data, batch size, step) alone, wherever the images are:
in memory (`Split`) or in shards (`sharded.ShardedSplit`). Both are `Examples`.

Axes: N examples, B batch, b rows of a part of it, H height, W width, K classes. Colour images have
their three channels as a further, last axis.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Batches(Protocol):
    """The batches of all training steps."""

    def indices(self, step: int, first: int = 0, size: int | None = None) -> np.ndarray:
        """Which images make up rows `first` to `first + size` of a step's batch; by default all.

        `int64 [b]`, each at least 0 and below N; each number comes once per epoch.
        """

    def rows(
        self, step: int, first: int = 0, size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Those rows: images `uint8 [b, H, W]`, labels `int32 [b]`; DatasetError for damage."""

    def whole(self, steps: range) -> tuple[np.ndarray, np.ndarray]:
        """The whole batches of n steps: images `uint8 [n, B, H, W]`, labels `int32 [n, B]`.

        If one cannot be read, only those before it.
        """


class Examples(Protocol):
    """Images and labels to train on."""

    def __len__(self) -> int:
        """Number of examples, N."""

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one image: `(H, W)`, or `(H, W, 3)` for colour."""

    def batches(self, batch_size: int, seed: int) -> Batches:
        """Their batches, in the order that the seed decides."""

    def pieces(self) -> Iterator[Split]:
        """All examples, as many at a time as memory is meant to hold; may raise DatasetError."""

    def digest(self, validation: Split) -> str:
        """The sha256 of what a training run reads: these examples and those of the validation."""

    def fault(self) -> str:
        """Why the batches asked for last could not be read; empty if they could."""


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in memory, in a fixed order; both arrays are read-only."""

    images: np.ndarray  # uint8 [N, H, W], or [N, H, W, 3]
    labels: np.ndarray  # int32 [N], 0 to K - 1

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """As of `Examples`."""
        return self.images.shape[1:]

    def between(self, first: int, end: int | None) -> Split:
        """Those from number `first` to `end`, exclusive, or to the last; views of these."""
        return Split(self.images[first:end], self.labels[first:end])

    def batches(self, batch_size: int, seed: int) -> Batches:
        """As of `Examples`."""
        return _BatchesInMemory(self, batch_size, seed)

    def pieces(self) -> Iterator[Split]:
        """All examples at once."""
        yield self

    def digest(self, validation: Split) -> str:
        """As of `Examples`: of all values."""
        content = hashlib.sha256()
        for split in (self, validation):
            content.update(f"{len(split)}:".encode())
            for values in (split.images, split.labels.astype("<i4")):
                content.update(np.ascontiguousarray(values).data)
        return content.hexdigest()

    def fault(self) -> str:
        """Empty: memory can always be read."""
        return ""


class UnreadSplit(Split):
    """A `Split` whose images are read when they are first asked for; copies of it have them."""

    _read: Callable[[], np.ndarray]
    _image_shape: tuple[int, ...] = ()  # of what is not read yet

    @classmethod
    def of(
        cls, read: Callable[[], np.ndarray], labels: np.ndarray, image_shape: tuple[int, ...]
    ) -> UnreadSplit:
        """Of what returns the images, one of that shape for each label; it may raise."""
        split = cls.__new__(cls)
        vars(split).update(labels=labels, _read=read, _image_shape=image_shape)
        return split

    @functools.cached_property
    def images(self) -> np.ndarray:  # type: ignore[override]
        """As of `Split`; may raise DatasetError."""
        return self._read()

    @property
    def image_shape(self) -> tuple[int, ...]:
        """As of `Examples`."""
        return self._image_shape or super().image_shape

    def between(self, first: int, end: int | None) -> Split:
        """As of `Split`; what is read is shared."""
        part = self.labels[first:end]
        return UnreadSplit.of(lambda: self.images[first:end], part, self.image_shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return Split, (self.images, self.labels)


@dataclass(frozen=True)
class _BatchesInMemory:
    split: Split
    batch_size: int
    seed: int

    def indices(self, step: int, first: int = 0, size: int | None = None) -> np.ndarray:
        sizes = {"size": len(self.split), "batch_size": self.batch_size}
        return batch_indices(step, **sizes, seed=self.seed)[first:][:size]

    def rows(
        self, step: int, first: int = 0, size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.indices(step, first, size)
        return self.split.images[chosen], self.split.labels[chosen]

    def whole(self, steps: range) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.stack([self.indices(step) for step in steps])
        return self.split.images[chosen], self.split.labels[chosen]


def batch_indices(step: int, *, size: int, batch_size: int, seed: int) -> np.ndarray:
    """Which of `size` images in memory make up the batch of a step: `int64 [batch_size]`.

    The steps read one endless row of numbers, epoch after epoch. Each epoch is a permutation of
    all images, and a batch may end one epoch and begin the next.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = positions // size, positions % size
    return np.concatenate(
        [permutation(size, seed, epoch)[places[epochs == epoch]] for epoch in np.unique(epochs)]
    )


@functools.lru_cache(maxsize=4)
def permutation(size: int, *seeds: int) -> np.ndarray:
    """A permutation of the numbers below `size`; the same for the same seeds, for good."""
    # The streams of NumPy's legacy generator are frozen (NEP 19).
    return np.random.RandomState(seeds).permutation(size)
