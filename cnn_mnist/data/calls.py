"""Several training steps in one call of a session: where a call ends, and hooks that know it.

A hook acts between two calls. So a call ends, at the latest, where a hook is due, and hooks act at
the very steps at which they would with one step a call.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from cnn_mnist import estimator

# Names of tensors that `loop.py` puts into the graph: those of a call's last step.
LOSS, STEP = "call/loss", "call/step"


@dataclasses.dataclass(frozen=True)
class Calls:
    """How many steps each call of a session takes. The intervals are steps; 0 for none.

    Attributes:
      longest: what a call takes at most.
      total: the step at which the training ends.
      validate: between two validations, at its multiples.
      save: between two checkpoints, counted from the step that the run begins from.
      look: between two lines of the log or two points of a curve, counted from the run's first.
    """

    longest: int = 1
    total: int = 0
    validate: int = 0
    save: int = 0
    look: tuple[int, ...] = ()

    def end(self, start: int, first: int) -> int:
        """The step that a call reaches.

        Args:
          start: the steps taken before it.
          first: the steps taken before the run.
        """
        looks = [(first + 1, interval) for interval in self.look]
        due = [(0, self.total), (0, self.validate), (first, self.save), *looks]
        next_due = (start + n - (start - origin) % n for origin, n in due if n)
        return min([start + self.longest, *next_due])

    def ends(self, first: int) -> Iterator[int]:
        """The steps that the calls of a run reach, endlessly, the first call's first."""
        step = first
        while True:
            step = self.end(step, first)
            yield step


class Every(estimator.SessionRunHook):
    """Calls a hook after every n-th step, counted from the run's first, and not in between.

    Every such step must be the last of a call. The hook must act whenever it is called.
    """

    def __init__(self, n: int, hook: Any, calls: Calls) -> None:
        self._n, self._hook, self._calls = n, hook, calls

    def begin(self) -> None:
        self._hook.begin()
        self._step = tf.compat.v1.train.get_global_step()

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._first = int(session.run(self._step))
        self._ends = self._calls.ends(self._first)
        self._hook.after_create_session(session, coord)

    def before_run(self, run_context: Any) -> Any:
        self._shown = (next(self._ends) - self._first - 1) % self._n == 0
        return self._hook.before_run(run_context) if self._shown else None

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if self._shown:
            self._hook.after_run(run_context, run_values)

    def end(self, session: Any) -> None:
        self._hook.end(session)


class StopAtTotal(estimator.SessionRunHook):
    """Ends training with the call that reaches the total of steps.

    TensorFlow's `StopAtStepHook` takes a call for one step, and would let another one begin.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def begin(self) -> None:
        self._step = tf.compat.v1.train.get_global_step()

    def after_create_session(self, session: Any, coord: Any) -> None:
        self._ends = self._calls.ends(int(session.run(self._step)))

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if next(self._ends) >= self._calls.total:
            run_context.request_stop()


def standard_hooks(calls: Calls, config: Any, scaffold: Any) -> list[Any]:
    """The Estimator's own hooks, which count calls as steps, at the steps of a `RunConfig`.

    They write the curves and log the loss, the step and the steps a second.

    Args:
      scaffold: that of the training's `EstimatorSpec`.
    """
    folder, looks = config.model_dir, config.log_step_count_steps
    loss_line = estimator.LoggingTensorHook({"loss": LOSS, "step": STEP}, every_n_iter=1)
    curves = estimator.SummarySaverHook(save_steps=1, output_dir=folder, scaffold=scaffold)
    return [
        Every(looks, estimator.StepCounterHook(every_n_steps=1, output_dir=folder), calls),
        Every(config.save_summary_steps, curves, calls),
        Every(looks, loss_line, calls),
        StopAtTotal(calls),
    ]
