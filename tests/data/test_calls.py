import itertools
import random

import pytest
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.data.calls import Calls
from cnn_mnist.training.loop import Every


def some_calls(seed):
    chance = random.Random(seed)

    def interval():
        return chance.choice([0, 1, chance.randint(2, 40)])

    looks = tuple(interval() for _ in range(chance.randint(0, 3)))
    calls = Calls(
        longest=chance.choice([1, 2, 7, 50, 10_000]),
        total=chance.randint(1, 150),
        validate=interval(),
        save=interval(),
        look=looks,
    )
    return calls, chance.randrange(calls.total)


def is_due(calls, step, first):
    """Whether a hook acts after a step, in a run with one step a call that begins at `first`."""
    return (
        step == calls.total
        or bool(calls.validate)
        and step % calls.validate == 0
        or bool(calls.save)
        and (step - first) % calls.save == 0
        or any((step - first) % n == 1 % n for n in calls.look if n)
    )


@pytest.mark.parametrize("seed", range(200))
def test_a_call_is_as_long_as_the_hooks_let_it(seed):
    calls, first = some_calls(seed)
    ends = list(itertools.takewhile(lambda end: end <= calls.total, calls.ends(first)))
    assert ends[-1] == calls.total
    for start, end in itertools.pairwise([first, *ends]):
        assert 0 < end - start <= calls.longest
        assert not any(is_due(calls, step, first) for step in range(start + 1, end))
        assert end - start == calls.longest or is_due(calls, end, first)


def test_unless_told_otherwise_a_call_is_one_step():
    assert list(itertools.islice(Calls().ends(5), 4)) == [6, 7, 8, 9]


def test_an_example():
    calls = Calls(longest=50, total=230, validate=100, save=90, look=(60, 0))
    ends = list(itertools.islice(calls.ends(0), 9))
    assert ends == [1, 51, 61, 90, 100, 121, 171, 180, 181]
    assert list(itertools.islice(calls.ends(181), 2)) == [182, 200]
    assert calls.end(229, 181) == 230


def test_a_hook_is_shown_every_nth_step_and_the_first(tmp_path):
    seen = []

    class Noting(estimator.SessionRunHook):
        def begin(self):
            seen.append("begin")
            self.step = tf.compat.v1.train.get_global_step()
            self.asked = tf.constant(7.5)

        def after_create_session(self, session, coord):
            seen.append("created")

        def before_run(self, run_context):
            return estimator.SessionRunArgs(self.asked)

        def after_run(self, run_context, run_values):
            assert run_values.results == 7.5
            seen.append(int(run_context.session.run(self.step)))

        def end(self, session):
            seen.append("end")

    calls = Calls(longest=4, look=(5,))
    taken = iter([1, 4, 1, 4, 1, 4])  # steps of each call

    def model_fn(features, labels, mode):
        step = tf.compat.v1.train.get_or_create_global_step()
        loss = tf.constant(1.0)
        return estimator.EstimatorSpec(mode, loss=loss, train_op=step.assign_add(features))

    def input_fn():
        return tf.data.Dataset.from_generator(
            lambda: taken, output_signature=tf.TensorSpec([], tf.int64)
        )

    estimator.Estimator(model_fn, model_dir=str(tmp_path)).train(
        input_fn, hooks=[Every(5, Noting(), calls)]
    )
    assert seen == ["begin", "created", 1, 6, 11, "end"]
