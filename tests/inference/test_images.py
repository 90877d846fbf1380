import subprocess
import sys

import draw_digits
import numpy as np
import pytest
from PIL import Image
from sevens import BLACK, WHITE, encoded, likeness, saved, seven

from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.inference import images, ink
from cnn_mnist.inference.images import ImageError, find_images, read_image
from conftest import ROOT

DIGITS = ROOT / "tests" / "digits"


def centre_of_mass(digit):
    rows, columns = np.mgrid[:28, :28]
    mass = digit.astype(float)
    return (rows * mass).sum() / mass.sum(), (columns * mass).sum() / mass.sum()


def box_of(digit):
    rows, columns = np.nonzero(digit)
    return np.ptp(rows) + 1, np.ptp(columns) + 1


def assert_placed_as_mnist(digit):
    assert (digit.dtype, digit.shape) == (np.uint8, (28, 28))
    assert max(box_of(digit)) == 20
    assert digit.max() >= 250
    row, column = centre_of_mass(digit)
    assert abs(row - 14) <= 0.51
    assert abs(column - 14) <= 0.51


def same(digit, expected):
    """Whether two images show the same, up to a pixel to any side."""
    return likeness(digit, expected) > 0.95


@pytest.fixture(scope="module")
def expected():
    return ink.digit_image(images.picture_of(seven()))


def test_the_seven_is_a_seven(expected):
    assert_placed_as_mnist(expected)
    assert box_of(expected) == (20, 13)  # 79 high and 50 wide, to scale
    filled = ink.cropped(expected) > 127
    assert filled[1].sum() >= 11  # the bar
    assert (filled[4:].sum(axis=1) <= 4).all()  # the stem: one stroke
    stem = [np.flatnonzero(row).mean() for row in filled[4:]]
    assert (np.diff(stem[:-1]) <= 0).all()  # it leans to the right
    assert stem[0] - stem[-1] > 5


@pytest.mark.parametrize("index", range(100))
def test_an_mnist_image_comes_out_as_it_is(mnist, index):
    image = mnist.test.images[index]
    digit = ink.digit_image(image[..., None].astype(np.float32))
    assert np.abs(digit.astype(int) - image).max() <= 30


@pytest.mark.parametrize(
    ("ink_colour", "paper"),
    [
        (WHITE, BLACK),
        ((90, 90, 90), (140, 140, 140)),
        ((200, 30, 40), (250, 240, 190)),
        ((255, 0, 0), (0, 130, 0)),  # equally bright
        ((255, 255, 0), WHITE),
        ((20, 20, 60), (60, 20, 20)),
    ],
)
def test_any_two_colours(expected, ink_colour, paper):
    digit = ink.digit_image(images.picture_of(seven(ink=ink_colour, paper=paper)))
    assert_placed_as_mnist(digit)
    assert same(digit, expected)


@pytest.mark.parametrize(
    ("size", "box", "pen"),
    [
        ((28, 28), (8, 6, 19, 23), 2),
        ((3000, 2000), (1700, 300, 2825, 2050), 225),
        ((200, 120), (140, 30, 185, 100), 9),
        ((60, 82), (5, 5, 50, 75), 9),
        ((900, 60), (400, 12, 426, 52), 5),
    ],
)
def test_any_size_and_place(expected, size, box, pen):
    digit = ink.digit_image(images.picture_of(seven(size=size, box=box, pen=pen)))
    assert max(box_of(digit)) <= 20
    assert likeness(digit, expected) > 0.9  # at 28x28 the pen's edges are coarse
    row, column = centre_of_mass(digit)
    assert abs(row - 14) <= 0.51
    assert abs(column - 14) <= 0.51


def test_five_by_five_pixels():
    picture = np.full((5, 5, 1), 255, np.float32)
    picture[1:4, 2] = 0
    digit = ink.digit_image(picture)
    assert box_of(digit)[0] == 20
    assert box_of(digit)[1] <= 8


@pytest.mark.parametrize("pen", [1, 2, 4])
def test_hairlines_become_strokes(expected, pen):
    image = seven(size=(900, 1200), box=(200, 250, 650, 950), pen=pen)
    digit = ink.digit_image(images.picture_of(image))
    assert_placed_as_mnist(digit)
    assert likeness(digit, expected) > 0.85  # the reference's pen is thicker still
    assert ink.stroke_width(digit / 255) > 1.5


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_mode_of_png(tmp_path, expected, mode):
    image = seven()
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    assert image.mode == mode
    assert same(read_image(saved(image, tmp_path / "a.png")), expected)


def test_twelve_bits_in_sixteen(tmp_path, expected):
    image = Image.fromarray(np.asarray(seven().convert("L")).astype(np.uint16) * 16)
    assert same(read_image(saved(image, tmp_path / "a.png")), expected)


