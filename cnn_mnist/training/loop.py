"""Training steps and calls of the session: one step a call, or several.

For several there is a loop in the graph around the model function, and the Estimator's own hooks,
which count calls, are replaced by hooks that count steps.

Axes: n steps of a call, B batch, H height, W width.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import saver
from cnn_mnist.data.calls import Calls
from cnn_mnist.data.input_fns import calls_input_fn, in_one_scope, train_input_fn
from cnn_mnist.models import scopes
from cnn_mnist.models.model_fn import cnn_model_fn, given, summarize_accuracy
from cnn_mnist.recipes import Recipe
from cnn_mnist.training import hooks

# Names of tensors of the loop: those of a call's last step.
LOSS, STEP = "call/loss", "call/step"


class Steps:
    """How training steps are made into calls of the session, and all that depends on it.

    Attributes:
      calls: how many steps each call takes.
      run_config: of the Estimator.
    """

    def __init__(
        self, recipe: Recipe, run_config: Any, steps_per_call: int, log_every_n_iter: int
    ) -> None:
        """Sets what is due when.

        Args:
          recipe: what is trained.
          run_config: an Estimator's, for one step a call.
          steps_per_call: training steps that a call takes at most; fewer where a hook is due.
          log_every_n_iter: steps between two lines on `softmax_tensor`; 0 for none.
        """
        self._recipe, self._given, self._log = recipe, run_config, log_every_n_iter
        self.calls = Calls(
            longest=steps_per_call,
            total=recipe.steps,
            validate=recipe.eval_every_steps,
            save=run_config.save_checkpoints_steps,
            look=(run_config.save_summary_steps, run_config.log_step_count_steps, log_every_n_iter),
        )
        self._several = steps_per_call > 1
        self._scaffold = tf.compat.v1.train.Scaffold()
        self.run_config = run_config
        if self._several:  # without the Estimator's own hooks
            self.run_config = run_config.replace(save_summary_steps=0, log_step_count_steps=None)

    def model_fn(
        self, features: Any, labels: Any, mode: str, params: dict[str, Any], config: Any
    ) -> Any:
        """`cnn_model_fn`, saved by our `Saver`."""
        saver.add_to_graph(config.model_dir)
        if self._several:
            return looped(features, labels, params, self._scaffold)
        return cnn_model_fn(features, labels, mode, params)

    def input_fn(self, split: Any, first_step: int) -> Callable[[], Any]:
        """The batches of the training images from a step on."""
        batch_size, seed = self._recipe.batch_size, self._recipe.seed
        if self._several:
            return in_one_scope(calls_input_fn(split, batch_size, seed, self.calls))
        strategy = self._given.train_distribute
        if strategy:  # which takes data sets alone
            replicas = strategy.num_replicas_in_sync
            return train_input_fn(split, batch_size, seed, replicas, first_step)
        return in_one_scope(train_input_fn(split, batch_size, seed))

    @staticmethod
    @tf.autograph.experimental.do_not_convert
    def run(train: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Calls an Estimator's `train`.

        Without AutoGraph: for each replica's graph it would leave files in the temporary folder.
        """
        train(*arguments, **options)

    def standard_hooks(self) -> list[Any]:
        """In place of the Estimator's own: curves, loss and step, steps a second, the end."""
        if not self._several:
            return []
        place, looks = self._given.model_dir, self._given.log_step_count_steps
        rate = estimator.StepCounterHook(every_n_steps=1, output_dir=place)
        curves = estimator.SummarySaverHook(save_steps=1, output_dir=place, scaffold=self._scaffold)
        loss_line = estimator.LoggingTensorHook({"loss": LOSS, "step": STEP}, every_n_iter=1)
        return [
            Every(looks, rate, self.calls),
            Every(self._given.save_summary_steps, curves, self.calls),
            Every(looks, loss_line, self.calls),
            StopAtTotal(self.calls),
        ]

    def logging_hook(self, note: Callable[[str], None]) -> Any:
        """The `LoggingTensorHook` on `softmax_tensor`; `note` is given a short form."""
        if self._several:
            return Every(self._log, hooks.softmax_logging_hook(1, note), self.calls)
        return hooks.softmax_logging_hook(self._log, note)


def looped(features: Any, labels: Any, params: dict[str, Any], scaffold: Any) -> Any:
    """The training graph of `cnn_model_fn`, for several steps a call: the `EstimatorSpec` of TRAIN.

    Each step reads the variables as the one before it left them. Loss, accuracy and the
    probabilities in the op `softmax_tensor` are those of the last.

    Args:
      features: `{"x": images}`, `uint8 [n, B, H, W]`, or `[n, B, H, W, 3]`.
      labels: `int32 [n, B]`.
      params: of the model function.
      scaffold: of the result.
    """
    mode = estimator.ModeKeys.TRAIN
    num_classes = given(params)[1].num_classes
    graph = tf.compat.v1.get_default_graph()

    def one_step(index: Any, watched: Any, *_: Any) -> tuple[Any, ...]:
        spec = cnn_model_fn({"x": features["x"][index]}, labels[index], mode, params)
        with tf.control_dependencies([spec.train_op]):
            watched = watched.write(index, hooks.watched(spec.loss))
            index = index + 1
        return index, watched, spec.loss, *map(spec.predictions.get, ("probabilities", "classes"))

    scalar, rows, shares = map(tf.TensorShape, ([], [None], [None, num_classes]))
    with tf.name_scope("steps"), scopes.variables_outside():
        steps = tf.shape(labels)[0]
        index, watched, loss, probabilities, classes = tf.while_loop(
            lambda index, *_: index < steps,
            one_step,
            (
                tf.constant(0),
                tf.TensorArray(tf.float32, steps),
                tf.constant(0.0),
                tf.zeros([0, num_classes]),
                tf.zeros([0], tf.int64),
            ),
            shape_invariants=(scalar, None, scalar, shares, rows),
            parallel_iterations=1,
        )
        watched = watched.stack()
        last_labels = labels[-1]
        train_op = tf.group(index)
        with tf.control_dependencies([train_op]):
            after = tf.compat.v1.train.get_global_step().read_value()
    # What belongs to the loop's body leaves the collections, which the body shares.
    for name in graph.collections:
        items = graph.get_collection_ref(name)
        items[:] = [item for item in items if getattr(item, "graph", graph) is graph]

    tf.compat.v1.add_to_collection(hooks.WATCHED, watched)
    tf.identity(probabilities, name="softmax_tensor")
    summarize_accuracy(last_labels, classes)
    loss = tf.identity(loss, name=LOSS)
    tf.subtract(after, 1, name=STEP)  # as the Estimator logs it: before the step
    return estimator.EstimatorSpec(mode, loss=loss, train_op=train_op, scaffold=scaffold)


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

    TensorFlow's `StopAtStepHook` takes a call for one step, and would let another begin.
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
