"""What a data set says of itself: size, channels and classes of its images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """What a data set says of itself.

    Attributes:
      height, width: of the images, in pixels.
      channels: 1 (grey) or 3 (red, green, blue).
      class_names: in the order of the labels, 2 to 1,000.
    """

    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """The number of classes, K."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of an image in memory: `(height, width)`, or `(height, width, channels)` for colour."""
        size = (self.height, self.width)
        return size if self.channels == 1 else (*size, self.channels)


MNIST = Form(28, 28, 1, tuple("0123456789"))
