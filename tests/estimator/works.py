"""What of the Estimator works: the table of docs/estimator.md, and the programs that prove it.

`test_programs.py` runs each of them through `python -m cnn_mnist.estimator`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What works.

    Attributes:
      what: the first column.
      program: of the folder `programs`.
      prints: what is in its output.
      refused: the names that Keras 3 refuses; without any, this works with Keras 3, too.
      folder: whether a folder that is not there yet is its last argument.
    """

    what: str
    program: str
    prints: str
    refused: tuple[str, ...] = ()
    folder: bool = False


ROWS = (
    Row(
        (
            "a program of TensorFlow 1: `tf.layers`, `tf.losses`, `tf.train`, `tf.app.run`,"
            " `LoggingTensorHook`"
        ),
        "classic.py",
        "step 100 accuracy 0.",
        refused=("tf.compat.v1.layers.dense",),
        folder=True,
    ),
    Row(
        "a program of TensorFlow 1 that is a module with `tf.flags`",
        "-m flags_module --steps=3 --model_dir",
        "weight 0.7717",
        folder=True,
    ),
    Row(
        (
            "`Estimator`, `train_and_evaluate`, exporters, early stopping, warm start, "
            "`InMemoryEvaluatorHook`"
        ),
        "train_and_evaluate.py",
        "stopped at 18 exports {'best': 5, 'latest': 2}",
        folder=True,
    ),
    Row(
        "the canned estimators of `tf.estimator` and their heads",
        "canned.py",
        '"DNNClassifier"',
        refused=(
            "BaselineClassifier",
            "BaselineEstimator",
            "BaselineRegressor",
            "DNNClassifier",
            "DNNEstimator",
            "DNNRegressor",
            "DNNLinearCombinedClassifier",
            "DNNLinearCombinedEstimator",
            "DNNLinearCombinedRegressor",
            "LinearClassifier",
            "LinearEstimator",
            "LinearRegressor",
            "BinaryClassHead",
            "LogisticRegressionHead",
            "MultiClassHead",
            "MultiHead",
            "MultiLabelHead",
            "PoissonRegressionHead",
            "RegressionHead",
        ),
    ),
    Row(
        "those of `tf.compat.v1.estimator`",
        "canned.py",
        '"v1.DNNClassifier"',
        refused=(
            "v1.BaselineEstimator",
            "v1.DNNClassifier",
            "v1.DNNEstimator",
            "v1.DNNRegressor",
            "v1.DNNLinearCombinedClassifier",
            "v1.DNNLinearCombinedEstimator",
            "v1.DNNLinearCombinedRegressor",
            "v1.LinearClassifier",
            "v1.LinearEstimator",
            "v1.LinearRegressor",
            "v1.experimental.dnn_logit_fn_builder",
        ),
    ),
    Row(
        "feature columns: `input_layer`, `linear_model`, `DenseFeatures`",
        "feature_columns.py",
        '"linear_model": [0.5604',
        refused=("tf.keras.layers.DenseFeatures",),
    ),
    Row(
        "`numpy_input_fn`, `pandas_input_fn`",
        "inputs.py",
        "accuracy 1.0",
    ),
    Row(
        "`tf.keras.estimator.model_to_estimator`",
        "keras_model.py",
        "loss",
        refused=("model_to_estimator",),
        folder=True,
    ),
    Row(
        ("Keras layers in a model function: dropout, batch normalization, unnamed, `Sequential`"),
        "keras_layers.py",
        "masks 6 of 6",
        refused=("a model function with one",),
        folder=True,
    ),
    Row(
        ("`TPUEstimator` on a processor or a GPU (`use_tpu=False`); `host_call` is called there"),
        "tpu.py",
        "weight 1.1",
    ),
    Row(
        "`MirroredStrategy`, also over several processors",
        "mirrored.py",
        "replicas 2",
    ),
    Row(
        "`export_saved_model`, served by TensorFlow's own programs",
        "serving.py",
        "/",
        folder=True,
    ),
    Row(
        (
            "of `tf.contrib`: `data`, `estimator`, `framework`, `layers`, `learn.datasets`,"
            " `lookup`, `metrics`, `rnn`, `slim`, `tpu`, `training.HParams`; "
            "`tensorflow.examples.tutorials.mnist`"
        ),
        "contrib.py",
        "tf.contrib.crf went with TensorFlow 2",
    ),
)
GONE = (  # what does not work, and why
    (
        "the other modules of `tf.contrib`",
        "they went with TensorFlow 2; each says what there is in its place",
    ),
    (
        "`BoostedTreesClassifier` and the like",
        (
            "TensorFlow 2.15 has no operations for them either; tensorflow-decision-forests"
            " took their place"
        ),
    ),
    (
        "TPUs (`use_tpu=True`)",
        (
            "TensorFlow dropped what the Estimator needs to drive them; the names that are "
            "gone say so"
        ),
    ),
    (
        "`StepCounterHook` and `ProfilerHook` with an `output_dir` of their own",
        (
            "they fail on TensorFlow 2.15, too, with eager execution; "
            "`tf.compat.v1.disable_eager_execution()` mends that"
        ),
    ),
)
