"""What EMNIST's file names say: how its images are stored, and what its labels mean.

Its files hold the images transposed, as NIST's were, and the labels of its letters from 1 on.
Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten
letters"; the six sets' `emnist-SET-mapping.txt`.
"""

from __future__ import annotations

import re
import string

from cnn_mnist.data.places import File, Place

NAME = re.compile(r"emnist-(balanced|byclass|bymerge|digits|letters|mnist)-(?:train|test)\b")
MAX_MAPPING = 1 << 16  # bytes; that of 62 classes takes 400
TOLD = "EMNIST stores its images transposed: they are turned upright"


def of(file: File) -> str:
    """Which of EMNIST's six sets a file belongs to, by its name; empty: none."""
    found = NAME.match(file.base.lower())
    return found[1] if found else ""


def names(place: Place, name: str) -> dict[int, str] | None:
    """Label -> character, of one of EMNIST's sets.

    Letters are A to Z. The others are named by their mapping file, lines of a label and the code of
    a character, if it is there; None if not.

    Raises:
      DatasetError: the mapping file has other lines.
    """
    if name == "letters":
        return dict(enumerate(string.ascii_uppercase, start=1))
    files = [f for f in place.files if f.base.lower() == f"emnist-{name}-mapping.txt"]
    if not files:
        return None
    mapping: dict[int, str] = {}
    lines = bytes(files[0].whole(MAX_MAPPING)).decode("ascii", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        words = line.split()
        right = len(words) >= 2 and all(word.isdecimal() and len(word) < 5 for word in words)
        if right and int(words[0]) not in mapping and chr(int(words[1])).isprintable():
            mapping[int(words[0])] = chr(int(words[1]))
        elif line.strip():
            raise (
                files[0]
                .source()
                .error_at(f"line {number}", "a label and the code of a character", repr(line[:60]))
            )
    return mapping
