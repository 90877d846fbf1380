"""TensorFlow's servers of a cluster, in the test's process."""

import tensorflow as tf

from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.utils import sessions
from cnn_mnist.utils.listening import free_addresses

WORKERS = 3


class Servers:
    """A chief and three workers, of which a test takes what it needs."""

    def __init__(self):
        """Starts them."""
        for left in reversed(range(5)):
            try:
                self._addresses = free_addresses(1 + WORKERS)
                self._servers = self._start()
                break
            except tf.errors.UnknownError:  # another program took one of the ports meanwhile
                if not left:
                    raise

    def _start(self):
        members = [self.member(rank, 1 + WORKERS) for rank in range(1 + WORKERS)]
        config = sessions.for_all_reduce()
        return {
            (each.role, each.index): tf.distribute.Server(
                each.spec, each.role, each.index, config=config
            )
            for each in members
        }

    def member(self, rank, trainers):
        """The chief (rank 0) or a worker of a cluster of so many."""
        chief, *others = self._addresses
        role, index = ("worker", rank - 1) if rank else ("chief", 0)
        return Cluster(chief, tuple(others[: trainers - 1]), role, index)

    def target(self, member):
        """Of the server of a member."""
        return self._servers[member.role, member.index].target

    def reset(self):
        """Forgets all variables."""
        tf.compat.v1.Session.reset(self.target(self.member(0, 1)))
