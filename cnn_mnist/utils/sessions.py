"""How every session of the program runs its graph."""

from typing import Any

import tensorflow as tf


def config() -> Any:
    """The `ConfigProto` of all sessions of the program; the first one decides for the process.

    One operation at a time, on all cores: a network is a chain, and two operations that run side by
    side take the cores and the caches from each other. A GPU's memory is taken as it is needed, and
    what a GPU cannot do is done by the processor.
    """
    proto = tf.compat.v1.ConfigProto(allow_soft_placement=True, inter_op_parallelism_threads=1)
    proto.gpu_options.allow_growth = True
    # The graph is optimized once, as the Estimator asks by default: it is built for each run anew.
    proto.graph_options.rewrite_options.meta_optimizer_iterations = 1
    return proto


def for_all_reduce() -> Any:
    """The same for a process that adds up its gradients with those of others.

    Steps wait for others, and the input and the sums need threads then.
    """
    proto = config()
    proto.inter_op_parallelism_threads = 0
    # It fuses convolution and bias, in bfloat16 to an operation that only a local session has.
    rewriting = proto.graph_options.rewrite_options
    rewriting.remapping = rewriting.OFF
    return proto


def for_replicas() -> Any:
    """The same for a network with a replica on each of several devices.

    The replicas work side by side, and one waits for the other's gradient and for its input.
    """
    proto = config()
    proto.inter_op_parallelism_threads = 0
    proto.use_per_session_threads = True
    proto.device_count["CPU"] = len(tf.config.list_logical_devices("CPU"))
    return proto
