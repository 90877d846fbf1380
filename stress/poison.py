"""NaN and infinity in the midst of a training run."""

import dataclasses
import functools
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore, saver
from cnn_mnist.models import model_fn
from cnn_mnist.models.optimizers import OPTIMIZERS
from cnn_mnist.training import loop
from stress.tally import Tally, Try, tally
from stress.trainings import AT_ONCE, SMALL, Ended, at_once, digests, ended, fresh, small_data

STEPS = 24
SAVED_EVERY = 5
REPEATED = 4  # every so many runs are repeated without poison
FLAGS = (
    *(*SMALL, "--eval_every_steps=4", "--log_every_n_iter=0", "--mode=train"),
    *(f"--steps={STEPS}", f"--save_checkpoints_steps={SAVED_EVERY}"),
)
DIVERGING = ("--optimizer=sgd", "--learning_rate=1e30")
KINDS = ("variable", "gradient", "loss")
VALUES = (float("nan"), float("inf"), -float("inf"))


@dataclasses.dataclass(frozen=True)
class Poison:
    """What is done to a run.

    Attributes:
      kind: one of `KINDS`.
      step: after which, for a variable; in which, for the others.
      value: that is put in.
      place: chooses the variable or gradient, and the element, each 0 to 1.
      named: the file that tells which variable it was.
    """

    kind: str
    step: int
    value: float
    place: tuple[float, float]
    named: str

    @property
    def stops_at(self) -> int:
        """The step that must not be taken."""
        return self.step + 1 if self.kind == "variable" else self.step

    def put(self) -> None:
        """Puts it into the program; to be called in the process of the run, before it."""
        Path(self.named).write_text("nothing")
        poisoned: list[_Poisoned] = []

        def make(entry: Any, learning_rate: Any) -> _Poisoned:
            poisoned.append(_Poisoned(entry.make(learning_rate), self))
            return poisoned[-1]

        if self.kind != "variable":
            for name, entry in OPTIMIZERS.items():
                OPTIMIZERS[name] = entry._replace(make=functools.partial(make, entry))
        if self.kind == "gradient":
            return
        real = model_fn.cnn_model_fn

        def cnn_model_fn(
            features: Any, labels: Any, mode: str, params: dict[str, Any] | None = None
        ) -> Any:
            spec = real(features, labels, mode, params)
            if mode != estimator.ModeKeys.TRAIN:
                return spec
            if self.kind == "variable":
                return spec._replace(training_hooks=[_Injector(self)])
            loss = tf.where(poisoned[-1].now, tf.constant(self.value), spec.loss)
            Path(self.named).write_text("the loss")
            return spec._replace(loss=loss)

        loop.cnn_model_fn = cnn_model_fn


class _Injector(estimator.SessionRunHook):
    """Changes one element of one variable between two steps."""

    def __init__(self, poison: Poison) -> None:
        self._poison = poison

    def begin(self) -> None:
        variables = [v for v in tf.compat.v1.global_variables() if v.dtype.is_floating]
        self._variable = variables[int(self._poison.place[0] * len(variables))]
        self._new = tf.compat.v1.placeholder(tf.float32, self._variable.shape)
        self._assign = self._variable.assign(self._new, read_value=False)
        self._step = tf.compat.v1.train.get_global_step()
        Path(self._poison.named).write_text(f"the variable {self._variable.op.name}")

    def after_run(self, run_context: Any, run_values: Any) -> None:
        session = run_context.session
        if session.run(self._step) == self._poison.step:
            value = np.array(session.run(self._variable))
            value.flat[int(self._poison.place[1] * value.size)] = self._poison.value
            session.run(self._assign, {self._new: value})


class _Poisoned:
    """An optimizer with one element of one gradient changed in one step.

    Attributes:
      now: whether it is that step; read before the step is counted.
    """

    now: Any

    def __init__(self, real: Any, poison: Poison) -> None:
        self._real, self._poison = real, poison

    def minimize(self, loss: Any, step: Any) -> Any:
        pairs = self._pairs(loss)
        with tf.control_dependencies([self.now]):
            return self._real.apply_gradients(pairs, step)

    def _pairs(self, loss: Any) -> list[tuple[Any, Any]]:
        self.now = tf.equal(tf.compat.v1.train.get_global_step(), self._poison.step - 1)
        pairs = list(self._real.compute_gradients(loss))
        if self._poison.kind == "loss":
            return pairs
        chosen = int(self._poison.place[0] * len(pairs))
        gradient, variable = pairs[chosen]
        shape = gradient.shape.as_list()
        values = np.zeros(shape, np.float32)
        values.flat[int(self._poison.place[1] * values.size)] = self._poison.value
        pairs[chosen] = (tf.where(self.now, gradient + values, gradient), variable)
        Path(self._poison.named).write_text(f"the variable {variable.op.name}")
        return pairs


