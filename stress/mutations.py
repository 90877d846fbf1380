"""Ways to damage a file that need not know what is in it."""

import io
import random

import numpy as np


def damaged(
    rng: random.Random, content: bytes, edges: list[int] | tuple[int, ...], header: int = 0
) -> tuple[str, bytes]:
    """Damages a file in one of many ways; returns what was done, and the file.

    Args:
      edges: offsets at which one part of the file ends and the next begins.
      header: where the header ends; half of the flips come before. 0: anywhere.
    """
    size = len(content)
    mutable = bytearray(content)
    choice = rng.randrange(10)
    if choice < 4:
        end = header if header and rng.random() < 0.5 else size
        places = [rng.randrange(end) for _ in range(rng.choice((1, 1, 1, 2, 4)))]
        bits = rng.random() < 0.5
        for place in places:
            mutable[place] ^= 1 << rng.randrange(8) if bits else rng.randint(1, 255)
        return f"{'bits' if bits else 'bytes'} changed at {places}", bytes(mutable)
    if choice == 4:
        cut = rng.randrange(size)
        return f"cut at {cut}", content[:cut]
    if choice == 5:
        cut = min(max(0, rng.choice(edges) + rng.choice((-1, 0, 1))), size - 1)
        return f"cut at the edge {cut}", content[:cut]
    if choice == 6:
        rubbish = rng.choice((rng.randbytes(rng.randint(1, 2000)), bytes(rng.randint(1, 2000))))
        return f"{len(rubbish)} bytes appended", content + rubbish
    if choice == 7:
        return rng.choice((("emptied", b""), ("doubled", content + content)))
    place = rng.choice((rng.randrange(size), min(rng.choice(edges), size)))
    length = rng.randint(1, 50)
    if choice == 8:
        return f"{length} bytes missing at {place}", content[:place] + content[place + length :]
    inserted = rng.randbytes(length)
    return f"{length} bytes inserted at {place}", content[:place] + inserted + content[place:]


def npy_file(array: np.ndarray) -> bytes:
    """The `.npy` file of an array."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()
