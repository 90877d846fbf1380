"""Training steps a second and peak memory: this package against the classic tutorial.

The two programs run in turn, each as a whole and as a user runs it. The rate is the one that the
Estimator itself writes for TensorBoard (`global_step/sec`, every 100 steps), without the first
100 steps; memory is the process's peak resident size. Ratios are taken run by run, so a machine
whose speed drifts bends them little.

python -m benchmarks.against_classic --classic_python=PYTHON_WITH_TENSORFLOW_2.15
"""

import argparse
import statistics
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks import processes


def measure(command: list[str], steps: int) -> tuple[float, float]:
    """Trains with a program; its steps a second and its peak memory in MB.

    Raises:
      RuntimeError: if it fails; the message is what it wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = processes.run([*command, f"--steps={steps}", f"--model_dir={folder}"])
        events = EventAccumulator(folder)
        events.Reload()
        rates = [event.value for event in events.Scalars("global_step/sec")[1:]]
    # Each rate is over 100 steps, so the harmonic mean is steps over seconds.
    return statistics.harmonic_mean(rates), run.peak_memory_mb


def spread(values: list[float], digits: int) -> str:
    """`median (lowest to highest)`."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classic_python", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=401)
    options = parser.parse_args()
    commands = {
        "classic": [options.classic_python, f"{processes.ROOT}/benchmarks/classic_tutorial.py"],
        "cnn_mnist": [sys.executable, "-m", "cnn_mnist.main", "--mode=train"],
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(1, options.runs + 1):
        for name, command in commands.items():
            runs[name].append(measure(command, options.steps))
            print(f"run {number} of {options.runs}: {name} {runs[name][-1]}", file=sys.stderr)

    print(f"{'program':12}{'steps a second':28}{'peak memory, MB':24}")
    for name, measured in runs.items():
        rates, memory = ([run[i] for run in measured] for i in range(2))
        print(f"{name:12}{spread(rates, 1):28}{spread(memory, 0):24}")
    pairs = zip(runs["cnn_mnist"], runs["classic"], strict=True)
    ratios = [ours / classic for (ours, _), (classic, _) in pairs]
    print(f"ratio of steps a second, {options.runs} runs: {spread(ratios, 2)}")


if __name__ == "__main__":
    main()
