"""What the processes of a cluster need to know beside the recipe and the data."""

import dataclasses

from cnn_mnist.cluster.tf_config import Cluster


@dataclasses.dataclass(frozen=True)
class Settings:
    """The cluster, and the flags of a training by several processes.

    Attributes:
      cluster: who trains, and which of them this process is.
      model_dir: where the chief saves.
      save_checkpoints_steps: steps between two checkpoints.
      log_every_n_iter: steps of the chief between two lines on `softmax_tensor`; 0 for none.
      cluster_timeout: seconds to wait for others.
      index_log_dir: folder for the lines that tell which images were trained on, or None.
    """

    cluster: Cluster
    model_dir: str
    save_checkpoints_steps: int
    log_every_n_iter: int
    cluster_timeout: float
    index_log_dir: str | None
