"""Damaged and hostile PNG, JPEG, BMP and `.npy` files: a digit, or a refusal in one line."""

import hashlib
import random
import shutil
from pathlib import Path

import numpy as np

from cnn_mnist.inference.images import ImageError, read_image
from stress.guard import Guard, Outcome
from stress.hostile_pictures import Case, Makers
from stress.tally import Tally

MOST_SECONDS = 8.0  # with this machine's other work; 4 s for the largest and slowest alone
MOST_MEMORY = 1 << 30  # bytes: 64 million pixels of 4 bytes, their coefficients, one conversion


def images(count: int, seed: int, folder: Path) -> Tally:
    """Reads `count` damaged pictures; `images.read_image` must refuse or be right."""
    makers = Makers(random.Random(seed), folder, read)
    tally = Tally()
    with Guard(read, ImageError) as guard:
        path = folder / "picture"
        path.write_bytes(makers.pngs[0][1])
        guard.call(str(path))  # loads what the first call loads
        for _ in range(count):
            case = makers.one()
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            if case.place:
                case.place(path)
            else:
                path.write_bytes(case.content)
            fault = fault_of(guard.call(str(path)), case, path)
            tally.add(holds=not fault, else_say=f"{case.done}: {fault}")
    return tally


def read(path: str) -> str:
    """What `read_image` makes of a file, as a digest; a digit of 28x28 or an error."""
    digit = read_image(path)
    if digit.dtype != np.uint8 or digit.shape != (28, 28) or digit.max() == 0:
        raise AssertionError(f"no digit but {digit.dtype} {digit.shape}, at most {digit.max()}")
    return hashlib.sha256(digit.tobytes()).hexdigest()


def fault_of(outcome: Outcome, case: Case, path: Path) -> str:
    """What is wrong with the outcome; empty if nothing is."""
    if outcome.fault:
        return outcome.fault
    if outcome.growth > MOST_MEMORY:
        return f"took {outcome.growth >> 20} MiB of memory"
    if outcome.seconds > MOST_SECONDS:
        return f"took {outcome.seconds:.1f} s"
    message = outcome.refusal
    if message is None:
        right = case.allowed is None or outcome.value == case.allowed
        return "" if right else "was read as something else"
    if not case.refusable:
        return f"is good but was refused: {message}"
    if message.splitlines() != [message] or len(message) > 1000:
        return f"not one line: {message!r:.300}"
    if not message.startswith(f"{path}: found ") or "MemoryError" in message:
        return f"not clear: {message}"
    return ""
