"""What a data set says of itself: how large its images are, and which classes there are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """What a data set says of itself.

    Attributes:
      height, width: of an image, in pixels.
      channels: 1 (grey) or 3 (red, green, blue).
      class_names: label -> name, 2 to 1000 of them.
    """

    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """How many classes there are; labels are 0 to one less."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one image in memory: (height, width) for 1 channel, else (height, width, channels)."""
        return (self.height, self.width) + ((self.channels,) if self.channels > 1 else ())


MNIST = Form(28, 28, 1, tuple("0123456789"))
