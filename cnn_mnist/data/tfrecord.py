"""TFRecord files of images and labels; only to read other programs' records takes TensorFlow.

A TFRecord file is one record after another: its length n (uint64), the masked CRC-32C of those
eight bytes (uint32), n bytes, their masked CRC-32C; all little-endian. Each record is here a
serialized `tf.train.Example` with the features

    "image"  bytes, one value: the pixels, row by row, uint8; of grey images 0 (background) to 255
             (ink), of colour images red, green and blue of a pixel side by side
    "label"  int64, one value: 0 to K - 1, of K classes

in any order; other features may stand beside them.

Sources: tensorflow/core/lib/io/record_writer.h; tensorflow/core/example/example.proto and
feature.proto; protobuf.dev, "Encoding"; RFC 3720, appendix B.4 (CRC-32C).
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.sources import Source, first_bytes
from cnn_mnist.utils.console import load_tensorflow
from cnn_mnist.utils.errors import reason
from cnn_mnist.utils.lazy import tf

HEADER, FOOTER = 12, 4  # bytes before and behind what a record holds
MAX_RECORD = 1 << 18  # bytes; those written here of MNIST have 822, of the largest images 196,667
PIECE = 4 << 20  # bytes that are read together
AT_ONCE = 4 << 20  # bytes of records whose checksums are computed together
ONE_BYTE_LABELS = 128  # so many classes have labels that protobuf writes in one byte


@dataclass(frozen=True, eq=False)
class Records:
    """Records of a file, one after another, whose checksums were right."""

    source: Source  # the file
    content: np.ndarray  # uint8, bytes of the file
    starts: np.ndarray  # int64 [N], where in `content` each Example begins
    lengths: np.ndarray  # int64 [N], in bytes
    offset: int  # of the content in the file, in bytes

    def decode(
        self, chosen: np.ndarray | slice, form: Form = MNIST
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images `uint8 [n, H, W]`, or `[n, H, W, 3]`, and labels `int32 [n]`.

        Raises DatasetError for a record that is not of this form.
        """
        starts, lengths = self.starts[chosen], self.lengths[chosen]
        template = _template(form)
        size, labelled = math.prod(form.image_shape), slice(template.behind, -template.label_bytes)
        images = np.empty([len(starts), size], np.uint8)
        labels = np.empty(len(starts), np.int64)
        others = np.ones(len(starts), bool)
        alike = np.flatnonzero(lengths == len(template.content))
        if alike.size:  # those written here differ in pixels and label alone
            windows = np.lib.stride_tricks.sliding_window_view(self.content, len(template.content))
            rows = windows[starts[alike]]
            found = template.labels(rows)
            before = slice(template.image_at)
            same = (rows[:, before] == template.content[before]).all(axis=1)
            same &= (rows[:, labelled] == template.content[labelled]).all(axis=1)
            same &= (found >= 0) & (found < form.num_classes)
            alike, rows = alike[same], rows[same]
            images[alike] = rows[:, template.image_at : template.behind]
            labels[alike] = found[same]
            others[alike] = False
        for place in np.flatnonzero(others):
            start = int(starts[place])
            example = self.content[start : start + int(lengths[place])].tobytes()
            try:
                pixels, labels[place] = _parse(example, size, form.num_classes)
            except ValueError as error:
                expected = (
                    f'an Example with an "image" of {size} bytes and a "label" from 0 to '
                    f"{form.num_classes - 1}"
                )
                raise self.source.error(self.offset + start, expected, error) from None
            images[place] = np.frombuffer(pixels, np.uint8)
        return images.reshape(-1, *form.image_shape), labels.astype(np.int32)


