import dataclasses
import json

import pytest

from cnn_mnist import recipes
from cnn_mnist.checkpoints import record
from cnn_mnist.checkpoints.record import Record, RecordError
from cnn_mnist.data import dataset, limits
from cnn_mnist.data.form import MNIST
from cnn_mnist.models import augment, layers, networks, optimizers
from cnn_mnist.recipes import AUTO, CONSTANTS, RECIPES, Recipe
from cnn_mnist.utils import processor

RECORD = Record(Recipe(), "ab" * 32, "2.21.0")

OTHER = {
    "network": "tfjs",
    "optimizer": "adam",
    "learning_rate": 0.5,
    "learning_rate_schedule": "cosine",
    "batch_size": 7,
    "dropout_rate": 0.1,
    "label_smoothing": 0.2,
    "augment": "shift",
    "average_decay": 0.9,
    "validation_size": 9,
    "train_size": 11,
    "eval_every_steps": 13,
    "precision": "bfloat16",
    "seed": 17,
}


def changed(**fields):
    return dataclasses.replace(RECORD, recipe=dataclasses.replace(RECORD.recipe, **fields))


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_written_is_read(tmp_path, name):
    noted = dataclasses.replace(RECORD, recipe=RECIPES[name])
    record.write(noted, tmp_path / "new")
    assert record.read(tmp_path / "new") == noted
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["recipe.json"]


def test_where_nothing_is_noted_everything_fits(tmp_path):
    assert record.read(tmp_path) is None
    assert record.read(tmp_path / "missing") is None
    record.check(RECORD, str(tmp_path))


def test_the_record_of_a_run_tells_its_images_and_tensorflow(small, mnist):
    one, other = record.of(Recipe(), small), record.of(Recipe(), mnist)
    assert one.recipe == Recipe()
    assert len(one.data_sha256) == 64 and one.data_sha256 != other.data_sha256
    assert one.tensorflow.startswith("2.")
    assert one == record.of(Recipe(), small)


def test_every_field_but_the_steps_is_tried():
    assert set(OTHER) | {"steps"} == set(Recipe().params())


@pytest.mark.parametrize("name", OTHER)
def test_another_value_of_a_field_is_named(tmp_path, name):
    record.write(RECORD, tmp_path)
    was = getattr(RECORD.recipe, name)
    with pytest.raises(RecordError) as raised:
        record.check(changed(**{name: OTHER[name]}), str(tmp_path))
    assert str(raised.value) == (
        f"--model_dir={tmp_path}: holds another run: --{name} is {was}, not {OTHER[name]}. "
        "Give what it was started with, or name another --model_dir"
    )


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_where_a_schedule_spans_the_steps_they_may_not_grow(tmp_path, schedule):
    there = changed(learning_rate_schedule=schedule)
    record.write(there, tmp_path)
    recipe = dataclasses.replace(there.recipe, steps=20_001)
    why = rf"--steps is 20000, not 20001 \(it cannot grow, as the {schedule} schedule was laid over"
    with pytest.raises(RecordError, match=why):
        record.check(dataclasses.replace(there, recipe=recipe), str(tmp_path))
    record.check(there, str(tmp_path))
    fewer = dataclasses.replace(there.recipe, steps=19_999)
    with pytest.raises(RecordError, match=r"--steps is 20000, not 19999\. "):
        record.check(dataclasses.replace(there, recipe=fewer), str(tmp_path))


def test_all_fields_that_differ_are_named_together(tmp_path):
    record.write(RECORD, tmp_path)
    with pytest.raises(RecordError) as raised:
        record.check(changed(**OTHER), str(tmp_path))
    for name in OTHER:
        assert f"--{name} is " in str(raised.value)


def test_other_images_and_another_tensorflow_are_named(tmp_path):
    record.write(RECORD, tmp_path)
    with pytest.raises(
        RecordError, match=r"sha256 of the --data_dir's images is abababababab\.\.\."
    ):
        record.check(dataclasses.replace(RECORD, data_sha256="cd" * 32), str(tmp_path))
    with pytest.raises(RecordError, match=r"TensorFlow is 2\.21\.0, not 2\.15\.1\."):
        record.check(dataclasses.replace(RECORD, tensorflow="2.15.1"), str(tmp_path))


def test_the_steps_may_grow_and_not_shrink(tmp_path):
    record.write(RECORD, tmp_path)
    record.check(changed(steps=20_000), str(tmp_path))
    record.check(changed(steps=20_001), str(tmp_path))
    with pytest.raises(RecordError, match=r"holds another run: --steps is 20000, not 19999\."):
        record.check(changed(steps=19_999), str(tmp_path))


