"""What the processes of a `TF_CONFIG` cluster do: chief, worker, evaluator."""

import contextlib
import time

from cnn_mnist.checkpoints import record
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.cluster.settings import Settings
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.recipes import Recipe
from cnn_mnist.training.train import begun, result, tell_end, tell_start
from cnn_mnist.utils import console, listening


def play(settings: Settings, recipe: Recipe, data: Dataset) -> int:
    """Is chief, worker or evaluator until the training is over; returns the exit code.

    Raises:
      InputError, RunError: as `training.train`; and another process is gone, or trains something
        else.
    """
    what = record.of(recipe, data)
    if settings.cluster.role == "chief":
        return _lead(settings, what, data)
    with console.shown(progress=True) as screen, console.quiet_cluster():
        if settings.cluster.role == "evaluator":
            from cnn_mnist.cluster import evaluator

            evaluator.watch(settings, what, data.validation, screen.print)
            return 0
        from cnn_mnist.cluster.together import Member

        target = _listen(settings.cluster)
        received = Member(settings, target, what, data.train, screen).follow()
    return 128 + received if received else 0


def _lead(settings: Settings, what: Record, data: Dataset) -> int:
    """Trains as the chief, and tells the others when that is over."""
    recipe = what.recipe
    with contextlib.ExitStack() as stack:
        of_training = begun(what, settings.model_dir, progress=True)
        first_step, screen = stack.enter_context(of_training)
        is_done = tell_start(first_step, recipe, data, progress=True)
        start = time.monotonic()
        stack.enter_context(console.quiet_cluster())
        from cnn_mnist.cluster.together import Member

        chief = Member(settings, _listen(settings.cluster), what, data.train, screen)
        if is_done:
            chief.tell_done()
            return 0
        received = chief.lead()
        run = result(settings.model_dir, time.monotonic() - start)
        tell_end(run, first_step, received, progress=True)
    return 128 + received if received else 0


def _listen(cluster: Cluster) -> str:
    """Starts this process's server; returns its target."""
    from cnn_mnist.utils import sessions

    config = sessions.for_all_reduce()
    # Whom the others ask who takes part in a sum.
    config.experimental.collective_group_leader = "/job:chief/replica:0/task:0"
    return listening.serve(cluster.spec, cluster.role, cluster.index, config)