def encode(images: np.ndarray, labels: np.ndarray, form: Form = MNIST) -> np.ndarray:
    """The bytes of the TFRecord file of images and labels: `uint8 [N, bytes of a record]`.

    Images are `uint8 [N, H, W]`, or `[N, H, W, 3]`, labels integers `[N]`, 0 to K - 1.
    """
    template = _template(form)
    length = len(template.content)
    header = struct.pack("<Q", length)
    rows = np.empty([len(labels), HEADER + length + FOOTER], np.uint8)
    rows[:, :HEADER] = np.frombuffer(header + struct.pack("<I", _header_crc(header)), np.uint8)
    rows[:, HEADER:-FOOTER] = template.content
    pixels = images.reshape(len(rows), math.prod(form.image_shape))
    rows[:, HEADER + template.image_at : HEADER + template.behind] = pixels
    template.write_labels(rows[:, :-FOOTER], labels)
    starts = HEADER + rows.shape[1] * np.arange(len(rows))
    at_once = max(1, AT_ONCE // length)
    for place in range(0, len(rows), at_once):
        some = slice(place, place + at_once)
        crcs = masked_crcs(rows.reshape(-1), starts[some], np.full(len(starts[some]), length))
        rows[some, -FOOTER:] = crcs.astype("<u4")[:, None].view(np.uint8)
    return rows


def read(path: Path, count: int, at_once: int = PIECE) -> Iterator[Records]:
    """Reads the first `count` records of a file, in pieces of about `at_once` bytes.

    Raises DatasetError if the file cannot be read, is damaged or has fewer records.
    """
    first_bytes(path)
    source, number, offset = Source(path), 0, 0
    with source.reading("a readable file"), path.open("rb") as file:
        while number < count:
            content, starts, lengths = bytearray(), [], []
            while number < count and (not content or len(content) < at_once):
                place = offset + len(content)
                content += _read(file, HEADER, place, source, f"record {number} of {count}")
                length, crc = struct.unpack_from("<QI", content, len(content) - HEADER)
                if crc != _header_crc(bytes(content[-HEADER:-4])):
                    expected = f"the length of record {number} and its checksum"
                    raise source.error(place, expected, "another checksum")
                if length > MAX_RECORD:
                    raise source.error(place, f"a record of at most {MAX_RECORD} bytes", length)
                starts.append(len(content))
                lengths.append(length)
                what = f"{length} bytes of record {number} and their checksum"
                content += _read(file, length + FOOTER, place + HEADER, source, what)
                number += 1
            places = np.array(starts, np.int64), np.array(lengths, np.int64)
            records = Records(source, np.frombuffer(content, np.uint8), *places, offset)
            _check_crcs(records, number - len(starts))
            offset += len(content)
            yield records


def _read(file: BinaryIO, size: int, offset: int, source: Source, expected: str) -> bytes:
    try:
        content = file.read(size)
    except OSError as error:
        raise source.error(offset, "a readable file", reason(error)) from error
    if len(content) < size:
        raise source.error(offset + len(content), expected, "the end of the file")
    return content


def _check_crcs(records: Records, first: int) -> None:
    at_once = max(1, AT_ONCE // int(records.lengths.max(initial=1)))
    for place in range(0, len(records.starts), at_once):
        starts = records.starts[place : place + at_once]
        lengths = records.lengths[place : place + at_once]
        behind = (starts + lengths)[:, None] + np.arange(FOOTER)
        noted = records.content[behind].view("<u4")[:, 0]
        wrong = np.flatnonzero(noted != masked_crcs(records.content, starts, lengths))
        if wrong.size:
            index = int(wrong[0])
            expected = f"the content of record {first + place + index} with the checksum behind it"
            offset = records.offset + int(starts[index])
            raise records.source.error(offset, expected, "another checksum")


def masked_crcs(content: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The checksums of parts of `content`, as TFRecord files have them: `uint32 [N]`.

    All parts advance together, by four bytes at a time.
    """
    low, high = _crc_tables()
    words = np.ndarray(max(0, len(content) - 3), "<u4", content, strides=(1,))
    longest_first = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[longest_first], lengths[longest_first]
    crcs = np.full(len(starts), 0xFFFFFFFF, np.uint32)
    for place in range(0, int(lengths.max(initial=0)) - 3, 4):
        here = slice(0, int(np.searchsorted(-lengths, -(place + 4), side="right")))
        mixed = crcs[here] ^ words[starts[here] + place]
        crcs[here] = low.take(mixed & 0xFFFF) ^ high.take(mixed >> 16)
    for place in range(3):  # of the last bytes, which fill no word
        left = lengths % 4 > place
        mixed = crcs[left] ^ content[(starts + lengths - lengths % 4)[left] + place]
        crcs[left] = _advanced(mixed & 0xFF, 8) ^ (mixed >> 8)
    crcs = ~crcs
    masked = np.empty_like(crcs)
    masked[longest_first] = ((crcs >> 15) | (crcs << 17)) + np.uint32(0xA282EAD8)
    return masked


@functools.cache
def _crc_tables() -> tuple[np.ndarray, np.ndarray]:
    """How the low and the high 16 bits of a word enter the checksum: `uint32 [65536]` each."""
    high = _advanced(np.arange(1 << 16, dtype=np.uint32), 16)
    return high[high & 0xFFFF] ^ (high >> 16), high


def _advanced(crcs: np.ndarray, bits: int) -> np.ndarray:
    """CRC-32C registers after so many more bits."""
    for _ in range(bits):
        crcs = (crcs >> 1) ^ np.where(crcs & 1, np.uint32(0x82F63B78), np.uint32(0))
    return crcs


@functools.lru_cache(maxsize=64)
def _header_crc(header: bytes) -> int:
    return int(masked_crcs(np.frombuffer(header, np.uint8), np.array([0]), np.array([8]))[0])


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes or of a message, as protobuf encodes it."""
    size, varint = len(content), b""
    while size >= 0x80:
        varint += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + varint + bytes([size]) + content


@dataclass(frozen=True, eq=False)
class _Template:
    """An Example of a black image with the label 0, as `content`; the label is at its end.

    The image lies from `image_at` up to `behind`. Where there are more classes than one byte can
    tell, every label takes two, as protobuf lets it, so that all records have one length.
    """

    content: np.ndarray  # uint8
    image_at: int
    behind: int
    label_bytes: int

    def write_labels(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Puts labels `[N]` at the end of Examples, `uint8 [N, bytes]`."""
        if self.label_bytes == 1:
            rows[:, -1] = labels
        else:
            rows[:, -2], rows[:, -1] = labels & 0x7F | 0x80, labels >> 7

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """The labels at the end of Examples: `int64 [N]`; -1 for one that is not written so."""
        last = rows[:, -1].astype(np.int64)
        if self.label_bytes == 1:
            return last
        low = rows[:, -2].astype(np.int64)
        return np.where((low >= 0x80) & (last < 0x80), low & 0x7F | last << 7, -1)


@functools.lru_cache(maxsize=8)
def _template(form: Form) -> _Template:
    size = math.prod(form.image_shape)
    label_bytes = 1 if form.num_classes <= ONE_BYTE_LABELS else 2
    zero = b"\0" if label_bytes == 1 else b"\x80\0"
    image = _field(1, _field(1, bytes(size)))  # Feature.bytes_list
    label = _field(3, _field(1, zero))  # Feature.int64_list
    pairs = ((b"image", image), (b"label", label))
    entries = [_field(1, _field(1, name) + _field(2, feature)) for name, feature in pairs]
    content = _field(1, b"".join(entries))
    image_at = content.index(bytes(size))
    return _Template(np.frombuffer(content, np.uint8), image_at, image_at + size, label_bytes)


def _parse(example: bytes, size: int, num_classes: int) -> tuple[bytes, int]:
    """The pixels and the label of an Example; a ValueError says what was found instead."""
    load_tensorflow()
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(example).features.feature
    except DecodeError:
        raise ValueError("one that cannot be decoded") from None
    for name in ("image", "label"):
        if name not in features:
            raise ValueError(f'none with a feature "{name}"')
    images = features["image"].bytes_list.value
    if [len(image) for image in images] != [size]:
        raise ValueError(f"values of {[len(image) for image in images[:4]]} bytes as its image")
    labels = features["label"].int64_list.value
    if len(labels) != 1 or not 0 <= labels[0] < num_classes:
        raise ValueError(f"{labels[:4]} as its label")
    return images[0], labels[0]
