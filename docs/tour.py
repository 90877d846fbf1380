# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour of cnn_mnist
#
# Load handwritten digits, train a network on them in seconds, see what it gets wrong and why, give
# it a drawing of your own, and take it along in the formats of other programs. The whole tour takes
# less than two minutes on two cores.
#
# Where the package is not installed, as in Colab, the next cell installs it from the folder above
# this notebook, or from one called `cnn_mnist` beside it.

# %%
import importlib.util
from pathlib import Path

if importlib.util.find_spec("cnn_mnist") is None:
    near = ("..", "cnn_mnist", "/content/cnn_mnist")
    source = next(folder for folder in near if Path(folder, "setup.py").exists())
    # %pip install --quiet {source}

# %% [markdown]
# ## Load and look
#
# The package brings MNIST with it: 60,000 images for training, of which 5,000 are set aside for
# validation, and 10,000 for tests. Each is 28x28 pixels, 0 (paper) to 255 (ink).

# %%
import shutil

import matplotlib.pyplot as plt
import numpy as np

import cnn_mnist

shutil.rmtree("tour", ignore_errors=True)  # of an earlier tour
data = cnn_mnist.load()
for name in ("train", "validation", "test"):
    images = getattr(data, name).images
    print(f"{name:10}", images.shape, images.dtype)

# %%
figure, axes = plt.subplots(1, 10, figsize=(10, 1.5))
for digit, axis in enumerate(axes):
    first = np.flatnonzero(data.test.labels == digit)[0]
    axis.imshow(data.test.images[first], cmap="gray_r")
    axis.set_title(digit)
    axis.axis("off")

# %% [markdown]
# ## Train
#
# `fast` is one of the recipes in `cnn_mnist.RECIPES`: a small convolutional network, and one
# pass over the images. Its fields are keywords of `train`. Interrupt the cell and run it again: it
# goes on.

# %%
cnn_mnist.RECIPES["fast"]

# %%
run = cnn_mnist.train("fast", "tour/model")
print(f"step {run.step:,}: {run.seconds:.1f} s, validation accuracy {run.validation_accuracy:.4f}")

# %% [markdown]
# ## The report
#
# Which digits are taken for which, the most confident mistakes, and how far its probabilities can
# be trusted.

# %%
report = cnn_mnist.evaluate("tour/model")
print(f"test accuracy {report.accuracy:.4f}, loss {report.loss:.4f}")
report

# %% [markdown]
# ## A drawing of your own
#
# A photo or a drawing may have any size and any colours: the digit in it is found, and placed as
# MNIST's are. Here one is drawn; a file of yours will do as well.

# %%
from PIL import Image, ImageDraw

from cnn_mnist.inference.images import read_image

paper = Image.new("RGB", (300, 400), "ivory")
ImageDraw.Draw(paper).line([(90, 90), (210, 95), (130, 310)], "navy", width=22, joint="curve")
Path("tour").mkdir(exist_ok=True)
paper.save("tour/drawing.png")
drawing = read_image("tour/drawing.png")

with cnn_mnist.Predictor("tour/model") as predictor:
    classes, probabilities = predictor.predict(drawing[None])
print(f"it is a {classes[0]}, with a probability of {probabilities[0].max():.1%}")
paper.resize((150, 200))

# %% [markdown]
# ## Why
#
# Blue pixels speak for a class, orange ones against it; below are the training images that the
# network finds most alike.

# %%
cnn_mnist.explain("tour/model", drawing[None], names=["my drawing"])

# %% [markdown]
# ## Take it along
#
# Each export is read by its own runtime before it counts, and compared with the network.

# %%
exported = cnn_mnist.export("tour/model", "tour/exported", format="saved_model")
for path in sorted(exported.folder.rglob("*")):
    if path.is_file():
        print(f"{path.stat().st_size:9,}  {path}")
