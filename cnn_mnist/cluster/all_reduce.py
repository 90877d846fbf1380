"""The graph of a process that trains in step with others, by `MultiWorkerMirroredStrategy`.

Every process holds all variables, computes the gradient of its rows of the batch, and adds it up
with those of the others by all-reduce. So the variables of all stay the same.
"""

from collections.abc import Callable, Sequence
from typing import IO, Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.data.dataset import Examples
from cnn_mnist.data.input_fns import rows_of_step
from cnn_mnist.models import parts
from cnn_mnist.models.model_fn import given, minimized, spec
from cnn_mnist.recipes import Recipe

# Collections of the graph.
SPREAD = "all_reduce/spread"  # the op that gives every process the chief's variables
ASKED = "all_reduce/asked"  # `float32 [processes]`: above 0 for each that was told to end


def strategy(cluster: Cluster) -> Any:
    """The strategy of this process: a replica on each of its GPUs, or one on its processor.

    To be made in a graph: or else it starts a server of its own, for eager execution.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster.spec),
        task_type=cluster.role,
        task_id=cluster.index,
        num_accelerators={"GPU": gpus},
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


class Trainer:
    """The graph of a process: its input function and its model function."""

    def __init__(
        self,
        settings: Settings,
        recipe: Recipe,
        split: Examples,
        is_asked: Callable[[], bool],
        index_log: IO[str] | None = None,
    ) -> None:
        """Sets what is trained.

        Args:
          settings: of the cluster.
          recipe: what is trained.
          split: the training images.
          is_asked: whether this process was told to end.
          index_log: is told the images of each step, in a line of JSON.
        """
        self._cluster, self._model_dir = settings.cluster, settings.model_dir
        self._batch_size, self._index_log, self._is_asked = recipe.batch_size, index_log, is_asked
        self._split, self._batches = split, split.batches(recipe.batch_size, recipe.seed)

    def input_fn(self) -> Any:
        """A data set without images: a step knows its number, and picks out its images itself."""
        return tf.data.Dataset.from_tensors(0).repeat()

    def model_fn(
        self, features: Any, labels: Any, mode: str, params: dict[str, Any], config: Any
    ) -> Any:
        """`cnn_model_fn` of one replica, whose step is taken together with the others."""
        return self._spec(mode, params)

    @tf.autograph.experimental.do_not_convert  # the strategy would have AutoGraph rewrite all of it
    def _spec(self, mode: str, params: dict[str, Any]) -> Any:
        recipe, form = given(params)
        replica = tf.distribute.get_replica_context()
        rank = int(tf.get_static_value(replica.replica_id_in_sync_group))
        replicas = replica.num_replicas_in_sync
        first, end = parts.bounds(rank, replicas, self._batch_size)
        step = tf.cast(tf.compat.v1.train.get_global_step().read_value(), tf.int64)
        part = parts.Part(step, first, end - first, self._batch_size)
        parts.set_part(part)
        features, labels = rows_of_step(self._split, self._batches, part, self._index_log)
        # The strategy takes the mean over replicas: a larger part has to count for more.
        share = part.size * replicas / self._batch_size

        def minimize(descent: Any, objective: Any, loss: Any, *others: Any) -> Any:
            return minimized(descent, _times(share, objective), loss, *others)

        made = spec(features, labels, mode, recipe, minimize, form)
        self._add_asked(replica)
        variables = tf.compat.v1.global_variables()
        _add_spread(replica, variables, is_source=rank == 0)
        scaffold = tf.compat.v1.train.Scaffold()
        if self._cluster.role == "chief":
            saver.add_to_graph(self._model_dir, sharded=False)
        else:  # what is in the chief's checkpoint follows
            scaffold = tf.compat.v1.train.Scaffold(init_op=_zeroed(variables))
        return made._replace(loss=_times(share, made.loss), scaffold=scaffold)

    def _add_asked(self, replica: Any) -> None:
        trainers = list(self._cluster.trainers.values())
        is_own = np.equal(trainers, self._cluster.address).astype(np.float32)
        with tf.device("CPU:0"):
            asked = tf.numpy_function(lambda: is_own * self._is_asked(), [], tf.float32)
        asked = tf.ensure_shape(asked, [len(trainers)])
        asked = replica.all_reduce(tf.distribute.ReduceOp.SUM, asked)
        tf.compat.v1.add_to_collection(ASKED, asked)


class InStep(estimator.SessionRunHook):
    """Begins with the chief's variables, and ends with the step in which anybody is asked to.

    It must be the first hook: before, a worker has no variables worth looking at.

    Attributes:
      asked: who was told to end, by their place among the trainers.
    """

    asked: Sequence[int] = ()

    def __init__(self, at_end: Callable[[], None]) -> None:
        """`at_end` is called after the last step, before it is saved."""
        self._has_begun, self._at_end = False, at_end

    def begin(self) -> None:
        self._spread = tf.group(tf.compat.v1.get_collection(SPREAD))
        self._asked = tf.compat.v1.get_collection(ASKED)[0]

    def after_create_session(self, session: Any, coord: Any) -> None:
        # TensorFlow's session is made anew, without end, when a connection is lost.
        if self._has_begun:
            raise LostError("the connection to another process of the cluster was lost")
        self._has_begun = True
        try:
            session.run(self._spread)
        except tf.errors.OpError as error:
            raise LostError(error.message) from error

    def before_run(self, run_context: Any) -> Any:
        return estimator.SessionRunArgs(self._asked)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.asked = np.flatnonzero(run_values.results).tolist()
        if self.asked:
            run_context.request_stop()

    def end(self, session: Any) -> None:
        self._at_end()


class LostError(Exception):
    """A step that could not be taken, because a connection to another process was lost."""


def _add_spread(replica: Any, variables: Sequence[Any], *, is_source: bool) -> None:
    """Adds the op that sets all variables to those of the source."""
    for variable in variables:  # one by one, as a call takes values of one dtype
        own = variable.read_value()
        own = own if is_source else tf.zeros_like(own)
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, own)
        tf.compat.v1.add_to_collection(SPREAD, _set(variable, total))


def _zeroed(variables: Sequence[Any]) -> Any:
    return tf.group([_set(v, tf.zeros(v.shape, v.dtype)) for v in variables])


def _set(variable: Any, value: Any) -> Any:
    """Sets this replica's copy alone; `assign` would take a step with all replicas."""
    return tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)


def _times(share: float, value: Any) -> Any:
    return value if share == 1 else share * value
