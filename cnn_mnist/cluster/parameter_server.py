"""The part of a parameter server: it holds weights until the chief says that it is done."""

import time
from collections.abc import Callable

from cnn_mnist.cluster import notice, peers
from cnn_mnist.cluster.peers import ClusterError, Waiting
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.utils.errors import RunError

LAST_STEPS = 60.0  # seconds, at most, in which workers end the steps that they are in


class JobError(RunError):
    """The chief ended with an error."""


class Servers:
    """The other parameter servers, without each of which the job is lost."""

    def __init__(self, cluster: Cluster) -> None:
        self._addresses = peers.addresses(cluster, "ps")
        self._misses: dict[str, int] = {}  # of those that have been there

    def look(self) -> None:
        """To be called again and again.

        Raises:
          ClusterError: one that was there is gone. Otherwise the chief would be waited for, which
            has ended for the same reason.
        """
        for name, address in self._addresses.items():
            if peers.reachable(address):
                self._misses[name] = 0
            elif name in self._misses:
                self._misses[name] += 1
                if self._misses[name] >= peers.GONE_AFTER:
                    raise ClusterError(peers.gone(name, address))


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
      ClusterError: the chief is gone, or did not come; or another parameter server is gone.
      JobError: the chief has ended with an error.
    """
    reader = notice.Reader(target, cluster.device, notice.DONE, cluster.index)
    with peers.Watch(
        cluster, fatal=[], awaited=[], told=[], timeout=timeout, show=show, keep_on=True
    ) as watch:
        waiting, chief = Waiting(timeout, show), f"the chief at {cluster.chief}"
        servers = Servers(cluster)
        while (said := reader.read()) is None:
            if peers.reachable(cluster.chief):
                waiting.over(chief)
            else:
                waiting.still(chief)
            servers.look()
            time.sleep(peers.LOOK_EVERY)
        end = time.monotonic() + LAST_STEPS
        others = peers.addresses(cluster, "chief", "worker")
        while time.monotonic() < end and any(map(peers.reachable, others.values())):
            time.sleep(peers.LOOK_EVERY)
    if said != notice.WELL:
        raise JobError(f"the chief ended: {said}")
    return 128 + watch.received if watch.received else 0
