"""Trains a classic MNIST network, evaluates it, and shows what it got right and wrong.

python -m cnn_mnist.main --steps=20000

Running the same command again resumes from the newest checkpoint, or, once the steps are reached,
only evaluates.
"""

import dataclasses
import os
import sys
from typing import Any

from absl import app, flags

from cnn_mnist import exits, listening, tf_config, usage
from cnn_mnist.events import quiet_threads
from cnn_mnist.recipes import AUGMENTS, AUTO, OPTIMIZERS, PRECISIONS, RECIPES, SCHEDULES, Recipe
from cnn_mnist.signals import leave
from cnn_mnist.usage import UsageError

FLAGS = flags.FLAGS
STRATEGIES = ("auto", "mirrored", "parameter_server", "sync")
TRAINING_MODES = ("train_and_eval", "train")
WRITING_MODES = (*TRAINING_MODES, "show_data")  # into the model_dir, and not without it
LONGEST_TIMEOUT = 1e9  # seconds
HELPERS = ("worker", "ps")  # roles that need no model_dir
MODES = (*TRAINING_MODES, "eval", "summary", "show_data", "predict", "export")

flags.DEFINE_enum(
    "mode",
    "train_and_eval",
    MODES,
    "Train and report on the test images; only train; only report, with the newest checkpoint; "
    "print the network's layers; draw examples of the data; read digits in --images; write "
    "the network into --export_dir, for other programs.",
)
flags.DEFINE_enum(
    "recipe",
    None,
    list(RECIPES),
    "Which tutorial to follow: network, optimizer and the numbers below. Left out: 'estimator' "
    "for training, and otherwise what was trained in --model_dir.",
)
flags.DEFINE_string("model_dir", "model_dir", "Folder of checkpoints, curves and reports.")
flags.DEFINE_string(
    "data_dir",
    None,
    "Folder with other images in MNIST's format: the four IDX files, plain or gzip, mnist.npz, or "
    "TFRecord shards (python -m cnn_mnist.shards). Left out: the MNIST inside the package.",
)
flags.DEFINE_list(
    "class_names", list("0123456789"), "Ten names for the report, separated by commas."
)
flags.DEFINE_integer(
    "log_every_n_iter", 50, "Steps between two looks at softmax_tensor; 0 for none.", lower_bound=0
)
flags.DEFINE_integer(
    "save_checkpoints_steps", 1000, "Steps between two checkpoints.", lower_bound=1
)
flags.DEFINE_integer(
    "steps_per_call",
    1,
    "Training steps per call of the session, for GPUs; fewer where something is logged or saved. "
    "Changes no bit of the result.",
    lower_bound=1,
    upper_bound=10_000,
)
flags.DEFINE_multi_string(
    "images", [], "For --mode=predict: an image file, a folder of them, or a glob; repeatable."
)
flags.DEFINE_enum("output", "table", ["table", "json", "csv"], "How --mode=predict prints.")
flags.DEFINE_string("export_dir", None, "For --mode=export: the folder to make.")
flags.DEFINE_enum(
    "format",
    "saved_model",
    ["saved_model", "tfjs"],
    "For --mode=export: a SavedModel of TensorFlow, or a layers model of TensorFlow.js.",
)

flags.DEFINE_enum(
    "strategy",
    "auto",
    STRATEGIES,
    "How several processors train one network. mirrored: the GPUs of this machine. For a cluster "
    "that TF_CONFIG names: parameter_server: each worker by itself; sync: all in step. auto: "
    "parameter_server in a cluster, mirrored with several GPUs.",
)
flags.DEFINE_float(
    "cluster_timeout",
    600.0,
    "Seconds to wait for another process of the cluster before giving up.",
)
flags.DEFINE_bool(
    "allow_public_cluster",
    False,
    "Let TensorFlow's server, which has no password, listen on an address that is not private.",
)
flags.DEFINE_string(
    "index_log_dir", None, "Folder where a cluster's processes note which images they trained on."
)

# Fields of the recipe; each flag that is given replaces the recipe's own value.
flags.DEFINE_enum(
    "network",
    None,
    sorted({"deep_cnn", *(recipe.network for recipe in RECIPES.values())}),
    "Which network.",
)
flags.DEFINE_enum("optimizer", None, OPTIMIZERS, "Gradient descent, with momentum 0.9, or Adam.")
flags.DEFINE_integer("steps", None, "Training steps in total, over all runs.")
flags.DEFINE_integer("batch_size", None, "Images per training step.")
flags.DEFINE_float("learning_rate", None, "Step size of the optimizer; a schedule's highest.")
flags.DEFINE_enum(
    "learning_rate_schedule", None, SCHEDULES, "How the step size changes over the steps."
)
flags.DEFINE_float("dropout_rate", None, "Share of the last hidden layer that a step leaves out.")
flags.DEFINE_enum("augment", None, AUGMENTS, "How training images are moved.")
flags.DEFINE_float("average_decay", None, "Of the moving average that is scored; 0 for none.")
flags.DEFINE_integer("validation_size", None, "Training images set aside for validation.")
flags.DEFINE_integer("train_size", None, "Images to train on; 0 for all others.")
flags.DEFINE_integer("eval_every_steps", None, "Steps between two validations; 0 for none.")
flags.DEFINE_enum(
    "precision",
    None,
    [*PRECISIONS, AUTO],
    "Of activations and products. auto: bfloat16 where the processor multiplies it, else float32; "
    "a run that goes on keeps what it has.",
)
flags.DEFINE_integer("seed", None, "Of initial weights, image order and dropout.")


