"""`make stress`: runs the stress tests and prints one table: test, tried, held, seconds."""

import argparse
import dataclasses
import importlib
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cnn_mnist.utils import console
from stress.tally import Tally

SHOWN_FAILURES = 10


@dataclasses.dataclass(frozen=True)
class StressTest:
    """One row of the table."""

    title: str  # what is done, in words
    where: str  # module and function: how many tries, seed, an empty folder -> tally
    full: int  # tries in `make stress`
    quick: int  # tries in `make test-all`, of some in `make test`, too

    def run(self, count: int, seed: int, folder: Path) -> Tally:
        """Makes so many tries, with random choices of a seed, in an empty folder."""
        module, function = self.where.split(":")
        with console.quiet_start():  # most load TensorFlow
            row = getattr(importlib.import_module(f"stress.{module}"), function)
        return row(count, seed, folder)


TESTS: dict[str, StressTest] = {
    "kills": StressTest("SIGKILL at random moments", "runs:kills", 30, 2),
    "save_points": StressTest(
        "SIGKILL at every point of start and save", "runs:save_points", 100, 4
    ),
    "resume": StressTest("resume from every checkpoint", "runs:resume", 15, 2),
    "recipes": StressTest("every recipe in either precision, interrupted", "runs:recipes", 14, 1),
    "signals": StressTest("SIGTERM and Ctrl-C at random moments", "interrupts:signals", 40, 4),
    "ends": StressTest("ends of trainings on a busy machine", "interrupts:ends", 100, 2),
    "races": StressTest("two trainers in one folder", "interrupts:races", 50, 3),
    "clusters": StressTest(
        "kill, stop and cut off the processes of a cluster", "clusters:clusters", 160, 5
    ),
    "idx": StressTest("damaged and hostile data sets", "datasets:idx", 2_000, 150),
    "images": StressTest("damaged and hostile pictures", "pictures:images", 2_000, 80),
    "flags": StressTest("wrong flags, alone and in pairs", "flags:flags", 500, 15),
    "damage": StressTest("damage the files of a trained network", "damage:damage", 500, 40),
    "full_disk": StressTest("fill the disk before each write", "full_disk:full_disk", 72, 4),
    "poison": StressTest("NaN and infinity while training", "poison:poison", 40, 4),
}


def main() -> int:
    """Returns 0 if everything held, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__)
    parser.add_argument("only", nargs="*", help=f"some of: {', '.join(TESTS)}; left out: all")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices (default: 0)")
    parser.add_argument("--tries", type=int, help="instead of each test's own number")
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(TESTS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(TESTS)}")

    table = Table("test", title="Stress")
    for heading in ("tried", "held", "seconds"):
        table.add_column(heading, justify="right")
    broken = []
    for name in arguments.only or TESTS:
        test = TESTS[name]
        print(f"{name}: {test.title}", file=sys.stderr, flush=True)
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="cnn_mnist_stress_") as folder:
            tally = test.run(arguments.tries or test.full, arguments.seed, Path(folder))
        seconds = time.monotonic() - start
        table.add_row(test.title, f"{tally.tried:,}", f"{tally.held:,}", f"{seconds:.0f}")
        broken += [f"{name}: {line}" for line in tally.broken[:SHOWN_FAILURES]]
    Console().print(table)
    print(*broken, sep="\n", end="\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
