"""The rows of the benchmark's table, and how they look on a screen and in Markdown."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from rich.table import Table

HEADS = ("what", "target", "measured", "runs", "held")


@dataclasses.dataclass(frozen=True)
class Target:
    """What is to be reached: `bound` or more where `at_least`, otherwise less than `bound`.

    Above `possible` a value is a mistake of the measurement, and reaches nothing.
    """

    bound: float
    at_least: bool = False
    possible: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether a value reaches it."""
        if value > self.possible:
            return False
        return value >= self.bound if self.at_least else value < self.bound


@dataclasses.dataclass(frozen=True)
class Row:
    """One quantity, measured several times.

    Attributes:
      what: it is.
      values: one of each run; none where it could not be measured.
      unit: of the values; empty for a plain number.
      digits: behind the decimal point.
      target: None where there is none.
      middle: what stands for all values; the median unless a row says otherwise.
      profile: the module and arguments of a command that shows where the time goes.
    """

    what: str
    values: Sequence[float]
    unit: str = ""
    digits: int = 2
    target: Target | None = None
    middle: Callable[[Sequence[float]], float] = statistics.median
    profile: tuple[str, ...] = ()

    def cells(self) -> tuple[str, ...]:
        """The row as text, a cell for each of `HEADS`."""
        return (self.what, self._aim(), self._measured(), str(len(self.values)), self.held())

    def _aim(self) -> str:
        if self.target is None:
            return "-"
        word = "at least" if self.target.at_least else "under"
        return f"{word} {self.target.bound:g} {self.unit}".rstrip()

    def _measured(self) -> str:
        if not self.values:
            return "not measured"
        middle = f"{self.middle(self.values):,.{self.digits}f} {self.unit}".rstrip()
        if len(self.values) == 1:
            return middle
        low, high = min(self.values), max(self.values)
        return f"{middle} ({low:,.{self.digits}f} to {high:,.{self.digits}f})"

    def held(self) -> str:
        """Whether its target is reached: "yes" or "no", and "-" where there is none."""
        if self.target is None or not self.values:
            return "-"
        return "yes" if self.target.holds(self.middle(self.values)) else "no"


def on_screen(rows: Sequence[Row]) -> Table:
    """The rows as a table of Rich's."""
    table = Table(*HEADS[:3], title="median (lowest to highest)")
    table.add_column(HEADS[3], justify="right")
    table.add_column(HEADS[4])
    for row in rows:
        table.add_row(*row.cells())
    return table


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def page(title: str, command: str, machine: Mapping[str, str], parts: Sequence[str]) -> str:
    """A page of Markdown: title, command, machine, and the parts, which are paragraphs."""
    about = markdown_table(("machine", ""), list(machine.items()))
    return "\n".join([f"# {title}\n", f"Command: `{command}`\n", about, *parts])
