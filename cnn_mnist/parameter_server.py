"""The part of a parameter server: it holds weights until the chief says that it is done."""

import time
from collections.abc import Callable

from cnn_mnist import notice, peers
from cnn_mnist.errors import RunError
from cnn_mnist.peers import Waiting
from cnn_mnist.tf_config import Cluster

LAST_STEPS = 60.0  # seconds, at most, in which workers end the steps that they are in


class JobError(RunError):
    """The chief ended with an error."""


def serve(cluster: Cluster, target: str, timeout: float, show: Callable[[str], None]) -> int:
    """Waits, while TensorFlow's server of this process serves, for the end of the training.

    Args:
      cluster: this process is one of its parameter servers.
      target: of its server.
      timeout: seconds to wait for a chief that is not there.
      show: prints a line.

    Returns:
      The exit code.

    Raises:
      ClusterError: the chief is gone, or did not come.
      JobError: the chief has ended with an error.
    """
    reader = notice.Reader(target, f"/job:ps/task:{cluster.index}", notice.DONE, cluster.index)
    with peers.Watch(
        cluster, fatal=[], awaited=[], told=[], timeout=timeout, show=show, keep_on=True
    ) as watch:
        waiting, chief = Waiting(timeout, show), f"the chief at {cluster.chief}"
        while (said := reader.read()) is None:
            if peers.reachable(cluster.chief):
                waiting.over(chief)
            else:
                waiting.still(chief)
            time.sleep(peers.LOOK_EVERY)
        end = time.monotonic() + LAST_STEPS
        others = peers.addresses(cluster, "chief", "worker")
        while time.monotonic() < end and any(map(peers.reachable, others.values())):
            time.sleep(peers.LOOK_EVERY)
    if said != notice.WELL:
        raise JobError(f"the chief ended: {said}")
    return 128 + watch.received if watch.received else 0
