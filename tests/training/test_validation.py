import contextlib
import dataclasses
import io
import json
import logging
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from estimators import estimator_of

from cnn_mnist.checkpoints import record, restore
from cnn_mnist.data.calls import Calls
from cnn_mnist.data.dataset import Split
from cnn_mnist.data.input_fns import eval_input_fn, train_input_fn
from cnn_mnist.models import graphs
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import train as training
from cnn_mnist.training import validation
from conftest import scalars

RECIPE = Recipe(
    network="tfjs",
    optimizer="adam",
    learning_rate=0.01,
    batch_size=20,
    steps=23,
    eval_every_steps=5,
    seed=3,
)


def train(recipe, data, model_dir):
    """Trains; returns the Estimator and the lines on validation."""
    with contextlib.redirect_stderr(io.StringIO()) as screen:
        training.train(recipe, model_dir, data=data, log_every_n_iter=0)
    return estimator_of(recipe, model_dir), [
        line for line in screen.getvalue().splitlines() if "validation" in line
    ]


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    model_dir = tmp_path_factory.mktemp("trained")
    return (*train(RECIPE, small, model_dir), model_dir)


def test_scores_every_n_steps_and_at_the_end(trained):
    _, lines, model_dir = trained
    steps = [5, 10, 15, 20, 23]
    assert [line.split(":")[0] for line in lines] == [f"step {step}" for step in steps]
    curves = scalars(model_dir / "eval_validation")
    assert [step for step, _ in curves["loss"]] == steps
    assert [step for step, _ in curves["accuracy"]] == steps
    for line, (_, accuracy), (_, loss) in zip(
        lines, curves["accuracy"], curves["loss"], strict=True
    ):
        assert line.endswith(f"validation accuracy {accuracy:.4f}, loss {loss:.4f}")


def test_a_step_is_scored_before_it_is_saved(small, tmp_path):
    saved = {}

    class Screen(io.StringIO):
        def write(self, text):
            if "validation" in text:
                step = int(text.split(":")[0].removeprefix("step "))
                saved[step] = (tmp_path / f"model.ckpt-{step}.index").exists()
            return super().write(text)

    recipe = Recipe(**{**RECIPE.params(), "steps": 12})
    with contextlib.redirect_stderr(Screen()):
        training.train(recipe, tmp_path, data=small, save_checkpoints_steps=1, log_every_n_iter=0)
    # Or a run that is killed between the two would never score it.
    assert saved == {5: False, 10: False, 12: False}


def test_the_last_score_is_the_estimators_own(small, trained):
    classifier, _, model_dir = trained
    score = classifier.evaluate(eval_input_fn(small.validation), name="again")
    curves = scalars(model_dir / "eval_validation")
    assert curves["accuracy"][-1][1] == pytest.approx(score["accuracy"], abs=1e-6)
    assert curves["loss"][-1][1] == pytest.approx(score["average_loss"], rel=1e-5)


def test_the_best_checkpoint_is_kept_and_scores_what_it_says(small, trained):
    _, _, model_dir = trained
    curves = scalars(model_dir / "eval_validation")
    scores = [
        (-accuracy, loss, step)
        for (step, accuracy), (_, loss) in zip(curves["accuracy"], curves["loss"], strict=True)
    ]
    best_step = min(scores)[2]
    noted = json.loads((model_dir / "best" / "score.json").read_text())
    assert noted["global_step"] == best_step
    best = restore.newest(RECIPE, str(model_dir / "best"))
    assert restore.step_of(best) == best_step
    best = estimator_of(RECIPE, model_dir / "best")
    score = best.evaluate(eval_input_fn(small.validation), name="again")
    assert score["accuracy"] == pytest.approx(noted["accuracy"], abs=1e-6)
    assert score["average_loss"] == pytest.approx(noted["average_loss"], rel=1e-5)


