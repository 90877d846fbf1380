"""Training as one process of several: as the chief or a worker of a `TF_CONFIG` cluster."""

import contextlib
import dataclasses
import json
import logging
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import notice, peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster, announced
from cnn_mnist.cluster.trainers import Finish, Start, Trainer
from cnn_mnist.data.dataset import Examples
from cnn_mnist.data.input_fns import naming_shard
from cnn_mnist.models.model_fn import UPDATE_OPS
from cnn_mnist.training import hooks
from cnn_mnist.training.config import run_config
from cnn_mnist.training.saving import saving_hook
from cnn_mnist.utils import events, sessions
from cnn_mnist.utils.errors import InputError

log = logging.getLogger(__name__)


class MismatchError(InputError):
    """A worker that was started with other flags than the chief."""


class BatchNormNote(estimator.SessionRunHook):
    """Says so if the network depends on how a batch is parted."""

    def begin(self) -> None:
        if tf.compat.v1.get_collection(UPDATE_OPS):
            log.warning(
                "the network normalizes each part of a batch by itself: with another number of "
                "workers it trains a little differently"
            )


def start_server(cluster: Cluster) -> Any:
    """TensorFlow's server of this process; it serves until the process ends."""
    config = sessions.config()
    if cluster.role == "ps":  # parts of several workers' graphs at a time
        config.inter_op_parallelism_threads = 0
    spec = tf.train.ClusterSpec(cluster.spec)
    return tf.distribute.Server(spec, cluster.role, cluster.index, config=config)


def lead(
    cluster: Cluster,
    target: str,
    record: Record,
    split: Examples,
    screen: Console,
    settings: Settings,
) -> signal.Signals | None:
    """Trains as the chief until `global_step` reaches `recipe.steps`, or until a signal.

    Args:
      cluster: who trains; the parameter servers are there.
      target: of this process's server.
      record: what is trained.
      split: the training images.
      screen: where the progress is shown.
      settings: everything else.

    Returns:
      The signal that ended the training, or None.

    Raises:
      ClusterError: another process is gone.
      NonFiniteError, SaveError, CurvesError: as of `training.train`.
    """
    recipe, model_dir = record.recipe, settings.model_dir
    events.begin(model_dir)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(hooks.StopOnSignal(screen.print))
        stack.enter_context(_watch(cluster, settings, screen))
        trainer, classifier = stack.enter_context(_prepared(cluster, record, split, settings))
        start = Start(trainer, model_dir, _told(cluster, record, settings))
        session_hooks: list[Any] = [stop, hooks.FiniteGuard(), start]
        if settings.strategy == "sync":
            session_hooks.append(BatchNormNote())
        shown, note = stack.enter_context(hooks.progress(recipe.steps, screen))
        session_hooks += shown
        if settings.log_every_n_iter:
            session_hooks.append(hooks.softmax_logging_hook(settings.log_every_n_iter, note))
        session_hooks.append(Finish(recipe.steps, stop))
        session_hooks.append(saving_hook(model_dir, settings.save_checkpoints_steps))
        while stop.received is None and restore.saved_step(model_dir) < recipe.steps:
            with _telling_who_is_gone(cluster), naming_shard(split):
                classifier.train(trainer.input_fn, hooks=session_hooks, max_steps=recipe.steps)
    return stop.received


def follow(
    cluster: Cluster,
    target: str,
    record: Record,
    split: Examples,
    screen: Console,
    settings: Settings,
) -> signal.Signals | None:
    """Trains as a worker until nothing is left to train, or until a signal; as `lead`.

    Raises:
      MismatchError: the chief trains something else.
    """
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(_watch(cluster, settings, screen))
        with _telling_who_is_gone(cluster):
            told = _wait_for_start(cluster, target, settings, screen)
        if told is None:
            print("nothing left to train")
            return watch.received
        _check_same(told, _told(cluster, record, settings))
        trainer, classifier = stack.enter_context(_prepared(cluster, record, split, settings))
        with _telling_who_is_gone(cluster), naming_shard(split):
            classifier.train(
                trainer.input_fn, hooks=[hooks.FiniteGuard()], max_steps=record.recipe.steps
            )
    return watch.received