def main(argv: list[str] | None = None) -> int:
    """Runs the command `argv`, by default `sys.argv`, and returns its exit code: see `exits`."""
    return exits.code_of(lambda: _run(sys.argv if argv is None else argv))


def _run(argv: list[str]) -> int:
    with quiet_threads():
        parse_flags(argv)
        recipe = chosen_recipe()
        cluster = chosen_cluster(recipe)
        from cnn_mnist import commands  # not before the flags are known to be good

        options = commands.Options(cluster=cluster, **values_of(commands.Options, "cluster"))
        return commands.MODES[FLAGS.mode](recipe, options)


def parse_flags(argv: list[str]) -> None:
    """Reads the command line into `FLAGS`.

    Raises:
      UsageError: a flag that does not exist or has a value that cannot work.
      SystemExit: with 0, after `--help`.
    """
    app.define_help_flags()
    try:
        positional = FLAGS(argv)[1:]
    except UnicodeDecodeError as error:
        raise UsageError(f"--flagfile: expected a text file, found {error}") from None
    except (flags.Error, ValueError) as error:  # ValueError: absl's own flags
        raise UsageError(usage.one_line(str(error))) from None
    except SystemExit:  # absl's own `--help` ends with 1
        raise SystemExit(0) from None
    if positional:
        name = usage.shown(positional[0])
        raise UsageError(f"{name}: unknown argument; every flag starts with --")
    cluster = tf_config.read(os.environ)
    helps = cluster is not None and FLAGS.mode in TRAINING_MODES and cluster.role in HELPERS
    writes = FLAGS.mode in WRITING_MODES and not helps
    usage.check_folder("model_dir", FLAGS.model_dir, writable=writes)
    if FLAGS.index_log_dir is not None:
        usage.check_folder("index_log_dir", FLAGS.index_log_dir, writable=True)
    if not 1 <= FLAGS.cluster_timeout <= LONGEST_TIMEOUT:  # nor NaN
        timeout = FLAGS.cluster_timeout
        raise UsageError(
            f"--cluster_timeout={timeout}: expected at least 1 and at most 1e9 seconds"
        )
    names = FLAGS.class_names
    if len(names) != 10 or not all(names):
        raise UsageError(f"--class_names: expected ten names, found {len(names)}: {names!r:.200}")
    if not all(map(str.isprintable, names)):
        raise UsageError(f"--class_names: expected names that can be printed, found {names!r:.200}")
    if FLAGS.mode == "predict" and not all(FLAGS.images or [""]):
        raise UsageError("--mode=predict: expected --images=PATH, found none")
    if FLAGS.mode == "export" and not FLAGS.export_dir:
        raise UsageError("--mode=export: expected --export_dir=FOLDER, found none")
    if FLAGS.mode == "export":
        usage.check_folder("export_dir", FLAGS.export_dir, writable=True)


def chosen_recipe() -> Recipe:
    """The recipe that the flags name, with the fields that they replace."""
    recipe = RECIPES[FLAGS.recipe or "estimator"]
    if FLAGS.recipe is None and FLAGS.mode not in TRAINING_MODES:
        from cnn_mnist import record

        there = record.read(FLAGS.model_dir)
        recipe = there.recipe if there else recipe
    given = {name: value for name, value in values_of(Recipe).items() if value is not None}
    recipe = dataclasses.replace(recipe, **given)
    if recipe.precision == AUTO:
        from cnn_mnist import record

        recipe = record.resolved(recipe, FLAGS.model_dir)
    return recipe


def chosen_cluster(recipe: Recipe) -> tf_config.Cluster | None:
    """The cluster that `TF_CONFIG` names, for training; what else is to be done is done alone.

    Raises:
      UsageError: it cannot train what the flags ask for.
    """
    cluster = tf_config.read(os.environ)
    if FLAGS.mode not in TRAINING_MODES or cluster is None:
        if FLAGS.mode in TRAINING_MODES and FLAGS.strategy in ("parameter_server", "sync"):
            raise UsageError(
                f"--strategy={FLAGS.strategy}: expected a cluster of several processes in "
                "TF_CONFIG, found none; `python -m cnn_mnist.cluster` starts one on this machine"
            )
        os.environ.pop("TF_CONFIG", None)  # the Estimator reads it, and would look for the others
        return None
    if FLAGS.strategy == "mirrored":
        raise UsageError("--strategy=mirrored: is for one process, but TF_CONFIG names a cluster")
    if FLAGS.strategy == "auto":
        FLAGS["strategy"].value = "parameter_server"
    if FLAGS.steps_per_call > 1:
        raise UsageError(f"--steps_per_call={FLAGS.steps_per_call}: expected 1 in a cluster")
    trainers = len(cluster.trainers)
    if FLAGS.strategy == "sync" and recipe.batch_size < trainers:
        raise UsageError(
            f"--batch_size={recipe.batch_size}: expected at least {trainers}, an image for the "
            "chief and for each worker"
        )
    listening.check(cluster, FLAGS.allow_public_cluster)
    return cluster


def values_of(fields: type, *but: str) -> dict[str, Any]:
    """The flags that have the names of a dataclass's fields, but for some."""
    names = [field.name for field in dataclasses.fields(fields) if field.name not in but]
    return {name: FLAGS[name].value for name in names}


if __name__ == "__main__":
    leave(main())
