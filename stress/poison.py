"""NaN and infinity in the midst of a training run."""

from pathlib import Path

from stress import forked
from stress.tally import Tally


def poison(count: int, seed: int, folder: Path) -> Tally:
    """Puts a value that is not finite into variables, gradients or the loss, at a random step."""
    return forked.share("stress.poisoning:dose", count, seed, folder)
