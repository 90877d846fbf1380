"""Measures what the README promises of speed, memory and accuracy, and prints one table.

python -m benchmarks.bench [--rows steps,predictor] [--markdown benchmarks/results.md]
"""

import argparse
import shlex
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from benchmarks import before, machine, measures, table
from benchmarks.measures import BEFORE, OVERHEAD, PRODUCT, STEPS, Effort
from benchmarks.table import Row
from cnn_mnist.recipes import RECIPES

WIDTH = 130  # of the table where the screen has no width of its own
DUELS = (STEPS, PRODUCT, OVERHEAD, BEFORE)
READING = ("evaluation", "predictor")
ROWS = (*DUELS, *measures.PROMISES, *READING, *measures.SINGLE)
NOTE = """\
`measured` is the median of all runs (of a recipe's accuracy: the mean) with the lowest and the
highest. Contenders that are compared took bursts of steps in turn, and each ratio is of one round;
the median is over the rounds. [How each row is measured](README.md).
"""


def main() -> int:
    """Measures the rows named on the command line, or all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows",
        default=",".join(ROWS),
        help=f"some of {', '.join(ROWS)}, or any other recipe; separated by commas",
    )
    parser.add_argument("--rounds", type=_count, default=Effort.rounds, help="of a duel")
    parser.add_argument(
        "--burst_seconds", type=float, default=Effort.burst_seconds, help="of each in a round"
    )
    parser.add_argument("--runs", type=_count, default=Effort.runs, help="of what is short")
    parser.add_argument("--seeds", type=_count, help="of a recipe; default: what its target names")
    parser.add_argument("--before", help="a commit, to measure against the package as it was then")
    parser.add_argument("--markdown", type=Path, help="a file to write the table to")
    options = parser.parse_args()
    wanted = options.rows.split(",")
    unknown = [name for name in wanted if name not in (*ROWS, *RECIPES)]
    if unknown:
        known = ", ".join(dict.fromkeys((*ROWS, *RECIPES)))
        parser.error(f"--rows: expected some of {known}, found {unknown[0]!r}")
    effort = (options.rounds, options.burst_seconds, options.runs, options.seeds)

    # A signal is an exception here, on whose way out every process that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    about = machine.description()  # now: the load is that before anything is measured
    try:
        with before.worktree(options.before) if options.before else nullcontext() as tree:
            rows = measure(wanted, Effort(*effort, before=tree))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT

    screen = Console(color_system=None, highlight=False)
    if not screen.is_terminal:
        screen.width = WIDTH
    for name, value in about.items():
        screen.print(f"{name}: {value}", markup=False, soft_wrap=True)
    screen.print(table.on_screen(rows))
    if options.markdown:
        command = shlex.join(["python", "-m", "benchmarks.bench", *sys.argv[1:]])
        cells = table.markdown_table(table.HEADS, [row.cells() for row in rows])
        text = table.page("What was measured", command, about, [cells, NOTE])
        options.markdown.write_text(text)
    return 0


def measure(wanted: list[str], effort: Effort) -> list[Row]:
    """The rows of the names in `wanted`, in the order of the table.

    Raises:
      RuntimeError: a program that is measured failed.
    """
    rows = []
    if set(DUELS) & set(wanted):
        rows += measures.duels(wanted, effort)
    for name in dict.fromkeys((*measures.PROMISES, *RECIPES)):
        if name in wanted:
            rows += measures.recipe(name, effort) if name in RECIPES else missing(name)
    if set(READING) & set(wanted):
        rows += measures.reading(wanted, effort)
    for name, action in measures.SINGLE.items():
        if name in wanted:
            rows += action(effort)
    return rows


def missing(name: str) -> list[Row]:
    """The rows of a recipe that is promised and not there."""
    print(f"no recipe {name}: not measured", file=sys.stderr)
    return measures.recipe_rows(name, [])


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
