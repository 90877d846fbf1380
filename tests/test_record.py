import dataclasses
import json

import pytest

from cnn_mnist import record
from cnn_mnist.recipes import RECIPES, Recipe
from cnn_mnist.record import Record, RecordError

RECORD = Record(Recipe(), "ab" * 32, "2.21.0")

OTHER = {
    "network": "tfjs",
    "optimizer": "adam",
    "learning_rate": 0.5,
    "learning_rate_schedule": "cosine",
    "batch_size": 7,
    "dropout_rate": 0.1,
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
    with pytest.raises(RecordError, match="--steps is 20000, not 20001"):
        record.check(dataclasses.replace(there, recipe=recipe), str(tmp_path))
    record.check(there, str(tmp_path))


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
        '{"recipe": {}, "data_sha256": "", "tensorflow": ""}',
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
        noted(seed=None),
        noted(colour="red"),
        noted(learning_rate=float("nan")),
        json.dumps({**dataclasses.asdict(RECORD), "more": 1}),
        json.dumps({**dataclasses.asdict(RECORD), "data_sha256": 5}),
        json.dumps({**dataclasses.asdict(RECORD), "tensorflow": None}),
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
