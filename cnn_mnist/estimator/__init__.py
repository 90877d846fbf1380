"""The one door to `tf.estimator`, on every TensorFlow from 2.15 to 2.21.

    from cnn_mnist import estimator                  # tf.estimator
    from cnn_mnist.estimator import v1 as estimator  # tf.compat.v1.estimator
    tf.estimator = estimator                         # for code that spells it so

The attributes of this module are the public names of `tf.estimator`, upstream's own objects.
`v1` is the surface of `tf.compat.v1.estimator`, and `inputs` is `v1.inputs`, which `tf.estimator`
had in TensorFlow 1 and classic code still calls. None of them prints that it is deprecated.

TensorFlow 2.15 is the last with `tf.estimator`; there this module hands out TensorFlow's own and
supplies nothing. From 2.16 on, the package `tensorflow-estimator` 2.15.0 still holds the code, but
cannot be imported, because TensorFlow dropped private names of its own that the package uses.
Stand-ins for just these are put into `sys.modules`, each only where the real one cannot serve;
nothing that TensorFlow has is changed:

- `tensorflow.python.distribute.estimator_training` tied `RunConfig` and `train_and_evaluate` to
  TensorFlow's distribute coordinator. The coordinator is still there, unchanged, so the functions
  below tie it again: strategies, `TF_CONFIG` clusters and remote clusters work as before.
- `tensorflow.python.tpu.{session_support,tpu_embedding,tpu_embedding_gradient}` served TPUs alone.
  Their stand-ins can be imported; whoever uses a name of theirs is told that it is gone.
- `tf_export.ESTIMATOR_API_NAME` was used by the package's decorator `estimator_export` alone, which
  noted each symbol's public name for the generator of `tensorflow_estimator`'s API modules, run
  long ago, and marked the symbol as deprecated. A decorator that changes nothing is enough.

The canned estimators (`DNNClassifier`, ...) and `tf.keras.estimator.model_to_estimator` are made of
Keras 2: from TensorFlow 2.16 on they need the package `tf-keras`, and `TF_USE_LEGACY_KERAS=1` in
the environment before TensorFlow is imported. Without these they raise.
"""

import copy
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import tensorflow as tf

from cnn_mnist.utils.errors import InputError

_FIRST, _LAST = (2, 15), (2, 21)  # TensorFlow's minor versions on which this module is tested
_PACKAGE = "2.15.0"  # the last release of tensorflow-estimator, which TensorFlow 2.15 asks for


class VersionError(InputError, ImportError):
    """A TensorFlow or a tensorflow-estimator with which the Estimator cannot be had."""


def _check_versions() -> None:
    version = tuple(int(number) for number in tf.__version__.split(".")[:2])
    if not _FIRST <= version <= _LAST:
        known = " to ".join("{}.{}".format(*minor) for minor in (_FIRST, _LAST))
        raise VersionError(
            f"cnn_mnist.estimator knows TensorFlow {known}, but {tf.__version__} is installed"
        )
    try:
        package = importlib.metadata.version("tensorflow-estimator")
    except importlib.metadata.PackageNotFoundError:
        package = "none"
    if package != _PACKAGE:
        raise VersionError(
            f"cnn_mnist.estimator needs tensorflow-estimator {_PACKAGE}, but {package} is "
            f"installed: `pip install tensorflow-estimator=={_PACKAGE}` mends that"
        )


_check_versions()  # before the private names, which an unknown TensorFlow need not have

from tensorflow.python.distribute import (  # noqa: E402
    distribute_coordinator,
    distribute_coordinator_context,
    multi_worker_util,
)
from tensorflow.python.util import deprecation, tf_decorator, tf_export  # noqa: E402

_STANDALONE = distribute_coordinator.CoordinatorMode.STANDALONE_CLIENT
_INDEPENDENT = distribute_coordinator.CoordinatorMode.INDEPENDENT_WORKER


# `estimator_training`: the distribute coordinator, for `RunConfig` and `train_and_evaluate`.


def _init_run_config(config: Any, tf_config: dict[str, Any]) -> None:
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


