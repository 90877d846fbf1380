"""Training and evaluation: builds the Estimator and runs it."""

import contextlib
import signal
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore, saver
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.data.calls import Calls, Every, standard_hooks
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.data.input_fns import calls_input_fn, in_one_scope, naming_shard, train_input_fn
from cnn_mnist.models.model_fn import cnn_model_fn
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import hooks, loop
from cnn_mnist.training.validation import ValidationHook
from cnn_mnist.utils import events, sessions
from cnn_mnist.utils.errors import InputError

# The Estimator's default; a recipe that validates more often also writes more often.
SUMMARY_STEPS = 100


class DeviceError(InputError):
    """Several replicas that this machine, or this recipe, cannot have."""


def build_estimator(
    recipe: Recipe,
    model_dir: str,
    save_checkpoints_steps: int = 1000,
    devices: Sequence[str] = (),
) -> Any:
    """The Estimator of a recipe, which trains on several devices if they are named.

    On disk it leaves in `model_dir`: `model.ckpt-STEP.*` (the last five checkpoints),
    `checkpoint` (their list), `graph.pbtxt`, `events.out.tfevents.*` (curves of the training),
    and in `eval` the scores of the test images.
    """
    session_config = sessions.for_replicas() if devices else sessions.config()
    config = run_config(recipe, model_dir, save_checkpoints_steps, session_config)
    if devices:
        # Not the default, collective operations, in which an Estimator's session waits for ever.
        sums = tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=sums)
        config = config.replace(train_distribute=strategy)
    return estimator.Estimator(_model_fn, config=config, params=recipe.params())


def replica_devices(strategy: str, recipe: Recipe, steps_per_call: int) -> list[str]:
    """The devices, `/device:GPU:0` and so on, that each are to hold a replica of the network.

    Args:
      strategy: "mirrored", or "auto" for as many replicas as there are GPUs.
      recipe: whose batches are parted among the replicas.
      steps_per_call: training steps that a call of the session takes.

    Returns:
      At least two, or none for a network without replicas.

    Raises:
      DeviceError: the replicas cannot be had, or cannot train that.
    """
    gpus = tf.config.list_logical_devices("GPU")
    # One processor can be cut into several devices, though that makes nothing faster.
    devices = gpus or tf.config.list_logical_devices("CPU")
    if strategy == "auto" and len(gpus) < 2:
        return []
    if len(devices) < 2:
        raise DeviceError(
            f"--strategy=mirrored: expected at least two GPUs, found {len(gpus)}; leave it out"
        )
    if recipe.batch_size % len(devices):
        raise DeviceError(
            f"--batch_size={recipe.batch_size}: expected a multiple of {len(devices)}, the number "
            "of devices that a batch is parted among"
        )
    if steps_per_call > 1:
        raise DeviceError(
            f"--steps_per_call={steps_per_call}: expected 1 where a network has several replicas"
        )
    return [device.name for device in devices]


def run_config(
    recipe: Recipe, model_dir: str, save_checkpoints_steps: int, session_config: Any
) -> Any:
    """The Estimator's `RunConfig`; of the process that `TF_CONFIG` names, if it names one."""
    return estimator.RunConfig(
        model_dir=model_dir,
        tf_random_seed=recipe.seed,
        session_config=session_config,
        save_checkpoints_steps=save_checkpoints_steps,
        save_summary_steps=min(SUMMARY_STEPS, recipe.eval_every_steps or SUMMARY_STEPS),
    )


def _model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any], config: Any) -> Any:
    """`cnn_model_fn`, saved by a `Saver`."""
    spec = cnn_model_fn(features, labels, mode, params)
    if mode == estimator.ModeKeys.TRAIN:
        saver.add_to_graph(config.model_dir)
    return spec


class CurvesToo(tf.compat.v1.train.CheckpointSaverListener):
    """Sees to it that the curves up to a checkpoint's step are on disk when the checkpoint is.

    TensorFlow keeps up to two minutes of them in memory; a killed run, which goes on from its
    checkpoint, would never draw them again. A checkpoint is saved though they are lost.
    """

    def __init__(self, model_dir: str) -> None:
        self._model_dir = model_dir

    def before_save(self, session: Any, global_step_value: int) -> None:
        events.flush(events.writer_of_hooks(self._model_dir), graph=session.graph)

    def after_save(self, session: Any, global_step_value: int) -> None:
        # TensorFlow notes each checkpoint there: without the note its file was deleted, and the
        # newest is an earlier run's.
        writer = events.writer_of_hooks(self._model_dir)
        events.flush(writer, int(global_step_value), session.graph)


