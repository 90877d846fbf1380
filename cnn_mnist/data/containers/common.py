"""What the readers of all containers share: limits, and the error that they raise."""

MAX_PARTS = 100_000  # chunks or segments of a file; a megabyte as often written has some 100
MAX_EXIF = 1 << 16  # bytes; a JPEG file has no room for more


class ContainerError(ValueError):
    """A file that is damaged, or made to keep a decoder busy. The message follows "found"."""


def cut_off(content: bytes, what: str = "the image") -> ContainerError:
    """The error of a file that ends too early."""
    return ContainerError(f"a damaged file, its end at byte {len(content)}, before that of {what}")
