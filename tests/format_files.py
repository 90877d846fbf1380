"""A small data set in every form: 14 training and 6 test images, not square unless they must be."""

import gzip
import io
import struct

import numpy as np
from PIL import Image

from cnn_mnist.data.formats import table

CLASSES = 3


def examples(shape=(9, 11), base=0, seed=5):
    """Images at random and labels, of which every class has some: x_train, y_train, x_test, ..."""
    rng = np.random.default_rng(seed)
    return {
        "x_train": rng.integers(0, 256, (14, *shape), dtype=np.uint8),
        "y_train": (np.arange(14) * 5 % CLASSES + base).astype(np.uint8),
        "x_test": rng.integers(0, 256, (6, *shape), dtype=np.uint8),
        "y_test": (np.arange(6) % CLASSES + base).astype(np.uint8),
    }


def idx(array, kind=0x08):
    """The IDX file of an array; kind 0x0c: int32."""
    values = array.astype(">i4" if kind == 0x0C else np.uint8)
    header = struct.pack(f">{1 + array.ndim}I", (kind << 8) + array.ndim, *array.shape)
    return header + values.tobytes()


def png(pixels, kind="PNG", **options):
    """The picture file of uint8 [H, W] or [H, W, C]."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def csv(images, labels, separator=",", header=True, last=False):
    """The table of images, bytes."""
    pixels = images.reshape(len(images), -1)
    names = [f"p{i}" for i in range(pixels.shape[1])]
    lines = [separator.join([*names, "label"] if last else ["label", *names])] * header
    for row, label in zip(pixels.tolist(), labels, strict=True):
        fields = [str(value) for value in row]
        lines.append(separator.join([*fields, str(label)] if last else [str(label), *fields]))
    return ("\n".join(lines) + "\n").encode()


def put(folder, files):
    """Writes files, name -> bytes, and the folders above them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def idx_files(made, prefix="", test="t10k", dot="-"):
    """The four IDX files by their names."""
    return {
        f"{prefix}train-images{dot}idx3-ubyte": idx(made["x_train"]),
        f"{prefix}train-labels{dot}idx1-ubyte": idx(made["y_train"]),
        f"{prefix}{test}-images{dot}idx3-ubyte": idx(made["x_test"]),
        f"{prefix}{test}-labels{dot}idx1-ubyte": idx(made["y_test"]),
    }


def packed(files):
    """The same files as gzip."""
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}


def assert_read(place, made, names=("0", "1", "2"), told=()):
    """Checks that a place is read to these images and labels, and tells just that."""
    data = table.read(place)
    assert data.reading.form.class_names == tuple(names)
    for split in ("train", "test"):
        part = data.splits[split]
        np.testing.assert_array_equal(part.images, made[f"x_{split}"])
        np.testing.assert_array_equal(part.labels, made[f"y_{split}"])
        assert (part.images.dtype, part.labels.dtype) == (np.uint8, np.int32)
        assert part.images.shape[1:] == data.reading.form.image_shape
        assert not part.images.flags.writeable and not part.labels.flags.writeable
    assert len(data.told) == len(told), data.told
    for line, words in zip(data.told, told, strict=True):
        assert words in line
    return data
