"""The package as a Python program uses it."""

import dataclasses
import html
import json
import logging
import os
import re
import signal
import threading

import numpy as np
import pytest

import cnn_mnist
from cnn_mnist import estimator
from cnn_mnist.checkpoints import lock, saver
from cnn_mnist.recipes import RecipeError
from cnn_mnist.utils.errors import InputError
from stress import programs

QUICK = {"network": "tfjs", "steps": 12, "batch_size": 20, "eval_every_steps": 5, "seed": 3}


def bits(run):
    return {name: value.tobytes() for name, value in saver.read(run.checkpoint).items()}


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """A run in one go, and its folder."""
    folder = tmp_path_factory.mktemp("trained") / "model_dir"
    return cnn_mnist.train("fast", folder, data=small, progress=False, **QUICK), folder


def test_a_run_tells_what_it_came_to(trained):
    run, folder = trained
    assert run.step == 12 and run.checkpoint == str(folder / "model.ckpt-12")
    assert 0 < run.seconds < 600
    noted = json.loads((folder / "recipe.json").read_text())["recipe"]
    assert {name: noted[name] for name in QUICK} == QUICK
    assert noted["optimizer"] == "short_adam"  # of the recipe that was named


def test_the_validation_accuracy_is_that_of_the_last_step(trained, small):
    run, folder = trained
    with cnn_mnist.Predictor(folder) as predictor:
        classes, _ = predictor.predict(small.validation.images)
    assert run.validation_accuracy == pytest.approx((classes == small.validation.labels).mean())


def test_a_call_after_the_last_step_trains_nothing(trained, small):
    run, folder = trained
    again = cnn_mnist.train("fast", folder, data=small, progress=False, **QUICK)
    assert again == dataclasses.replace(run, seconds=0.0)


def test_without_progress_nothing_is_shown(small, tmp_path, capfd):
    cnn_mnist.train("fast", tmp_path, data=small, progress=False, **QUICK)
    assert capfd.readouterr() == ("", "")


def test_with_progress_the_lines_of_the_command_are_shown(small, tmp_path, capsys):
    cnn_mnist.train("tfjs", tmp_path, data=small, steps=2)
    printed, told = capsys.readouterr()
    assert re.fullmatch(
        r"starting: 130 training images, 37 for validation, 67 for tests, 2 steps\n"
        r"trained 2 steps in \d+\.\d s\n",
        printed,
    )
    assert re.search(r"^step 2: validation accuracy 0\.\d{4}, loss \d", told, re.MULTILINE)


class Interrupt(estimator.SessionRunHook):
    """Sends this process a signal after some steps."""

    def __init__(self, number, steps):
        self._number, self._left = number, steps

    def after_run(self, run_context, run_values):
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)


def test_ctrl_c_saves_and_raises_and_the_same_call_goes_on(trained, small, tmp_path):
    hook = Interrupt(signal.SIGINT, 7)
    with pytest.raises(KeyboardInterrupt, match="saved at step 8; the same call resumes there"):
        cnn_mnist.train("fast", tmp_path, data=small, progress=False, hooks=[hook], **QUICK)
    assert saver.steps(tmp_path)[-1] == 8  # the step after which it was seen
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    run = cnn_mnist.train("fast", tmp_path, data=small, progress=False, **QUICK)
    assert bits(run) == bits(trained[0])


PROGRAM = """
import os, signal, sys
import cnn_mnist
from cnn_mnist import estimator

class Terminate(estimator.SessionRunHook):
    def after_run(self, run_context, run_values):
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # not yet received
            os.kill(os.getpid(), signal.SIGTERM)

cnn_mnist.train("tfjs", "m", data_dir=sys.argv[1], validation_size=37, train_size=0,
                progress=False, hooks=[Terminate()])
print("trained on")
"""


def test_sigterm_saves_and_ends_the_program(small_data_dir, tmp_path):
    ended = programs.run("-c", PROGRAM, small_data_dir, cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGTERM, "", "")
    assert saver.steps(tmp_path / "m")[-1] == 2


