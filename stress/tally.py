"""How many of a stress test's tries held, and what the others did."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple


class Try(NamedTuple):
    """One try: what was done, and what broke; nothing if it held."""

    done: str
    broken: str = ""


@dataclasses.dataclass
class Tally:
    """Counts tries."""

    tried: int = 0
    held: int = 0  # how many did what is promised
    broken: list[str] = dataclasses.field(default_factory=list)  # a line for each of the others

    def add(self, done: str, broken: str = "") -> None:
        """Counts one try: what was done, and what broke."""
        self.tried += 1
        if broken:
            self.broken.append(f"{done}: {broken}")
        else:
            self.held += 1


def tally(tries: Iterable[Try]) -> Tally:
    """Counts tries."""
    counted = Tally()
    for each in tries:
        counted.add(*each)
    return counted
