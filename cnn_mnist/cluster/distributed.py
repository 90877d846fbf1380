"""Training as one process of several: as the chief or a worker of a `TF_CONFIG` cluster."""

import contextlib
import dataclasses
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster import notice, peers
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster, announced
from cnn_mnist.cluster.trainers import Finish, Start, Trainer
from cnn_mnist.data import limits
from cnn_mnist.data.dataset import Examples
from cnn_mnist.data.input_fns import naming_shard
from cnn_mnist.models.model_fn import params_of
from cnn_mnist.training import hooks
from cnn_mnist.training.config import run_config
from cnn_mnist.training.saving import saving_hook
from cnn_mnist.utils import events, sessions
from cnn_mnist.utils.errors import InputError


class MismatchError(InputError):
    """A worker that was started with other flags than the chief."""


def lead(
    settings: Settings, record: Record, split: Examples, screen: Console
) -> signal.Signals | None:
    """Trains as the chief, with all servers there, until `global_step` reaches `recipe.steps`.

    Returns:
      The signal that ended it earlier, or None.

    Raises:
      ClusterError: another process is gone.
      NonFiniteError, SaveError, CurvesError: as of `training.train`.
    """
    recipe, model_dir = record.recipe, settings.model_dir
    events.begin(model_dir)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(hooks.StopOnSignal(screen.print))
        stack.enter_context(peers.Watch(settings, screen.print))
        trainer, classifier = stack.enter_context(_prepared(settings, record, split))
        shown, note = stack.enter_context(hooks.progress(recipe.steps, screen))
        start = Start(trainer, model_dir, _told(settings, record))
        session_hooks = [stop, hooks.FiniteGuard(), start, *shown]
        if settings.log_every_n_iter:
            session_hooks.append(hooks.softmax_logging_hook(settings.log_every_n_iter, note))
        session_hooks.append(Finish(recipe.steps, stop))
        session_hooks.append(saving_hook(model_dir, settings.save_checkpoints_steps))
        while stop.received is None and restore.saved_step(model_dir) < recipe.steps:
            with _telling_who_is_gone(settings.cluster), naming_shard(split):
                classifier.train(trainer.input_fn, hooks=session_hooks, max_steps=recipe.steps)
    return stop.received


def follow(
    settings: Settings, target: str, record: Record, split: Examples, screen: Console
) -> signal.Signals | None:
    """Trains as a worker, with a server at `target`, until nothing is left to train; as `lead`.

    Raises:
      MismatchError: the chief trains something else.
    """
    gone = _telling_who_is_gone(settings.cluster)
    with peers.Watch(settings, screen.print) as watch, gone, naming_shard(split):
        told = _wait_for_start(settings, target, screen)
        if told is None:
            print("nothing left to train")
            return watch.received
        _check_same(told, _told(settings, record))
        with _prepared(settings, record, split) as (trainer, classifier):
            guard = hooks.FiniteGuard()
            classifier.train(trainer.input_fn, hooks=[guard], max_steps=record.recipe.steps)
    return watch.received


@contextlib.contextmanager
def _prepared(settings: Settings, record: Record, split: Examples) -> Iterator[tuple[Trainer, Any]]:
    """The graph's maker and its Estimator."""
    cluster, recipe = settings.cluster, record.recipe
    options = {"session_config": sessions.for_cluster(cluster.device)}
    with announced(cluster):
        config = run_config(recipe, settings.model_dir, settings.save_checkpoints_steps, **options)
    index_log: Any = contextlib.nullcontext()
    if settings.index_log_dir is not None:
        folder, name = Path(settings.index_log_dir), cluster.name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        index_log = (folder / f"{name}.jsonl").open("a", buffering=1)  # each line at once
    with index_log as file:
        trainer = Trainer(settings, recipe, split, file)
        params = params_of(recipe, record.form)
        yield trainer, estimator.Estimator(trainer.model_fn, config=config, params=params)


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


def _told(settings: Settings, record: Record) -> str:
    """What the chief tells the workers that they train together."""
    together = {"strategy": settings.strategy, "cluster": settings.cluster.spec}
    return json.dumps({**dataclasses.asdict(record), **together}, sort_keys=True)


def _wait_for_start(settings: Settings, target: str, screen: Console) -> str | None:
    """What the chief tells when everything is ready; None if it is done."""
    device, chief = settings.cluster.device, f"the chief at {settings.cluster.chief}"
    begun = notice.Reader(target, device, notice.TRAINED, 0)
    done = notice.Reader(target, device, notice.DONE, 0)
    waiting = peers.Waiting(chief, settings.cluster_timeout, screen.print)
    while done.read() is None:
        told = begun.read()
        if waiting.note(told is not None, " to begin"):
            return told
        time.sleep(peers.LOOK_EVERY)
    return None


def _check_same(told: str, own: str) -> None:
    """Checks that the chief trains what this process was started to train.

    Raises:
      MismatchError: it does not; the message names the flags.
    """

    def by_name(text: str) -> dict[str, Any]:
        note = json.loads(text)
        others = ("strategy", "cluster", "tensorflow", "data_sha256", "constants")
        flags = {f"--{name}": value for name, value in note["recipe"].items()}
        images = limits.described(limits.from_json(note["form"]))
        return flags | {"data": images} | {name: note[name] for name in others}

    ours = by_name(own)
    differing = [
        f"{name} is {ours.get(name)}, the chief's {value}"
        for name, value in by_name(told).items()
        if ours.get(name) != value
    ]
    if differing:
        raise MismatchError(
            f"this worker and the chief train different things: {'; '.join(differing)}; "
            "start every process with the same flags"
        )
