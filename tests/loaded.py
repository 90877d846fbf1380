"""What `programs` forks: a process that has loaded TensorFlow and computed nothing.

The package is loaded, too, but for `cnn_mnist.main`: each program loads that as its `__main__`.
"""

import importlib

from cnn_mnist import console

# As the program does before it loads TensorFlow.
console.tame_environment()
console.show_log_lines(console.stderr_console())
MODULES = (
    *("cnn_mnist.commands", "cnn_mnist.curves", "cnn_mnist.estimator", "cnn_mnist.evaluation"),
    *("cnn_mnist.evaluator", "cnn_mnist.export", "cnn_mnist.figures", "cnn_mnist.page"),
    *("cnn_mnist.parameter_server", "cnn_mnist.predict", "cnn_mnist.report", "cnn_mnist.roles"),
    *("cnn_mnist.shards", "cnn_mnist.synchronous", "cnn_mnist.asynchronous", "cnn_mnist.tfjs"),
    *("cnn_mnist.trainers", "cnn_mnist.training", "cnn_mnist.validation"),
    "tensorboard.backend.event_processing.event_file_loader",
)
with console.quiet_start():
    for module in MODULES:
        importlib.import_module(module)