def test_a_resumed_run_ends_with_the_same_best(small, trained, tmp_path):
    for steps in (7, 16, 23):
        train(Recipe(**{**RECIPE.params(), "steps": steps}), small, tmp_path)
    # A run that stops between two validations has scored its last step, too.
    wanted = json.loads((trained[2] / "best" / "score.json").read_text())
    got = json.loads((tmp_path / "best" / "score.json").read_text())
    assert validation.best_first(got) <= validation.best_first(wanted)
    curves = dict(scalars(tmp_path / "eval_validation")["accuracy"])
    whole = dict(scalars(trained[2] / "eval_validation")["accuracy"])
    assert {step: curves[step] for step in (5, 10, 15, 20, 23)} == whole


def test_an_interrupted_run_is_not_scored_where_it_stopped(small, tmp_path):
    shown = []
    classifier = estimator_of(RECIPE, tmp_path)
    hook = validation.ValidationHook(
        record.of(RECIPE, small), small.validation, str(tmp_path), shown.append, Calls()
    )
    input_fn = train_input_fn(small.train, RECIPE.batch_size, RECIPE.seed)
    classifier.train(input_fn, hooks=[hook], max_steps=8)  # of RECIPE.steps, 23
    assert [line.split(":")[0] for line in shown] == ["step 5"]


def test_validating_does_not_change_what_is_trained(small, trained, tmp_path):
    without, lines = train(Recipe(**{**RECIPE.params(), "eval_every_steps": 0}), small, tmp_path)
    assert lines == []
    assert not (tmp_path / "eval_validation").exists() and not (tmp_path / "best").exists()
    for name in without.get_variable_names():
        np.testing.assert_array_equal(
            without.get_variable_value(name), trained[0].get_variable_value(name), err_msg=name
        )


def test_the_graph_is_built_once(small, tmp_path, monkeypatch):
    built = []
    real = graphs.cnn_model_fn
    monkeypatch.setattr(graphs, "cnn_model_fn", lambda *args: built.append(args[2]) or real(*args))
    train(RECIPE, small, tmp_path)
    assert built == [tf.estimator.ModeKeys.EVAL if hasattr(tf, "estimator") else "eval"]


def test_score_counts_a_short_last_batch_by_its_images(mnist):
    scorer = validation.Scorer(RECIPE)
    rng = np.random.RandomState(0)
    shapes = restore.variable_shapes(RECIPE)
    values = {n: rng.normal(0, 0.1, shapes[n]).astype(np.float32) for n in scorer.variables}

    def score(start, end):
        split = Split(mnist.test.images[start:end], mnist.test.labels[start:end])
        return scorer.score(values, split)

    whole, first, second = score(0, 301), score(0, 250), score(250, 301)
    for key in ("accuracy", "average_loss"):
        mean = (250 * first[key] + 51 * second[key]) / 301
        assert whole[key] == pytest.approx(mean, rel=1e-5)
        assert abs(first[key] - second[key]) > 1e-4


@pytest.mark.parametrize(
    ("better", "worse"),
    [((0.9, 5.0), (0.8, 0.1)), ((0.9, 0.1), (0.9, 0.2)), ((0.0, 9.0), None)],
)
def test_best_is_the_highest_accuracy_then_the_lowest_loss(better, worse, tmp_path):
    def score(pair):
        return {"accuracy": pair[0], "average_loss": pair[1]}

    other = validation.read_best(tmp_path, None) if worse is None else score(worse)
    assert validation.best_first(score(better)) < validation.best_first(other)


def test_a_step_has_its_point_in_the_curves_when_it_is_done_with(small, tmp_path):
    """Or an evaluator that is killed in between would not go back to it."""
    scores = validation.Scores(record.of(RECIPE, small), str(tmp_path), lambda line: None)
    seen = []
    for step, accuracy in ((5, 0.5), (10, 0.4), (15, 0.6)):
        scores.add(
            step,
            {"accuracy": accuracy, "average_loss": 2.0},
            lambda step=step: seen.append((step, scalars(tmp_path / "eval_validation"))),
        )
    points = {"accuracy": [(5, 0.5), (10, pytest.approx(0.4))], "loss": [(5, 2.0), (10, 2.0)]}
    assert seen == [(5, {}), (15, points)]
    assert scalars(tmp_path / "eval_validation")["accuracy"][2:] == [(15, pytest.approx(0.6))]
    assert json.loads((tmp_path / "best" / "score.json").read_text())["global_step"] == 15


