"""The files of TensorBoard's embedding projector: vectors, labels, small pictures, and their list.

Axes: N images, H height, W width, U units of the last hidden layer.
"""

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

IMAGES = 2_000  # that are shown
MOST_UNITS = 512  # of a vector; more are projected onto as many
SPRITE_SIDE = 8_192  # pixels: the largest picture that browsers draw as a texture
TENSOR = "last_hidden_layer"


def files(
    vectors: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    indices: np.ndarray,
    class_names: Sequence[str],
) -> dict[str, bytes]:
    """The files by name; TensorBoard finds `projector_config.pbtxt` beside an event file.

    Args:
      vectors: `float32 [N, U]`.
      images: `uint8 [N, H, W]`, or `[N, H, W, 3]`.
      labels, predicted: integers `[N]`, 0 to K - 1.
      indices: integers `[N]`, of the images in their split.
      class_names: of the K classes.
    """
    sheet, (height, width) = sprite(images)
    rows = ["index\ttrue\tpredicted\tright"]
    rows += [
        f"{index}\t{_cell(class_names[true])}\t{_cell(class_names[taken])}\t"
        f"{'yes' if true == taken else 'no'}"
        for index, true, taken in zip(indices, labels, predicted, strict=True)
    ]
    numbers = io.StringIO()
    np.savetxt(numbers, narrowed(vectors), fmt="%.5g", delimiter="\t")
    config = (
        f'embeddings {{\n  tensor_name: "{TENSOR}"\n  tensor_path: "vectors.tsv"\n'
        f'  metadata_path: "labels.tsv"\n  sprite {{\n    image_path: "sprite.png"\n'
        f"    single_image_dim: {width}\n    single_image_dim: {height}\n  }}\n}}\n"
    )
    return {
        "vectors.tsv": numbers.getvalue().encode(),
        "labels.tsv": ("\n".join(rows) + "\n").encode(),
        "sprite.png": sheet,
        "projector_config.pbtxt": config.encode(),
    }


def sprite(images: np.ndarray) -> tuple[bytes, tuple[int, int]]:
    """All images on one square sheet, row by row, as a PNG file; and the size of one there."""
    side = math.ceil(math.sqrt(len(images)))
    height, width, *channels = images.shape[1:]
    scale = min(1.0, SPRITE_SIDE / (side * max(height, width)))
    if scale < 1:
        height, width = max(1, int(height * scale)), max(1, int(width * scale))
        images = np.stack(
            [np.asarray(Image.fromarray(image).resize((width, height))) for image in images]
        )
    sheet = np.zeros([side * side, height, width, *channels], np.uint8)
    sheet[: len(images)] = images
    sheet = sheet.reshape(side, side, height, width, *channels).swapaxes(1, 2)
    file = io.BytesIO()
    Image.fromarray(sheet.reshape(side * height, side * width, *channels)).save(file, "PNG")
    return file.getvalue(), (height, width)


def narrowed(vectors: np.ndarray) -> np.ndarray:
    """Vectors of at most `MOST_UNITS` values, whose distances are nearly those of the given ones.

    By a random projection: W. Johnson, J. Lindenstrauss, "Extensions of Lipschitz mappings into a
    Hilbert space", 1984.
    """
    units = vectors.shape[1]
    if units <= MOST_UNITS:
        return vectors
    # The streams of NumPy's legacy generator are frozen (NEP 19).
    random = np.random.RandomState(0).standard_normal((units, MOST_UNITS)).astype(np.float32)
    return vectors @ random / np.float32(math.sqrt(MOST_UNITS))


def _cell(name: str) -> str:
    return " ".join(name.split())  # a tab would begin a new column