def _watch(cluster: Cluster, settings: Settings, screen: Console) -> peers.Watch:
    is_chief, together = cluster.role == "chief", settings.strategy == "sync"
    return peers.Watch(
        cluster,
        fatal=["ps"],
        awaited=["chief", "worker"] if together else ["chief"],
        told=["worker"] if is_chief and not together else [],
        timeout=settings.cluster_timeout,
        show=screen.print,
        keep_on=not is_chief,
    )


@contextlib.contextmanager
def _prepared(
    cluster: Cluster, record: Record, split: Examples, settings: Settings
) -> Iterator[tuple[Trainer, Any]]:
    """The graph's maker and its Estimator."""
    recipe, config = record.recipe, sessions.for_cluster(cluster.device)
    with announced(cluster):
        config = run_config(
            recipe,
            settings.model_dir,
            settings.save_checkpoints_steps,
            session_config=config,
        )
    with _index_log(settings.index_log_dir, cluster) as index_log:
        trainer = Trainer(cluster, settings.strategy, recipe, split, settings.model_dir, index_log)
        yield trainer, estimator.Estimator(trainer.model_fn, config=config, params=recipe.params())


@contextlib.contextmanager
def _index_log(folder: str | None, cluster: Cluster) -> Iterator[IO[str] | None]:
    """The file, below `--index_log_dir`, that tells which images this process trained on."""
    if folder is None:
        yield None
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    with (Path(folder) / f"{cluster.name.replace(' ', '_')}.jsonl").open("a") as file:
        yield file


@contextlib.contextmanager
def _telling_who_is_gone(cluster: Cluster) -> Iterator[None]:
    """Turns TensorFlow's error about a lost connection into one that names the process."""
    try:
        yield
    except tf.errors.OpError as error:
        for name, address in peers.addresses(cluster, "ps").items():
            if not peers.reachable(address):
                raise peers.ClusterError(peers.gone(name, address)) from error
        raise


def _told(cluster: Cluster, record: Record, settings: Settings) -> str:
    """What the chief tells the workers that they train together."""
    fields = {**dataclasses.asdict(record), "strategy": settings.strategy, "cluster": cluster.spec}
    return json.dumps(fields, sort_keys=True)


def _wait_for_start(
    cluster: Cluster, target: str, settings: Settings, screen: Console
) -> str | None:
    """What the chief tells when everything is ready; None if it is done."""
    begun = notice.Reader(target, cluster.device, notice.TRAINED, 0)
    done = notice.Reader(target, cluster.device, notice.DONE, 0)
    waiting = peers.Waiting(settings.cluster_timeout, screen.print)
    what = f"the chief at {cluster.chief} to begin"
    while done.read() is None:
        if (told := begun.read()) is not None:
            waiting.over(f"the chief at {cluster.chief}")
            return told
        waiting.still(what)
        time.sleep(peers.LOOK_EVERY)
    return None


def _check_same(told: str, own: str) -> None:
    """Checks that the chief trains what this process was started to train.

    Raises:
      MismatchError: it does not; the message names the flags.
    """
    theirs, ours = json.loads(told), json.loads(own)
    differing = [
        f"--{name} is {ours['recipe'].get(name)}, the chief's {value}"
        for name, value in theirs["recipe"].items()
        if ours["recipe"].get(name) != value
    ]
    differing += [
        f"{name} is {ours[name]}, the chief's {theirs[name]}"
        for name in ("strategy", "cluster", "tensorflow", "data_sha256", "constants")
        if ours[name] != theirs[name]
    ]
    if differing:
        raise MismatchError(
            f"this worker and the chief train different things: {'; '.join(differing)}; "
            "start every process with the same flags"
        )
