"""GIF, WebP and TIFF: what a decoder gets to see of them, and what is refused before it does."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from sevens import BLACK, WHITE, likeness, seven

from cnn_mnist.data.containers import ContainerError, gif, picture_only, tiff, webp
from cnn_mnist.inference.images import ImageError, read_image

OTHER = Image.new("RGB", (90, 120), (10, 200, 99))


def encoded(kind, image=None, **options):
    stream = io.BytesIO()
    (image or seven()).save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGBA"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("seven") / "seven.png"
    seven().save(path)
    return read_image(path)


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "a").write_bytes(content)
        return read_image(tmp_path / "a")

    return read


GIFS = {
    "plain": encoded("GIF"),
    "interlaced": encoded("GIF", interlace=1),
    "with a comment": encoded("GIF", comment=b"so " * 300),
    "transparent": encoded("GIF", seven().quantize(4), transparency=0),
    "animated": encoded("GIF", save_all=True, append_images=[OTHER, seven()], loop=0),
}
WEBPS = {
    "lossy": encoded("WEBP", quality=90),
    "lossless": encoded("WEBP", lossless=True),
    "transparent": encoded("WEBP", seven().convert("RGBA"), quality=90, exif=b"", xmp=b"<x/>"),
    "animated": encoded("WEBP", save_all=True, append_images=[OTHER], lossless=True),
}
TIFFS = {
    "one bit": encoded("TIFF", seven().convert("1")),
    "grey": encoded("TIFF", seven().convert("L")),
    "colours": encoded("TIFF"),
    "palette": encoded("TIFF", seven().quantize(4)),
    "opacity": encoded("TIFF", seven().convert("RGBA")),
    "four inks": encoded("TIFF", seven().convert("CMYK")),
    "16 bits": encoded(
        "TIFF", Image.fromarray(np.asarray(seven().convert("L")).astype(np.uint16) * 257)
    ),
    "several": encoded("TIFF", save_all=True, append_images=[OTHER]),
    "big": encoded("TIFF", big_tiff=True),
    **{
        name: encoded("TIFF", seven().convert(mode), compression=name)
        for name, mode in [
            *(("tiff_lzw", "RGB"), ("tiff_adobe_deflate", "L"), ("tiff_deflate", "RGB")),
            *(("packbits", "L"), ("group3", "1"), ("group4", "1"), ("tiff_ccitt", "1")),
            ("jpeg", "RGB"),
        ]
    },
}
SEVERAL = TIFFS["several"]  # of which the second half is another frame
FILES = [
    *((f"GIF {name}", content) for name, content in GIFS.items()),
    *((f"WebP {name}", content) for name, content in WEBPS.items()),
    *((f"TIFF {name}", content) for name, content in TIFFS.items()),
]
IDS = [name for name, _ in FILES]


@pytest.mark.parametrize("content", [content for _, content in FILES], ids=IDS)
def test_the_first_frame_is_as_pillow_reads_it(read, expected, content):
    picture, _ = picture_only(content)
    np.testing.assert_array_equal(pixels_of(picture), pixels_of(content))
    with Image.open(io.BytesIO(picture)) as image:
        assert getattr(image, "n_frames", 1) == 1
    assert likeness(read(content), expected) > 0.95


@pytest.mark.parametrize("content", [content for _, content in FILES], ids=IDS)
def test_a_file_that_is_cut_off(read, content):
    whole = min(len(picture_only(content)[0]), len(content) // (2 if content is SEVERAL else 1))
    for size in np.linspace(7, whole - 20, 40).astype(int):
        with pytest.raises(ImageError, match="a: found ") as caught:
            read(content[:size])
        assert "\n" not in str(caught.value)


def test_frames_and_comments_are_taken_away():
    for files, start in ((GIFS, b"GIF"), (WEBPS, b"RIFF")):
        picture, _ = picture_only(files["animated"])
        assert picture.startswith(start)
        assert len(picture) < len(files["animated"])
    assert picture_only(GIFS["with a comment"])[0][6:] == picture_only(GIFS["plain"])[0][6:]


def test_metadata_of_webp():
    plain = encoded("WEBP", lossless=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture, xmp = picture_only(
        encoded("WEBP", lossless=True, xmp=b"<x/>", icc_profile=b"c" * 70_000, exif=exif)
    )
    assert xmp == b"<x/>"
    assert len(picture) < len(plain) + 200
    with Image.open(io.BytesIO(picture)) as image:
        assert image.getexif()[0x0112] == 6
        assert "icc_profile" not in image.info and "xmp" not in image.info


@pytest.mark.parametrize("kind", ["WEBP", "TIFF"])
@pytest.mark.parametrize("told", range(1, 9))
def test_orientation(read, expected, kind, told):
    undo = (None, 0, 3, 1, 5, 2, 6, 4)[told - 1]
    turned = seven() if undo is None else seven().transpose(Image.Transpose(undo))
    note = Image.Exif()
    note[0x0112] = told
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(kind, turned, exif=note, **options)
    np.testing.assert_array_equal(read(content), expected)


# Sizes


def test_sizes_before_opening():
    size = (90, 120)
    for content in WEBPS.values():
        assert webp.size(picture_only(content)[0]) == size
    for content in GIFS.values():
        assert gif.size(picture_only(content)[0]) == size
    wide = bytearray(picture_only(GIFS["plain"])[0])
    start = wide.index(b",", 13 + gif._colours(wide, 10))
    wide[start + 5 : start + 7] = struct.pack("<H", 5000)
    assert gif.size(bytes(wide)) == (5000, 120)


def with_size(content, kind, width, height):
    """The file with another size in its header."""
    changed = bytearray(content)
    if kind == "GIF":
        changed[6:10] = struct.pack("<HH", width, height)
    elif kind == "VP8X":
        changed[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == "VP8L":
        changed[21:25] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        changed[26:30] = struct.pack("<HH", width, height)
    return bytes(changed)


@pytest.mark.parametrize(
    ("kind", "content", "size", "limit"),
    [
        ("GIF", GIFS["plain"], (60_000, 60_000), 64),
        ("VP8X", WEBPS["animated"], (16_000_000, 16_000_000), 32),
        ("VP8L", WEBPS["lossless"], (16_000, 16_000), 32),
        ("VP8 ", WEBPS["lossy"], (16_000, 16_000), 32),
    ],
)
def test_bombs_are_refused_before_memory_is_taken(read, kind, content, size, limit):
    message = f"{size[0]} x {size[1]} pixels, expected at most {limit} million pixels"
    with pytest.raises(ImageError, match=message):
        read(with_size(content, kind, *size))


def with_tag(content, tag, value):
    """A little-endian TIFF file with another number for a tag."""
    changed = bytearray(content)
    (place,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, place)
    for at in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, at)[0] == tag:
            struct.pack_into("<HII", changed, at + 2, 4, 1, value)
            return bytes(changed)
    raise KeyError(tag)


GREY = TIFFS["grey"]


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (tiff.WIDTH, 0, "an image of 0 x 120 pixels"),
        (tiff.COMPRESSION, 50_000, "a TIFF file of the compression 50000"),
        (tiff.BITS, 32, "a TIFF file of .*32.* bits in the format"),
        (tiff.ROWS, 7, r"1 places and 1 sizes for its 18 parts"),
        (tiff.ROWS, 0, "a damaged file, parts of 90 x 0 pixels"),
        (tiff.STRIPS, 1 << 30, "its end at byte .*, before that of its pixels"),
        (tiff.STRIP_SIZES, 1 << 30, "its end at byte .*, before that of its pixels"),
    ],
)
def test_what_a_tiff_file_tells(read, tag, value, message):
    assert read(with_tag(GREY, tiff.PHOTOMETRIC, 1)).shape == (28, 28)
    with pytest.raises(ImageError, match=message):
        read(with_tag(GREY, tag, value))


def test_a_tiff_file_of_many_pixels(read):
    """It is told by Pillow's reader, which takes no memory before."""
    huge = with_tag(with_tag(GREY, tiff.WIDTH, 40_000), tiff.HEIGHT, 40_000)
    with pytest.raises(ImageError, match="pixels, expected at most 64 million"):
        read(with_tag(huge, tiff.ROWS, 40_000))


