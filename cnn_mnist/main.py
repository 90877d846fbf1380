"""Trains a classic MNIST network, evaluates it, and shows what it got right and wrong.

python -m cnn_mnist.main --steps=20000

Running the same command again resumes from the newest checkpoint, or, once the steps are reached,
only evaluates.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from cnn_mnist.checkpoints import record
from cnn_mnist.cluster import tf_config
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.commands import MODES, Options
from cnn_mnist.data import limits
from cnn_mnist.data.form import MNIST
from cnn_mnist.engines.table import ENGINES, TENSORFLOW
from cnn_mnist.engines.table import NAMES as ENGINE_NAMES
from cnn_mnist.estimator.keras import VersionError, choose_legacy
from cnn_mnist.exports.export import ALL, FORMATS, QUANTIZE
from cnn_mnist.inference.predict import FORMATS as OUTPUTS
from cnn_mnist.inference.preprocess import PREPROCESSES
from cnn_mnist.models.tables import TABLES, meanings, require_known
from cnn_mnist.recipes import CHOICES, CLASSIC, MEANING, RECIPES, Recipe, chosen
from cnn_mnist.utils import arguments, console, files, listening, process
from cnn_mnist.utils.arguments import TEXT, Choice, Names, Number, WholeNumber, YesOrNo
from cnn_mnist.utils.errors import UsageError
from cnn_mnist.utils.events import quiet_threads
from cnn_mnist.utils.process import end_program

FLAGS = flags.FlagValues()  # ours alone: a program that calls `main` may have flags of its own
PROGRAM = "python -m cnn_mnist"
STRATEGIES = ("auto", "mirrored", "multi_worker")
# Strategies that were taken out -> what serves instead.
FORMER = {
    "sync": "--strategy=multi_worker trains in step, too, to the same losses, and goes on with the "
    "same checkpoints",
    "parameter_server": "--strategy=multi_worker trains on several machines; for asynchronous "
    "training use TensorFlow's own, estimator.train_and_evaluate with a TF_CONFIG that names a ps",
}
LONGEST_TIMEOUT = 1e9  # seconds


class Strategy(Choice):
    """Takes the name of a strategy, and tells what serves instead of one that was taken out."""

    def parse(self, argument: Any) -> Any:
        """The name itself."""
        if argument in FORMER:
            raise ValueError(f"was taken out: {FORMER[argument]}")
        return super().parse(argument)


def _define(
    name: str, default: Any, meaning: str, parser: flags.ArgumentParser, flag: type = flags.Flag
) -> None:
    """Defines a flag. Where None is its default, `meaning` tells what leaving it out means."""
    made = flag(parser, None, name, default, meaning, boolean=isinstance(parser, YesOrNo))
    made.help = meaning  # to which a flag that can be repeated adds
    flags.DEFINE_flag(made, FLAGS, module_name="cnn_mnist.main")


def _define_field(field: Any) -> None:
    """Defines a flag that, if given, replaces the recipe's field of its name."""
    parsers: dict[type, Any] = {int: WholeNumber, float: Number, str: flags.ArgumentParser}
    names = field.metadata[CHOICES] or TABLES.get(field.name)
    meaning = field.metadata[MEANING]
    if field.name in TABLES:
        meaning += f" {meanings(field.name)}."
    meaning += f" (default: the recipe's; for {CLASSIC!r}: {field.default})"
    _define(field.name, None, meaning, Choice(names) if names else parsers[field.type]())


