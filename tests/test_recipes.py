import dataclasses
import subprocess
import sys

import pytest

from cnn_mnist import recipes
from cnn_mnist.recipes import RECIPES, Recipe, RecipeError, name_of


def test_the_default_recipe_is_the_tutorials():
    assert dataclasses.asdict(RECIPES["estimator"]) == {
        "network": "cnn",
        "optimizer": "sgd",
        "learning_rate": 0.001,
        "learning_rate_schedule": "constant",
        "batch_size": 100,
        "steps": 20_000,
        "dropout_rate": 0.4,
        "label_smoothing": 0.0,
        "augment": "none",
        "average_decay": 0.0,
        "validation_size": 5_000,
        "train_size": 0,
        "eval_every_steps": 1_000,
        "precision": "float32",
        "seed": 0,
    }


def test_params_and_back():
    recipe = Recipe(learning_rate=0.5, batch_size=7, steps=13, dropout_rate=0.1, seed=99)
    assert Recipe(**recipe.params()) == recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", -0.1),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("batch_size", 0),
        ("steps", 0),
        ("steps", -1),
        ("dropout_rate", -0.1),
        ("dropout_rate", 1.0),
        ("dropout_rate", float("nan")),
        ("label_smoothing", -0.1),
        ("label_smoothing", 1.0),
        ("validation_size", -1),
        ("train_size", -1),
        ("eval_every_steps", -1),
        ("average_decay", 1.0),
        ("average_decay", float("nan")),
        ("precision", "float16"),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_value_out_of_range_is_told_with_its_name(field, value):
    with pytest.raises(RecipeError, match=rf"^--{field}={value}: expected [^\n]+$"):
        Recipe(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("dropout_rate", 0.0), ("validation_size", 0), ("seed", 2**32 - 1)]
)
def test_the_ends_of_the_ranges_are_allowed(field, value):
    assert getattr(Recipe(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("name", "epochs", "images"),
    [("tfjs", 10, 5_500), ("keras_mlp", 3, 60_000), ("core_mlp", 10, 50_000)],
)
def test_steps_are_the_epochs_of_the_tutorial(name, epochs, images):
    recipe = RECIPES[name]
    assert recipe.train_size in (0, images)
    assert recipe.validation_size + images <= 60_000
    assert recipe.steps == -(-epochs * images // recipe.batch_size)


def test_a_recipe_has_its_name_with_any_seed_and_precision():
    assert [name_of(recipe) for recipe in RECIPES.values()] == list(RECIPES)
    fast = RECIPES["fast"]
    assert name_of(dataclasses.replace(fast, seed=3, precision="bfloat16")) == "fast"
    assert name_of(dataclasses.replace(fast, steps=901)) is None


def test_a_recipe_is_the_same_on_every_machine():
    precisions = {name: recipe.precision for name, recipe in RECIPES.items()}
    of_tutorials = dict.fromkeys(recipes.TUTORIALS, "float32")
    others = {"fast": "auto", "tiny": "float32", "accurate": "auto", "colour": "auto"}
    assert precisions == of_tutorials | others


def test_importing_the_package_and_its_recipes_loads_no_tensorflow():
    code = "import sys, cnn_mnist, cnn_mnist.recipes, cnn_mnist.data.dataset, cnn_mnist.main; "
    code += "print([m for m in ('tensorflow', 'tensorflow_estimator') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
