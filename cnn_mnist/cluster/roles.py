"""What the processes of a `TF_CONFIG` cluster do: chief, worker, parameter server, evaluator."""

import logging
import signal
from typing import Any

from rich.console import Console

from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import distributed, evaluator, listening, notice, parameter_server, peers
from cnn_mnist.cluster.distributed import Settings
from cnn_mnist.cluster.tf_config import Cluster, host_and_port
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.utils.errors import reason

log = logging.getLogger(__name__)


def serve(cluster: Cluster, settings: Settings, screen: Console) -> int:
    """Holds weights, as a parameter server, until the chief is done; returns the exit code."""
    target = _listen(cluster)
    return parameter_server.serve(cluster, target, settings.cluster_timeout, screen.print)


def follow(
    cluster: Cluster, what: Record, data: Dataset, screen: Console, settings: Settings
) -> int:
    """Trains as a worker until nothing is left to train; returns the exit code."""
    target = _listen(cluster)
    peers.wait_for(peers.addresses(cluster, "ps"), settings.cluster_timeout, screen.print)
    received = distributed.follow(cluster, target, what, data.train, screen, settings)
    return 128 + received if received else 0


def evaluate(
    cluster: Cluster, what: Record, data: Dataset, screen: Console, settings: Settings
) -> None:
    """Scores, as the evaluator, every checkpoint until that of the last step."""
    split, folder = data.validation, settings.model_dir
    evaluator.watch(cluster, what, split, folder, settings.cluster_timeout, screen.print)


def lead(
    cluster: Cluster, what: Record, data: Dataset, screen: Console, settings: Settings
) -> signal.Signals | None:
    """Trains as the chief, and tells the parameter servers when that is over.

    Returns:
      The signal that ended the training, or None.
    """
    target = _listen(cluster)
    peers.wait_for(peers.addresses(cluster, "ps"), settings.cluster_timeout, screen.print)
    try:
        received = distributed.lead(cluster, target, what, data.train, screen, settings)
    except Exception as error:
        _tell(cluster, target, reason(error) or type(error).__name__)
        raise
    if received is None:
        _tell(cluster, target, notice.WELL)
    return received


def dismiss(cluster: Cluster, screen: Console, settings: Settings) -> None:
    """Tells the others, as the chief, that nothing is left to train, if they are there."""
    servers = peers.addresses(cluster, "ps")
    if any(map(peers.reachable, servers.values())):
        target = _listen(cluster)
        peers.wait_for(servers, settings.cluster_timeout, screen.print)
        _tell(cluster, target, notice.WELL)


def _listen(cluster: Cluster) -> str:
    """Starts TensorFlow's server, for connections to its own address alone; returns its target."""
    server = distributed.start_server(cluster)
    _SERVERS.append(server)
    host, port = host_and_port(cluster.address)
    if not listening.restrict(port, host):
        log.warning(listening.unrestricted(port))
    return server.target


def _tell(cluster: Cluster, target: str, text: str) -> None:
    """Tells the parameter servers that the training is over, but for those that are gone."""
    addresses = peers.addresses(cluster, "ps").values()
    there = [index for index, address in enumerate(addresses) if peers.reachable(address)]
    notice.write(target, cluster.device, notice.DONE, there, text)


_SERVERS: list[Any] = []  # they serve as long as they are not collected