def noted(**fields):
    """The text of a note in which some fields of the recipe are others; None takes one away."""
    note = dataclasses.asdict(RECORD)
    note["recipe"].update(fields)
    note["recipe"] = {name: value for name, value in note["recipe"].items() if value is not None}
    return json.dumps(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '"text"',
        "{}",
        '{"steps": "many"}',
        '{"recipe": null}',
        '{"recipe": {}, "data_sha256": ""}',
        '{"recipe": [1, 2]}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "\x00" * 300,
        noted()[:-1],
        noted()[1:],
        noted(steps="many"),
        noted(steps=0),
        noted(steps=2.5),
        noted(steps=True),
        noted(steps=[1]),
        noted(learning_rate="fast"),
        noted(learning_rate=-1),
        noted(network=["cnn"]),
        noted(network=5),
        noted(optimizer="luck"),
        noted(seed=2**40),
        noted(precision="float16"),
        noted(average_decay=[0.0]),
        noted(colour="red"),
        noted(learning_rate=float("nan")),
        json.dumps({**dataclasses.asdict(RECORD), "more": 1}),
        json.dumps({**dataclasses.asdict(RECORD), "data_sha256": 5}),
        json.dumps({**dataclasses.asdict(RECORD), "tensorflow": None}),
        json.dumps({**dataclasses.asdict(RECORD), "constants": None}),
        json.dumps({**dataclasses.asdict(RECORD), "preprocess": "none"}),
        json.dumps({**dataclasses.asdict(RECORD), "constants": "1"}),
        '{"recipe": {"steps": ' + "9" * 5000 + "}}",
    ],
    ids=lambda text: text[:24],
)
def test_a_damaged_note_is_one_line_and_never_taken_for_another(tmp_path, text):
    (tmp_path / "recipe.json").write_text(text)
    for ask in (record.read, lambda folder: record.check(RECORD, str(folder))):
        with pytest.raises(RecordError) as raised:
            ask(tmp_path)
        message = str(raised.value)
        assert message.startswith(f"--model_dir: {tmp_path}/recipe.json cannot be read: expected ")
        assert "\n" not in message and len(message) < 600
    assert (tmp_path / "recipe.json").read_text() == text