_define(
    "mode",
    "train_and_eval",
    " ".join(f"{name}: {mode.run.__doc__}" for name, mode in MODES.items()),
    Choice(MODES),
)
_define(
    "recipe",
    None,
    "Which tutorial to follow: network, optimizer and the numbers below. Left out: "
    f"{CLASSIC!r} for training, and otherwise what was trained in --model_dir.",
    Choice(RECIPES),
)
_define("model_dir", "model_dir", "Folder of checkpoints, curves and reports.", TEXT)
_define(
    "data_dir",
    None,
    "Folder, file or archive with other images: IDX files, .npz, CSV, a folder of pictures for "
    "each class, CIFAR's binary files, parquet, or TFRecord shards (python -m cnn_mnist.shards). "
    "Left out: the MNIST inside the package.",
    TEXT,
)
_define(
    "class_names",
    None,
    "Names of the classes, in the order of the labels. Left out: those of the data, or those with "
    "which --model_dir was trained.",
    Names(),
)
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
    "For --mode=predict, which needs it, and --mode=explain: an image file, a folder of them, or a "
    "glob. It may be given several times. Left out: none.",
    TEXT,
    flags.MultiFlag,
)
_define("output", "table", "How --mode=predict prints.", Choice(OUTPUTS))
_define(
    "preprocess",
    None,
    "How --mode=predict brings a picture to the training's images. digit: it finds the ink of a "
    "digit, scales and centres it as MNIST's are. plain: it scales the whole picture. Left out: "
    "digit if the network's classes are the ten digits, and otherwise plain. --mode=export "
    "notes it in the export.",
    Choice(PREPROCESSES),
)
_define(
    "split",
    False,
    "Whether --mode=predict reads every digit of a picture, from left to right, instead of "
    "refusing pictures with several.",
    YesOrNo(),
)
_define(
    "robustness",
    False,
    "Whether the report also tells the accuracy on test images that are noisy, blurred, moved, "
    "turned, smaller, paler, partly covered, thinner or thicker.",
    YesOrNo(),
)
_define("export_dir", None, "The folder to make. Left out: none, but --mode=export needs it.", TEXT)
_define(
    "format",
    "saved_model",
    f"For --mode=export. {' '.join(f'{n}: {f.meaning}.' for n, f in FORMATS.items())} "
    f"{ALL}: each of them, in a folder of its name.",
    Choice((*FORMATS, ALL)),
)
_define(
    "quantize",
    "none",
    "For --mode=export --format=litert. "
    f"{' '.join(f'{name}: {meaning}.' for name, meaning in QUANTIZE.items())}",
    Choice(QUANTIZE),
)
_define(
    "engine",
    TENSORFLOW,
    f"What computes for --mode=predict. {TENSORFLOW}: what was trained in --model_dir. "
    f"{' '.join(f'{n}: {e.meaning} in --model.' for n, e in ENGINES.items())}",
    Choice(ENGINE_NAMES),
)
_define("model", None, "The exported file that --engine opens. Left out: none is needed.", TEXT)

