"""Trains a classic MNIST network, evaluates it, and shows what it got right and wrong.

python -m cnn_mnist.main --steps=20000

Running the same command again resumes from the newest checkpoint, or, once the steps are reached,
only evaluates.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from absl import flags

from cnn_mnist.cluster import listening, tf_config
from cnn_mnist.recipes import AUGMENTS, AUTO, OPTIMIZERS, PRECISIONS, RECIPES, SCHEDULES, Recipe
from cnn_mnist.utils import arguments, files, process
from cnn_mnist.utils.arguments import TEXT, Choice, Names, Number, WholeNumber, YesOrNo
from cnn_mnist.utils.errors import UsageError
from cnn_mnist.utils.events import quiet_threads
from cnn_mnist.utils.process import end_program

FLAGS = flags.FlagValues()  # ours alone: a program that calls `main` may have flags of its own
PROGRAM = "python -m cnn_mnist"
DEFAULT_RECIPE = "estimator"
STRATEGIES = ("auto", "mirrored", "parameter_server", "sync")
TRAINING_MODES = ("train_and_eval", "train")
WRITING_MODES = (*TRAINING_MODES, "show_data")  # into the model_dir, and not without it
LONGEST_TIMEOUT = 1e9  # seconds
HELPERS = ("worker", "ps")  # roles that need no model_dir
MODES = (*TRAINING_MODES, "eval", "summary", "show_data", "predict", "export")
# Networks of which it is known without loading TensorFlow that there are such.
KNOWN_NETWORKS = sorted({"deep_cnn", *(recipe.network for recipe in RECIPES.values())})


def _define(
    name: str, default: Any, meaning: str, parser: flags.ArgumentParser, flag: type = flags.Flag
) -> None:
    """Defines a flag. Where None is its default, `meaning` tells what leaving it out means."""
    made = flag(parser, None, name, default, meaning, boolean=isinstance(parser, YesOrNo))
    made.help = meaning  # to which a flag that can be repeated adds
    flags.DEFINE_flag(made, FLAGS, module_name="cnn_mnist.main")


def _define_field(name: str, meaning: str, choices: Sequence[str] = ()) -> None:
    """Defines a flag that, if given, replaces the recipe's field of its name."""
    default = getattr(RECIPES[DEFAULT_RECIPE], name)
    parsers = {int: WholeNumber, float: Number, str: flags.ArgumentParser}
    parser = Choice(tuple(choices)) if choices else parsers[type(default)]()
    left_out = f"(default: the recipe's; for {DEFAULT_RECIPE!r}: {default})"
    _define(name, None, f"{meaning} {left_out}", parser)


_define(
    "mode",
    "train_and_eval",
    "Train and report on the test images; only train; only report, with the newest checkpoint; "
    "print the network's layers; draw examples of the data; read digits in --images; write "
    "the network into --export_dir, for other programs.",
    Choice(MODES),
)
_define(
    "recipe",
    None,
    "Which tutorial to follow: network, optimizer and the numbers below. Left out: "
    f"{DEFAULT_RECIPE!r} for training, and otherwise what was trained in --model_dir.",
    Choice(tuple(RECIPES)),
)
_define("model_dir", "model_dir", "Folder of checkpoints, curves and reports.", TEXT)
_define(
    "data_dir",
    None,
    "Folder with other images in MNIST's format: the four IDX files, plain or gzip, mnist.npz, or "
    "TFRecord shards (python -m cnn_mnist.shards). Left out: the MNIST inside the package.",
    TEXT,
)
_define("class_names", list("0123456789"), "Ten names for the report.", Names())
_define(
    "log_every_n_iter", 50, "Steps between two looks at softmax_tensor; 0 for none.", WholeNumber(0)
)
_define("save_checkpoints_steps", 1000, "Steps between two checkpoints.", WholeNumber(1))
_define(
    "steps_per_call",
    1,
    "Training steps per call of the session, for GPUs; fewer where something is logged or saved. "
    "Changes no bit of the result.",
    WholeNumber(1, 10_000),
)
_define(
    "images",
    [],
    "For --mode=predict, which needs it: an image file, a folder of them, or a glob. It may be "
    "given several times. Left out: none.",
    TEXT,
    flags.MultiFlag,
)
_define("output", "table", "How --mode=predict prints.", Choice(("table", "json", "csv")))
_define(
    "export_dir",
    None,
    "The folder to make. Left out: none, but --mode=export needs it.",
    TEXT,
)
_define(
    "format",
    "saved_model",
    "For --mode=export: a SavedModel of TensorFlow, or a layers model of TensorFlow.js.",
    Choice(("saved_model", "tfjs")),
)