def test_cmyk_and_grey_jpeg_and_bmp(tmp_path, expected):
    for name, mode in [("a.jpg", "CMYK"), ("b.jpg", "L"), ("c.jpg", "RGB"), ("d.bmp", "RGB")]:
        assert same(read_image(saved(seven().convert(mode), tmp_path / name)), expected)
    image = seven(ink=WHITE, paper=BLACK).convert("CMYK")
    assert same(read_image(saved(image, tmp_path / "e.jpg")), expected)


@pytest.mark.parametrize("colour", [BLACK, WHITE, (200, 0, 0)])
def test_a_transparent_background(tmp_path, expected, colour):
    image = Image.new("RGBA", (90, 120), (0, 0, 0, 0))
    image.paste(colour, mask=seven(ink=WHITE, paper=BLACK).convert("L"))
    assert same(read_image(saved(image, tmp_path / "a.png")), expected)


def test_transparent_corners_are_not_ink(tmp_path, expected):
    image = seven().convert("RGBA")
    for corner in [(0, 0), (0, 105), (75, 0), (75, 105)]:
        image.paste((0, 0, 0, 0), (*corner, corner[0] + 15, corner[1] + 15))
    assert same(read_image(saved(image, tmp_path / "a.png")), expected)


def test_a_transparent_palette_colour(tmp_path, expected):
    image = seven().convert("P", palette=Image.Palette.ADAPTIVE)
    path = saved(image, tmp_path / "a.png", transparency=image.getpixel((0, 0)))
    assert same(read_image(path), expected)


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, 4), (2, 0)],
)
def test_exif_orientation(tmp_path, expected, orientation, undo):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = seven().transpose(undo)
    path = saved(turned, tmp_path / "a.jpg", exif=exif, quality=95)
    assert same(read_image(path), expected)
    assert not same(read_image(saved(turned, tmp_path / "b.jpg", quality=95)), expected)


def test_uneven_light_noise_dust_and_a_dark_edge(expected):
    pixels = np.asarray(seven(size=(450, 600), box=(100, 125, 325, 475), pen=45), np.float32)
    y, x = np.mgrid[-1:1:600j, -1:1:450j]
    pixels = pixels * (0.7 - 0.2 * x - 0.15 * y + 0.1 * x * y)[..., None]
    pixels += np.random.RandomState(5).normal(0, 8, pixels.shape)
    pixels[20:26, 400:406] = 0  # dust
    pixels[:, :12] = 0  # the edge of a table
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    digit = ink.digit_image(images.picture_of(image))
    assert max(box_of(digit)) == 20
    assert same(digit, expected)


def test_a_digit_off_balance_stays_inside_the_field():
    box = np.zeros((20, 20), np.float32)
    box[:3] = 1  # all its mass is at its top
    box[:, 9] = 0.01
    field = ink.centred(box)
    assert field.sum() == pytest.approx(box.sum())
    assert field[8:28].any(axis=1).all()


# .npy


@pytest.mark.parametrize("dtype", ["uint8", "<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, expected, dtype, channels, order):
    grey = np.asarray(seven().convert("L"))
    values = grey if channels is None else np.repeat(grey[..., None], channels, axis=2)
    if channels == 4:
        values[..., 3] = 255
    if dtype != "uint8":
        values = (values / 255).astype(dtype)
    np.save(tmp_path / "a.npy", np.asarray(values, order=order))
    assert same(read_image(tmp_path / "a.npy"), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((28, 28), np.int64), "an array of int64"),
        (np.zeros((5, 28, 28), np.uint8), r"a stack \[5, 28, 28\].*Predictor.predict"),
        (np.zeros((9, 9, 2), np.uint8), r"shape \[9, 9, 2\]"),
        (np.zeros(784, np.uint8), r"shape \[784\]"),
        (np.zeros((0, 28), np.uint8), r"shape \[0, 28\]"),
        (np.full((28, 28), 7.0), "floats from 7 to 7"),
        (np.full((28, 28), np.nan), "floats from nan to nan"),
        (np.full((28, 28), np.inf), "floats from inf to inf"),
        (np.zeros((28, 28), complex), "an array of complex128"),
        (np.zeros((28, 28), str), "an array of <U1"),
        (np.array([["pickled", None]], object), "an array of object"),
        (np.zeros((28, 28), np.uint8), "found one colour"),
    ],
)
def test_npy_of_another_kind(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / "a.npy")


