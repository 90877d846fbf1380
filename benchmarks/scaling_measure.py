"""What `scaling.py` cannot compute, measured on this machine and written as JSON.

- Training steps a second of the default recipe, in one process, with its batch and with a batch of
  one image, which shows what a step takes however few its images are.
- The same in a cluster of a chief, a worker and a parameter server, which share this machine: what
  TensorFlow's runtime costs, not what a second machine gains.
- The bytes that such a step sends through the loopback: of the counters of the whole system, so no
  other program may use it meanwhile. `unshare --net` gives the command a loopback of its own, once
  that is up: `ip link set lo up`.
- What a parameter server computes in a synchronous step for each worker.

python -m benchmarks.scaling_measure
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, processes
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import console

STEPS, FEW_STEPS = 400, 100  # of a run; the difference of two runs has no start and no end
MEASURED = processes.ROOT / "benchmarks/scaling.json"
COUNTERS = Path("/proc/net/dev")
WORKERS = (1, 2, 4, 8)  # that leave gradients with the server
WARM_UP, TIMED = 3, 20  # steps of the server


def alone(batch_size: int, steps: int) -> float:
    """Training steps a second of one process."""
    return _trained("cnn_mnist.main", [f"--batch_size={batch_size}"], steps)[0]


def cluster(strategy: str) -> tuple[float, float]:
    """Training steps a second of a chief, a worker and a parameter server; the bytes of a step."""
    flags = ["--workers=1", "--ps=1", "--no-evaluator", f"--strategy={strategy}"]
    rate, long = _trained("cnn_mnist.cluster", flags, STEPS)
    _, short = _trained("cnn_mnist.cluster", flags, FEW_STEPS)
    return rate, (long - short) / (STEPS - FEW_STEPS)


def _trained(program: str, flags: list[str], steps: int) -> tuple[float, int]:
    """Trains from nothing; the steps a second, and the bytes that went through the loopback."""
    command = [sys.executable, "-m", program, *flags, "--mode=train", f"--steps={steps}"]
    with tempfile.TemporaryDirectory() as folder:
        before = loopback_bytes(COUNTERS.read_text())
        processes.run([*command, f"--model_dir={folder}", "--eval_every_steps=0"])
        sent = loopback_bytes(COUNTERS.read_text()) - before
        rates = _rates(Path(folder))
    print(f"{program} {' '.join(flags)}: {rates} steps/s, {sent:,} bytes", file=sys.stderr)
    return statistics.median(rates or [float("nan")]), sent


def loopback_bytes(counters: str) -> int:
    """What the loopback has carried, from the text of `/proc/net/dev`.

    Raises:
      ValueError: there is no loopback in it.
    """
    for line in counters.splitlines():  # name: bytes received, packets received, ...
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[0])
    raise ValueError(f"no interface lo in {COUNTERS}")


def _rates(folder: Path) -> list[float]:
    """The steps a second of a run, every 100 steps, as its log and its curves tell them."""
    import tensorflow as tf

    return [
        value.simple_value
        for path in sorted(folder.glob("events.out.tfevents.*"))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag == "global_step/sec"
    ]


def server(parameters: int) -> dict[int, float]:
    """Seconds of a parameter server's step: number of workers -> median, without any network.

    As in `synchronous.py`, each worker's gradient goes into an accumulator of its own; all are
    taken out, weighted, added up and applied, and every worker's guard reads the weights.
    """
    return {workers: _server_step(parameters, workers) for workers in WORKERS}


def _server_step(parameters: int, workers: int) -> float:
    import tensorflow as tf

    from cnn_mnist.utils import sessions

    config = sessions.config()
    config.inter_op_parallelism_threads = 0  # as `distributed.start_server` has it
    with tf.Graph().as_default():
        weights = tf.compat.v1.get_variable("weights", [parameters], use_resource=True)
        received = tf.compat.v1.get_variable("received", [parameters], use_resource=True)
        left: list[Any] = [
            tf.compat.v1.ConditionalAccumulator(tf.float32, [parameters], name=f"left_{worker}")
            for worker in range(workers)
        ]
        leave = tf.group(*(each.apply_grad(received.read_value(), 0) for each in left))
        with tf.control_dependencies([leave]):
            mean = tf.add_n([each.take_grad(1) / workers for each in left])
        with tf.control_dependencies([weights.assign_sub(0.001 * mean, read_value=False)]):
            step = tf.group(*(tf.nn.l2_loss(weights.read_value()) for _ in left))
        reset = tf.group(*(each.set_global_step(0) for each in left))
        with tf.compat.v1.Session(config=config) as session:
            session.run(tf.compat.v1.global_variables_initializer())
            times = []
            for _ in range(WARM_UP + TIMED):
                session.run(reset)
                start = time.perf_counter()
                session.run(step)
                times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])


def _clusters() -> dict[str, Any]:
    found = {strategy: cluster(strategy) for strategy in ("sync", "parameter_server")}
    return {
        "cluster_steps_per_second": {name: rate for name, (rate, _) in found.items()},
        "cluster_bytes_per_step": {name: round(sent) for name, (_, sent) in found.items()},
    }


def _alone() -> dict[str, Any]:
    return {"steps_per_second": {f"{size}": alone(size, STEPS) for size in (Recipe.batch_size, 1)}}


def _server() -> dict[str, Any]:
    from benchmarks import scaling_sizes

    parameters = scaling_sizes.of(Recipe(), (1,)).parameters
    seconds = {f"{workers}": each for workers, each in server(parameters).items()}
    return {"server": {"bytes": 4 * parameters, "seconds": seconds}}


PARTS = {"cluster": _clusters, "alone": _alone, "server": _server}


def main() -> int:
    """Measures and writes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    parser.add_argument("--json", type=Path, default=MEASURED, help="of other parts it stays")
    options = parser.parse_args()
    wanted = options.parts.split(",")
    if not set(wanted) <= set(PARTS):
        parser.error(f"--parts: expected some of {', '.join(PARTS)}, found {options.parts!r}")
    about = machine.description()  # now: the load is that before anything is measured
    console.start_tensorflow()
    try:
        found = json.loads(options.json.read_text()) if options.json.exists() else {}
        for part in PARTS:
            if part in wanted:
                found |= PARTS[part]() | {f"machine of {part}": about}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    except (RuntimeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
