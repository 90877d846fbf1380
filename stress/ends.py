"""How trainings end, by themselves and by Ctrl-C, beside others that keep every core busy."""

import functools
import random
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stress.driver import MODEL_DIR
from stress.program import BEGUN, Command, HangError, Try, fresh, tally
from stress.tally import Tally

SOON = 5.0  # seconds, as a person counts them, whatever else the machine does
SHORT, LONG = 20, 10**6  # steps of a run that ends by itself, and of one that is interrupted
LONGEST = 12.0  # seconds of training before Ctrl-C
AT_ONCE = 4  # trainings, each of which would take two cores


def ends(count: int, seed: int, folder: Path) -> Tally:
    """Real trainings of `fast`, four at a time; every other one ends by itself."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs behind it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    choice = random.Random(f"{seed} ends")
    delays = [None if index % 2 else choice.uniform(0, LONGEST) for index in range(count)]
    one = functools.partial(_end, folder)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tally(pool.map(one, range(count), delays))


def _end(folder: Path, index: int, delay: float | None) -> Try:
    """One training, which Ctrl-C ends after some seconds, or which ends by itself."""
    place = fresh(folder / str(index))
    steps = SHORT if delay is None else LONG
    flags = ["--recipe=fast", "--mode=train", "--learning_rate_schedule=constant"]
    run = Command([*flags, f"--steps={steps}", f"--model_dir={MODEL_DIR}"], place)
    done = "a normal end" if delay is None else f"Ctrl-C after {delay:.1f} s of training"
    try:
        run.wait_for(BEGUN)
        if delay is None:
            last = place / MODEL_DIR / f"model.ckpt-{SHORT}.index"
            run.wait_until(last.exists)
        else:
            end = time.monotonic() + delay
            run.wait_until(lambda: time.monotonic() > end)
            run.send(signal.SIGINT)
        start = time.monotonic()
        code = run.wait()
        took = time.monotonic() - start
    except HangError as error:
        return Try(done, str(error))
    problem = "" if took <= SOON else f"took {took:.1f} s"
    if delay is None and (code or not re.search("^trained 20 steps", run.text(), re.MULTILINE)):
        problem = f"ended with {code}: {run.tail()}"
    saved = "SIGINT: saved at step" in run.text()
    if delay is not None and (code != 130 or "SIGINT: saving" in run.text() and not saved):
        problem = f"ended with {code}: {run.tail()}"
    shutil.rmtree(place)
    return Try(done, problem)
