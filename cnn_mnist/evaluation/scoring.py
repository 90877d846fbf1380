"""Scores a trained network: one pass of the Estimator over the images, tallied."""

from typing import Any

from cnn_mnist import estimator
from cnn_mnist.data.dataset import Split
from cnn_mnist.data.form import Form
from cnn_mnist.data.input_fns import eval_input_fn, eval_steps
from cnn_mnist.evaluation import label_errors
from cnn_mnist.evaluation.metrics import Report, Tally
from cnn_mnist.models.model_fn import cnn_model_fn, params_of
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import events, sessions


class TallyHook(estimator.SessionRunHook):
    """Adds the probabilities of each evaluated batch to a tally."""

    def __init__(self, tally: Tally, split: Split) -> None:
        self._tally, self._split, self._done = tally, split, 0

    def before_run(self, run_context: Any) -> Any:
        return estimator.SessionRunArgs("softmax_tensor:0")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        probabilities = run_values.results  # [B, K], in the split's order
        batch = slice(self._done, self._done + len(probabilities))
        self._tally.add(self._split.images[batch], self._split.labels[batch], probabilities)
        self._done = batch.stop


def score(
    recipe: Recipe, checkpoint: str, split: Split, form: Form, folder: str
) -> tuple[Report, int]:
    """The report on the checkpoint of a prefix, and the checkpoint's global step.

    The classes have their names from `form`, of which the images of `split` are.

    The Estimator adds a point to the curves in `folder/eval`.

    Raises:
      OSError, CurvesError: the curves cannot be written, on a full disk.
    """
    params = params_of(recipe, form)
    config = estimator.RunConfig(model_dir=folder, session_config=sessions.config())
    classifier = estimator.Estimator(cnn_model_fn, config=config, params=params)
    events.begin(classifier.eval_dir())
    tally = Tally(
        form.class_names, image_shape=form.image_shape, doubted=label_errors.doubted_places(split)
    )
    hooks = [TallyHook(tally, split)]
    # With the number of steps given: TensorFlow 2.16 warns where a data set comes to its end.
    metrics = classifier.evaluate(
        eval_input_fn(split), eval_steps(split), hooks=hooks, checkpoint_path=checkpoint
    )
    step = int(metrics["global_step"])
    events.flush(events.writer_of_hooks(classifier.eval_dir()), step)
    return tally.report(), step
