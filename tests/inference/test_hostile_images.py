"""Image files that are damaged, or made to do harm."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ImageFile
from sevens import encoded, seven

from cnn_mnist.inference import images
from cnn_mnist.inference.images import ImageError, read_image
from cnn_mnist.utils.errors import InputError


def npy(header, data=b""):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00" + bytes(100),
        npy("nonsense"),
        npy("-" * 9000 + "1"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (28, 28)}", bytes(783)),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (28, 28)}", bytes(785)),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-28, -28)}", bytes(784)),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 9999999)}", bytes(784)),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 784)}", bytes(784)),
    ],
)
def test_damaged_npy(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ImageError, match="a.npy: found ") as caught:
        read_image(tmp_path / "a.npy")
    assert "MemoryError" not in str(caught.value)


def read_or_refused(path):
    """Reads a file that may be damaged; it must be an image or one clear line."""
    try:
        digit = read_image(path)
    except ImageError as error:
        assert str(error).startswith(f"{path}: found ")
        assert "\n" not in str(error)
        return False
    assert (digit.dtype, digit.shape) == (np.uint8, (28, 28))
    return True


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_truncated_files_are_errors(tmp_path, kind):
    content = encoded(kind)
    path = tmp_path / "a"
    # The last bytes may be a checksum, an end mark or padding, without which all pixels are there.
    for size in np.linspace(0, len(content) - 30, 60).astype(int):
        path.write_bytes(content[:size])
        assert not read_or_refused(path), size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "npy"])
def test_mutated_files_are_images_or_errors(tmp_path, kind):
    if kind == "npy":
        stream = io.BytesIO()
        np.save(stream, np.asarray(seven()))
        content = stream.getvalue()
    else:
        content = encoded(kind)
    rng = np.random.RandomState(11)
    path = tmp_path / "a"
    read = 0
    for trial in range(60):
        # Every second time in the headers, where most of the meaning is.
        end = min(200, len(content)) if trial % 2 else len(content)
        mutated = bytearray(content)
        for place in rng.randint(0, end, rng.randint(1, 4)):
            mutated[place] ^= 1 << rng.randint(8)
        path.write_bytes(mutated)
        read += read_or_refused(path)
    assert read < 60


def png(width, height, data=b""):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_what_pillow_logs_is_told_once(tmp_path, caplog):
    content = bytearray(encoded("TIFF"))
    samples = content.index(struct.pack("<HHI", 277, 3, 1))  # of each pixel
    content[samples + 8 : samples + 10] = struct.pack("<H", 24576)
    (tmp_path / "a.tiff").write_bytes(content)
    with pytest.raises(ImageError, match="a.tiff: found "):
        read_image(tmp_path / "a.tiff")
    assert not caplog.records


@pytest.mark.parametrize("side", [8_001, 10_000, 20_000, 2**31 - 1])
def test_decompression_bombs(tmp_path, side, recwarn, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(png(side, side, zlib.compress(bytes(1_000_000))))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="pixels, expected at most 64 million pixels"):
        read_image(tmp_path / "bomb.png")
    assert not recwarn.list


def test_a_file_of_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 2 << 20)
    (tmp_path / "a.png").write_bytes(encoded("PNG") + bytes(2 << 20))
    with pytest.raises(ImageError, match="more than 2 MiB, expected at most 2 MiB"):
        read_image(tmp_path / "a.png")


def test_unreadable_files(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    for path, message in [
        (tmp_path / "empty.png", "an empty file"),
        (tmp_path / "missing.png", "FileNotFoundError"),
        (tmp_path, "a folder, a pipe or a device"),
        (tmp_path / "a\0b", "ValueError"),
    ]:
        with pytest.raises(ImageError, match=message):
            read_image(path)
    assert issubclass(ImageError, InputError)
