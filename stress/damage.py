"""Damages the files of a trained `model_dir` in every way; looks what the program makes of it."""

from pathlib import Path

from stress import forked
from stress.tally import Tally


def damage(count: int, seed: int, folder: Path) -> Tally:
    """Damages some files, then resumes, evaluates, and scores against the best so far."""
    return forked.share("stress.spoiling:spoil", count, seed, folder)
