"""A layers model of TensorFlow.js, read from its files and computed in NumPy, layer by layer.

TensorFlow.js runs in JavaScript alone. This is its arithmetic for the layers that
`exports/tfjs.py` writes, by the definitions of Keras, so that an export can be checked in Python.

Axes: B batch, H height, W width, C channels.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnn_mnist.engines import notes
from cnn_mnist.engines.engine import Engine

PART = 50  # images at a time: the windows of a convolution take 1 MB each


@dataclasses.dataclass(frozen=True)
class LayersModel:
    """A layers model in memory.

    Attributes:
      model: what `model.json` holds.
      weights: `layer/weight` -> `float32` value.
    """

    model: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The layers as Keras describes them, in their order."""
        return self.model["modelTopology"]["config"]["layers"]

    def run(self, images: np.ndarray, count: int | None = None, dtype: Any = np.float32) -> Any:
        """What the first `count` layers make of images, 0 to 1; None for all.

        Images are `[B, H, W]` or `[B, H, W, C]`; every layer computes in `dtype`.
        """
        net: Any = (images if images.ndim == 4 else images[..., None]).astype(dtype)
        outputs: dict[str, Any] = {}
        for layer in self.layers[:count]:
            name, config = layer["config"]["name"], layer["config"]
            start = name + "/"
            weights = [v.astype(dtype) for n, v in self.weights.items() if n.startswith(start)]
            for nodes in layer.get("inbound_nodes", []):
                inputs = [outputs[node[0]] for node in nodes]
                net = inputs if layer["class_name"] == "Average" else inputs[0]
            net = COMPUTE[layer["class_name"]](net, config, *weights)
            net = ACTIVATIONS[config.get("activation", "linear")](net)
            outputs[name] = net
        return net


def read(folder: str | Path) -> LayersModel:
    """The model in a folder.

    Raises:
      ValueError: its weights are not of the size that its list says.
    """
    model = json.loads((Path(folder) / "model.json").read_bytes())
    (manifest,) = model["weightsManifest"]
    content = b"".join((Path(folder) / name).read_bytes() for name in manifest["paths"])
    weights = {}
    for entry in manifest["weights"]:
        size = 4 * int(np.prod(entry["shape"]))
        if entry["dtype"] != "float32" or size > len(content):
            raise ValueError(f"{folder}: a weight that cannot be: {entry}")
        weights[entry["name"]] = np.frombuffer(content[:size], "<f4").reshape(entry["shape"])
        content = content[size:]
    if content:
        raise ValueError(f"{folder}: {len(content)} bytes behind the last weight")
    return LayersModel(model, weights)


def opened(folder: str | Path) -> Engine:
    """The network in a folder; raises ValueError as `read`."""
    model = read(folder)

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pieces = [
            model.run(images[first : first + PART] / np.float32(255))
            for first in range(0, len(images), PART)
        ]
        probabilities = np.concatenate(pieces)
        return probabilities.argmax(axis=1), probabilities

    noted = notes.read(model.model["userDefinedMetadata"])
    return Engine(noted, f"NumPy {np.__version__}, not JavaScript", run)


def conv2d(net: Any, config: Mapping[str, Any], kernel: Any, bias: Any = 0) -> Any:
    """Convolution of stride 1: `[B, H, W, C]` -> `[B, H, W, filters]`."""
    height, width = config["kernel_size"]
    if config["padding"] == "same":
        up, left = (height - 1) // 2, (width - 1) // 2
        margins = [(0, 0), (up, height - 1 - up), (left, width - 1 - left), (0, 0)]
        net = np.pad(net, margins)
    # [B, H, W, height, width, C]: the order of the kernel's values
    windows = np.lib.stride_tricks.sliding_window_view(net, (height, width), axis=(1, 2))
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    columns = windows.reshape(-1, height * width * net.shape[-1])
    return (columns @ kernel.reshape(-1, kernel.shape[-1])).reshape(*windows.shape[:3], -1) + bias


def max_pooling2d(net: Any, config: Mapping[str, Any]) -> Any:
    """2x2 max-pooling; an odd last row or column is left out."""
    b, height, width, c = net.shape
    net = net[:, : height // 2 * 2, : width // 2 * 2]
    return net.reshape(b, height // 2, 2, width // 2, 2, c).max(axis=(2, 4))


def batch_normalization(
    net: Any, config: Mapping[str, Any], gamma: Any, beta: Any, mean: Any, variance: Any
) -> Any:
    """Batch normalization by moving averages."""
    return gamma * (net - mean) / np.sqrt(variance + net.dtype.type(config["epsilon"])) + beta


def layer_normalization(net: Any, config: Mapping[str, Any], gamma: Any, beta: Any) -> Any:
    """Layer normalization over rows and channels."""
    axes = tuple(config["axis"])
    mean, variance = net.mean(axis=axes, keepdims=True), net.var(axis=axes, keepdims=True)
    gamma, beta = gamma[None, :, None], beta[None, :, None]
    return gamma * (net - mean) / np.sqrt(variance + net.dtype.type(config["epsilon"])) + beta


def dense(net: Any, config: Mapping[str, Any], kernel: Any, bias: Any) -> Any:
    """Fully connected layer: `[B, N]` -> `[B, units]`."""
    return net @ kernel + bias


def softmax(net: Any) -> Any:
    """Probabilities of logits, `[B, K]`."""
    powers = np.exp(net - net.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _same(net: Any, config: Mapping[str, Any]) -> Any:
    return net


COMPUTE: dict[str, Callable[..., Any]] = {
    "Conv2D": conv2d,
    "MaxPooling2D": max_pooling2d,
    "GlobalAveragePooling2D": lambda net, config: net.mean(axis=(1, 2)),
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "Dense": dense,
    "Reshape": lambda net, config: net.reshape(len(net), *config["target_shape"]),
    "Flatten": lambda net, config: net.reshape(len(net), -1),
    "Activation": _same,  # its activation follows
    "Dropout": _same,
    "InputLayer": _same,
    "Average": lambda nets, config: np.mean(nets, axis=0),
}
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda net: net,
    "relu": functools.partial(np.maximum, 0),
    "softmax": softmax,
}
