"""What the processes of a `TF_CONFIG` cluster do: chief, worker, parameter server, evaluator."""

import contextlib
import logging
import time
from typing import Any

from cnn_mnist.checkpoints import record
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import listening, notice, peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster, host_and_port
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import begun, result, tell_end, tell_start
from cnn_mnist.utils import console
from cnn_mnist.utils.errors import reason
from cnn_mnist.utils.lazy import tf

log = logging.getLogger(__name__)

_SERVERS: list[Any] = []  # they serve as long as they are not collected: until the process ends


def serve(settings: Settings) -> int:
    """Holds weights, as a parameter server, until the chief is done; returns the exit code."""
    with console.shown(progress=True) as screen, console.quiet_cluster():
        from cnn_mnist.cluster import parameter_server

        return parameter_server.serve(settings, _listen(settings.cluster), screen.print)


def play(settings: Settings, recipe: Recipe, data: Dataset) -> int:
    """Is chief, worker or evaluator until the training is over; returns the exit code.

    Raises:
      InputError, RunError: as `training.train`; and another process is gone, or trains something
        else.
    """
    cluster, what = settings.cluster, record.of(recipe, data)
    if settings.strategy == "multi_worker" and cluster.role != "evaluator":
        return _train_together(settings, what, data)
    if cluster.role == "chief":
        return _lead(settings, what, data)
    with console.shown(progress=True) as screen:
        if cluster.role == "evaluator":
            from cnn_mnist.cluster import evaluator

            evaluator.watch(settings, what, data.validation, screen.print)
            return 0
        from cnn_mnist.cluster import distributed

        with console.quiet_cluster():
            target = _listen(cluster)
            peers.wait_for(peers.addresses(cluster, "ps"), settings.cluster_timeout, screen.print)
            received = distributed.follow(settings, target, what, data.train, screen)
    return 128 + received if received else 0


def _train_together(settings: Settings, what: Record, data: Dataset) -> int:
    """Trains as the chief or as a worker, in step with the others."""
    cluster = settings.cluster
    with contextlib.ExitStack() as stack:
        if cluster.role == "chief":
            begun_ = begun(what, settings.model_dir, progress=True)
            first_step, screen = stack.enter_context(begun_)
            is_done = tell_start(first_step, what.recipe, data, progress=True)
        else:
            screen = stack.enter_context(console.shown(progress=True))
        start = time.monotonic()
        stack.enter_context(console.quiet_cluster())
        from cnn_mnist.cluster.together import Member

        member = Member(settings, _listen(cluster), what, data.train, screen)
        if cluster.role == "worker":
            received = member.follow()
        elif is_done:
            member.tell_done()
            return 0
        else:
            received = member.lead()
            run = result(settings.model_dir, time.monotonic() - start)
            tell_end(run, first_step, received, progress=True)
    return 128 + received if received else 0


def _lead(settings: Settings, what: Record, data: Dataset) -> int:
    """Trains as the chief, and tells the parameter servers when that is over; as `train`."""
    cluster, recipe, received = settings.cluster, what.recipe, None
    servers = peers.addresses(cluster, "ps")
    with begun(what, settings.model_dir, progress=True) as (first_step, screen):
        is_done = tell_start(first_step, recipe, data, progress=True)
        if is_done and not any(map(peers.reachable, servers.values())):
            return 0  # there is nobody to tell
        start = time.monotonic()
        with console.quiet_cluster():
            from cnn_mnist.cluster import distributed

            target = _listen(cluster)
            peers.wait_for(servers, settings.cluster_timeout, screen.print)
            try:
                if not is_done:
                    received = distributed.lead(settings, what, data.train, screen)
            except Exception as error:
                _tell(cluster, target, reason(error))
                raise
            if received is None:
                _tell(cluster, target, notice.WELL)
        if not is_done:
            run = result(settings.model_dir, time.monotonic() - start)
            tell_end(run, first_step, received, progress=True)
    return 128 + received if received else 0


def _listen(cluster: Cluster) -> str:
    """Starts TensorFlow's server, for connections to its own address alone; returns its target."""
    from cnn_mnist.utils import sessions

    config = sessions.config()
    if cluster.role == "ps" or not cluster.ps:  # parts of several workers' graphs at a time
        config.inter_op_parallelism_threads = 0
    config.experimental.collective_group_leader = "/job:chief/replica:0/task:0"
    spec = tf.train.ClusterSpec(cluster.spec)
    server = tf.distribute.Server(spec, cluster.role, cluster.index, config=config)
    _SERVERS.append(server)
    host, port = host_and_port(cluster.address)
    if not listening.restrict(port, host):
        log.warning(listening.UNRESTRICTED, port)
    return server.target


def _tell(cluster: Cluster, target: str, text: str) -> None:
    """Tells the parameter servers that the training is over, but for those that are gone."""
    there = [index for index, address in enumerate(cluster.ps) if peers.reachable(address)]
    notice.write(target, cluster.device, notice.DONE, there, text)