def saving_hook(model_dir: str, steps: int) -> Any:
    """The hook that saves every so many steps, curves too."""
    return tf.compat.v1.train.CheckpointSaverHook(
        model_dir, save_steps=steps, listeners=[CurvesToo(model_dir)]
    )


def _in_calls(classifier: Any, calls: Calls) -> tuple[Any, list[Any]]:
    """The Estimator for several steps a call, and hooks in place of those that it always has."""
    scaffold = tf.compat.v1.train.Scaffold()

    def model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any], config: Any) -> Any:
        saver.add_to_graph(config.model_dir)
        return loop.looped(cnn_model_fn, features, labels, params, scaffold)

    hooks_instead = standard_hooks(calls, classifier.config, scaffold)
    config = classifier.config.replace(save_summary_steps=0, log_step_count_steps=None)
    return estimator.Estimator(model_fn, config=config, params=classifier.params), hooks_instead


def train(
    classifier: Any,
    record: Record,
    data: Dataset,
    screen: Console,
    log_every_n_iter: int,
    more_hooks: Sequence[Any] = (),
    steps_per_call: int = 1,
) -> signal.Signals | None:
    """Trains until `global_step` reaches `recipe.steps`, or until SIGTERM or Ctrl-C.

    Args:
      classifier: an Estimator of `build_estimator`.
      record: what is trained.
      data: its test images are not touched.
      screen: where the progress is shown.
      log_every_n_iter: steps between two lines on `softmax_tensor`; 0 for none.
      more_hooks: session hooks of the caller's.
      steps_per_call: training steps that a call of the session takes at most; fewer where a hook
        is due. Whatever it is, the results are the same, bit for bit.

    Returns:
      The signal that ended the training, or None.

    Raises:
      NonFiniteError: NaN or infinity turned up.
      SaveError: a checkpoint cannot be written.
      CurvesError: the curves cannot be written, on a full disk.
      ShardError: training images in shards were lost or damaged.
    """
    recipe, model_dir, config = record.recipe, classifier.model_dir, classifier.config
    calls = Calls(
        longest=steps_per_call,
        total=recipe.steps,
        validate=recipe.eval_every_steps,
        save=config.save_checkpoints_steps,
        look=(config.save_summary_steps, config.log_step_count_steps, log_every_n_iter),
    )
    events.begin(model_dir)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(hooks.StopOnSignal(screen.print))
        session_hooks: list[Any] = [stop, hooks.FiniteGuard(), *more_hooks]
        input_fn = train_input_fn(data.train, recipe.batch_size, recipe.seed)
        if config.train_distribute:
            replicas = config.train_distribute.num_replicas_in_sync
            first = restore.saved_step(model_dir)
            input_fn = train_input_fn(data.train, recipe.batch_size, recipe.seed, replicas, first)
        if steps_per_call > 1:
            classifier, hooks_instead = _in_calls(classifier, calls)
            session_hooks = hooks_instead + session_hooks
            input_fn = calls_input_fn(data.train, recipe.batch_size, recipe.seed, calls)
        if not config.train_distribute:  # which takes data sets alone
            input_fn = in_one_scope(input_fn)
        shown, note = stack.enter_context(hooks.progress(recipe.steps, screen))
        session_hooks += shown
        if log_every_n_iter:
            if steps_per_call > 1:
                logging = Every(log_every_n_iter, hooks.softmax_logging_hook(1, note), calls)
            else:
                logging = hooks.softmax_logging_hook(log_every_n_iter, note)
            session_hooks.append(logging)
        if len(data.validation) and recipe.eval_every_steps:
            session_hooks.append(
                ValidationHook(record, data.validation, model_dir, screen.print, calls)
            )
        # The last, so that what was scored before a run is killed is scored again after it resumes.
        saving = saving_hook(model_dir, config.save_checkpoints_steps)
        # Or else it asks for the step after every step, in a run of the session of its own.
        saving._set_steps_per_run(steps_per_call)
        session_hooks.append(saving)
        with naming_shard(data.train):
            classifier.train(input_fn, hooks=session_hooks, max_steps=recipe.steps)
    return stop.received