def _should_run_distribute_coordinator(config: Any) -> bool:
    """Whether `train_and_evaluate` is left to the coordinator."""
    mode = getattr(config, "_distribute_coordinator_mode", None)
    return mode in (_STANDALONE, _INDEPENDENT) and bool(config.cluster_spec)


def _train_and_evaluate_on_cluster(
    estimator: Any, train_spec: Any, eval_spec: Any, executor_cls: Any
) -> None:
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


def _run_remotely(kind: str, estimator: Any, run_fn: Callable[..., Any], hooks: Any) -> Any:
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


# The other stand-ins.


class _TpuModule(ModuleType):
    """A module each of whose names is a class that raises when it is made or called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

        def gone(*args: Any, **kwargs: Any) -> NoReturn:
            raise NotImplementedError(
                f"TensorFlow {tf.__version__} no longer has {self.__name__}.{name}, made for TPUs"
            )

        setattr(self, name, type(name, (), {"__new__": gone, "__module__": self.__name__}))
        return vars(self)[name]


class _EstimatorExport:
    """`estimator_export`, a class whose instances decorate, changing nothing."""

    def __init__(self, *names: str, v1: Any = None) -> None:
        pass

    def __call__(self, symbol: Any) -> Any:
        return symbol


def _supply_missing_modules() -> None:
    training = ModuleType("tensorflow.python.distribute.estimator_training")
    training.__dict__.update(
        init_run_config=_init_run_config,
        should_run_distribute_coordinator=_should_run_distribute_coordinator,
        train_and_evaluate=_train_and_evaluate_on_cluster,
        estimator_train=functools.partial(_run_remotely, "train"),
        estimator_evaluate=functools.partial(_run_remotely, "eval"),
    )
    tpu = ("session_support", "tpu_embedding", "tpu_embedding_gradient")
    for module in (training, *(_TpuModule("tensorflow.python.tpu." + name) for name in tpu)):
        if module.__name__ not in sys.modules and not importlib.util.find_spec(module.__name__):
            sys.modules[module.__name__] = module
    if not hasattr(tf_export, "ESTIMATOR_API_NAME"):  # without it the real decorator cannot work
        export = ModuleType("tensorflow_estimator.python.estimator.estimator_export")
        export.__dict__.update(estimator_export=_EstimatorExport)
        sys.modules[export.__name__] = export


def _mark_as_warned(api: ModuleType) -> None:
    """Lets TensorFlow 2.15 believe that it has warned of each public name of the Estimator.

    TensorFlow prints a deprecation once, and keeps a table of those that it has printed. Entries
    for the Estimator's own notice leave the symbols, and all other warnings, as they are.
    """
    public = {name: value for name, value in vars(api).items() if not name.startswith("_")}
    # The other notice: "The name tf.estimator.inputs is deprecated", when it is looked up in `v1`.
    looked_up: set[str] = getattr(api, "_tfmw_deprecated_checked", set())
    looked_up.update(public)
    for value in public.values():
        if isinstance(value, ModuleType):
            _mark_as_warned(value)
            continue
        for function in (value, value.__init__, value.__new__):  # a class warns when it is made
            for decorator in tf_decorator.unwrap(function)[0]:
                if "Use tf.keras instead." in (decorator.decorator_doc or ""):
                    deprecation._PRINTED_WARNING[value] = True  # where a class is deprecated
                    if decorator.decorated_target is not object.__init__:  # which others have too
                        deprecation._PRINTED_WARNING[decorator.decorated_target] = True


# The door itself: the API modules that TensorFlow 2.15 loads as `tf[.compat.v1].estimator`.

_supply_missing_modules()
importlib.import_module("tensorflow_estimator")  # first, lest a failed import of a part confuse it
_v2 = importlib.import_module("tensorflow_estimator.python.estimator.api._v2.estimator")
v1 = importlib.import_module("tensorflow_estimator.python.estimator.api._v1.estimator")
for _api in (_v2, v1):
    _mark_as_warned(_api)
inputs = v1.inputs

_PUBLIC = frozenset(name for name in vars(_v2) if not name.startswith("_"))


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_v2, name)


def __dir__() -> list[str]:
    return sorted(_PUBLIC | {"inputs", "v1"})
