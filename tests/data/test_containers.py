"""What a decoder gets to see of a file; whole files, written by Pillow, with something added."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cnn_mnist.data.containers import ContainerError, orientation, picture_only
from cnn_mnist.inference.images import ImageError, read_image

DRAWN = Image.new("RGB", (90, 120), "white")
ImageDraw.Draw(DRAWN).line([(20, 25), (65, 25), (32, 95)], (20, 30, 60), 9)


def encoded(kind, image=DRAWN, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_chunks(*chunks):
    """A PNG file with chunks behind the first."""
    good = encoded("PNG")
    return good[:33] + b"".join(chunks) + good[33:]


def with_segments(*segments, **options):
    good = encoded("JPEG", **options)
    return good[:2] + b"".join(segments) + good[2:]


def exif(orientation, order="<", kind=3):
    start = b"II*\0" if order == "<" else b"MM\0*"
    other = struct.pack(f"{order}HHII", 0x0100, 4, 1, 90)
    value = struct.pack(f"{order}I", orientation)
    if kind == 3:
        value = struct.pack(f"{order}HH", orientation, 0)
    tag = struct.pack(f"{order}HHI", 0x0112, kind, 1) + value
    return start + struct.pack(f"{order}IH", 8, 2) + other + tag + bytes(4)


def orientation_of(content):
    picture, xmp = picture_only(content)
    with Image.open(io.BytesIO(picture)) as image:
        image.load()
        return orientation(image, xmp)


def pixels_of(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def read_image_of(folder, content):
    (folder / "a").write_bytes(content)
    return read_image(folder / "a")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_the_pixels_of_png_are_untouched(mode):
    content = encoded("PNG", DRAWN.convert(mode))
    picture, _ = picture_only(content + b"rubbish")
    assert picture == content
    np.testing.assert_array_equal(pixels_of(picture), pixels_of(content))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_the_pixels_of_jpeg_are_untouched(mode, options):
    content = encoded("JPEG", DRAWN.convert(mode), **options)
    picture, _ = picture_only(content + b"\xff\xd8rubbish")
    assert picture == content
    np.testing.assert_array_equal(pixels_of(picture), pixels_of(content))


def test_other_kinds_pass():
    for content in (b"", b"\x89PNG", encoded("GIF"), encoded("BMP"), b"BM", b"\xff\xd8"):
        assert picture_only(content) == (content, b"")


def test_what_is_beside_the_picture_is_taken_away():
    flood = zlib.compress(bytes(10_000_000))
    extra = [
        chunk(b"zTXt", b"a\0\0" + flood),
        chunk(b"iCCP", b"a\0\0" + flood),
        *(1000 * [chunk(b"prVt", b"x")]),
    ]
    assert picture_only(with_chunks(*extra)) == picture_only(encoded("PNG"))
    extra = [
        chunk(b"eXIf", bytes(70_000)),
        chunk(b"tEXt", b"Raw profile type exif\0" + 70_000 * b"0"),
    ]
    assert picture_only(with_chunks(*extra)) == picture_only(encoded("PNG"))
    extra = [
        segment(0xE2, b"MPF\0" + b"rubbish"),
        segment(0xED, b"Photoshop 3.0\0"),
        segment(0xFE, b"comment"),
        *(1000 * [segment(0xE0, b"")]),
        b"junk",
    ]
    assert picture_only(with_segments(*extra)) == picture_only(encoded("JPEG"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("told", range(1, 9))
def test_orientation(told, kind, order):
    data = exif(told, order, kind)
    xmp = b'<x tiff:Orientation="%d"/>' % told
    text = b"\nexif\n%d\n" % len(data) + data.hex().encode()
    for content in (
        with_chunks(chunk(b"eXIf", data)),
        with_chunks(chunk(b"tEXt", b"Raw profile type exif\0" + text)),
        with_chunks(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))),
        with_chunks(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)),
        with_segments(segment(0xE1, b"Exif\0\0" + data)),
        with_segments(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)),
    ):
        assert orientation_of(content) == told


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"II",
        b"rubbish and more",
        exif(0),
        exif(9),
        exif(6)[:20],
        b"II*\0" + b"\xff" * 4,
        b"II*\0\x08\0\0\0\xff\xff" + bytes(50),
    ],
)
def test_rubbish_for_an_orientation_is_upright(data):
    assert orientation_of(with_chunks(chunk(b"eXIf", data))) == 1
    assert orientation_of(with_segments(segment(0xE1, b"Exif\0\0" + data))) == 1


def test_the_orientation_is_that_of_pillow():
    for told in range(1, 9):
        note = Image.Exif()
        note[0x0112] = told
        assert orientation_of(encoded("JPEG", exif=note)) == told
        assert orientation_of(encoded("PNG", exif=note)) == told


@pytest.mark.parametrize("told", range(1, 9))
def test_a_picture_is_set_upright(tmp_path, told):
    undo = (None, 0, 3, 1, 5, 2, 6, 4)[told - 1]
    turned = DRAWN if undo is None else DRAWN.transpose(Image.Transpose(undo))
    (tmp_path / "upright.png").write_bytes(encoded("PNG"))
    content = encoded("PNG", turned)
    (tmp_path / "turned.png").write_bytes(content[:33] + chunk(b"eXIf", exif(told)) + content[33:])
    upright = read_image(tmp_path / "upright.png")
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), upright)


def test_every_changed_bit_of_png_is_found(tmp_path):
    content = encoded("PNG", compress_level=0)  # stored, so that a wrong pixel is a valid one
    path = tmp_path / "a.png"
    for place in [
        *range(8, 60),
        *range(60, len(content), 997),
        *range(len(content) - 20, len(content)),
    ]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        with pytest.raises(ImageError, match="found a damaged file, "):
            read_image(path)


def test_a_header_out_of_place(tmp_path):
    good = encoded("PNG")
    header, rest = good[8:33], good[33:]
    path = tmp_path / "a.png"
    for content in (good[:8] + rest, good[:8] + rest[:-12] + header + rest[-12:]):
        path.write_bytes(content)
        with pytest.raises(ImageError, match="found .*damaged"):
            read_image(path)


def test_exif_data_of_many_large_values_are_no_burden(tmp_path):
    """Thousands of tags whose values are all of the rest of the data."""
    count, size = 4_000, 12_000
    entries = (struct.pack("<HHII", 1000 + tag, 7, size, 8 + 12 * count) for tag in range(count))
    data = struct.pack("<2sHIH", b"II", 42, 8, count) + b"".join(entries) + bytes(size + 100)
    assert 60_000 < len(data) < 65_500
    before = read_image_of(tmp_path, encoded("JPEG"))
    file = with_segments(*(300 * [segment(0xE1, b"Exif\0\0" + data)]))
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(read_image_of(tmp_path, file), before)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(file)  # all values: 48 MB a segment
    finally:
        tracemalloc.stop()


def test_too_many_parts():
    with pytest.raises(ContainerError, match="more than 100000 chunks"):
        picture_only(with_chunks(*(100_001 * [chunk(b"IDAT", b"")])))
    with pytest.raises(ContainerError, match="more than 100000 parts"):
        picture_only(with_segments(*(100_001 * [segment(0xDB, b"")])))


def test_too_many_scans():
    good = encoded("JPEG", progressive=True)
    last = good[good.rindex(b"\xff\xda") : -2]
    few = good[:-2] + 50 * last + good[-2:]
    assert picture_only(few)[0].count(b"\xff\xda") == good.count(b"\xff\xda") + 50
    with pytest.raises(ContainerError, match="more than 100 scans"):
        picture_only(good[:-2] + 100 * last + good[-2:])


@pytest.mark.parametrize("size", [0, 1, 60_000])
def test_a_segment_of_no_possible_size(size):
    content = b"\xff\xd8\xff\xdb" + struct.pack(">H", size) + bytes(100)
    with pytest.raises(ContainerError, match=f"a part of {size} bytes that does not fit in"):
        picture_only(content)


def bmp(width, height, compression, data):
    palette = bytes(value for grey in range(256) for value in (grey, grey, grey // 2, 0))
    header = struct.pack("<IiiHHIIiiII", *(40, width, height, 1, 8, compression, 0, 0, 0, 256, 0))
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + len(palette)) + header + palette + data


def test_run_length_coding(tmp_path):
    row = bytes([20, 255, 10, 0, 10, 255, 0, 0])
    path = tmp_path / "a.bmp"
    path.write_bytes(
        bmp(40, 60, 1, 10 * b"\x28\xff\0\0" + 40 * row + 10 * b"\x28\xff\0\0" + b"\0\1")
    )
    assert read_image(path).shape == (28, 28)
    for content in (bmp(64_000_000, 1, 1, b"\1\1\0\0"), bmp(9, 9, 2, bytes(9 << 20))):
        path.write_bytes(content)
        with pytest.raises(
            ImageError, match="run-length coding of .* at most 16 million pixels and 8 MiB"
        ):
            read_image(path)
