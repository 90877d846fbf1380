"""What a worker of the stress test `poison` does: trains with poison, and again without it."""

import dataclasses
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore, saver
from cnn_mnist.models import model_fn
from cnn_mnist.training import run
from stress import forked
from stress.forked import Ended
from stress.tally import Tally

STEPS = 24
SAVED_EVERY = 5
REPEATED = 4  # every so many runs are repeated without poison
FLAGS = (
    "--recipe=tfjs",
    "--batch_size=20",
    "--train_size=0",
    "--validation_size=37",
    "--eval_every_steps=4",
    "--log_every_n_iter=0",
    "--mode=train",
    f"--steps={STEPS}",
    f"--save_checkpoints_steps={SAVED_EVERY}",
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
    named: Path

    @property
    def stops_at(self) -> int:
        """The step that must not be taken."""
        return self.step + 1 if self.kind == "variable" else self.step

    def put(self) -> None:
        """Puts it into the program; to be called in the process of the run, before it."""
        self.named.unlink(missing_ok=True)
        real_optimizer = model_fn.optimizer
        poisoned: list[_Poisoned] = []

        def optimizer(recipe: Any, learning_rate: Any) -> _Poisoned:
            poisoned.append(_Poisoned(real_optimizer(recipe, learning_rate), self))
            return poisoned[-1]

        if self.kind != "variable":
            model_fn.optimizer = optimizer
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
            self.named.write_text("the loss")
            return spec._replace(loss=loss)

        run.cnn_model_fn = cnn_model_fn


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
        self._poison.named.write_text(f"the variable {self._variable.op.name}")

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
        self._poison.named.write_text(f"the variable {variable.op.name}")
        return pairs


def dose(numbers: list[int], seed: int, folder: Path) -> Tally:
    """The share of one worker."""
    tally = Tally()
    data = forked.small_data(folder / "data")
    clean, model_dir = folder / "clean", folder / "m"
    ended = forked.program(*FLAGS, data, f"--model_dir={clean}")
    wanted = {step: forked.variables(clean / f"model.ckpt-{step}") for step in saver.steps(clean)}
    if ended.code or STEPS not in wanted:
        tally.add(holds=False, else_say=f"undisturbed: {ended.told}")
        return tally
    for number in numbers:
        chance = random.Random(f"{seed} {number}")
        shutil.rmtree(model_dir, ignore_errors=True)
        flags = (*FLAGS, data, f"--model_dir={model_dir}")
        if number % 20 == 18:
            # Natural divergence: by itself, through a program of its own.
            ended = forked.real_program(*flags, *DIVERGING)
            trouble = _troubles(ended, None, "", model_dir)
            what = " ".join(DIVERGING)
        else:
            poison = Poison(
                kind=KINDS[number // forked.WORKERS % len(KINDS)],
                step=chance.randint(1, STEPS - 1),
                value=VALUES[number % len(VALUES)],
                place=(chance.random(), chance.random()),
                named=folder / "named",
            )
            ended = forked.program(*flags, before=poison.put)
            named = poison.named.read_text() if poison.named.exists() else "nothing"
            trouble = _troubles(ended, poison.stops_at, named, model_dir)
            what = f"{poison.value} into {named}, step {poison.step}"
            if number // forked.WORKERS % REPEATED == 0:
                again = forked.program(*flags)
                last = model_dir / f"model.ckpt-{STEPS}"
                if again.code or forked.call(forked.variables, last)[0] != wanted[STEPS]:
                    trouble.append(f"without it, another result: {again.told}")
        tally.add(holds=not trouble, else_say=f"{what}: {ended.told}: {'; '.join(trouble)}")
    return tally


def _troubles(ended: Ended, step: int | None, named: str, model_dir: Path) -> list[str]:
    """What is wrong with how a poisoned run ended, and with what it left.

    Args:
      step: that must be told; None for any.
      named: what must be told as not finite; empty for anything.
    """
    trouble = []
    line = ended.error or ""
    told = re.match(
        r"error: step ([\d,]+): NaN or infinity in (.*); nothing of it was saved\. ", line
    )
    if ended.code != 1 or not told or "--learning_rate" not in line:
        trouble.append("expected exit code 1 and a line that names the step and what to try")
    elif step is not None and int(told[1].replace(",", "")) != step:
        trouble.append(f"expected step {step}")
    elif not re.search(rf"(^|, ){re.escape(named)}\b", told[2]):
        trouble.append(f"expected it to name {named}")
    found, read = forked.call(_left, model_dir)
    if read.code:
        return [*trouble, f"what it left cannot be read: {read.told}"]
    expected = (step - 1) // SAVED_EVERY * SAVED_EVERY if step is not None else found["newest"]
    if found["newest"] != expected:
        trouble.append(f"left step {found['newest']}, expected {expected}")
    return trouble + [f"{name} is on disk" for name in found["not finite"]]


def _left(model_dir: Path) -> dict[str, Any]:
    """The step of the newest checkpoint, and what is not finite in any."""
    newest = restore.newest_whole(str(model_dir))
    bad = []
    for path in sorted(model_dir.rglob("model.ckpt-*.index")):
        for name, value in saver.read(path.with_suffix("")).items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                bad.append(f"{name} of {path}")
    return {"newest": restore.step_of(newest) if newest else None, "not finite": bad}
