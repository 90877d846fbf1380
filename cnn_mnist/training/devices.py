"""Several devices of one machine, each with a replica of the network."""

from typing import Any

import tensorflow as tf

from cnn_mnist.recipes import Recipe
from cnn_mnist.utils.errors import InputError


class DeviceError(InputError):
    """Several replicas that this machine, or this recipe, cannot have."""


def replicas(strategy: str, recipe: Recipe, steps_per_call: int) -> list[str]:
    """The devices, `/device:GPU:0` and so on, that each are to hold a replica of the network.

    Args:
      strategy: "mirrored", or "auto" for as many replicas as there are GPUs.
      recipe: whose batches are split among the replicas.
      steps_per_call: training steps that a call of the session takes.

    Returns:
      At least two, or none for a network without replicas.

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


def mirrored(devices: list[str]) -> Any:
    """TensorFlow's strategy of replicas that take each step together."""
    # Not the default, collective operations, in which an Estimator's session waits for ever.
    sums = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=sums)
