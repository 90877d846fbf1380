"""The part of a parameter server: it holds weights until the chief says that it is done."""

import time
from collections.abc import Callable

from cnn_mnist.cluster import notice, peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.utils.errors import RunError

LAST_STEPS = 60.0  # seconds, at most, in which workers end the steps that they are in


class JobError(RunError):
    """The chief ended with an error."""


def serve(settings: Settings, target: str, show: Callable[[str], None]) -> int:
    """Waits, while the server at `target` serves, for the chief's end; returns the exit code.

    Raises:
      ClusterError: the chief is gone, or did not come; or another parameter server that was there
        is gone. Then the job is lost, and a chief that has ended is not waited for.
      JobError: the chief has ended with an error.
    """
    cluster = settings.cluster
    reader = notice.Reader(target, cluster.device, notice.DONE, cluster.index)
    waiting = peers.Waiting(f"the chief at {cluster.chief}", settings.cluster_timeout, show)
    misses: dict[str, int] = {}  # looks in a row, of each parameter server that has been there
    with peers.Watch(settings, show) as watch:
        while (said := reader.read()) is None:
            waiting.note(peers.reachable(cluster.chief))
            for name, address in peers.addresses(cluster, "ps").items():
                if peers.reachable(address):
                    misses[name] = 0
                elif name in misses:
                    misses[name] += 1
                if misses.get(name, 0) >= peers.GONE_AFTER:
                    raise peers.ClusterError(peers.gone(name, address))
            time.sleep(peers.LOOK_EVERY)
        end = time.monotonic() + LAST_STEPS
        trainers = peers.addresses(cluster, "chief", "worker").values()
        while time.monotonic() < end and any(map(peers.reachable, trainers)):
            time.sleep(peers.LOOK_EVERY)
    if said != notice.WELL:
        raise JobError(f"the chief ended: {said}")
    return 128 + watch.received if watch.received else 0