def test_it_trains_in_another_thread(trained, small, tmp_path):
    runs = []
    arguments = {"data": small, "progress": False, **QUICK}
    thread = threading.Thread(
        target=lambda: runs.append(cnn_mnist.train("fast", tmp_path, **arguments))
    )
    thread.start()
    thread.join()
    assert bits(runs[0]) == bits(trained[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "slow"}, "--recipe=slow: expected one of estimator, "),
        ({"steps": "many"}, "--steps='many': expected a whole number"),
        ({"steps": 0}, "--steps=0: expected at least 1"),
        ({"step": 3}, "step: expected a field of a recipe: network, "),
        ({"model_dir": "taken"}, "--model_dir=taken: is not a folder"),
        ({"data_dir": "nowhere"}, "nowhere: expected a folder"),
        ({"strategy": "sync", "data": True}, "--strategy=sync: expected auto or mirrored"),
    ],
)
def test_what_cannot_be_trained_is_one_clear_exception(
    arguments, message, small, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    if "data" in arguments:
        arguments = {**arguments, "data": small}
    with pytest.raises(InputError) as raised:
        cnn_mnist.train(**{"model_dir": "m", "progress": False, **arguments})
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_another_recipe_in_the_folder_and_another_trainer_are_refused(trained, small):
    folder = trained[1]
    with pytest.raises(InputError, match="holds another run: --seed is 3, not 4"):
        cnn_mnist.train("fast", folder, data=small, progress=False, **{**QUICK, "seed": 4})
    with lock.held(str(folder)), pytest.raises(lock.LockError, match="is being trained by process"):
        cnn_mnist.train("fast", folder, data=small, progress=False, **QUICK)


def test_the_log_of_the_callers_program_gets_warnings_and_stays_as_it_is(trained, small, caplog):
    run, folder = trained
    noted = (folder / "recipe.json").read_bytes()
    (folder / "recipe.json").unlink()
    levels = [logging.getLogger(name).level for name in ("tensorflow", "cnn_mnist")]
    cnn_mnist.train("fast", folder, data=small, progress=False, **QUICK)
    assert (folder / "recipe.json").read_bytes() == noted
    assert [r.name for r in caplog.records if "is missing" in r.message] == [
        "cnn_mnist.training.train"
    ]
    assert [logging.getLogger(name).level for name in ("tensorflow", "cnn_mnist")] == levels


def test_evaluate_says_what_the_predictor_says_and_leaves_the_page(trained, small):
    run, folder = trained
    report = cnn_mnist.evaluate(folder, data=small)
    with cnn_mnist.Predictor(folder) as predictor:
        classes, probabilities = predictor.predict(small.test.images)
    labels = small.test.labels
    assert report.accuracy == pytest.approx((classes == labels).mean())
    of_true = probabilities[np.arange(len(labels)), labels]
    assert report.loss == pytest.approx(-np.log(of_true).mean(), rel=1e-5)
    assert (report.step, report.checkpoint) == (12, run.checkpoint)
    assert repr(report).startswith(f"<Evaluation of step 12: accuracy {report.accuracy:.4f}, loss ")
    assert report.confusion.sum() == report.images == len(labels)
    assert len(report.classes) == 10 and len(report.calibration) == 15
    assert report.page == folder / "report" / "report.html"
    assert report.page.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(RecipeError, match="^--recipe=slow: "):
        cnn_mnist.evaluate(folder, recipe="slow")


def test_a_notebook_shows_the_report_in_a_frame_of_its_own(trained, small):
    report = cnn_mnist.evaluate(trained[1], data=small)
    shown = report._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and shown.endswith("</iframe>")
    page = html.unescape(re.search('srcdoc="([^"]*)"', shown)[1])
    assert page.startswith("<!DOCTYPE html>") and f"<dd>{report.accuracy:.4f}</dd>" in page
    assert page.count("data:image/png;base64,") == 6


@pytest.mark.parametrize(
    ("format", "file"), [("saved_model", "saved_model.pb"), ("tfjs", "model.json")]
)
def test_export_writes_whole_folders(trained, small, tmp_path, format, file):
    target = tmp_path / "deep" / "exported"
    exported = cnn_mnist.export(trained[1], target, format=format, data=small)
    assert exported.folder == target and (target / file).stat().st_size > 0
    with pytest.raises(InputError, match="is not empty"):
        cnn_mnist.export(trained[1], target, format=format, data=small)
    with pytest.raises(InputError, match="--format=zip: expected one of saved_model, tfjs"):
        cnn_mnist.export(trained[1], tmp_path / "other", format="zip")
    assert not (tmp_path / "other").exists()