def test_bytes_that_are_no_text_and_a_folder(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\xff\xfe\x80{")
    with pytest.raises(RecordError, match=r"recipe\.json cannot be read"):
        record.read(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RecordError, match=r"recipe\.json cannot be read"):
        record.read(tmp_path)
    assert path.is_dir()


def test_a_whole_number_serves_for_a_share(tmp_path):
    (tmp_path / "recipe.json").write_text(noted(learning_rate=1, dropout_rate=0))
    there = record.read(tmp_path).recipe
    assert (there.learning_rate, there.dropout_rate) == (1.0, 0.0)


# What a run did before the field came, or has always done by default.
BEFORE = {
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


@pytest.mark.parametrize("name", BEFORE)
def test_a_field_that_an_older_note_lacks_has_the_value_that_it_had_then(tmp_path, name):
    others = {**OTHER, "steps": 4321}
    note = json.loads(noted(**others))
    del note["recipe"][name]
    (tmp_path / "recipe.json").write_text(json.dumps(note))
    there = record.read(tmp_path)
    assert dataclasses.asdict(there.recipe) == {**others, name: BEFORE[name]}
    record.check(there, str(tmp_path))
    with pytest.raises(RecordError, match=f"--{name} is {BEFORE[name]}, not {others[name]}"):
        record.check(dataclasses.replace(RECORD, recipe=Recipe(**others)), str(tmp_path))


def test_a_note_of_the_first_version_goes_on(tmp_path):
    note = dataclasses.asdict(RECORD)
    for name in (
        *("learning_rate_schedule", "label_smoothing", "augment", "average_decay", "precision"),
    ):
        del note["recipe"][name]
    del note["constants"]
    (tmp_path / "recipe.json").write_text(json.dumps(note))
    assert record.read(tmp_path) == RECORD
    record.check(RECORD, str(tmp_path))


FORMER = recipes.FORMER["fast"]
PLACE = {"precision": "bfloat16", "validation_size": 37}  # as a run notes what it found


@pytest.mark.parametrize(
    ("given", "began", "goes_on"),
    [
        ({}, {}, True),
        ({"seed": 3}, {"seed": 3}, True),
        ({"steps": 40, "seed": 3}, {"steps": 40, "seed": 3}, True),
        ({"seed": 3}, {}, False),
        ({"network": "tfjs"}, {}, False),
    ],
)
def test_a_recipe_that_changed_goes_on_as_it_was(tmp_path, given, began, goes_on):
    there = dataclasses.replace(RECORD, recipe=dataclasses.replace(FORMER, **PLACE, **began))
    record.write(there, tmp_path)
    asked = recipes.chosen("fast", **given)
    found = record.resolved(asked, tmp_path)
    expected = dataclasses.replace(FORMER if goes_on else asked, precision="bfloat16", **given)
    assert found == expected
    assert record.recipe_of(tmp_path, asked).network == expected.network
    record.write(dataclasses.replace(RECORD, recipe=RECIPES["fast"]), tmp_path)
    assert record.resolved(asked, tmp_path).network == asked.network


def test_the_number_of_the_constants_is_raised_with_them():
    # Whoever changes one of these raises `recipes.CONSTANTS`, and writes down here what it means.
    numbered = {
        1: {
            "momentum": 0.9,
            "adam_epsilon": 1e-7,
            "short_memories": (0.7, 0.9),
            "norm": (0.95, 1e-3),
            "augment": {
                "shift": (2.0, 0.0, 0.0, False),
                "rotation": (0.0, 12.0, 0.0, False),
                "shift_and_rotation": (2.0, 12.0, 0.0, False),
                "affine": (2.5, 12.0, 0.1, False),
                "shift_and_mirror": (3.0, 0.0, 0.0, True),
            },
            "warm_up": 0.25,
            "members": 3,
            "large_kernel": 2**20,
        }
    }
    assert numbered[CONSTANTS] == {
        "momentum": optimizers.MOMENTUM,
        "adam_epsilon": optimizers.ADAM_EPSILON,
        "short_memories": optimizers.SHORT_MEMORIES,
        "norm": (layers.NORM_DECAY, layers.NORM_EPSILON),
        "augment": {kind: tuple(reach) for kind, reach in list(augment.AUGMENTS.items())[1:]},
        "warm_up": optimizers.WARM_UP,
        "members": networks.MEMBERS,
        "large_kernel": layers.LARGE_KERNEL,
    }


def test_a_run_of_other_constants_is_refused(tmp_path, small):
    assert record.of(Recipe(), small).constants == CONSTANTS
    record.write(RECORD, tmp_path)
    assert json.loads((tmp_path / "recipe.json").read_text())["constants"] == 1
    with pytest.raises(RecordError, match="the constants in its program are number 1, not 2"):
        record.check(dataclasses.replace(RECORD, constants=2), str(tmp_path))


@pytest.mark.parametrize("of_processor", ["float32", "bfloat16"])
def test_auto_is_decided_when_a_run_starts_and_kept(tmp_path, small, monkeypatch, of_processor):
    monkeypatch.setattr(processor, "precision", lambda: of_processor)
    recipe = RECIPES["fast"]
    assert recipe.precision == AUTO
    assert record.resolved(recipe, tmp_path).precision == of_processor
    assert record.of(recipe, small).recipe.precision == of_processor
    # A run goes on as it began, on whatever processor.
    other = {"float32": "bfloat16", "bfloat16": "float32"}[of_processor]
    record.write(record.of(dataclasses.replace(recipe, precision=other), small), tmp_path)
    assert record.resolved(recipe, tmp_path) == dataclasses.replace(recipe, precision=other)
    asked = dataclasses.replace(recipe, precision=of_processor)
    assert record.resolved(asked, tmp_path) == asked


@pytest.mark.parametrize("names", ["0123456789", "abcdefghij"], ids=["digits", "letters"])
def test_how_pictures_are_brought_to_the_images_is_noted(mnist, tmp_path, names):
    """And told from the names of the classes where it was not."""
    assert record.preprocess_of(tmp_path) == "digit"
    form = limits.named(MNIST, tuple(names))
    record.write(dataclasses.replace(RECORD, form=form), tmp_path)
    assert record.preprocess_of(tmp_path) == ("digit" if names == "0123456789" else "plain")
    data = dataset.with_names(mnist, tuple(names))
    record.write(record.of(Recipe(), data), tmp_path)
    assert record.preprocess_of(tmp_path) == "digit"
    bright = dataclasses.replace(data.test, images=255 - data.test.images)
    record.write(record.of(Recipe(), dataclasses.replace(data, test=bright)), tmp_path)
    assert record.preprocess_of(tmp_path) == "plain"
