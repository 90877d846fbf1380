"""TensorFlow's servers of a cluster, in the test's process."""

import tensorflow as tf

from cnn_mnist.cluster.launcher import free_addresses
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.utils import sessions

WORKERS, SERVERS = 3, 2


class Servers:
    """A chief, three workers and two parameter servers, of which a test takes what it needs."""

    def __init__(self, missing=None):
        """Starts them, but for the one of which `missing` tells role and index."""
        for left in reversed(range(5)):
            try:
                self._addresses = free_addresses(1 + WORKERS + SERVERS)
                self._servers = self._start(missing)
                break
            except tf.errors.UnknownError:  # another program took one of the ports meanwhile
                if not left:
                    raise

    def _start(self, missing):
        whole = self.member(0, 1 + WORKERS, SERVERS)
        places = [("chief", 0), *(("worker", i) for i in range(WORKERS))]
        places += [("ps", i) for i in range(SERVERS)]
        config = sessions.config()
        config.inter_op_parallelism_threads = 0
        return {
            (role, index): tf.distribute.Server(whole.spec, role, index, config=config)
            for role, index in places
            if (role, index) != missing
        }

    def member(self, rank, trainers, servers=1, role=None):
        """The chief (rank 0) or a worker, or a server, of a cluster of so many."""
        chief, *others = self._addresses
        workers, ps = others[: trainers - 1], others[WORKERS : WORKERS + servers]
        role, index = (role, rank) if role else ("worker", rank - 1) if rank else ("chief", 0)
        return Cluster(chief, tuple(workers), tuple(ps), role, index)

    def target(self, member):
        """Of the server of a member."""
        return self._servers[member.role, member.index].target

    def device(self, member):
        """Where the Estimator puts what a member's graph consists of."""
        return tf.compat.v1.train.replica_device_setter(
            cluster=tf.train.ClusterSpec(member.spec), worker_device=member.device
        )

    def session_config(self, member):
        """As in `distributed`: a member needs itself and the parameter servers."""
        return sessions.for_cluster(member.device)

    def reset(self):
        """Forgets all variables, queues and accumulators."""
        tf.compat.v1.Session.reset(self.target(self.member(0, 1)))
