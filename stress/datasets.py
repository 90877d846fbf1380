"""Damaged and hostile IDX files, gzip files and `mnist.npz`: refused in one line, or read right."""

import random
import re
import shutil
from pathlib import Path

import numpy as np

from cnn_mnist.data import dataset
from stress.dataset_files import KEYS, VALIDATION_SIZE, Arrays, digest
from stress.guard import Guard, Outcome
from stress.hostile_datasets import Case, Makers
from stress.tally import Tally

MOST_SECONDS = 1.0
SLACK = 64 << 20  # bytes of memory beyond the data themselves, which take less than 1 MB


def idx(count: int, seed: int, folder: Path) -> Tally:
    """Reads `count` damaged data sets; `dataset.load` must refuse them or be right."""
    rng = random.Random(seed)
    base = small_arrays()
    makers = Makers(rng, base)
    tally = Tally()
    with Guard(read, dataset.DatasetError) as guard:
        guard.call(str(folder))  # loads what the first call loads
        for _ in range(count):
            case = makers.one()
            target = folder / "data"
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name, content in case.files.items():
                (target / name).write_bytes(content)
            if case.place:
                case.place(target)
            fault = fault_of(guard.call(str(target)), case, target)
            tally.add(holds=not fault, else_say=f"{case.done}: {fault}")
    return tally


def read(folder: str) -> str:
    """What `load` makes of a folder, as a digest."""
    data = dataset.load(folder, VALIDATION_SIZE)
    train = dataset.in_memory(data.train)
    images = np.concatenate([data.validation.images, train.images])
    labels = np.concatenate([data.validation.labels, train.labels])
    return digest(
        dict(zip(KEYS, (images, labels, data.test.images, data.test.labels), strict=True))
    )


def fault_of(outcome: Outcome, case: Case, folder: Path) -> str:
    """What is wrong with the outcome; empty if nothing is."""
    if outcome.fault:
        return outcome.fault
    if outcome.growth > SLACK:
        return f"took {outcome.growth >> 20} MiB of memory"
    if outcome.seconds > MOST_SECONDS:
        return f"took {outcome.seconds:.1f} s"
    if outcome.refusal is None:
        return "" if outcome.value in case.allowed else "was read as something else"
    message = outcome.refusal
    if not case.refusable:
        return f"is good but was refused: {message}"
    if message.splitlines() != [message] or len(message) > 1000:
        return f"not one line: {message!r:.300}"
    if not any(str(folder / name) in message for name in case.culprits):
        return f"names none of {case.culprits}: {message}"
    if case.content_error and not re.search(r"byte offset \d+", message):
        return f"tells no byte offset: {message}"
    return ""


def small_arrays() -> Arrays:
    """Real images, few enough to be read in a moment: 167 to train with, 67 to test with."""
    data = dataset.load()
    return {
        "x_train": data.validation.images[:167],
        "y_train": data.validation.labels[:167].astype(np.uint8),
        "x_test": data.test.images[:67],
        "y_test": data.test.labels[:67].astype(np.uint8),
    }
