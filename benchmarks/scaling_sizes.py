"""The sizes of a recipe, counted in the graph with which the chief of a cluster trains it.

Nothing is trained and nobody is connected to: TensorFlow builds the graph for addresses at which
nobody need be, and puts each variable on the parameter server where a cluster would have it.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import flops
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.cluster.trainers import Trainer
from cnn_mnist.data.dataset import Split
from cnn_mnist.models.networks import NETWORKS
from cnn_mnist.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a recipe has to move, to keep and to compute; all bytes are of its own dtypes.

    Attributes:
      batch_size: images of a step.
      parameters: values that are trained.
      weights: bytes of them, which each worker reads in every step.
      gradients: bytes of them, which each worker sends in every step.
      accumulators: bytes kept on the parameter servers for each worker beside the chief, while
        training is synchronous.
      checkpoint: bytes of all variables that are saved, the optimizer's too.
      flop: floating-point operations of training on one image.
      fullest: number of parameter servers -> bytes of weights on the one that has most.
    """

    batch_size: int
    parameters: int
    weights: int
    gradients: int
    accumulators: int
    checkpoint: int
    flop: int
    fullest: dict[int, int]


def of(recipe: Recipe, servers: tuple[int, ...]) -> Sizes:
    """The sizes of a recipe, and what its weights come to on each number of parameter servers."""
    graphs = {count: training_graph(recipe, count) for count in (1, *servers)}
    graph = graphs[1]
    with graph.as_default():
        trained = tf.compat.v1.trainable_variables()
        saved = tf.compat.v1.global_variables()
    left = [
        tf.TensorShape(op.get_attr("shape")).num_elements() * op.get_attr("dtype").size
        for op in graph.get_operations()
        if op.type in ("ConditionalAccumulator", "ResourceConditionalAccumulator")
    ]
    return Sizes(
        batch_size=recipe.batch_size,
        parameters=sum(math.prod(v.shape) for v in trained),
        weights=sum(map(_bytes, trained)),
        gradients=sum(left) - tf.float32.size,  # the loss is left beside them
        accumulators=sum(left),
        checkpoint=sum(map(_bytes, saved)),
        flop=flops.of_training_step(layers(recipe), 1),
        fullest={count: max(placed(graphs[count]).values()) for count in servers},
    )


def training_graph(recipe: Recipe, servers: int) -> Any:
    """The graph of a chief that trains in step with one worker."""
    ps = tuple(f"ps-{index}:2222" for index in range(servers))
    cluster = Cluster("chief:2222", ("worker-0:2222",), ps, "chief", 0)
    no_images = Split(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.int32))
    trainer = Trainer(cluster, "sync", recipe, no_images, model_dir="no such folder")
    # As the Estimator places them.
    places = tf.compat.v1.train.replica_device_setter(servers, worker_device="/job:chief/task:0")
    with tf.Graph().as_default() as graph, graph.device(places):
        tf.compat.v1.train.get_or_create_global_step()
        features, labels = trainer.input_fn()
        trainer.model_fn(features, labels, "train", recipe.params(), None)
    return graph


def placed(graph: Any) -> dict[str, int]:
    """Bytes of trained weights: device -> those that are there."""
    with graph.as_default():
        found: dict[str, int] = {}
        for variable in tf.compat.v1.trainable_variables():
            found[variable.device] = found.get(variable.device, 0) + _bytes(variable)
    return found


def layers(recipe: Recipe) -> list[flops.Layer]:
    """The network's products, in the order in which the images pass them."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [1, 28, 28, 1])
        NETWORKS[recipe.network](images, training=False, dropout_rate=0.0, seed=recipe.seed)
    found = []
    for op in graph.get_operations():
        if op.type in ("Conv2D", "MatMul"):
            output, kernel = op.outputs[0].shape, op.inputs[1].shape
            filters = output[-1]
            window = math.prod(kernel) // filters
            found.append(flops.Layer(math.prod(output) // filters, window, filters))
    return found


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * variable.dtype.size
