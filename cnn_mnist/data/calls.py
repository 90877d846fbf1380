"""Several training steps in one call of a session: where a call ends.

A hook acts between two calls. So a call ends, at the latest, where a hook is due: hooks act at the
same steps as with one step a call.
"""

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Calls:
    """How many steps each call of a session takes. The intervals are steps; 0 for none."""

    longest: int = 1  # what a call takes at most
    total: int = 0  # the step at which the training ends
    validate: int = 0  # between two validations, at its multiples
    save: int = 0  # between two checkpoints, counted from the step that the run begins from
    # Between two lines of the log or two points of a curve, counted from the run's first step.
    look: tuple[int, ...] = ()

    def end(self, start: int, first: int) -> int:
        """The step that a call from step `start` reaches, in a run that began at step `first`."""
        looks = [(first + 1, interval) for interval in self.look]
        due = [(0, self.total), (0, self.validate), (first, self.save), *looks]
        next_due = (start + n - (start - origin) % n for origin, n in due if n)
        return min([start + self.longest, *next_due])

    def ends(self, first: int) -> Iterator[int]:
        """The steps that the calls of a run reach, endlessly, the first call's first."""
        step = first
        while True:
            step = self.end(step, first)
            yield step
