"""Named sets of hyper-parameters: what is trained, and how."""

import dataclasses
from typing import Any

from cnn_mnist.utils import processor
from cnn_mnist.utils.errors import InputError

OPTIMIZERS = ("sgd", "momentum", "adam")
SCHEDULES = ("constant", "cosine", "one_cycle")
AUGMENTS = ("none", "shift", "rotation", "shift_and_rotation", "affine")
PRECISIONS = ("float32", "bfloat16")
BEFORE = "before"  # in a field's metadata: its value in a run that was noted without it
AUTO = "auto"  # the precision that suits the processor, decided when a run starts
# The number of what decides the bits of a training and is no field of a recipe: constants in the
# code (momentum, decays, epsilons, the reach of the augmentation), the networks, the order of the
# images. Whoever changes one of them raises it, so that no run goes on as another.
CONSTANTS = 1
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # of 32 bits
LARGEST_BATCH = 65_536  # images; the first layer of `cnn` then takes 6 GB


class RecipeError(InputError):
    """A hyper-parameter that cannot work. The message starts with the flag of its name."""


def _since(value: Any) -> Any:
    """A field that the first `recipe.json` did not have; every run was then as with `value`."""
    return dataclasses.field(default=value, metadata={BEFORE: value})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a training run, apart from the data itself.

    The defaults are those of the layers tutorial of TensorFlow 1.x, `cnn_mnist.py`.

    Attributes:
      network: name of a function in `networks.NETWORKS`.
      optimizer: one of `OPTIMIZERS`.
      learning_rate: step size of the optimizer; the highest of a schedule.
      learning_rate_schedule: one of `SCHEDULES`.
      batch_size: images per training step.
      steps: the total; training stops when `global_step` reaches it.
      dropout_rate: share of the dense layer's activations that a training step sets to zero.
      augment: one of `AUGMENTS`: how training images are moved.
      average_decay: of the moving average of the weights, which is what is scored; 0 for none.
      validation_size: training images that are set aside, from the front of the training file.
      train_size: images to train on, from behind those; 0 for all the rest.
      eval_every_steps: steps between two looks at the validation images; 0 for none.
      precision: one of `PRECISIONS`, for activations and products; weights, loss and optimizer are
        `float32` in either. Or `AUTO`: see `resolved`.
      seed: fixes the initial weights, the order of the images and the dropout masks.

    Raises:
      RecipeError: for a value out of range.
    """

    network: str = "cnn"
    optimizer: str = "sgd"
    learning_rate: float = 0.001
    learning_rate_schedule: str = _since("constant")
    batch_size: int = 100
    steps: int = 20_000
    dropout_rate: float = 0.4
    augment: str = _since("none")
    average_decay: float = _since(0.0)
    validation_size: int = 5_000
    train_size: int = 0
    eval_every_steps: int = 1_000
    precision: str = _since("float32")
    seed: int = 0

    def __post_init__(self) -> None:
        self._require_one_of("optimizer", OPTIMIZERS)
        self._require_one_of("learning_rate_schedule", SCHEDULES)
        self._require_one_of("augment", AUGMENTS)
        self._require_one_of("precision", (*PRECISIONS, AUTO))
        # Each range is written so that NaN, for which every comparison is false, is refused.
        positive = SMALLEST_FLOAT <= self.learning_rate <= LARGEST_FLOAT
        self._require("learning_rate", positive, "a number above 0, from 1.2e-38 to 3.4e+38")
        in_memory = 1 <= self.batch_size <= LARGEST_BATCH
        self._require("batch_size", in_memory, f"at least 1 and at most {LARGEST_BATCH}")
        self._require("steps", 1 <= self.steps < 2**63, "at least 1 and below 2^63")
        self._require("dropout_rate", 0 <= self.dropout_rate < 1, "at least 0 and below 1")
        self._require("average_decay", 0 <= self.average_decay < 1, "at least 0 and below 1")
        self._require("validation_size", self.validation_size >= 0, "at least 0")
        self._require("train_size", self.train_size >= 0, "at least 0")
        self._require("eval_every_steps", self.eval_every_steps >= 0, "at least 0")
        self._require("seed", 0 <= self.seed < 2**32, "at least 0 and below 2^32")

    def _require(self, field: str, holds: bool, expected: str) -> None:
        if not holds:
            raise RecipeError(f"--{field}={getattr(self, field)!s:.100}: expected {expected}")

    def _require_one_of(self, field: str, choices: tuple[str, ...]) -> None:
        self._require(field, getattr(self, field) in choices, f"one of {', '.join(choices)}")

    def params(self) -> dict[str, Any]:
        """The recipe as the `params` of an Estimator; `Recipe(**params)` is the way back."""
        return dataclasses.asdict(self)

    def resolved(self, noted: "Recipe | None" = None) -> "Recipe":
        """The recipe with a precision to compute in, where it says `AUTO`.

        Args:
          noted: that of the run that goes on, which keeps its precision; None for a new one, which
            takes bfloat16 where the processor has instructions for it, else float32.
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
    # Not two epochs, for a trained network in seconds.
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
}
TUTORIALS = ("estimator", "tfjs", "tfjs_sgd", "keras_mlp", "core_mlp")


def name_of(recipe: Recipe) -> str | None:
    """What a recipe is called, whatever its seed and precision; None if it has no name."""
    for name, named in RECIPES.items():
        if dataclasses.replace(named, seed=recipe.seed, precision=recipe.precision) == recipe:
            return name
    return None
