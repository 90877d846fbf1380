"""Writes what `cnn_mnist/inference/ink.py` makes of some drawings, for `ink.test.js`.

python web/tests/write_ink_cases.py
"""

import base64
import gzip
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from cnn_mnist.data import dataset
from cnn_mnist.inference import ink

FIXTURE = Path(__file__).with_name("fixtures") / "ink.json"
SEVEN = [(0.1, 0.1), (0.8, 0.1), (0.4, 0.9)]  # shares of the sheet's sides


def drawing(width: int, height: int, pen: int, points: list[tuple[float, float]]) -> np.ndarray:
    """A polyline, anti-aliased: `uint8 [height, width]`, 255 where there is ink."""
    image = Image.new("L", (4 * width, 4 * height))
    line = [(4 * width * x, 4 * height * y) for x, y in points]
    ImageDraw.Draw(image).line(line, fill=255, width=4 * pen, joint="curve")
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def placed(pixels: np.ndarray) -> np.ndarray:
    """The steps of `ink.digit_image` behind the search for ink: `uint8 [28, 28]`."""
    found = ink.cropped(pixels.astype(np.float32) / 255)
    fine = ink.thickened(ink.shrunk(found, ink.FINE_BOX))
    return np.rint(255 * ink.centred(ink.boxed(fine))).astype(np.uint8)


def main() -> None:
    """Writes the fixture."""
    cases = {
        "a thick seven": drawing(200, 200, 15, SEVEN),
        "a hairline": drawing(200, 200, 1, SEVEN),
        "a thin pen": drawing(200, 200, 4, SEVEN),
        "a wide sheet": drawing(240, 90, 9, SEVEN),
        "a high sheet": drawing(61, 173, 11, SEVEN),
        "smaller than the box": drawing(13, 11, 2, SEVEN),
        "as small as the box": drawing(25, 25, 3, SEVEN),
        "a bar across": drawing(200, 200, 12, [(0.1, 0.5), (0.9, 0.5)]),
        "a dot": drawing(200, 200, 12, [(0.5, 0.5), (0.56, 0.5)]),
        "top-heavy, to the edge": drawing(64, 64, 14, [(0, 0), (1, 0), (0, 0.05), (0.1, 1)]),
    }
    test = dataset.load().test
    cases |= {f"test image {k}": test.images[k] for k in range(8)}
    written = [
        {
            "name": name,
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "ink": base64.b64encode(gzip.compress(pixels.tobytes(), mtime=0)).decode(),
            "expected": base64.b64encode(gzip.compress(placed(pixels).tobytes(), mtime=0)).decode(),
        }
        for name, pixels in cases.items()
    ]
    FIXTURE.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
