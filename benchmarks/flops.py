"""How much a training step of the classic network multiplies and adds, from its shapes.

A convolution or dense layer is one matrix product a step forward; the gradient by its kernel is
another of the same size, and so is the gradient by its input, which the first layer does not need.
A product adds up `window` terms for each of `positions * filters` outputs of an image, and each
term is two operations: a multiplication and an addition. Zeros at the border that a convolution
pads with are counted, as usual; pooling, ReLU, dropout, softmax and the optimizer are not: together
they are below 1 %.
"""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of weights, as a matrix product."""

    positions: int  # of the kernel on an image; 1 for a dense layer
    window: int  # values that make up one output
    filters: int  # outputs at each position


CLASSIC = (
    Layer(positions=28 * 28, window=5 * 5 * 1, filters=32),
    Layer(positions=14 * 14, window=5 * 5 * 32, filters=64),
    Layer(positions=1, window=7 * 7 * 64, filters=1024),
    Layer(positions=1, window=1024, filters=10),
)


def of_training_step(layers: Sequence[Layer], batch_size: int) -> int:
    """Floating-point operations of one training step."""
    products = [2] + [3] * (len(layers) - 1)
    return sum(
        count * of_product(batch_size * layer.positions, layer.window, layer.filters)
        for count, layer in zip(products, layers, strict=True)
    )


def of_product(rows: int, inner: int, columns: int) -> int:
    """Floating-point operations of a matrix product `[rows, inner] x [inner, columns]`."""
    return 2 * rows * inner * columns
