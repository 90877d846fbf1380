"""Random numbers that depend on a key, `int64 [2]`, and on nothing else.

They are those of `tf.random.stateless_*(..., alg="philox")`, bit for bit. Those functions add many
operations to the graph, which turn the key into the generator's state. Here one operation does.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
2011: Philox.
"""

from typing import Any

from cnn_mnist.utils.lazy import tf

PHILOX = 1  # tensorflow/core/framework/rng_alg.h


def uniform(shape: Any, key: Any, lower: float = 0.0, upper: float = 1.0) -> Any:
    """`float32` of a shape, from `lower` on and below `upper`."""
    drawn = tf.raw_ops.StatelessRandomUniformV2(shape=shape, **_state(key))
    if (lower, upper) == (0.0, 1.0):
        return drawn
    return tf.add(drawn * (tf.constant(upper) - tf.constant(lower)), tf.constant(lower))


def normal(shape: Any, key: Any, deviation: float) -> Any:
    """`float32` of a shape, of the mean 0."""
    return tf.raw_ops.StatelessRandomNormalV2(shape=shape, **_state(key)) * deviation


def truncated_normal(shape: Any, key: Any, deviation: float) -> Any:
    """The same, but for numbers beyond two deviations, which are drawn again."""
    return tf.raw_ops.StatelessTruncatedNormalV2(shape=shape, **_state(key)) * deviation


def _state(key: Any) -> dict[str, Any]:
    made = tf.raw_ops.StatelessRandomGetKeyCounter(seed=key)
    return {"key": made.key, "counter": made.counter, "alg": PHILOX, "dtype": tf.float32}
