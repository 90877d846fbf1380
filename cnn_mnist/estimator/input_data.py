"""`tensorflow.examples.tutorials.mnist.input_data`, with the embedded data instead of a download.

Also what `tf.contrib.learn.datasets` had of MNIST: 55,000 images to train with, 5,000 to validate
with, the first of the training file, and 10,000 to test with.
"""

from typing import Any, NamedTuple

import numpy as np

from cnn_mnist.data import dataset
from cnn_mnist.utils.errors import InputError


class DataSet:
    """Images and labels, and batches of them.

    Attributes:
      images: float32 0-1 or uint8 0-255; [N, 784] or [N, 28, 28, 1].
      labels: uint8 [N], or float64 [N, 10] with a 1 at the digit.
      num_examples: N.
      epochs_completed: how often `next_batch` has gone through all of them.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int | None = None) -> None:
        self.images, self.labels = images, labels
        self.num_examples = len(images)
        self.epochs_completed = 0
        self._random = np.random.RandomState(seed)
        self._order: np.ndarray | None = None  # what is left of this epoch; None: not begun

    def next_batch(
        self, batch_size: int, fake_data: bool = False, shuffle: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the next images and labels; each epoch has each image once.

        Raises:
          InputError: if there are no `batch_size` images, or none of MNIST's are wanted.
        """
        _refuse_fake_data(fake_data)
        if not 0 < batch_size <= self.num_examples:
            raise InputError(f"batch_size: expected 1 to {self.num_examples}, found {batch_size}")
        if self._order is None:
            self._order = self._epoch(shuffle)
        elif len(self._order) < batch_size:
            self.epochs_completed += 1
            self._order = np.concatenate([self._order, self._epoch(shuffle)])
        taken, self._order = np.split(self._order, [batch_size])
        return self.images[taken], self.labels[taken]

    def _epoch(self, shuffle: bool) -> np.ndarray:
        order = np.arange(self.num_examples)
        return self._random.permutation(order) if shuffle else order


class Datasets(NamedTuple):
    """MNIST in three parts."""

    train: DataSet
    validation: DataSet
    test: DataSet


def read_data_sets(
    train_dir: str = "",
    fake_data: bool = False,
    one_hot: bool = False,
    dtype: Any = np.float32,
    reshape: bool = True,
    validation_size: int = 5000,
    seed: int | None = None,
    source_url: str = "",
) -> Datasets:
    """Returns the embedded MNIST; nothing is downloaded, and `train_dir` is not looked at.

    Args:
      train_dir: was the folder of the downloaded files.
      fake_data: must be False.
      one_hot: whether a label is ten numbers, of which one is 1.
      dtype: float32, from 0 to 1, or uint8, from 0 to 255.
      reshape: whether an image is a row of 784 values.
      validation_size: how many of the 60,000 training images to set aside.
      seed: of the order of batches.
      source_url: was the place of the files.

    Raises:
      InputError: if an argument is none of those.
    """
    _refuse_fake_data(fake_data)
    kind = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
    if kind not in (np.uint8, np.float32):
        raise InputError(f"dtype: expected uint8 or float32, found {kind}")
    if not 0 <= validation_size <= 60_000:
        raise InputError(f"validation_size: expected 0 to 60000, found {validation_size}")

    data: Any = dataset.load()  # its validation images are the first of the file
    images = np.concatenate([data.validation.images, data.train.images])
    labels = np.concatenate([data.validation.labels, data.train.labels])

    def part(images: np.ndarray, labels: np.ndarray) -> DataSet:
        images = images.reshape(-1, 784) if reshape else images[..., np.newaxis]
        if kind == np.float32:
            images = images.astype(np.float32) / 255
        return DataSet(images, np.eye(10)[labels] if one_hot else labels.astype(np.uint8), seed)

    return Datasets(
        train=part(images[validation_size:], labels[validation_size:]),
        validation=part(images[:validation_size], labels[:validation_size]),
        test=part(data.test.images, data.test.labels),
    )


def load_dataset(name: str, size: str = "small", test_with_fake_data: bool = False) -> Datasets:
    """Returns MNIST, as `tf.contrib.learn.datasets.load_dataset("mnist")` did.

    Raises:
      InputError: if another set is wanted: the others had to be downloaded.
    """
    if name != "mnist":
        raise InputError(
            f"tf.contrib.learn.datasets: of its data sets there is mnist, not {name!r}"
        )
    return read_data_sets()


def _refuse_fake_data(fake_data: bool) -> None:
    if fake_data:
        raise InputError("fake_data: there is MNIST itself; leave it out")
