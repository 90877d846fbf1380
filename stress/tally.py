"""How many of a stress test's tries held, and what the others did."""

import dataclasses


@dataclasses.dataclass
class Tally:
    """Counts tries.

    Attributes:
      tried: how many.
      held: how many did what is promised.
      broken: one line for each of the others: what was done, what came of it.
    """

    tried: int = 0
    held: int = 0
    broken: list[str] = dataclasses.field(default_factory=list)

    def add(self, *, holds: bool, else_say: str) -> None:
        """Counts one try."""
        self.tried += 1
        if holds:
            self.held += 1
        else:
            self.broken.append(else_say)
