import io
import logging
import os
import queue
import signal
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.training import hooks


def counting(model_dir, run_hooks, steps):
    """Trains a model that only counts; its probabilities tell the step."""

    def model_fn(features, labels, mode):
        step = tf.compat.v1.train.get_or_create_global_step()
        sure = tf.minimum(tf.cast(step, tf.float32) / 100, 1)
        tf.concat([[[sure, 1 - sure]], [[0.5, 0.5]]], axis=0, name="softmax_tensor")
        loss = tf.compat.v1.get_variable("loss", initializer=7.5) * 1
        return estimator.EstimatorSpec(mode, loss=loss, train_op=step.assign_add(1))

    config = estimator.RunConfig(model_dir=str(model_dir))
    trained = estimator.Estimator(model_fn, config=config)
    trained.train(
        lambda: tf.data.Dataset.from_tensors(0).repeat(), hooks=run_hooks, max_steps=steps
    )
    return int(trained.get_variable_value("global_step"))


def test_softmax_logging_hook_speaks_every_n_steps(tmp_path, caplog):
    notes = []
    with caplog.at_level(logging.INFO, logger="tensorflow"):
        tf.get_logger().propagate, before = True, tf.get_logger().propagate
        counting(tmp_path, [hooks.softmax_logging_hook(10, notes.append)], steps=35)
        tf.get_logger().propagate = before
    lines = [m for m in caplog.messages if m.startswith("softmax_tensor")]
    assert len(lines) == len(notes) == 4  # at steps 0, 10, 20, 30
    for line, note in zip(lines, notes, strict=True):
        assert "\n" not in line and len(line) < 100
        assert note.startswith("sure 0.")


def test_softmax_line_has_the_batchs_own_numbers():
    hook = hooks.softmax_logging_hook(1)
    probabilities = np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]], np.float32)
    assert hook._formatter({"softmax_tensor": probabilities}) == (
        "softmax_tensor: highest probability 0.60 on average, from 0.50 to 0.70"
    )


def test_progress_shows_step_loss_speed_and_time_left(tmp_path):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    progress = hooks.ProgressHook(30, console)
    progress.note("sure 0.42")
    assert counting(tmp_path, [progress], steps=30) == 30
    last = screen.getvalue().rsplit("training", 1)[1]
    for part in ("step 30/30", "loss 7.500", "sure 0.42", "steps/s", "left"):
        assert part in last


def test_progress_of_a_resumed_run_starts_where_it_was(tmp_path):
    counting(tmp_path, [], steps=20)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    counting(tmp_path, [hooks.ProgressHook(50, console)], steps=50)
    assert "step 50/50" in screen.getvalue()
    assert "step 0/50" not in screen.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_after_the_current_step_with_a_checkpoint(tmp_path, number):
    class Sender(estimator.SessionRunHook):
        def after_run(self, run_context, run_values):
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps == 12:
                os.kill(os.getpid(), number)
                time.sleep(0.01)  # Python delivers it between two of its own instructions
                # At once: the step has not even ended.
                text = f"{number.name}: saving the step; a second one ends at once, without it"
                assert said.get(timeout=60) == text

    before = signal.getsignal(number)
    said = queue.Queue()
    with hooks.StopOnSignal(said.put) as stop:
        reached = counting(tmp_path, [Sender(), stop], steps=10**6)
    assert stop.received == number
    assert reached in (12, 13)
    assert (tmp_path / f"model.ckpt-{reached}.index").exists()
    assert signal.getsignal(number) is before


