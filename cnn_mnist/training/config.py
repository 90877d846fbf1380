"""The Estimator's configuration of a training, on one device or on several of one machine."""

from typing import Any

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import sessions
from cnn_mnist.utils.errors import InputError

SUMMARY_STEPS = 100  # the Estimator's default; a recipe that validates more often writes more often


class DeviceError(InputError):
    """Several replicas that this machine, or this recipe, cannot have."""


def run_config(
    recipe: Recipe,
    model_dir: str,
    save_checkpoints_steps: int,
    devices: list[str] | None = None,
    session_config: Any = None,
) -> Any:
    """The Estimator's `RunConfig`.

    Args:
      recipe: what is trained.
      model_dir: where.
      save_checkpoints_steps: steps between two checkpoints.
      devices: those that each hold a replica of the network, if there are several.
      session_config: a `ConfigProto`; None for that of one process.
    """
    strategy, of_one_process = None, sessions.config
    if devices:
        # Not the default, collective operations, in which an Estimator's session waits for ever.
        sums = tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=sums)
        of_one_process = sessions.for_replicas
    return estimator.RunConfig(
        model_dir=model_dir,
        tf_random_seed=recipe.seed,
        session_config=session_config or of_one_process(),
        save_checkpoints_steps=save_checkpoints_steps,
        save_summary_steps=min(SUMMARY_STEPS, recipe.eval_every_steps or SUMMARY_STEPS),
        train_distribute=strategy,
    )


def replicas(strategy: str, recipe: Recipe, steps_per_call: int) -> list[str]:
    """The devices, `/device:GPU:0` and so on, that each hold a replica: at least two, or none.

    Args:
      strategy: "mirrored", or "auto" for as many replicas as there are GPUs.
      recipe: whose batches are split among the replicas.
      steps_per_call: training steps that a call of the session takes.

    Raises:
      DeviceError: the replicas cannot be had, or cannot train that.
    """
    if strategy not in ("auto", "mirrored"):
        raise DeviceError(f"--strategy={strategy}: expected auto or mirrored in one process")
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
