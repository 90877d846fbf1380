"""Measures what the README promises of speed, memory and accuracy, and prints one table.

python -m benchmarks.bench [--rows steps,predictor] [--markdown benchmarks/results.md]
"""

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from benchmarks import before, machine, measures, processes, table
from benchmarks.measures import BEFORE, OVERHEAD, PRODUCT, STAGES, STEPS, Effort
from benchmarks.table import Row
from cnn_mnist.recipes import RECIPES

WIDTH = 130  # of the table where the screen has no width of its own
DUELS = (STEPS, PRODUCT, OVERHEAD, BEFORE)
READING = ("evaluation", "predictor")
ROWS = (*DUELS, *measures.PROMISES, *READING, *measures.SINGLE)
LONG = ("accurate",)  # rows that take longer than all others together
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
        default=",".join(row for row in ROWS if row not in LONG),
        help=f"some of {', '.join(ROWS)}, or any other recipe; separated by commas (default: all "
        f"but {', '.join(LONG)})",
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
    try:
        shown = "\n".join(profile(command) for command in wanting(rows))
    except RuntimeError as error:  # what was measured is not lost for it
        print(f"error: {error}", file=sys.stderr)
        shown = ""
    screen.print(shown, markup=False, soft_wrap=True)
    if options.markdown:
        command = shlex.join(["python", "-m", "benchmarks.bench", *sys.argv[1:]])
        cells = table.markdown_table(table.HEADS, [row.cells() for row in rows])
        parts = [cells, NOTE]
        if shown:
            parts += [f"Where the time of rows that are not held goes:\n\n```text\n{shown}\n```\n"]
        text = table.page("What was measured", command, about, parts)
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


def wanting(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The profiles of the rows that are not held, each once."""
    return list(dict.fromkeys(row.profile for row in rows if row.profile and row.held() == "no"))


def profile(command: tuple[str, ...]) -> str:
    """What a profile prints: where the time of a step, or of a command, goes."""
    print(f"profile: {' '.join(command)}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        of_model = [f"--model_dir={folder}"] if command[0] == STAGES else []
        if "--mode=eval" in command:
            processes.run([*measures.PROGRAM, "--recipe=fast", *of_model])
        done = processes.run([sys.executable, "-m", *command, *of_model])
    lines = done.output.splitlines()
    # The last table: a command that is watched may print some of its own before.
    first = max(i for i, line in enumerate(lines) if line.startswith("┏"))
    return "\n".join(line.rstrip() for line in lines[first - 1 :])


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
