"""The curves of a training run: loss and accuracy against the global step."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

EVENT_FILES = "events.out.tfevents.*"
VALIDATION = "eval_validation"  # where `ValidationHook` of the training writes its scores
TEST = "eval"  # where reports on the test images leave a point


@dataclasses.dataclass(frozen=True)
class Curve:
    """Values at rising global steps; both have the same length, which may be 0."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Curves:
    """Loss, in nats, and accuracy, 0 to 1, of a run.

    Training: of one batch at a time, with dropout. Validation: of all its images.
    """

    train_loss: Curve = Curve()
    train_accuracy: Curve = Curve()
    validation_loss: Curve = Curve()
    validation_accuracy: Curve = Curve()


def read_curves(model_dir: str | os.PathLike) -> Curves:
    """Reads the event files of a training run, if there are any.

    A damaged file counts up to the damage. Where several files have a value for a step, as after a
    resumed run, that of the latest file counts.
    """
    train = _scalars(Path(model_dir))
    validation = _scalars(Path(model_dir) / VALIDATION)
    return Curves(
        train_loss=_curve(train, ["loss"]),
        train_accuracy=_curve(train, ["accuracy"]),
        # Beside "average_loss", as older folders have it, "loss" is a mean over batches.
        validation_loss=_curve(validation, ["average_loss", "loss"]),
        validation_accuracy=_curve(validation, ["accuracy"]),
    )


def read_test_accuracy(model_dir: str | os.PathLike) -> Curve:
    """Reads the accuracy that reports on the test images found, if there are any."""
    return _curve(_scalars(Path(model_dir) / TEST), ["accuracy"])


def _curve(scalars: dict[str, dict[int, float]], tags: Sequence[str]) -> Curve:
    """The curve of the first of the tags that is there."""
    found = next((scalars[tag] for tag in tags if tag in scalars), {})
    steps = sorted(found)
    return Curve(tuple(steps), tuple(found[step] for step in steps))


def _scalars(folder: Path) -> dict[str, dict[int, float]]:
    """`{tag: {step: value}}` of all event files of a folder, the later files over the earlier."""
    scalars: dict[str, dict[int, float]] = {}
    # A file's name goes on with the second at which it was opened, in ten digits.
    for path in sorted(folder.glob(EVENT_FILES)):
        for tag, step, value in _scalars_of_file(path):
            scalars.setdefault(tag, {})[step] = value
    return scalars


def _scalars_of_file(path: Path) -> Iterator[tuple[str, int, float]]:
    # Not before it is needed: this loads TensorFlow.
    from tensorboard.backend.event_processing import event_file_loader
    from tensorboard.compat import tf

    try:
        # It ends at a record that is not whole.
        for event in event_file_loader.LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    yield value.tag, event.step, value.simple_value
    except tf.errors.OpError:  # unreadable, or gone since it was listed
        return
