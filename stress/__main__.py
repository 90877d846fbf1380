"""`make stress`: runs the stress tests and prints one table: test, tried, held, seconds."""

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stress import interrupts, runs
from stress.clusters import clusters
from stress.damage import damage
from stress.datasets import idx
from stress.ends import ends
from stress.flags import flags
from stress.full_disk import full_disk
from stress.pictures import images
from stress.poison import poison
from stress.tally import Tally

SHOWN_FAILURES = 10


@dataclasses.dataclass(frozen=True)
class StressTest:
    """One row of the table.

    Attributes:
      title: what is done, in words.
      run: (how many tries, seed of the random choices, an empty folder) -> tally.
      full: tries in `make stress`.
      quick: tries in `make test-all`, of some in `make test`, too.
    """

    title: str
    run: Callable[[int, int, Path], Tally]
    full: int
    quick: int


TESTS: dict[str, StressTest] = {
    "kills": StressTest("SIGKILL at random moments", runs.kills, full=30, quick=2),
    "save_points": StressTest(
        "SIGKILL at every point of start and save", runs.save_points, full=100, quick=4
    ),
    "resume": StressTest("resume from every checkpoint", runs.resume, full=15, quick=2),
    "recipes": StressTest(
        "every recipe in either precision, interrupted", runs.recipes, full=14, quick=1
    ),
    "signals": StressTest(
        "SIGTERM and Ctrl-C at random moments", interrupts.signals, full=40, quick=4
    ),
    "ends": StressTest("ends of trainings on a busy machine", ends, full=100, quick=2),
    "races": StressTest("two trainers in one folder", interrupts.races, full=50, quick=3),
    "clusters": StressTest("SIGKILL to the processes of a cluster", clusters, full=80, quick=4),
    "idx": StressTest("damaged and hostile data sets", idx, full=2_000, quick=150),
    "images": StressTest("damaged and hostile pictures", images, full=2_000, quick=150),
    "flags": StressTest("wrong flags, alone and in pairs", flags, full=500, quick=25),
    "damage": StressTest("damage the files of a trained network", damage, full=500, quick=40),
    "full_disk": StressTest("fill the disk before each write", full_disk, full=56, quick=4),
    "poison": StressTest("NaN and infinity while training", poison, full=40, quick=4),
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
