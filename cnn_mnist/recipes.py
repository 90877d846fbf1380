"""Recipes: named sets of hyper-parameters, which tell what is trained and how.

To add a recipe, give `RECIPES` an entry. To add a hyper-parameter, give `Recipe` a field: its flag,
its help, its check, and its value in runs that were noted before it came, follow from the field.
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

from cnn_mnist.utils import processor
from cnn_mnist.utils.errors import InputError

PRECISIONS = ("float32", "bfloat16")
CLASSIC = "estimator"  # the recipe where none is named
AUTO = "auto"  # the precision that suits the processor, decided when a run starts
# The number of what decides the bits of a training and is no field of a recipe: constants in the
# code (momentum, decays, epsilons, the reach of the augmentation), the networks, the order of the
# images. Whoever changes one of them raises it, so that no run goes on as another.
CONSTANTS = 1
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # of 32 bits
LARGEST_BATCH = 65_536  # images; the first layer of `cnn` then takes 6 GB
# Keys of a field's metadata.
MEANING, HOLDS, EXPECTED, BEFORE, CHOICES = "meaning", "holds", "expected", "before", "choices"


# Type of a field -> what its values are called, their general type, and how they are made plain.
_KINDS: dict[Any, tuple[str, type, Callable[[Any], Any]]] = {
    int: ("a whole number", numbers.Integral, int),
    float: ("a number", numbers.Real, float),
    str: ("a name", str, str),
}


class RecipeError(InputError):
    """A hyper-parameter that cannot work. The message starts with the flag of its name."""


def _field(
    default: Any,
    meaning: str,
    expected: str = "",
    holds: Callable[[Any], bool] = lambda value: True,
    *,
    choices: tuple[str, ...] = (),
    is_younger: bool = False,
) -> Any:
    """A hyper-parameter.

    Args:
      default: that of the layers tutorial.
      meaning: what `--help` tells.
      expected: the range, for messages.
      holds: whether a value is in the range. It is written so that NaN, for which every comparison
        is false, is refused.
      choices: the values, if they are names that are in no table of `models/tables.py`.
      is_younger: whether the first `recipe.json` did not have it; every run was then as with
        `default`, whatever the default will become.
    """
    metadata = {MEANING: meaning, HOLDS: holds, EXPECTED: expected, CHOICES: choices}
    before = {BEFORE: default} if is_younger else {}
    return dataclasses.field(default=default, metadata=metadata | before)


# Ranges of several fields: for messages, and whether a value is in it.
_COUNT = ("at least 0", lambda value: value >= 0)
_SHARE = ("at least 0 and below 1", lambda value: 0 <= value < 1)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a training run, apart from the data itself.

    The defaults are those of the layers tutorial of TensorFlow 1.x, `cnn_mnist.py`. Weights, loss
    and optimizer are `float32` in any precision. Names are looked up in `models/tables.py` when
    they are used.

    Raises:
      RecipeError: for a value out of range.
    """

    network: str = _field("cnn", "Which network.")
    optimizer: str = _field("sgd", "What takes a step.")
    learning_rate: float = _field(
        0.001,
        "Step size of the optimizer; a schedule's highest.",
        "a number above 0, from 1.2e-38 to 3.4e+38",
        lambda value: SMALLEST_FLOAT <= value <= LARGEST_FLOAT,
    )
    learning_rate_schedule: str = _field(
        "constant", "How the step size changes over the steps.", is_younger=True
    )
    batch_size: int = _field(
        100,
        "Images per training step.",
        f"at least 1 and at most {LARGEST_BATCH}",
        lambda value: 1 <= value <= LARGEST_BATCH,
    )
    steps: int = _field(
        20_000,
        "Training steps in total, over all runs.",
        "at least 1 and below 2^63",
        lambda value: 1 <= value < 2**63,
    )
    dropout_rate: float = _field(
        0.4, "Share of the last hidden layer that a step leaves out.", *_SHARE
    )
    label_smoothing: float = _field(
        0.0,
        "Share of each label that is spread evenly over all classes.",
        *_SHARE,
        is_younger=True,
    )
    augment: str = _field("none", "How training images are moved.", is_younger=True)
    average_decay: float = _field(
        0.0,
        "Of the moving average of the weights that is scored; 0 for none.",
        *_SHARE,
        is_younger=True,
    )
    validation_size: int = _field(
        5_000,
        "Training images set aside for validation, from the front of the training file.",
        *_COUNT,
    )
    train_size: int = _field(0, "Images to train on; 0 for all others.", *_COUNT)
    eval_every_steps: int = _field(1_000, "Steps between two validations; 0 for none.", *_COUNT)
    precision: str = _field(
        "float32",
        "Of activations and products. auto: bfloat16 where the processor multiplies it, else "
        "float32; a run that goes on keeps what it has.",
        choices=(*PRECISIONS, AUTO),
        is_younger=True,
    )
    seed: int = _field(
        0,
        "Of initial weights, image order, dropout and augmentation.",
        "at least 0 and below 2^32",
        lambda value: 0 <= value < 2**32,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, told = getattr(self, field.name), field.metadata
            called, kind, plain = _KINDS[field.type]
            if not isinstance(value, kind) or isinstance(value, bool):
                raise RecipeError(f"--{field.name}={value!r:.100}: expected {called}")
            choices = told[CHOICES]
            if not told[HOLDS](value) or (choices and value not in choices):
                expected = told[EXPECTED] or f"one of {', '.join(choices)}"
                raise RecipeError(f"--{field.name}={value!s:.100}: expected {expected}")
            object.__setattr__(self, field.name, plain(value))  # NumPy's numbers become Python's

    def params(self) -> dict[str, Any]:
        """The recipe as the `params` of an Estimator; `Recipe(**params)` is the way back."""
        return dataclasses.asdict(self)

    def resolved(self, noted: "Recipe | None" = None) -> "Recipe":
        """The recipe with a precision to compute in, where it says `AUTO`.

        A run that goes on keeps the precision that is `noted`; a new one takes bfloat16 where the
        processor has instructions for it, else float32.
        """
        if self.precision != AUTO:
            return self
        precision = noted.precision if noted else processor.precision()
        return dataclasses.replace(self, precision=precision)


# A tutorial that counts epochs of N images has ceil(epochs * N / batch size) steps here.
RECIPES = {
    # TensorFlow 1.x, examples/tutorials/layers/cnn_mnist.py: 97.3 %.
    "estimator": Recipe(),
    # TensorFlow.js, "Handwritten digit recognition with CNNs": 10 epochs of 5,500 images.
    "tfjs": Recipe(
        network="tfjs",
        optimizer="adam",
        batch_size=512,
        steps=108,
        validation_size=1_000,
        train_size=5_500,
        eval_every_steps=11,
    ),
    # TensorFlow.js, the first version of the same: 100 batches, a test every five.
    "tfjs_sgd": Recipe(
        network="tfjs",
        learning_rate=0.15,
        batch_size=64,
        steps=100,
        validation_size=1_000,
        eval_every_steps=5,
    ),
    # Keras, `Sequential` of three `Dense` layers: 3 epochs of all 60,000 images, 97.2 %.
    "keras_mlp": Recipe(
        network="keras_mlp",
        optimizer="adam",
        batch_size=32,
        steps=5_625,
        validation_size=0,
    ),
    # TensorFlow Core, "Multilayer perceptrons for digit recognition": 10 epochs of 50,000, 97.9 %.
    "core_mlp": Recipe(
        network="core_mlp",
        optimizer="adam",
        batch_size=128,
        steps=3_907,
        validation_size=10_000,
        eval_every_steps=391,
    ),
    # One epoch, for a trained network in seconds. Adam with short memories is of
    # github.com/tuomaso/train_mnist_fast; fewer filters and smoothed labels are our own.
    "fast": Recipe(
        network="quick_cnn",
        optimizer="short_adam",
        learning_rate=0.01,
        learning_rate_schedule="one_cycle",
        batch_size=256,
        steps=215,
        dropout_rate=0.0,
        label_smoothing=0.05,
        eval_every_steps=215,
        precision=AUTO,
    ),
    # Fifteen epochs of as few parameters as 99 % takes.
    "tiny": Recipe(
        network="tiny_cnn",
        optimizer="adam",
        learning_rate=0.03,
        learning_rate_schedule="one_cycle",
        batch_size=128,
        steps=6_450,
        dropout_rate=0.0,
    ),
    # Sixteen epochs of moved images, for the fewest mistakes. All was chosen with 10,000 images
    # set aside; then most of them went to the training.
    "accurate": Recipe(
        network="committee",
        optimizer="momentum",
        learning_rate=0.1,
        learning_rate_schedule="one_cycle",
        batch_size=128,
        steps=7_500,
        validation_size=1_000,
        dropout_rate=0.5,
        augment="affine",
        average_decay=0.999,
        eval_every_steps=1_500,
        precision=AUTO,
    ),
    # Ten epochs of CIFAR-10's 50,000 colour images, or of another set of its kind.
    "colour": Recipe(
        network="colour_cnn",
        optimizer="momentum",
        learning_rate=0.1,
        learning_rate_schedule="one_cycle",
        batch_size=128,
        steps=4_000,
        dropout_rate=0.3,
        augment="shift_and_mirror",
        precision=AUTO,
    ),
}
# What a recipe was before it changed: a run that began so goes on so.
FORMER = {
    "fast": Recipe(
        network="small_cnn",
        optimizer="momentum",
        learning_rate=0.1,
        learning_rate_schedule="one_cycle",
        steps=1_000,
        dropout_rate=0.0,
        eval_every_steps=500,
        precision=AUTO,
    ),
}
TUTORIALS = ("estimator", "tfjs", "tfjs_sgd", "keras_mlp", "core_mlp")


def chosen(recipe: "str | Recipe", **fields: Any) -> Recipe:
    """A recipe, given itself or by its name, with some fields replaced.

    Raises:
      RecipeError: there is no such recipe or field, or a value is out of range.
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise RecipeError(f"--recipe={recipe}: expected one of {', '.join(RECIPES)}")
        recipe = RECIPES[recipe]
    known = recipe.params()
    for name in fields:
        if name not in known:
            raise RecipeError(f"{name}: expected a field of a recipe: {', '.join(known)}")
    return dataclasses.replace(recipe, **fields)


def as_begun(recipe: Recipe, noted: Recipe) -> Recipe:
    """The recipe, or what its name stood for when the run of the recipe `noted` began with it.

    Fields that were given beside the name stay as they are given.
    """
    for name, former in FORMER.items():
        now = RECIPES[name].params()
        given = {field: value for field, value in recipe.params().items() if value != now[field]}
        begun = dataclasses.replace(former, **given)
        # A run notes these two as they came out.
        left_open = ("precision", "validation_size")
        open_fields: dict[str, Any] = {field: getattr(noted, field) for field in left_open}
        if dataclasses.replace(begun, **open_fields) == noted:
            return begun
    return recipe


def name_of(recipe: Recipe) -> str | None:
    """What a recipe is called, whatever its seed and precision; None if it has no name."""
    for name, named in RECIPES.items():
        if dataclasses.replace(named, seed=recipe.seed, precision=recipe.precision) == recipe:
            return name
    return None
