"""The Estimator's configuration of a training."""

from typing import Any

from cnn_mnist import estimator
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import devices
from cnn_mnist.utils import sessions

SUMMARY_STEPS = 100  # the Estimator's default; a recipe that validates more often writes more often


def run_config(
    recipe: Recipe,
    model_dir: str,
    save_checkpoints_steps: int,
    replicas: list[str] | None = None,
    session_config: Any = None,
) -> Any:
    """The Estimator's `RunConfig`.

    Args:
      recipe: what is trained.
      model_dir: where.
      save_checkpoints_steps: steps between two checkpoints.
      replicas: the devices that each hold a replica of the network, if there are several.
      session_config: a `ConfigProto`; None for that of one process.
    """
    of_one_process = sessions.for_replicas if replicas else sessions.config
    return estimator.RunConfig(
        model_dir=model_dir,
        tf_random_seed=recipe.seed,
        session_config=session_config or of_one_process(),
        save_checkpoints_steps=save_checkpoints_steps,
        save_summary_steps=min(SUMMARY_STEPS, recipe.eval_every_steps or SUMMARY_STEPS),
        train_distribute=devices.mirrored(replicas) if replicas else None,
    )
