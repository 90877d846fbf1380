"""`tensorflow.python.distribute.estimator_training`, which TensorFlow 2.16 removed.

It tied `RunConfig` and `train_and_evaluate` to TensorFlow's distribute coordinator. The coordinator
is still there, unchanged, so these functions tie it again: strategies, `TF_CONFIG` clusters and
remote clusters work as before.
"""

import copy
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.distribute import (
    distribute_coordinator,
    distribute_coordinator_context,
    multi_worker_util,
)

_STANDALONE = distribute_coordinator.CoordinatorMode.STANDALONE_CLIENT
_INDEPENDENT = distribute_coordinator.CoordinatorMode.INDEPENDENT_WORKER


def init_run_config(config: Any, tf_config: dict[str, Any]) -> None:
    """Decides how a `RunConfig` that has a distribution strategy runs.

    A remote cluster is driven by this process ("standalone client"); in a `TF_CONFIG` cluster
    every task runs the program ("independent worker"); anything else, and a cluster that has the
    older job "master", needs no coordinator.

    Raises:
      ValueError: if a strategy, or the cluster, is given in two places.
    """
    experimental = config._experimental_distribute
    for kind in ("train_distribute", "eval_distribute"):
        strategy = getattr(experimental, kind, None)
        if strategy:
            if getattr(config, "_" + kind):
                raise ValueError(f"set either `{kind}` or `experimental_distribute.{kind}`")
            setattr(config, "_" + kind, strategy)

    remote_cluster = getattr(experimental, "remote_cluster", None)
    cluster = tf.train.ClusterSpec(tf_config.get("cluster", {}))
    config._distribute_coordinator_mode = None
    config._init_distributed_setting_from_environment_var({})  # the coordinator fills it in
    if config._train_distribute and remote_cluster:
        if cluster:
            raise ValueError(
                "set either `experimental_distribute.remote_cluster` or the cluster of TF_CONFIG"
            )
        config._cluster_spec = remote_cluster
        config._distribute_coordinator_mode = _STANDALONE
    elif config._train_distribute and cluster and "master" not in cluster.jobs:
        config._cluster_spec = cluster
        config._distribute_coordinator_mode = _INDEPENDENT
    else:
        config._init_distributed_setting_from_environment_var(tf_config)
        config._maybe_overwrite_session_config_for_distributed_training()


def at_server(config: Any, strategy: Any, target: str) -> Any:
    """A `RunConfig` to train by a strategy for several processes, without the coordinator.

    Every process is its own chief, in a `model_dir` of its own: each starts its variables.

    Args:
      config: a `RunConfig` without strategy.
      strategy: a `MultiWorkerMirroredStrategy` that knows its place in the cluster.
      target: of this process's TensorFlow server, `grpc://host:port`.
    """
    config = config.replace(train_distribute=strategy)
    config._master = target
    return config


def should_run_distribute_coordinator(config: Any) -> bool:
    """Whether `train_and_evaluate` is left to the coordinator."""
    mode = getattr(config, "_distribute_coordinator_mode", None)
    return mode in (_STANDALONE, _INDEPENDENT) and bool(config.cluster_spec)


def train_and_evaluate(estimator: Any, train_spec: Any, eval_spec: Any, executor_cls: Any) -> None:
    """Runs `train_and_evaluate` on the cluster: workers train, the evaluator evaluates."""
    config = estimator.config
    standalone = config._distribute_coordinator_mode == _STANDALONE

    def train(strategy: Any) -> None:
        worker, is_chief = _for_current_task(estimator, "train", strategy)
        # A standalone client's workers are threads of one process: its hooks belong to the chief.
        hooks = list(train_spec.hooks) if is_chief or not standalone else []
        worker.train(train_spec.input_fn, max_steps=train_spec.max_steps, hooks=hooks)

    def evaluate(strategy: Any) -> None:
        evaluator, _ = _for_current_task(estimator, "eval", strategy)
        executor_cls(evaluator, train_spec, eval_spec)._start_continuous_evaluation()

    distribute_coordinator.run_distribute_coordinator(
        train,
        config.train_distribute,
        evaluate,
        config.eval_distribute,
        mode=config._distribute_coordinator_mode,
        cluster_spec=config.cluster_spec if standalone else None,  # None: that of TF_CONFIG
        session_config=config.session_config,
    )


def run_remotely(kind: str, estimator: Any, run_fn: Callable[..., Any], hooks: Any) -> Any:
    """Runs `Estimator.train` or `.evaluate` on a remote cluster; `kind` is "train" or "eval".

    Raises:
      ValueError: if only `train_and_evaluate` can run this strategy on this cluster.
    """
    config = estimator.config
    strategy = getattr(config, f"{kind}_distribute")
    cluster = multi_worker_util.normalize_cluster_spec(config.cluster_spec)
    if config._distribute_coordinator_mode != _STANDALONE:
        raise ValueError("with a strategy, a TF_CONFIG cluster supports only `train_and_evaluate`")
    if "evaluator" in cluster.jobs:
        raise ValueError("a cluster with an 'evaluator' supports only `train_and_evaluate`")
    if strategy.extended.experimental_between_graph:
        # Every worker would return a result of its own, and nothing says how to merge them.
        raise ValueError(f"{type(strategy).__name__} supports only `train_and_evaluate`")

    def run(strategy: Any) -> Any:
        worker, is_chief = _for_current_task(estimator, kind, strategy)
        return run_fn(worker, strategy, hooks if is_chief else [])

    return distribute_coordinator.run_distribute_coordinator(
        run,
        strategy,
        mode=_STANDALONE,
        cluster_spec=cluster,
        session_config=config.session_config,
    )


def _for_current_task(estimator: Any, kind: str, strategy: Any) -> tuple[Any, bool]:
    """Returns a copy of `estimator` for the coordinator's current task, and whether it is chief."""
    task = distribute_coordinator_context.get_current_worker_context()
    estimator = copy.deepcopy(estimator)
    config = estimator._config
    setattr(estimator, f"_{kind}_distribution", strategy)
    setattr(config, f"_{kind}_distribute", strategy)
    config._distribute_coordinator_mode = None  # so that the copy does not start it again
    config._service = None
    config._cluster_spec = task.cluster_spec
    config._task_type, config._task_id = task.task_type, task.task_id
    config._master = config._evaluation_master = task.master_target
    config._is_chief = task.is_chief
    if task.cluster_spec and task.task_type == "evaluator":  # knows nothing of the other tasks
        config._cluster_spec = tf.train.ClusterSpec({})
        config._num_ps_replicas = config._num_worker_replicas = 0
        config._global_id_in_cluster = None
    else:
        cluster = task.cluster_spec.as_dict() if task.cluster_spec else {"worker": [""]}
        config._num_ps_replicas = len(cluster.get("ps", []))
        config._num_worker_replicas = len(cluster.get("chief", []) + cluster.get("worker", []))
        # The order of `RunConfig.global_id_in_cluster`: "chief", the other jobs by name, "ps".
        jobs = sorted(cluster, key=lambda job: (job != "chief", job == "ps", job))
        before = jobs[: jobs.index(task.task_type)] if task.task_type else []
        config._global_id_in_cluster = sum(len(cluster[job]) for job in before)
        config._global_id_in_cluster += task.task_id or 0
    return estimator, task.is_chief