@pytest.fixture
def listening_to_ctrl_c():
    """A program that a shell started in the background ignores it, and tests may be one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_ends_at_once(listening_to_ctrl_c):
    with pytest.raises(KeyboardInterrupt), hooks.StopOnSignal() as stop:
        stop.before_run(None)
        os.kill(os.getpid(), signal.SIGINT)
        while stop.received is None:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
        pytest.fail("the second signal was ignored")


def test_without_a_signal_training_goes_to_its_end(tmp_path):
    with hooks.StopOnSignal() as stop:
        assert counting(tmp_path, [stop], steps=15) == 15
    assert stop.received is None


def test_in_another_thread_signals_are_left_alone(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def body():
        with hooks.StopOnSignal():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_signal_in_the_moment_of_listening_is_received(monkeypatch):
    before = [signal.getsignal(number) for number in hooks.SIGNALS]
    real = signal.signal

    def listen_and_send(number, handler):
        earlier = real(number, handler)
        if getattr(handler, "__name__", "") == "_receive":
            os.kill(os.getpid(), number)
        return earlier

    monkeypatch.setattr(signal, "signal", listen_and_send)
    stop = hooks.StopOnSignal()
    stop.before_run(None)
    with stop:
        assert stop.received == hooks.SIGNALS[0]
        # A second one ends at once, whichever of the two it is.
        assert [signal.getsignal(number) for number in hooks.SIGNALS] == before
    assert [signal.getsignal(number) for number in hooks.SIGNALS] == before


@pytest.mark.parametrize("when", ["begin", "after_create_session"])
def test_before_the_first_step_the_first_ctrl_c_ends_at_once(tmp_path, listening_to_ctrl_c, when):
    """There is nothing to save, and to make the graph ready can take seconds."""

    class Sender(estimator.SessionRunHook):
        def send(self, *_):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
            pytest.fail("the signal was ignored")

    setattr(Sender, when, Sender.send)
    said = []
    with pytest.raises(KeyboardInterrupt), hooks.StopOnSignal(said.append) as stop:
        counting(tmp_path, [stop, Sender()], steps=10**6)
    assert stop.received == signal.SIGINT
    assert said == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def guarded(model_dir, change, steps=20):
    """Trains under a guard; `change` (what, at which step, by which value) is made on the way."""

    def model_fn(features, labels, mode):
        step = tf.compat.v1.train.get_or_create_global_step()
        weights = tf.compat.v1.get_variable("weights", initializer=[1.0, 2.0])
        slot = tf.compat.v1.get_variable("slot", initializer=3.0, trainable=False)
        now = {name: tf.where(tf.equal(step, at), value, 0.0) for name, at, value in [change]}
        loss = tf.constant(7.0) + now.get("loss", 0.0)
        tf.compat.v1.losses.add_loss(loss)
        with tf.control_dependencies(list(now.values())):
            next_step = step.assign_add(1)
        train_op = tf.group(
            next_step,
            weights.assign_sub(0.1 * tf.zeros([2]) + now.get("weights", 0.0)),
            slot.assign_add(now.get("slot", 0.0)),
        )
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TRAIN_OP, train_op)
        return estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)

    config = estimator.RunConfig(model_dir=str(model_dir))
    estimator.Estimator(model_fn, config=config).train(
        lambda: tf.data.Dataset.from_tensors(0).repeat(),
        hooks=[
            hooks.FiniteGuard(),
            tf.compat.v1.train.CheckpointSaverHook(str(model_dir), save_steps=4),
        ],
        max_steps=steps,
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("loss", r"the loss \({value}\)"),
        ("weights", "the variable weights"),
        ("slot", "the variable slot"),
    ],
)
def test_guard_stops_at_the_step_and_names_what_is_not_finite(tmp_path, name, told, value):
    message = rf"^step 8: NaN or infinity in {told.format(value=value)}; nothing of it was saved\. "
    with pytest.raises(saver.NonFiniteError, match=message + "Try a lower --learning_rate"):
        guarded(tmp_path, (name, 7, value))
    assert saver.steps(tmp_path) == [0, 4]


def test_guard_counts_on_in_a_resumed_run(tmp_path):
    guarded(tmp_path, ("loss", -1, 0.0), steps=9)
    with pytest.raises(saver.NonFiniteError, match="^step 12: .*the loss"):
        guarded(tmp_path, ("loss", 11, np.nan))


def test_guard_lets_large_numbers_pass(tmp_path):
    guarded(tmp_path, ("weights", 3, 1e18), steps=9)
    assert saver.steps(tmp_path)[-1] == 9