_define(
    "strategy",
    "auto",
    "How several processors train one network. mirrored: the GPUs of this machine. For a cluster "
    "that TF_CONFIG names: parameter_server: each worker by itself; sync: all in step. auto: "
    "parameter_server in a cluster, mirrored with several GPUs.",
    Choice(STRATEGIES),
)
_define(
    "cluster_timeout",
    600.0,
    "Seconds to wait for another process of the cluster before giving up.",
    Number(),
)
_define(
    "allow_public_cluster",
    False,
    "Let TensorFlow's server, which has no password, listen on an address that is not private.",
    YesOrNo(),
)
_define(
    "index_log_dir",
    None,
    "Folder where a cluster's processes note which images they trained on. Left out: they note "
    "nothing.",
    TEXT,
)

# Fields of the recipe; each flag that is given replaces the recipe's own value.
_define_field(
    "network", f"Which network: {', '.join(KNOWN_NETWORKS)}, or another one of networks.NETWORKS."
)
_define_field("optimizer", "Gradient descent, with momentum 0.9, or Adam.", OPTIMIZERS)
_define_field("steps", "Training steps in total, over all runs.")
_define_field("batch_size", "Images per training step.")
_define_field("learning_rate", "Step size of the optimizer; a schedule's highest.")
_define_field("learning_rate_schedule", "How the step size changes over the steps.", SCHEDULES)
_define_field("dropout_rate", "Share of the last hidden layer that a step leaves out.")
_define_field("augment", "How training images are moved.", AUGMENTS)
_define_field("average_decay", "Of the moving average that is scored; 0 for none.")
_define_field("validation_size", "Training images set aside for validation.")
_define_field("train_size", "Images to train on; 0 for all others.")
_define_field("eval_every_steps", "Steps between two validations; 0 for none.")
_define_field(
    "precision",
    "Of activations and products. auto: bfloat16 where the processor multiplies it, else float32; "
    "a run that goes on keeps what it has.",
    (*PRECISIONS, AUTO),
)
_define_field("seed", "Of initial weights, image order and dropout.")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code: see `exits`.

    Args:
      argv: the command, with or without the program's name before the flags; None: `sys.argv`,
        without what belongs to a notebook's kernel.
    """
    return process.code_of(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    with quiet_threads(), tf_config.kept():
        parse_flags(argv)
        recipe = chosen_recipe()
        cluster = chosen_cluster(recipe)
        from cnn_mnist import commands  # not before the flags are known to be good

        values = values_of(commands.Options, "cluster", "strategy")
        options = commands.Options(cluster=cluster, strategy=chosen_strategy(cluster), **values)
        return commands.MODES[FLAGS.mode](recipe, options)


def parse_flags(argv: Sequence[str] | None) -> None:
    """Reads the command into `FLAGS`, which start from their defaults; see `main`.

    Raises:
      UsageError: a flag that does not exist or has a value that cannot work.
      SystemExit: with 0, after `--help`.
    """
    words = arguments.typed(argv)
    if arguments.asks_for_help(words):
        print(arguments.help_text(PROGRAM, str(__doc__), FLAGS))
        raise SystemExit(0)
    arguments.parse(words, FLAGS)
    cluster = tf_config.read(os.environ)
    helps = cluster is not None and FLAGS.mode in TRAINING_MODES and cluster.role in HELPERS
    writes = FLAGS.mode in WRITING_MODES and not helps
    files.check_folder("model_dir", FLAGS.model_dir, writable=writes)
    if FLAGS.index_log_dir is not None:
        files.check_folder("index_log_dir", FLAGS.index_log_dir, writable=True)
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
        files.check_folder("export_dir", FLAGS.export_dir, writable=True)


def chosen_recipe() -> Recipe:
    """The recipe that the flags name, with the fields that they replace."""
    recipe = RECIPES[FLAGS.recipe or DEFAULT_RECIPE]
    if FLAGS.recipe is None and FLAGS.mode not in TRAINING_MODES:
        from cnn_mnist.checkpoints import record

        there = record.read(FLAGS.model_dir)
        recipe = there.recipe if there else recipe
    given = {name: value for name, value in values_of(Recipe).items() if value is not None}
    recipe = dataclasses.replace(recipe, **given)
    if recipe.precision == AUTO:
        from cnn_mnist.checkpoints import record

        recipe = record.resolved(recipe, FLAGS.model_dir)
    if recipe.network not in KNOWN_NETWORKS:
        from cnn_mnist.utils import console

        console.start_tensorflow()
        from cnn_mnist.models import networks

        networks.named(recipe.network)
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


def chosen_strategy(cluster: tf_config.Cluster | None) -> str:
    """The strategy that `--strategy` names; of "auto" that of a cluster, if there is one."""
    return "parameter_server" if cluster and FLAGS.strategy == "auto" else FLAGS.strategy


def values_of(fields: type, *but: str) -> dict[str, Any]:
    """The flags that have the names of a dataclass's fields, but for some."""
    names = [field.name for field in dataclasses.fields(fields) if field.name not in but]
    return {name: FLAGS[name].value for name in names}


if __name__ == "__main__":
    end_program(main())
