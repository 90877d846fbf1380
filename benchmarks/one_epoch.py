"""99 % of MNIST in one epoch, as others publish it, in the idiom of PyTorch and of Keras.

The recipe is that of github.com/tuomaso/train_mnist_fast, step 8: convolutions 5x5 with 24 and 3x3
with 32 filters, each with pooling and ReLU, dense 256; one epoch of all 60,000 images in batches of
256, Adam with decays 0.7 and 0.9, a learning rate that rises to 0.01 and falls again. As there, to
make the arrays and to test is not counted.

python benchmarks/one_epoch.py torch|keras --seed=N prints the seconds of training and the accuracy
on the test images, as JSON.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from cnn_mnist.data import dataset
from cnn_mnist.utils import processor

BATCH, EPOCH, PEAK = 256, 60_000, 0.01
STEPS = -(-EPOCH // BATCH)
MEAN, DEVIATION = 0.1307, 0.3081  # of the training images' pixels, 0 to 1
RISE, FIRST, LAST = 0.3, 25.0, 1e4  # of PyTorch's OneCycleLR: share of the steps, and divisors


def arrays() -> tuple[np.ndarray, ...]:
    """Training images and labels, test images and labels; images `float32 [N, 28, 28, 1]`."""
    data = dataset.load(None, 0, 0)
    splits = (dataset.in_memory(data.train), dataset.in_memory(data.test))
    found: list[np.ndarray] = []
    for split in splits:
        pixels = split.images[..., np.newaxis].astype(np.float32) / 255
        found += [(pixels - MEAN) / DEVIATION, split.labels.astype(np.int64)]
    return tuple(found)


def torch_run(data: tuple[np.ndarray, ...], seed: int) -> tuple[float, float]:
    """PyTorch: an eager loop; channels last, which is the faster order on a processor."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, test_x = (
        torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        for images in (data[0], data[2])
    )
    y, test_y = torch.from_numpy(data[1]), torch.from_numpy(data[3])
    model = nn.Sequential(
        *(nn.Conv2d(1, 24, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(24, 32, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10)),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK, betas=(0.7, 0.9))
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK, total_steps=STEPS, cycle_momentum=False
    )
    start = time.perf_counter()
    for chosen in torch.randperm(EPOCH).split(BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
        rates.step()
    seconds = time.perf_counter() - start
    with torch.no_grad():
        right = sum(
            int((model(images).argmax(1) == labels).sum())
            for images, labels in zip(test_x.split(1000), test_y.split(1000), strict=True)
        )
    return seconds, right / len(test_y)


def keras_run(data: tuple[np.ndarray, ...], seed: int) -> tuple[float, float]:
    """Keras: `Model.fit` over arrays, the rate by a schedule."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    processor.prefer_onednn()
    import keras

    class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
        """Along half a cosine up to the peak, then along another down, as PyTorch's OneCycleLR."""

        def __call__(self, step):  # type: ignore[no-untyped-def]
            ops = keras.ops
            step, top = ops.cast(step, "float32"), RISE * STEPS - 1
            rise = ops.minimum(step / top, 1.0)
            fall = ops.clip((step - top) / (STEPS - 1 - top), 0.0, 1.0)
            up = PEAK / FIRST + (PEAK - PEAK / FIRST) * (1 - ops.cos(np.pi * rise)) / 2
            last = PEAK / FIRST / LAST
            down = last + (PEAK - last) * (1 + ops.cos(np.pi * fall)) / 2
            return ops.where(step < top, up, down)

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *(layers.Conv2D(24, 5), layers.MaxPooling2D(2), layers.ReLU()),
            *(layers.Conv2D(32, 3), layers.MaxPooling2D(2), layers.ReLU(), layers.Flatten()),
            *(layers.Dense(256, activation="relu"), layers.Dense(10)),
        ]
    )
    model.compile(
        keras.optimizers.Adam(OneCycle(), beta_1=0.7, beta_2=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,  # XLA takes twice the time on a CPU
    )
    start = time.perf_counter()
    model.fit(data[0], data[1], BATCH, epochs=1, verbose=0)
    seconds = time.perf_counter() - start
    classes = model.predict(data[2], batch_size=1000, verbose=0).argmax(axis=1)
    return seconds, float((classes == data[3]).mean())


RUNS = {"torch": torch_run, "keras": keras_run}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=RUNS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seconds, accuracy = RUNS[options.name](arrays(), options.seed)
    print(json.dumps({"seconds": seconds, "accuracy": accuracy}))