def put(values: str) -> None:
    """Puts a `Poison`, of which these are the attributes in JSON, into the program."""
    Poison(**json.loads(values)).put()


def poison(count: int, seed: int, folder: Path) -> Tally:
    """Puts a value that is not finite into variables, gradients or the loss, at a random step."""
    flags = (*FLAGS, f"--data_dir={small_data(folder / 'data')}")
    clean = folder / "clean"
    undisturbed = ended(*flags, f"--model_dir={clean}")
    if undisturbed.code:
        return tally([Try("undisturbed", undisturbed.told)])
    wanted = digests(clean / f"model.ckpt-{STEPS}")
    one = functools.partial(_dose, seed, folder, flags, wanted)
    return tally(at_once(functools.partial(one, number) for number in range(count)))


def _dose(
    seed: int, folder: Path, flags: tuple[str, ...], wanted: dict[str, str], number: int
) -> Try:
    """Trains with poison, and some runs again without it."""
    chance = random.Random(f"{seed} {number}")
    model_dir = fresh(folder / f"{number}") / "m"
    flags = (*flags, f"--model_dir={model_dir}")
    if number % 20 == 18:
        # Natural divergence: by itself, through an interpreter of its own.
        run = ended(*flags, *DIVERGING, fresh=True)
        trouble = _troubles(run, None, "", model_dir)
        what = " ".join(DIVERGING)
    else:
        dose = Poison(
            kind=KINDS[number // AT_ONCE % len(KINDS)],
            step=chance.randint(1, STEPS - 1),
            value=VALUES[number % len(VALUES)],
            place=(chance.random(), chance.random()),
            named=str(folder / f"{number}" / "named"),
        )
        values = json.dumps(dataclasses.asdict(dose))
        run = ended(*flags, before=f"from stress import poison; poison.put({values!r})")
        named = Path(dose.named).read_text()
        trouble = _troubles(run, dose.stops_at, named, model_dir)
        what = f"{dose.value} into {named}, step {dose.step}"
        if number // AT_ONCE % REPEATED == 0:
            again = ended(*flags)
            if again.code or digests(model_dir / f"model.ckpt-{STEPS}") != wanted:
                trouble.append(f"without it, another result: {again.told}")
    return Try(f"{what}: {run.told}", "; ".join(trouble))


def _troubles(run: Ended, step: int | None, named: str, model_dir: Path) -> list[str]:
    """What is wrong with how a poisoned run ended, and with what it left.

    Args:
      step: that must be told; None for any.
      named: what must be told as not finite; empty for anything.
    """
    trouble = []
    line = run.error or ""
    told = re.match(
        r"error: step ([\d,]+): NaN or infinity in (.*); nothing of it was saved\. ", line
    )
    if run.code != 1 or not told or "--learning_rate" not in line:
        trouble.append("expected exit code 1 and a line that names the step and what to try")
    elif step is not None and int(told[1].replace(",", "")) != step:
        trouble.append(f"expected step {step}")
    elif not re.search(rf"(^|, ){re.escape(named)}\b", told[2]):
        trouble.append(f"expected it to name {named}")
    newest, bad = _left(model_dir)
    expected = (step - 1) // SAVED_EVERY * SAVED_EVERY if step is not None else newest
    if newest != expected:
        trouble.append(f"left step {newest}, expected {expected}")
    return trouble + [f"{name} is on disk" for name in bad]


def _left(model_dir: Path) -> tuple[int | None, list[str]]:
    """The step of the newest checkpoint, and what is not finite in any."""
    newest = restore.newest_whole(str(model_dir))
    bad = []
    for path in sorted(model_dir.rglob("model.ckpt-*.index")):
        for name, value in saver.read(path.with_suffix("")).items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                bad.append(f"{name} of {path}")
    return restore.step_of(newest) if newest else None, bad
