"""One contender of the speed comparison: trains the classic network in bursts, on demand.

All contenders train the same: convolutions 5x5 with 32 and 64 filters, each with ReLU and 2x2
max-pooling, dense 1024 with ReLU, dropout 0.4, dense 10; weights uniform within sqrt(3 / fan_in);
SGD 0.001 on batches of 100 of the 55,000 training images, in an order that is new in each epoch.
Each is written the way its own documentation would, in the form that was fastest here.

A line with a number on stdin asks for so many training steps; the answer, a line on stdout, is the
seconds that they took. `benchmarks/duel.py` asks the contenders in turn.

One contender trains nothing: a step of `product` is one product of two large square matrices, the
best that the machine does through TensorFlow.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from cnn_mnist.data import dataset
from cnn_mnist.utils import processor

BATCH_SIZE = 100
LEARNING_RATE = 0.001
PRODUCT_SIDE = 2048  # of a square matrix; larger ones are multiplied no faster
ENDLESS = 10**9


class Bursts:
    """Counts steps, and waits for the next request after the last step of each."""

    def __init__(self) -> None:
        self._left = 0

    def start(self) -> None:
        """Waits for the first request; the contender is ready."""
        print("ready", flush=True)
        self._next()

    def step_done(self) -> None:
        """To be called after each training step."""
        self._left -= 1
        if self._left == 0:
            print(time.perf_counter() - self._start, flush=True)
            self._next()

    def _next(self) -> None:
        line = sys.stdin.readline()
        if not line:
            sys.stdout.flush()
            os._exit(0)  # in the middle of an endless training loop
        self._left = int(line)
        self._start = time.perf_counter()


def cnn_mnist_program(precision: str, model_dir: str) -> None:
    """This package: `training.train` as the program calls it."""
    _package(model_dir, precision=precision)


def small_network(precision: str, model_dir: str) -> None:
    """The same with the network that recipe `fast` began with, whose steps are short."""
    fields: dict[str, Any] = {"network": "small_cnn", "optimizer": "momentum", "dropout_rate": 0.0}
    _package(model_dir, precision=precision, **fields)


def accurate_recipe(precision: str, model_dir: str) -> None:
    """The same with recipe `accurate`, whose steps are long."""
    _package(model_dir, "accurate", precision=precision)


def _package(model_dir: str, recipe: str = "estimator", **fields: Any) -> None:
    from cnn_mnist.utils import console

    console.start_tensorflow()
    from cnn_mnist import estimator
    from cnn_mnist.recipes import RECIPES
    from cnn_mnist.training.train import train

    bursts = Bursts()

    class BurstHook(estimator.SessionRunHook):  # type: ignore[misc]
        def after_create_session(self, session: Any, coord: Any) -> None:
            bursts.start()

        def after_run(self, run_context: Any, run_values: Any) -> None:
            bursts.step_done()

    endless = {"steps": ENDLESS, "eval_every_steps": 0, **fields}
    train(dataclasses.replace(RECIPES[recipe], **endless), model_dir, hooks=[BurstHook()])


def bare_loop(precision: str, model_dir: str) -> None:
    """The graph of this package's training step, in a plain loop: no Estimator, no hooks."""
    from cnn_mnist.utils import console

    console.start_tensorflow()
    from benchmarks.bare import training_step
    from cnn_mnist.recipes import Recipe

    session, train_op = training_step(Recipe(precision=precision))
    bursts = Bursts()
    bursts.start()
    while True:
        session.run(train_op)
        bursts.step_done()


def keras_with_onednn(precision: str, model_dir: str) -> None:
    """Keras with oneDNN's operations, as this package has it: without AVX-512 it is faster so."""
    processor.prefer_onednn()
    keras_fit(precision, model_dir)


def keras_fit(precision: str, model_dir: str) -> None:
    """Keras 3 on TensorFlow: `Model.fit` over arrays."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    if precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    start = {"kernel_initializer": "lecun_uniform"}
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 5, padding="same", activation="relu", **start),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 5, padding="same", activation="relu", **start),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1024, activation="relu", **start),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(10, dtype="float32", **start),
        ]
    )
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,  # XLA takes twice the time on a CPU
    )
    bursts = Bursts()

    class BurstCallback(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            bursts.start()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            bursts.step_done()

    images, labels = _floats()
    callbacks = [BurstCallback()]
    model.fit(images, labels, BATCH_SIZE, epochs=1000, verbose=0, callbacks=callbacks)


def torch_eager(precision: str, model_dir: str) -> None:
    """PyTorch: an eager loop, channels last in memory."""
    import torch
    from torch import nn

    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(3136, 1024), nn.ReLU(), nn.Dropout(0.4), nn.Linear(1024, 10)),
    )
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            limit = (3 / layer.weight[0].numel()) ** 0.5
            nn.init.uniform_(layer.weight, -limit, limit)
            nn.init.zeros_(layer.bias)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)
    images, labels = _floats()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels.astype(np.int64))
    bursts = Bursts()
    bursts.start()
    for batch in _batches(len(y)):
        chosen = torch.from_numpy(batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        bursts.step_done()


def matrix_product(precision: str, model_dir: str) -> None:
    """TensorFlow: the product of two square matrices, which stay in variables."""
    from cnn_mnist.utils import console

    console.start_tensorflow()
    import tensorflow as tf

    from cnn_mnist.utils import sessions

    with tf.Graph().as_default():
        shape = [PRODUCT_SIDE, PRODUCT_SIDE]
        left, right = (
            tf.compat.v1.get_variable(
                name,
                initializer=tf.cast(tf.random.stateless_normal(shape, [seed, 0]), precision),
                use_resource=True,
            )
            for seed, name in enumerate(("left", "right"))
        )
        product = tf.matmul(left, right).op  # the operation: its result is not copied out
        session = tf.compat.v1.Session(config=sessions.config())
        session.run([tf.compat.v1.global_variables_initializer()])
        multiply = session.make_callable(product)
    bursts = Bursts()
    bursts.start()
    while True:
        multiply()
        bursts.step_done()


def _floats() -> tuple[np.ndarray, np.ndarray]:
    train = dataset.in_memory(dataset.load().train)
    return (train.images[..., np.newaxis] / np.float32(255)).astype(np.float32), train.labels


def _batches(size: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    while True:
        order = random.permutation(size)
        for start in range(0, size - BATCH_SIZE + 1, BATCH_SIZE):
            yield order[start : start + BATCH_SIZE]


CONTENDERS = {
    "cnn_mnist": cnn_mnist_program,
    "small": small_network,
    "accurate": accurate_recipe,
    "bare": bare_loop,
    "keras": keras_with_onednn,
    "keras_as_it_comes": keras_fit,
    "torch": torch_eager,
    "product": matrix_product,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--model_dir", required=True, help="for checkpoints")
    options = parser.parse_args()
    CONTENDERS[options.name](options.precision, options.model_dir)
