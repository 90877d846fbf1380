"""Where the seconds of a command go, stage by stage, from the start of Python to its end.

python -m benchmarks.stages --mode=eval --model_dir=model_dir/fast

The flags are those of `python -m cnn_mnist.main`.
"""

import functools
import importlib
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 100
# Stage -> the functions that it consists of: module, and name in there. No stage is within another.
BEFORE_TENSORFLOW = {
    "the images": [("cnn_mnist.data.dataset", "load")],
    "loading TensorFlow": [("cnn_mnist.utils.console", "load_tensorflow")],
}
AFTER_TENSORFLOW = {
    "training, with its graph, checkpoints and validation": [
        ("cnn_mnist.training.loop", "Steps.run"),
    ],
    "scoring the test images": [("cnn_mnist.evaluation.scoring", "score")],
    "opening the network, maps of the mistakes": [
        ("cnn_mnist.explanations.network", "OpenNetwork.__init__"),
        ("cnn_mnist.evaluation.inside", "draw"),
    ],
    "waiting for figures": [("concurrent.futures", "Future.result")],
    "writing the report": [
        ("cnn_mnist.evaluation.report", "write"),
        ("cnn_mnist.evaluation.report", "to_tensorboard"),
    ],
}
ELSE, STARTING = "everything else", "starting Python, reading the flags"


class Stages:
    """Notes how long each stage takes."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def watch(self, stages: dict[str, list[tuple[str, str]]]) -> None:
        """Times the functions of stages from now on."""
        for stage, functions in stages.items():
            for module, path in functions:
                owner: Any = importlib.import_module(module)
                *classes, name = path.split(".")
                for each in classes:
                    owner = getattr(owner, each)
                found = vars(owner)[name]
                timed = self._timed(stage, getattr(owner, name))
                setattr(
                    owner, name, staticmethod(timed) if isinstance(found, staticmethod) else timed
                )

    def _timed(self, stage: str, function: Any) -> Any:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.monotonic()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[stage] += time.monotonic() - start
                if stage == "loading TensorFlow" and AFTER_TENSORFLOW:
                    self.watch(AFTER_TENSORFLOW)
                    AFTER_TENSORFLOW.clear()

        return timed


def age() -> float:
    """Seconds since this process began."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # proc(5)
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / 100


def main() -> int:
    """Runs the command, prints the table, and returns the command's exit code."""
    from cnn_mnist import main as program

    program.own_process()
    stages = Stages()
    stages.seconds[STARTING] = age()
    stages.watch(BEFORE_TENSORFLOW)
    code = program.main(sys.argv)
    whole = age()
    stages.seconds[ELSE] = whole - sum(stages.seconds.values())
    table = Table("stage", title=f"Stages of {sys.argv[1]}" if sys.argv[1:] else "Stages")
    for head in ("seconds", "share"):
        table.add_column(head, justify="right")
    for stage, each in sorted(stages.seconds.items(), key=lambda item: -item[1]):
        table.add_row(stage, f"{each:.2f}", f"{each / whole:.0%}")
    table.add_section()
    table.add_row("all", f"{whole:.2f}", "")
    Console(width=WIDTH).print(table)
    return code


if __name__ == "__main__":
    sys.exit(main())
