"""The tables that a recipe's names are looked up in. TensorFlow is not loaded."""

from collections.abc import Mapping
from typing import Any

from cnn_mnist.models.augment import AUGMENTS
from cnn_mnist.models.networks import NETWORKS
from cnn_mnist.models.optimizers import OPTIMIZERS, SCHEDULES
from cnn_mnist.recipes import Recipe, RecipeError

# Field of a recipe -> name -> what it stands for.
TABLES: dict[str, Mapping[str, Any]] = {
    "network": NETWORKS,
    "optimizer": OPTIMIZERS,
    "learning_rate_schedule": SCHEDULES,
    "augment": AUGMENTS,
}


def require_known(recipe: Recipe, *, but: str = "") -> None:
    """Checks that every name in a recipe, but that of one field, is in its table.

    Raises:
      RecipeError: one is not; the message starts with its flag.
    """
    for field, table in TABLES.items():
        name = getattr(recipe, field)
        if name not in table and field != but:
            raise RecipeError(f"--{field}={name!s:.100}: expected one of {', '.join(table)}")


def meanings(field: str) -> str:
    """What the names of a table stand for, in one line: `sgd: gradient descent; adam: ...`."""
    return "; ".join(f"{name}: {_meaning(entry)}" for name, entry in TABLES[field].items())


def _meaning(entry: Any) -> str:
    """An entry's own; of a network, which is a function, the first line of its docstring."""
    return getattr(entry, "meaning", "") or str(entry.__doc__).splitlines()[0].rstrip(".")