def test_floats_in_a_tiff_file_are_refused(read):
    picture = Image.fromarray(np.asarray(seven().convert("L")).astype(np.float32) / 255)
    with pytest.raises(ImageError, match=r"a TIFF file of \[32\] bits in the format \[3\]"):
        read(encoded("TIFF", picture))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GIF89a" + bytes(7) + b";", "a file without an image"),
        (b"GIF89a" + bytes(7) + b"x", "a part of the kind 0x78 at byte 13"),
        (b"GIF89a" + bytes(7) + b"!\xfe\0" * 100_001, "more than 100000 parts"),
        (b"GIF89a" + bytes(7) + b"," + bytes(10) + b"\1x" * 1_000_001, "more than 1000000 blocks"),
        (b"RIFF\x04\0\0\0WEBP", "a file without an image"),
        (b"RIFF\x0c\0\0\0WEBPVP8 \xff\xff\xff\xff", "its end at byte 20"),
        (b"II*\0\x08\0\0\0\xff\xff", "more than 1000 tags"),
        (b"II*\0\xff\xff\0\0", "its end at byte 8, before that of its directory"),
        (b"MM\0*\0\0\0\x08\0\1\1\0\0\x63" + bytes(12), "values of the type 99 for the tag 256"),
    ],
)
def test_damaged_files(content, message):
    with pytest.raises(ContainerError, match=message):
        picture_only(content)


def test_dark_and_light(read, expected):
    for kind in ("GIF", "WEBP", "TIFF"):
        content = encoded(kind, seven(ink=WHITE, paper=BLACK), quality=95)
        assert likeness(read(content), expected) > 0.95


def test_libtiff_adds_no_line_of_its_own(read, capfd):
    good = TIFFS["tiff_lzw"]
    with pytest.raises(ImageError, match="a: found a damaged file, "):
        read(with_tag(with_tag(good, tiff.HEIGHT, 900), tiff.ROWS, 900))  # of which it has 120
    assert capfd.readouterr().err == ""
