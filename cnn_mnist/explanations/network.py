"""A trained network, opened: what each layer makes of an image, and gradients of its scores.

What is asked for is found by walking the graph, so that any network will do. An operation is told
by what it depends on: the images, the trained variables, both or none.

Axes: B batch, H height, W width, C channels, K classes, U units of a layer.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.data.form import Form
from cnn_mnist.explanations.shown import Filters
from cnn_mnist.models import graphs
from cnn_mnist.models.layers import LAYERS
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import sessions
from cnn_mnist.utils.errors import InputError

CHUNK = 200  # images a run of the graph

_VARIABLES = {"VarHandleOp", "VariableV2", "Variable"}
_NO_LAYERS = {"Identity", "IdentityN", "Cast", "Shape", "StridedSlice", "Pack", "Const"}


class OpenNetwork:
    """The network of a checkpoint, to look into; a context manager.

    It computes in `float32`, whatever the precision of the training: in `bfloat16` gradients do not
    add up to what they are of.

    The score of a class is its logit, and of an ensemble the logarithm of the sum of its members'
    probabilities; the softmax of the scores are the probabilities.

    Attributes:
      form: what the images are, and the names of the classes.
      step: the global step of the checkpoint.
      filters: of the first layer, one entry for each member of an ensemble; empty if the first
        layer has no weights for pixels.
    """

    def __init__(self, recipe: Recipe, checkpoint: str, form: Form) -> None:
        """Reads a checkpoint.

        Raises:
          CheckpointError: it is damaged, or of another network.
        """
        restore.check_fits(recipe, checkpoint, form)
        recipe = dataclasses.replace(recipe, precision="float32")
        self.form, self._name = form, recipe.network
        with tf.Graph().as_default():
            fed = graphs.build(recipe, estimator.ModeKeys.PREDICT, form, dtype="float32")
            probabilities = fed.spec.predictions["probabilities"]
            walk = _Walk(fed.images, probabilities.op.inputs[0])
            self._images, self._probabilities = fed.images, probabilities
            self._scores = walk.scores
            self._weights = tf.compat.v1.placeholder(tf.float32, [None, form.num_classes])
            self._entry = walk.entry()
            self._gradients: dict[str, Any] = {}  # by names of tensors
            self._layers = walk.layers()
            hidden = [tf.reshape(each, [tf.shape(each)[0], -1]) for each in walk.last_hidden()]
            self._hidden = tf.concat(hidden, axis=1)
            kernels = walk.first_kernels(form)
            self._session = tf.compat.v1.Session(config=sessions.config())
            try:
                self.step = restore.read_into(self._session, checkpoint, recipe)
                self.filters = [Filters(n, v) for n, v in self._session.run(kernels).items()]
            except BaseException:
                self._session.close()
                raise

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Of images `float32 [B, H, W]` or `[B, H, W, C]`, 0 to 1, or `uint8`: `float32 [B, K]`."""
        return self._in_chunks(self._probabilities, images)

    def hidden(self, images: np.ndarray) -> np.ndarray:
        """What the last layer is given, flat: `float32 [B, U]`; members' side by side."""
        return self._in_chunks(self._hidden, images)

    def activations(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The output of each layer by its name, `float32 [B, ...]`, in the images' order."""
        return self._session.run(self._layers, {self._images: _scaled(images)})

    def entry(self, images: np.ndarray) -> np.ndarray | None:
        """What the network makes of each pixel before its first weights: `float32 [B, H, W, C]`.

        Mostly these are the images. A network may scale them first, such as to columns of length 1,
        with a jump where a column is empty; on the scaled pixels its scores depend without a jump.

        None where the network does not keep its pixels in place, so that a 0 stays a 0.
        """
        images = pixels(images, self.form)
        made = self._in_chunks(self._entry, images.reshape(len(images), *self.form.image_shape))
        if made.size != images.size:
            return None
        made = made.reshape(images.shape)
        return made if np.array_equal(made == 0, images == 0) else None

    def gradients(
        self, points: np.ndarray, weights: np.ndarray, *, by_pixels: bool = False
    ) -> np.ndarray:
        """The gradients of weighted sums of scores.

        Args:
          points: `float32 [B, H, W, C]`, as from `entry`; or images.
          weights: `float32 [B, K]`, of the scores; 1 for a class and 0 for the others is its score.
          by_pixels: whether the points are images.

        Returns:
          `float32 [B, H, W, C]`.

        Raises:
          InputError: the scores have no gradient.
        """
        at = self._images if by_pixels else self._entry
        gradient = self._gradient(at)
        if gradient is None:
            raise InputError(
                f"--network={self._name}: expected logits with a gradient by the images, found none"
            )
        found = np.empty(points.shape, np.float32)
        for chunk in _chunks(len(points)):
            found[chunk] = self._session.run(
                gradient, {**self._at(at, points[chunk]), self._weights: weights[chunk]}
            ).reshape(points[chunk].shape)
        return found

    def scores(self, points: np.ndarray, *, by_pixels: bool = False) -> np.ndarray:
        """The scores of all classes at points as in `gradients`: `float32 [B, K]`."""
        at = self._images if by_pixels else self._entry
        found = np.empty([len(points), self.form.num_classes], np.float32)
        for chunk in _chunks(len(points)):
            found[chunk] = self._session.run(self._scores, self._at(at, points[chunk]))
        return found

    def close(self) -> None:
        """Frees the session."""
        self._session.close()

    def __enter__(self) -> "OpenNetwork":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _gradient(self, by: Any) -> Any:
        """Of the weighted sum of scores by a tensor; None where there is none."""
        if by.name not in self._gradients:  # it is added to the graph
            self._gradients[by.name] = None
            with by.graph.as_default(), contextlib.suppress(LookupError):  # of an operation
                scores = self._scores * self._weights
                self._gradients[by.name] = tf.gradients(scores, by)[0]
        return self._gradients[by.name]

    def _in_chunks(self, asked: Any, images: np.ndarray) -> np.ndarray:
        parts = [
            self._session.run(asked, {self._images: _scaled(images[chunk])})
            for chunk in _chunks(len(images))
        ]
        if parts:
            return np.concatenate(parts)
        return np.zeros([0, *asked.shape[1:].as_list()], np.float32)

    def _at(self, tensor: Any, points: np.ndarray) -> dict[Any, np.ndarray]:
        shape = [len(points), *tensor.shape[1:].as_list()]
        fed = {tensor: points.reshape(shape)}
        if tensor is not self._images:  # on which shapes may depend
            fed[self._images] = np.zeros([len(points), *self.form.image_shape], np.float32)
        return fed


class _Walk:
    """What an operation of the default graph depends on, between images and scores."""

    def __init__(self, images: Any, scores: Any) -> None:
        self.images, self.scores = images, scores
        self._of_images: set[str] = set()  # names of operations
        self._of_variables: set[str] = set()

        for op in tf.compat.v1.get_default_graph().get_operations():  # inputs come first
            before = {tensor.op.name for tensor in op.inputs}
            if op is images.op or before & self._of_images:
                self._of_images.add(op.name)
            if op.type in _VARIABLES or before & self._of_variables:
                self._of_variables.add(op.name)
        self._needed = {op.name for op in _ancestors(scores.op)}

    def entry(self) -> Any:
        """The one tensor, if there is one, through which the images reach the variables."""
        frontier = {
            tensor.name: tensor
            for op in self._path()
            if op.name in self._of_variables
            for tensor in op.inputs
            if self._is_of(tensor, images=True, variables=False) and tensor.dtype == tf.float32
        }
        if len(frontier) != 1:
            return self.images
        (tensor,) = frontier.values()
        known = tensor.shape.rank is not None and tensor.shape[1:].is_fully_defined()
        return tensor if known else self.images

    def layers(self) -> dict[str, Any]:
        """Names and outputs of the layers: those that are noted, or the last op of each scope."""
        noted = tf.compat.v1.get_collection(LAYERS)
        if noted:
            return {output.op.name.rpartition("/")[0]: output for output in noted}
        found: dict[str, Any] = {}
        for op in self._path():
            if op.name not in self._of_variables or op.type in _NO_LAYERS or not op.outputs:
                continue
            output = op.outputs[0]
            if output.dtype == tf.float32 and output.shape.rank in (2, 4):
                found[op.name.rpartition("/")[0] or op.name] = output
        return found

    def last_hidden(self) -> list[Any]:
        """What the last products with weights take, one for each member of an ensemble."""
        found: dict[str, Any] = {}
        seen: set[str] = set()

        def search(tensor: Any) -> None:
            op = tensor.op
            if tensor.name in seen:
                return
            seen.add(tensor.name)
            if op.type == "IdentityN":  # as a custom gradient makes
                search(op.inputs[tensor.value_index])
                return
            inputs = [each for each in op.inputs if self._is_of(each, images=True)]
            weights = [each for each in op.inputs if self._is_weights(each)]
            for each in inputs:
                if weights or not self._is_of(each, variables=True):
                    found[each.name] = each
                else:
                    search(each)

        search(self.scores)
        return [each for each in found.values() if each.shape.rank] or [self.scores]

    def first_kernels(self, form: Form) -> dict[str, Any]:
        """The weights that the images are first multiplied with, `[h, w, C, U]`, by layer."""
        full = [form.height, form.width, form.channels]
        found = {}
        for op in self._path():
            data = [each for each in op.inputs if self._is_of(each, images=True, variables=False)]
            for kernel in op.inputs:
                if not data or not self._is_weights(kernel):
                    continue
                shape = kernel.shape.as_list()
                if len(shape) == 2 and shape[0] == np.prod(full):
                    kernel = tf.reshape(kernel, [*full, shape[1]])
                elif len(shape) != 4 or shape[2] != form.channels:
                    continue
                found[op.name.rpartition("/")[0] or op.name] = kernel
        return found

    def _path(self) -> Iterator[Any]:
        """The operations between the images and the scores, the images' first."""
        for op in tf.compat.v1.get_default_graph().get_operations():
            if op.name in self._needed and op.name in self._of_images:
                yield op

    def _is_of(
        self, tensor: Any, *, images: bool | None = None, variables: bool | None = None
    ) -> bool:
        name = tensor.op.name
        return (images is None or (name in self._of_images) == images) and (
            variables is None or (name in self._of_variables) == variables
        )

    def _is_weights(self, tensor: Any) -> bool:
        """Whether it is a kernel: of variables alone, with at least two axes."""
        rank = tensor.shape.rank
        return self._is_of(tensor, images=False, variables=True) and bool(rank and rank >= 2)


def _ancestors(op: Any) -> list[Any]:
    found, waiting = {op.name: op}, [op]
    while waiting:
        for tensor in waiting.pop().inputs:
            if tensor.op.name not in found:
                found[tensor.op.name] = tensor.op
                waiting.append(tensor.op)
    return list(found.values())


def pixels(images: np.ndarray, form: Form) -> np.ndarray:
    """Images of a form, `uint8` or `float32` 0 to 1, as `float32 [B, H, W, C]`, 0 to 1."""
    return _scaled(images).reshape(len(images), form.height, form.width, form.channels)


def _scaled(images: np.ndarray) -> np.ndarray:
    """Images as `float32`, 0 to 1."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)


def _chunks(count: int) -> Iterator[slice]:
    for first in range(0, count, CHUNK):
        yield slice(first, first + CHUNK)
