"""Which rows of which step's batch a training graph works on.

Alone, a process trains on the whole batch of the global step; if it has several GPUs, each of them
on an equal part. In a cluster the step is one that the process was given, and the rows may be a
part of that step's batch. Random numbers are drawn for the whole batch, of which a part takes its
own rows: so the parts together see what one process sees.

Axes: B rows of the whole batch, b rows of a part.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from cnn_mnist.utils.lazy import tf

# Collections of a graph that hold its `Part`, in types that TensorFlow can save with it.
STEP, ROWS = "part/step", "part/rows"
RANKS = "part/ranks"  # of the replicas whose parts these are, as several may share a graph


class Part(NamedTuple):
    """Rows of a batch."""

    step: Any  # whose batch it is: `int64`, a scalar tensor
    first: int  # the first row
    size: int  # how many rows
    batch_size: int  # of the whole batch


def bounds(rank: int, trainers: int, batch_size: int) -> tuple[int, int]:
    """The first row of a trainer's part, and the first behind it; every row is in one part.

    Parts differ by one row at most.
    """
    return rank * batch_size // trainers, (rank + 1) * batch_size // trainers


def set_part(part: Part) -> None:
    """Makes it the part of the default graph, or of the replica whose part of it is built."""
    step, *rows = part
    tf.compat.v1.add_to_collection(STEP, step)
    tf.compat.v1.add_to_collection(RANKS, _rank())
    for number in rows:
        tf.compat.v1.add_to_collection(ROWS, number)


def is_set() -> bool:
    """Whether the default graph trains on a part that it was given."""
    return _part() is not None


def step() -> Any:
    """The step whose batch the default graph trains on: `int64`, a scalar."""
    part = _part()
    return part.step if part else tf.cast(tf.compat.v1.train.get_or_create_global_step(), tf.int64)


def rows_of_batch(draw: Callable[[Any], Any], rows: Any) -> Any:
    """What `draw` gives for `rows`, as if the others of the batch were there too: `[b, ...]`.

    Args:
      draw: takes the number of rows B, an integer or a scalar tensor, and gives `[B, ...]`.
      rows: the number of rows that the graph has, b: a scalar.
    """
    part = _part()
    if part is not None:
        return draw(part.batch_size)[part.first : part.first + part.size]
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return draw(rows)
    first = tf.distribute.get_replica_context().replica_id_in_sync_group * rows
    return draw(replicas * rows)[first : first + rows]


def _part() -> Part | None:
    ranks, steps = map(tf.compat.v1.get_collection, (RANKS, STEP))
    if not steps:
        return None
    index = ranks.index(_rank()) if _rank() in ranks else 0
    rows = tf.compat.v1.get_collection(ROWS)[3 * index : 3 * index + 3]
    return Part(steps[index], *rows)


def _rank() -> int:
    """Of the replica whose graph is built; 0 outside of replicas."""
    replica = tf.distribute.get_replica_context()
    return int(tf.get_static_value(replica.replica_id_in_sync_group)) if replica else 0