@pytest.fixture
def best(trained, tmp_path):
    return shutil.copytree(trained[2] / "best", tmp_path / "best")


def test_the_best_score_so_far_is_read(small, best):
    noted = json.loads((best / "score.json").read_text())
    score = validation.read_best(best, record.of(RECIPE, small))
    assert score == {name: noted[name] for name in ("accuracy", "average_loss")}
    assert 0 < score["accuracy"] <= 1
    longer = dataclasses.replace(RECIPE, steps=50)
    assert validation.read_best(best, record.of(longer, small)) == score


def another_accuracy(best):
    score = json.loads((best / "score.json").read_text())
    (best / "score.json").write_text(json.dumps({**score, "accuracy": 0.999}))


def of_another_step(best):
    for path in best.glob("model.ckpt-*"):
        path.rename(path.with_name(re.sub(r"ckpt-\d+", "ckpt-4", path.name)))
    score = json.loads((best / "score.json").read_text())
    score.pop("sha256")
    score["global_step"] = 4
    noted = json.dumps({**score, "sha256": validation._digest(score)})
    (best / "score.json").write_text(noted)


def truncated(best):
    (data,) = best.glob("*.data-*")
    data.write_bytes(data.read_bytes()[:-3])


def another_run(best):
    note = json.loads((best / "recipe.json").read_text())
    note["recipe"]["seed"] += 1
    (best / "recipe.json").write_text(json.dumps(note))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda best: (best / "score.json").write_bytes(b""), "Expecting value"),
        (lambda best: (best / "score.json").write_bytes(b"[]"), ""),
        (lambda best: (best / "score.json").write_bytes(b"\xff\xfe"), ""),
        (lambda best: (best / "score.json").write_text('{"accuracy": 1.0}'), "sha256"),
        (another_accuracy, "sha256"),
        (of_another_step, "it is of step"),
        (truncated, ""),
        (lambda best: next(best.glob("*.index")).unlink(), ""),
        (lambda best: (best / "recipe.json").unlink(), "recipe.json is missing"),
        (lambda best: (best / "recipe.json").write_text("{"), "recipe.json cannot be read"),
        (another_run, "holds another run: --seed is 4, not 3"),
    ],
)
def test_a_best_that_cannot_be_used_is_told_and_beaten_by_any(small, best, caplog, damage, reason):
    damage(best)
    with caplog.at_level(logging.WARNING, logger="cnn_mnist"):
        score = validation.read_best(best, record.of(RECIPE, small))
    assert score == {"accuracy": -1.0, "average_loss": float("inf")}
    (line,) = caplog.messages
    assert line.startswith(f"{best} cannot be used and will be replaced: ")
    assert reason in line and "\n" not in line


def test_a_best_that_is_lost_is_told_when_the_run_goes_on(small, tmp_path, caplog):
    train(dataclasses.replace(RECIPE, steps=12), small, tmp_path)
    shutil.rmtree(tmp_path / "best")
    with caplog.at_level(logging.WARNING, logger="cnn_mnist"):
        train(RECIPE, small, tmp_path)
    assert [m for m in caplog.messages if "score.json is missing" in m] == [
        f"{tmp_path}/best/score.json is missing: the best checkpoint up to step 12 is lost, that "
        "of the steps to come will be kept"
    ]
    assert json.loads((tmp_path / "best" / "score.json").read_text())["global_step"] > 12


def test_a_best_of_later_steps_that_is_damaged_is_not_what_stays(small, tmp_path):
    train(RECIPE, small, tmp_path)
    (tmp_path / "best" / "model.ckpt-99.index").write_bytes(b"damaged")
    (tmp_path / "best" / "score.json").write_text("{}")
    train(dataclasses.replace(RECIPE, steps=28), small, tmp_path)
    step = json.loads((tmp_path / "best" / "score.json").read_text())["global_step"]
    assert step in (25, 28)
    assert restore.newest(RECIPE, str(tmp_path / "best")).endswith(f"best/model.ckpt-{step}")