_define(
    "strategy",
    "auto",
    "How several processors train one network in step. mirrored: the GPUs of this machine. "
    "multi_worker: the processes of a cluster that TF_CONFIG names. auto: whichever there is.",
    Strategy(STRATEGIES),
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

for _field in dataclasses.fields(Recipe):
    _define_field(_field)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code, as `process.code_of` tells it.

    Args:
      argv: the command, with or without the program's name before the flags; None: `sys.argv`,
        without what belongs to a notebook's kernel.
    """
    return process.code_of(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    if any(word in arguments.HELP for word in arguments.typed(argv)):
        print(arguments.help_text(PROGRAM, str(__doc__), FLAGS))
        return 0
    with quiet_threads(), tf_config.taken() as cluster:
        parse_flags(argv, cluster)
        recipe = chosen_recipe()
        check_cluster(cluster, recipe)
        mode = MODES[FLAGS.mode]
        console.start_program()
        return mode.run(recipe, chosen_options(cluster if mode.trains else None))


def parse_flags(argv: Sequence[str] | None, cluster: Cluster | None = None) -> None:
    """Reads the command into `FLAGS`, which start from their defaults; see `main`.

    Raises:
      UsageError: a flag that does not exist or has a value that cannot work.
    """
    arguments.parse(arguments.typed(argv), FLAGS)
    mode = MODES[FLAGS.mode]
    helps = cluster is not None and mode.trains and cluster.role == "worker"
    files.check_folder("model_dir", FLAGS.model_dir, writable=mode.writes and not helps)
    if FLAGS.index_log_dir is not None:
        files.check_folder("index_log_dir", FLAGS.index_log_dir, writable=True)
    timeout, names = FLAGS.cluster_timeout, FLAGS.class_names
    if not 1 <= timeout <= LONGEST_TIMEOUT:  # nor NaN
        raise UsageError(
            f"--cluster_timeout={timeout}: expected at least 1 and at most 1e9 seconds"
        )
    if names is not None and not all(names):
        raise UsageError(f"--class_names: expected names, found an empty one: {names!r:.200}")
    if names is not None and FLAGS.data_dir is None and mode.trains:
        limits.named(MNIST, names)
    if not all(map(str.isprintable, names or [])):
        raise UsageError(f"--class_names: expected names that can be printed, found {names!r:.200}")
    needs = FLAGS.mode == "predict"
    if (needs or FLAGS.mode == "explain") and not all(FLAGS.images or [not needs]):
        raise UsageError(f"--mode={FLAGS.mode}: expected --images=PATH, found none")
    if (FLAGS.engine == TENSORFLOW) != (FLAGS.model is None):
        found = "none" if FLAGS.model is None else f"--model={FLAGS.model:.200}"
        expected = "no --model" if FLAGS.engine == TENSORFLOW else "--model=FILE"
        raise UsageError(f"--engine={FLAGS.engine}: expected {expected}, found {found}")
    if FLAGS.model is not None and FLAGS.mode != "predict":
        raise UsageError(f"--engine={FLAGS.engine}: expected --mode=predict, found {FLAGS.mode}")
    if FLAGS.mode == "export":
        if not FLAGS.export_dir:
            raise UsageError("--mode=export: expected --export_dir=FOLDER, found none")
        files.check_folder("export_dir", FLAGS.export_dir, writable=True)


def chosen_recipe() -> Recipe:
    """The recipe that the flags name, with the fields that they replace."""
    if FLAGS.model is not None:  # which needs no recipe, nor what is noted of one
        return RECIPES[CLASSIC]
    if FLAGS.recipe is None and not MODES[FLAGS.mode].trains:
        recipe = record.recipe_of(FLAGS.model_dir)
    else:
        recipe = RECIPES[FLAGS.recipe or CLASSIC]
    given = {name: FLAGS[name].value for name in recipe.params()}
    recipe = chosen(recipe, **{name: v for name, v in given.items() if v is not None})
    require_known(recipe)
    return record.resolved(recipe, FLAGS.model_dir)


def check_cluster(cluster: Cluster | None, recipe: Recipe) -> None:
    """Checks that the cluster that TF_CONFIG names can train what the flags ask for.

    Raises:
      UsageError: it cannot, or a cluster is asked for and none is there.
    """
    if not MODES[FLAGS.mode].trains:
        return
    if cluster is None:
        return
    if FLAGS.strategy == "mirrored":
        raise UsageError("--strategy=mirrored: is for one process, but TF_CONFIG names a cluster")
    if FLAGS.steps_per_call > 1:
        raise UsageError(f"--steps_per_call={FLAGS.steps_per_call}: expected 1 in a cluster")
    trainers = len(cluster.trainers)
    if recipe.batch_size < trainers:
        raise UsageError(
            f"--batch_size={recipe.batch_size}: expected at least {trainers}, an image for the "
            "chief and for each worker"
        )
    if cluster.address:  # an evaluator does not listen
        place = f"{tf_config.VARIABLE}: cluster.{cluster.role}[{cluster.index}]"
        listening.check(
            cluster.address, place, cluster.trainers.values(), FLAGS.allow_public_cluster
        )


def chosen_options(cluster: Cluster | None) -> Options:
    """The flags that do not belong to a recipe."""
    names = [field.name for field in dataclasses.fields(Options) if field.name != "cluster"]
    given: dict[str, Any] = {name: FLAGS[name].value for name in names}
    if FLAGS.strategy != "mirrored":
        given["strategy"] = "multi_worker" if cluster else "auto"  # of one process
    return Options(cluster=cluster, **given)


def own_process() -> None:
    """Makes the start of a process that is this program's own shorter."""
    process.collect_rarely()
    with contextlib.suppress(VersionError):  # Keras 3 serves, too, but takes longer to load
        console.keras_later = choose_legacy()


def run() -> None:
    """Runs the command in `sys.argv`, as a process of its own, which then ends."""
    if not process.interactive():
        own_process()
    end_program(main())


if __name__ == "__main__":
    run()
