"""What `programs` forks: a process that has loaded TensorFlow and computed nothing.

The package is loaded, too, but for `cnn_mnist.main`: each program loads that as its `__main__`.
"""

import importlib

from cnn_mnist.estimator.keras import choose_legacy
from cnn_mnist.utils import console

# As the program does before it loads TensorFlow.
choose_legacy()
console.tame_environment()
console.show_log_lines(console.stderr_console())
MODULES = (
    *("cnn_mnist.commands", "cnn_mnist.estimator", "cnn_mnist.shards", "cnn_mnist.utils.curves"),
    *("cnn_mnist.cluster.together", "cnn_mnist.cluster.evaluator"),
    "cnn_mnist.evaluation.report",
    *("cnn_mnist.evaluation.scoring", "cnn_mnist.exports.saved_model", "cnn_mnist.exports.tfjs"),
    *("cnn_mnist.inference.predictor", "cnn_mnist.training.loop", "cnn_mnist.training.saving"),
    "cnn_mnist.training.validation",
    "tensorboard.backend.event_processing.event_file_loader",
)
with console.quiet_start():
    for module in MODULES:
        importlib.import_module(module)
