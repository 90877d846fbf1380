"""The layers model of TensorFlow.js, read from its files and computed in NumPy."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from cnn_mnist.recipes import Recipe


@dataclasses.dataclass
class Exported:
    """A network that was trained for a moment, and the model that was written of it."""

    recipe: Recipe
    model_dir: str
    folder: Path

    def __post_init__(self):
        self.model = json.loads((self.folder / "model.json").read_bytes())
        self.layers = self.model["modelTopology"]["config"]["layers"]
        content = (self.folder / "weights.bin").read_bytes()
        self.weights = {}
        for entry in self.model["weightsManifest"][0]["weights"]:
            assert entry["dtype"] == "float32"
            size = 4 * int(np.prod(entry["shape"]))
            values = np.frombuffer(content[:size], "<f4").reshape(entry["shape"])
            self.weights[entry["name"]] = values
            content = content[size:]
        assert content == b""

    def run(self, images, count=None, dtype=np.float64):
        """What the first `count` layers make of images, 0 to 1; None for all.

        Images are `[B, H, W]` or `[B, H, W, C]`.
        """
        net = (images if images.ndim == 4 else images[..., None]).astype(dtype)
        outputs = {}
        for layer in self.layers[:count]:
            name = layer["config"]["name"]
            weights = [v.astype(dtype) for n, v in self.weights.items() if n.startswith(name + "/")]
            for inputs in layer.get("inbound_nodes", []):
                assert [node[1:] for node in inputs] == [[0, 0, {}]] * len(inputs)
                net = [outputs[node[0]] for node in inputs]
                net = net if layer["class_name"] == "Average" else net[0]
            net = COMPUTE[layer["class_name"]](net, layer["config"], *weights)
            net = ACTIVATIONS[layer["config"].get("activation", "linear")](net)
            outputs[name] = net
        return net


def conv2d(net, config, kernel, bias=0):
    height, width = config["kernel_size"]
    assert kernel.shape == (height, width, net.shape[-1], config["filters"])
    if config["padding"] == "same":
        up, left = (height - 1) // 2, (width - 1) // 2
        margins = [(0, 0), (up, height - 1 - up), (left, width - 1 - left), (0, 0)]
        net = np.pad(net, margins)
    windows = np.lib.stride_tricks.sliding_window_view(net, (height, width), axis=(1, 2))
    return np.einsum("byxcij,ijcf->byxf", windows, kernel, optimize=True) + bias


def max_pooling2d(net, config):
    assert config["pool_size"] == config["strides"] == [2, 2]
    b, height, width, c = net.shape
    net = net[:, : height // 2 * 2, : width // 2 * 2]
    return net.reshape(b, height // 2, 2, width // 2, 2, c).max(axis=(2, 4))


def batch_normalization(net, config, gamma, beta, mean, variance):
    return gamma * (net - mean) / np.sqrt(variance + config["epsilon"]) + beta


def layer_normalization(net, config, gamma, beta):
    assert config["center"] and config["scale"]
    axes = tuple(config["axis"])
    mean, variance = net.mean(axis=axes, keepdims=True), net.var(axis=axes, keepdims=True)
    gamma, beta = gamma[None, :, None], beta[None, :, None]
    return gamma * (net - mean) / np.sqrt(variance + net.dtype.type(config["epsilon"])) + beta


def dense(net, config, kernel, bias):
    assert kernel.shape == (net.shape[-1], config["units"])
    return net @ kernel + bias


def softmax(net):
    powers = np.exp(net - net.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


COMPUTE = {
    "Conv2D": conv2d,
    "MaxPooling2D": max_pooling2d,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "Dense": dense,
    "Reshape": lambda net, config: net.reshape(len(net), *config["target_shape"]),
    "Flatten": lambda net, config: net.reshape(len(net), -1),
    "Activation": lambda net, config: net,
    "Dropout": lambda net, config: net,
    "InputLayer": lambda net, config: net,
    "Average": lambda nets, config: np.mean(nets, axis=0),
}
ACTIVATIONS = {
    "linear": lambda net: net,
    "relu": lambda net: np.maximum(net, 0),
    "softmax": softmax,
}
