"""What the processes of a `TF_CONFIG` cluster do: chief, worker, parameter server, evaluator."""

import logging
import signal
import time
from typing import Any

from rich.console import Console

from cnn_mnist.checkpoints import record
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import listening, peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster, host_and_port
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import begun, result, tell_end, tell_start
from cnn_mnist.utils import console
from cnn_mnist.utils.errors import reason

log = logging.getLogger(__name__)


def serve(cluster: Cluster, settings: Settings) -> int:
    """Holds weights, as a parameter server, until the chief is done; returns the exit code."""
    with console.shown(progress=True) as screen, console.quiet_cluster():
        from cnn_mnist.cluster import parameter_server

        target = _listen(cluster)
        return parameter_server.serve(cluster, target, settings.cluster_timeout, screen.print)


def play(cluster: Cluster, recipe: Recipe, data: Dataset, settings: Settings) -> int:
    """Takes the role of chief, worker or evaluator until the training is over.

    Returns:
      The exit code.

    Raises:
      InputError, RunError: as `training.train`; and another process is gone, or trains something
        else.
    """
    what = record.of(recipe, data)
    if cluster.role == "chief":
        return _lead(cluster, what, data, settings)
    with console.shown(progress=True) as screen:
        if cluster.role == "worker":
            return _follow(cluster, what, data, screen, settings)
        from cnn_mnist.cluster import evaluator

        split, folder = data.validation, settings.model_dir
        evaluator.watch(cluster, what, split, folder, settings.cluster_timeout, screen.print)
    return 0


def _follow(
    cluster: Cluster, what: Record, data: Dataset, screen: Console, settings: Settings
) -> int:
    """Trains as a worker until nothing is left to train; returns the exit code."""
    from cnn_mnist.cluster import distributed

    with console.quiet_cluster():
        target = _listen(cluster)
        peers.wait_for(peers.addresses(cluster, "ps"), settings.cluster_timeout, screen.print)
        received = distributed.follow(cluster, target, what, data.train, screen, settings)
    return 128 + received if received else 0


def _lead(cluster: Cluster, what: Record, data: Dataset, settings: Settings) -> int:
    """Trains as the chief, and tells the parameter servers when that is over; as `train`."""
    recipe, model_dir = what.recipe, settings.model_dir
    with begun(what, model_dir, progress=True) as (first_step, screen):
        if tell_start(first_step, recipe, len(data.train), progress=True):
            _dismiss(cluster, screen, settings)
            return 0
        start = time.monotonic()
        with console.quiet_cluster():
            received = _train(cluster, what, data, screen, settings)
        run = result(model_dir, time.monotonic() - start)
        tell_end(run, first_step, received, progress=True)
    return 128 + received if received else 0


def _train(
    cluster: Cluster, what: Record, data: Dataset, screen: Console, settings: Settings
) -> signal.Signals | None:
    from cnn_mnist.cluster import distributed, notice

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


def _dismiss(cluster: Cluster, screen: Console, settings: Settings) -> None:
    """Tells the others, as the chief, that nothing is left to train, if they are there."""
    from cnn_mnist.cluster import notice

    servers = peers.addresses(cluster, "ps")
    if any(map(peers.reachable, servers.values())):
        target = _listen(cluster)
        peers.wait_for(servers, settings.cluster_timeout, screen.print)
        _tell(cluster, target, notice.WELL)


def _listen(cluster: Cluster) -> str:
    """Starts TensorFlow's server, for connections to its own address alone; returns its target."""
    from cnn_mnist.cluster import distributed

    server = distributed.start_server(cluster)
    _SERVERS.append(server)
    host, port = host_and_port(cluster.address)
    if not listening.restrict(port, host):
        log.warning(listening.unrestricted(port))
    return server.target


def _tell(cluster: Cluster, target: str, text: str) -> None:
    """Tells the parameter servers that the training is over, but for those that are gone."""
    from cnn_mnist.cluster import notice

    addresses = peers.addresses(cluster, "ps").values()
    there = [index for index, address in enumerate(addresses) if peers.reachable(address)]
    notice.write(target, cluster.device, notice.DONE, there, text)


_SERVERS: list[Any] = []  # they serve as long as they are not collected
