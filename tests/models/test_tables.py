"""The tables that a recipe's names are looked up in."""

import pytest

import cnn_mnist
from cnn_mnist.models import networks, optimizers, tables
from cnn_mnist.recipes import RECIPES, Recipe, RecipeError


@pytest.mark.parametrize("field", tables.TABLES)
def test_a_name_that_is_in_no_table_is_told_with_its_flag(field):
    recipe = Recipe(**{field: "luck"})
    expected = f"--{field}=luck: expected one of {', '.join(tables.TABLES[field])}"
    with pytest.raises(RecipeError) as raised:
        tables.require_known(recipe)
    assert str(raised.value) == expected
    for wrong in (
        lambda: cnn_mnist.cnn_model_fn({}, None, "train", recipe.params()),
        lambda: cnn_mnist.train(recipe, "never_made"),
        lambda: cnn_mnist.train("fast", "never_made", **{field: "luck"}),
    ):
        with pytest.raises(RecipeError) as raised:
            wrong()
        assert str(raised.value) == expected


def test_every_recipe_names_entries_of_the_tables():
    for recipe in RECIPES.values():
        tables.require_known(recipe)


def test_every_entry_tells_what_it_stands_for():
    for field, table in tables.TABLES.items():
        told = tables.meanings(field)
        assert all(f"{name}: " in told for name in table)
        assert "None" not in told
    assert tables.meanings("optimizer").startswith("sgd: gradient descent; momentum: ")


def test_what_is_added_to_a_table_can_be_named_at_once(monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "mine", networks.tfjs)
    monkeypatch.setitem(optimizers.OPTIMIZERS, "still", optimizers.OPTIMIZERS["sgd"])
    from cnn_mnist import main

    main.parse_flags(["main", "--network=mine", "--optimizer=still"])
    recipe = main.chosen_recipe()
    assert (recipe.network, recipe.optimizer) == ("mine", "still")
