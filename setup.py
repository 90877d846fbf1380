from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def version() -> str:
    """The version, from the one place that states it."""
    lines = (ROOT / "cnn_mnist" / "__init__.py").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("__version__"))


# What converts to a format of other programs, and what opens it.
EXPORTS = {
    "litert": ["ai-edge-litert>=2.1"],
    "onnx": ["tf2onnx>=1.17", "onnx>=1.17", "onnxruntime>=1.18"],
}

setup(
    name="cnn_mnist",
    version=version(),
    description="The classic MNIST network on a real Estimator, on today's TensorFlow",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["estimator", "handwritten digits", "image classification", "mnist", "tensorflow"],
    classifiers=[
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    packages=find_packages(include=["cnn_mnist", "cnn_mnist.*"]),
    package_data={"cnn_mnist.data": ["mnist/*"]},
    entry_points={
        "console_scripts": [
            "cnn_mnist = cnn_mnist.__main__:run",
            "cnn_mnist_estimator = cnn_mnist.estimator.runner:main",
        ]
    },
    python_requires=">=3.10,<3.14",
    install_requires=[
        "tensorflow>=2.15,<2.22",
        "tensorflow-estimator==2.15.0",
        "tf-keras>=2.15",  # legacy Keras, of the version that fits the installed TensorFlow
        "numpy>=1.26",
        "absl-py>=1.4",
        "tensorboard>=2.15",
        "rich>=13",  # the progress bar and the tables
        "matplotlib>=3.8",  # the report's figures
        "pillow>=10.3",  # reads image files
    ],
    extras_require={
        # pytest-xdist: a process for each core; scikit-learn: the yardstick of the metrics; pandas
        # and tf_slim: what programs of the Estimator use; pyarrow: reads parquet; ipython: a
        # session that must outlive a command; ipykernel, jupytext, nbclient: the notebook and its
        # text; the last three: the schemas of what is in deploy/
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "scikit-learn>=1.4",
            "pandas>=2",
            "pyarrow>=15",
            "tf_slim>=1.1",
            "ipython>=8.10",
            "ipykernel>=6",
            "jupytext>=1.16",
            "nbclient>=0.10",
            "check-jsonschema>=0.36",
            "kubernetes-validate>=1.34",
            "pyyaml>=6",
            *EXPORTS["litert"],
            *EXPORTS["onnx"],
        ],
        **EXPORTS,
        "contrib": ["tf_slim>=1.1"],  # tf.contrib.layers and tf.contrib.slim
        "parquet": ["pyarrow>=15"],  # reads data sets in parquet files
        "notebook": ["ipywidgets>=8"],  # the progress bar there; without it there are lines
        "bench": ["keras>=3", "torch>=2"],  # what `make bench` compares with
        "lint": [
            "ruff==0.17.*",
            "mypy>=2.4,<3",
            "import-linter>=2.1",
        ],  # a formatter's every release formats anew
    },
)