def test_the_content_tells_the_kind(tmp_path, expected):
    (tmp_path / "a.jpg").write_bytes(encoded("PNG"))
    assert same(read_image(tmp_path / "a.jpg"), expected)
    seven().save(tmp_path / "b.ppm")
    (tmp_path / "c.png").write_bytes((tmp_path / "b.ppm").read_bytes())
    (tmp_path / "d.png").write_text("digit")
    for name in ("b.ppm", "c.png", "d.png"):
        with pytest.raises(ImageError, match=f"{name}: found another kind of file"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("colour", [BLACK, WHITE, (10, 200, 99)])
def test_one_colour_is_an_error(tmp_path, colour):
    path = saved(Image.new("RGB", (80, 100), colour), tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="found one colour"):
        read_image(path)


def test_light_and_noise_alone_are_no_digit():
    y, x = np.mgrid[-1:1:200j, -1:1:300j]
    light = (180 - 50 * x - 30 * y * y)[..., None]
    with pytest.raises(ink.BlankError):
        ink.digit_image(light.astype(np.float32))
    noise = np.random.RandomState(2).normal(0, 12, light.shape)
    with pytest.raises(ink.BlankError):
        ink.digit_image((light + noise).astype(np.float32))


def test_find_images(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.npy", "notes.txt", "below/d.bmp", "[1].png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    def found(*patterns):
        paths = find_images([tmp_path / pattern for pattern in patterns])
        return [str(path.relative_to(tmp_path)) for path in paths]

    assert found("") == ["[1].png", "a.jpg", "b.PNG", "c.npy"]
    assert found("notes.txt", "a.jpg") == ["notes.txt", "a.jpg"]
    assert found("*.[jn]p*") == ["a.jpg", "c.npy"]
    assert found("**/*.bmp") == ["below/d.bmp"]
    assert found("[1].png") == ["[1].png"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("missing.png", "found nothing of this name"),
        ("*.png", "found nothing of this name"),
        ("empty", "found a folder without images"),
        ("a\nb", r"a\\nb': found nothing"),
    ],
)
def test_what_matches_nothing(tmp_path, pattern, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=message):
        find_images([tmp_path / pattern])
    with pytest.raises(ImageError, match="^'': found nothing"):
        find_images([""])


def test_no_tensorflow():
    code = "import sys, cnn_mnist.inference.images; print('tensorflow' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout == "False\n"


# The drawn digits


def test_the_drawn_digits_are_what_the_script_draws():
    files = find_images([DIGITS])
    assert [path.stem for path in files] == sorted(draw_digits.DRAWINGS)
    assert [path.name[0] for path in files] == [str(i // 2) for i in range(20)]
    for path in files:
        with Image.open(path) as image:
            drawn = draw_digits.drawn(path.stem)
            assert image.mode == drawn.mode
            np.testing.assert_array_equal(np.asarray(image), np.asarray(drawn))


@pytest.mark.parametrize("name", draw_digits.DRAWINGS)
def test_the_drawn_digits_are_placed_as_mnist(name):
    assert_placed_as_mnist(read_image(DIGITS / f"{name}.png"))


@pytest.mark.parametrize("form", [limits.numbered(32, 32, 3, 5), limits.numbered(9, 13, 1, 5)])
def test_pictures_for_other_networks_are_taken_whole(tmp_path, form):
    """In the size and the channels of the training's images; one of that size stays as it is."""
    pixels = np.random.default_rng(3).integers(0, 256, form.image_shape, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "same.png")
    np.testing.assert_array_equal(read_image(tmp_path / "same.png", form, "plain"), pixels)
    large = np.kron(pixels, np.ones((6, 6, 1)[: pixels.ndim], np.uint8))
    Image.fromarray(large).save(tmp_path / "large.png")
    found = read_image(tmp_path / "large.png", form, "plain")
    assert (found.shape, found.dtype) == (form.image_shape, np.uint8)
    assert np.corrcoef(found.ravel(), pixels.ravel())[0, 1] > 0.95
    other = Image.fromarray(pixels).convert("L" if form.channels == 3 else "RGB")
    other.save(tmp_path / "other.png")
    assert read_image(tmp_path / "other.png", form, "plain").shape == form.image_shape


def test_a_picture_is_scaled_by_area(tmp_path):
    """Each pixel of the image is the mean of the part of the picture that it covers."""
    pixels = np.random.default_rng(5).integers(0, 256, (24, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png", limits.numbered(8, 10, 1, 5), "plain")
    means = pixels.reshape(8, 3, 10, 4).mean(axis=(1, 3))
    assert np.abs(found - means).max() <= 1
    colour = read_image(tmp_path / "a.png", limits.numbered(8, 10, 3, 5), "plain")
    np.testing.assert_array_equal(colour, np.repeat(found[..., None], 3, axis=2))


def test_digits_are_looked_for_unless_whole_pictures_are_asked_for(tmp_path):
    path = saved(seven(), tmp_path / "a.png")
    letters = limits.numbered(28, 28, 1, 26)
    np.testing.assert_array_equal(read_image(path, letters), read_image(path))
    whole = np.asarray(seven().convert("L").resize((28, 28), Image.Resampling.BOX))
    np.testing.assert_array_equal(read_image(path, letters, "plain"), whole)


def test_digits_for_networks_of_another_size(tmp_path):
    path = saved(seven(), tmp_path / "a.png")
    form = Form(32, 24, 3, MNIST.class_names)
    found = read_image(path, form)
    assert found.shape == (32, 24, 3)
    placed = Image.fromarray(read_image(path)).resize((24, 32), Image.Resampling.BOX)
    np.testing.assert_array_equal(found, np.repeat(np.asarray(placed)[..., None], 3, axis=2))
