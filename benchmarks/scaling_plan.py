"""How long a training step takes at least, with how many workers: arithmetic on sizes and times.

A step has parts that can go on at the same time: the workers compute, the links carry weights and
gradients, the parameter servers add gradients up, images are fetched. It takes at least as long as
the slowest of them, and it would take just that if all the others hid behind it. Latency and
stragglers come on top. So a speed-up from here is one that no cluster exceeds.
"""

import dataclasses
import math
from collections.abc import Sequence

GIGABIT = 1e9 / 8  # bytes
LINKS = (1, 10, 25, 100)  # Gbit/s, each way at once
SERVERS = (1, 2, 4, 8)
WORKERS = (1, 8, 64, 512)
IMAGE = 28 * 28 + 4  # bytes: pixels, `uint8`, and a label, `int32`


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured, on the machine that the workers are taken to be.

    Attributes:
      images: of a whole batch.
      step: seconds of a training step of that batch, in one process.
      one_image: seconds of a training step of one image.
      sums: seconds that a parameter server computes in a synchronous step, for each byte of weights
        that it holds and each worker.
    """

    images: int
    step: float
    one_image: float
    sums: float

    def compute(self, images: int) -> float:
        """Seconds of a training step of so many images, on the line through the two measured."""
        more = (self.step - self.one_image) / max(1, self.images - 1)
        return self.one_image + more * (images - 1)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the images of a step are shared out.

    Attributes:
      measured: the times.
      workers: how many train, the chief among them.
      images: of a step, all workers' together.
      in_step: whether all wait for each other: then weights go out and gradients come in one after
        the other, and parameter servers add them up.
    """

    measured: Measured
    workers: int
    images: int
    in_step: bool

    @property
    def part(self) -> int:
        """Images of a step for the worker that has most."""
        return math.ceil(self.images / self.workers)

    def with_servers(self, weights: int, fullest: float, link: float) -> dict[str, float]:
        """Seconds of each part of a step with parameter servers.

        Args:
          weights: bytes of all weights.
          fullest: bytes of those on the parameter server that has most.
          link: Gbit/s of every machine, each way.
        """
        each_way = max(self.workers * fullest, weights) / (link * GIGABIT)
        parts = {**self._parts(link), "links": each_way * (2 if self.in_step else 1)}
        if self.in_step:
            parts["sums"] = self.workers * fullest * self.measured.sums
        return parts

    def with_ring(self, weights: int, link: float) -> dict[str, float]:
        """Seconds of each part of a step with ring all-reduce (Patarasuk and Yuan, 2009).

        Every worker sends, and gets, `2 (N - 1) / N` times the gradient.
        """
        sent = 2 * (self.workers - 1) / self.workers * weights
        return {**self._parts(link), "links": sent / (link * GIGABIT)}

    def _parts(self, link: float) -> dict[str, float]:
        return {
            "compute": self.measured.compute(self.part),
            "input": self.images * IMAGE / (link * GIGABIT),  # from one file server
        }

    def speed_up(self, parts: dict[str, float]) -> float:
        """Images a second at most, as a multiple of those of one process.

        Args:
          parts: seconds of each part of a step.
        """
        alone = self.measured.images / self.measured.step
        return self.images / max(parts.values()) / alone


def own_batches(measured: Measured, workers: int, in_step: bool) -> Plan:
    """Each worker has a whole batch: the work grows with the workers."""
    return Plan(measured, workers, workers * measured.images, in_step)


def one_batch(measured: Measured, workers: int) -> Plan:
    """The workers share one batch, as `--strategy=sync` does.

    Raises:
      ValueError: there are fewer images than workers.
    """
    if workers > measured.images:
        raise ValueError(f"{measured.images} images for {workers} workers")
    return Plan(measured, workers, measured.images, in_step=True)


def fewer_steps(noise_scale: float, batch: int, larger: int) -> float:
    """By how much a larger batch shortens a training, counted in steps.

    To the same loss it takes `1 + noise_scale / batch` times the fewest steps (McCandlish et al.,
    2018; with the best learning rate for each batch).
    """
    return (1 + noise_scale / batch) / (1 + noise_scale / larger)


def number(value: float) -> str:
    """Three digits of a positive number, or all before the point."""
    return f"{value:.2g}" if value < 1 else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def numbers(values: Sequence[float]) -> str:
    """Several of them, in one cell; just one if all are the same."""
    texts = [number(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else " / ".join(texts)
