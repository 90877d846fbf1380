"""Wrong flags, alone and in pairs, and a wrong environment: one line, and nothing is written.

Every command is a process of its own, as a user would type it, in a folder of its own.
"""

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cnn_mnist import main
from stress.programs import ROOT
from stress.tally import Tally, Try, tally

AT_ONCE = 2
PATIENCE = 120  # seconds
LONG = "n" * 300
NOT_UTF8 = "n\udcff"  # as Python reads the byte 0xff
DATA_MODES = ("train_and_eval", "train", "eval", "show_data")

NO_INTEGERS = (
    *("", "many", "1.5", "1e3", "nan", "inf", "-inf", "None", "null", "[]", "1 2", "--5", "0x"),
    *("20k", "20,00", "2_0", ",000", "1,000_000", "0x10"),
    *("-1", "-" + "9" * 30, "\u00fc", "1\n2", "true"),
)
NO_NUMBERS = (
    *("", "fast", "nan", "NaN", "inf", "-inf", "1e999", "-1", "-1e-9", "1,5", "None", "0.1.2"),
    *("1/2", "[]", "\u00bd", "0.1\t!"),
)
NO_CHOICES = (
    *("", "soup", "None", "null", "CNN", "SGD", "TABLE", "cnn,tfjs", "adam ada", "\u00fc", "0"),
)
NO_TRUTHS = ("", "soup", "2", "None", "yes", "-1", "\u00fc", "1\n2")
OF_TYPE = {"int": NO_INTEGERS, "float": NO_NUMBERS, "string enum": NO_CHOICES, "bool": NO_TRUTHS}
NO_FOLDERS = ("", "a_file", "a_file/below", "to_nowhere", "to_itself/below", LONG, NOT_UTF8)
NO_FLAG_TEXTS: dict[str, tuple[str, ...]] = {
    "network": NO_CHOICES,
    "model_dir": NO_FOLDERS,
    "data_dir": (*NO_FOLDERS, "nowhere", "empty", "damaged", "full", "damaged/mnist.npz"),
    "export_dir": (*NO_FOLDERS, "full"),
    "index_log_dir": NO_FOLDERS,
    "model": ("nowhere", "a_file"),  # without an --engine that could open it
    "class_names": (
        *("", "a,b", "0,1,2,3,4,5,6,7,8", "0,1,2,3,4,5,6,7,8,9,10", ",,,,,,,,,", '"a', "a\nb"),
        *("0,1,2,3,4,5,6,7,8,", "0,1,2,3,4,5,6,7,8,\x1b[2J", f"0,1,2,3,4,5,6,7,8,{NOT_UTF8}"),
    ),
    "images": (
        *("", "nowhere", "nowhere/*.png", "a_file", "empty", "full", "to_nowhere", "to_itself"),
        *(LONG, NOT_UTF8, "damaged/mnist.npz", "a\nb", "[", "**/*.jpg"),
    ),
}
MODES_OF = {"data_dir": DATA_MODES, "images": ("predict",), "export_dir": ("export",)}
MORE = {  # values of the right type
    "steps": ("0", "9" * 30),
    "batch_size": ("0", "1000000000000"),
    "save_checkpoints_steps": ("0",),
    "steps_per_call": ("0", "10001"),
    "learning_rate": ("0", "1e39", "1e-50"),
    "cluster_timeout": ("0", "0.9", "1e10"),
    "dropout_rate": ("1", "1.5", "1e9"),
    "seed": ("4294967296", "9" * 30),
}
TOO_LARGE = {"validation_size": ("60000", "9" * 30), "train_size": ("60000", "9" * 30)}
NO_CLUSTERS = (
    *("", "x", "[1]", "1", "null", "{", '"a"', "[" * 100_000, "\u00fc", "{'a': 1}", "\n"),
    *('{"cluster": []}', '{"cluster": {"soup": []}}', '{"cluster": {"master": ["a:1"]}}'),
    *('{"cluster": {"chief": {"0": "a:1"}}}', '{"cluster": {"chief": ["a:1"]}}'),
    '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
    '{"cluster": {"chief": ["a:\\n1"]}, "task": {"type": "chief", "index": 0}}',
    '{"cluster": {"chief": ["a:1"]}, "task": {"type": "\\ud800", "index": 0}}',
    '{"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": true}}',
    '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
)
RIGHT = (
    *("--steps=3", "--seed=7", "--recipe=tfjs", "--network=tfjs", "--optimizer=adam"),
    *("--learning_rate=0.1", "--dropout_rate=0", "--batch_size=20", "--output=json"),
    *("--eval_every_steps=0", "--log_every_n_iter=0", "--save_checkpoints_steps=5"),
    "--steps_per_call=7",
    *("--images=picture.png", "--class_names=a,b,c,d,e,f,g,h,i,j", "--export_dir=new"),
)


@dataclasses.dataclass(frozen=True)
class Wrong:
    """What cannot work."""

    arguments: tuple[str, ...]  # of the command
    names: tuple[str, ...]  # one of these must be in the error
    mode: str | None = None  # the mode in which it is wrong; None: in every mode


@dataclasses.dataclass(frozen=True)
class Typed:
    """A command that must be refused."""

    arguments: list[str]
    names: list[str]
    environment: dict[str, str]
    folder: Path


def flags(count: int, seed: int, folder: Path) -> Tally:
    """Types `count` wrong commands, two at a time."""
    rng = random.Random(seed)
    wrongs = list(every_wrong())
    typed = [one_try(rng, wrongs, folder / str(number)) for number in range(count)]
    harmless = [typed.pop().folder for _ in range(max(1, count // 100))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tries = [*pool.map(refused, typed), *pool.map(not_harmed, harmless)]
    for flag in (main.FLAGS[name] for name in main.FLAGS):
        if flag.flag_type() not in OF_TYPE and flag.name not in NO_FLAG_TEXTS:
            tries.append(Try(f"--{flag.name}", "no wrong values are known of it: add some here"))
    return tally(tries)


def every_wrong() -> Iterator[Wrong]:
    """Everything that is wrong by itself."""
    for flag in (main.FLAGS[name] for name in main.FLAGS):
        values = OF_TYPE.get(flag.flag_type(), ()) + MORE.get(flag.name, ())
        for value in values:
            yield Wrong((f"--{flag.name}={value}",), (flag.name,))
        if flag.flag_type() == "bool":
            continue  # it may stand without a value, and with "no" before it
        yield Wrong((f"--no{flag.name}",), (flag.name,))
        if flag.name not in ("class_names", "images"):  # which take what comes next
            yield Wrong((f"--{flag.name}",), (flag.name,), mode="last")
        for value in NO_FLAG_TEXTS.get(flag.name, ()):
            names = (flag.name, repr(value)[1:-1]) if value else (flag.name,)
            for mode in MODES_OF.get(flag.name, (None,)):
                yield Wrong((f"--{flag.name}={value}",), names, mode)
        for value in TOO_LARGE.get(flag.name, ()):
            for mode in DATA_MODES:
                yield Wrong((f"--{flag.name}={value}",), (flag.name,), mode)
    for unknown in ("--stpes=3", "--x", "--=3", "--mode.x=1", "--\u00fc=1", "--no", "--Steps=3"):
        name = unknown.strip("-").partition("=")[0]
        yield Wrong((unknown,), (name or "flag",))
    for word in ("steps=3", "train", "-", "\u00fc", "a_file", " ", "\u2013steps=3", "\u2014x"):
        yield Wrong((word,), (word,))
    yield Wrong(("",), ("''",))
    yield Wrong(("--", "--steps=3"), ("--steps=3",))
    yield Wrong(("--flagfile=nowhere",), ("flagfile",))
    yield Wrong(("--flagfile=damaged/mnist.npz",), ("flagfile",))
    yield Wrong(("--flagfile=full",), ("flagfile",))
    yield Wrong(("--mode=predict",), ("--images",), mode="predict")
    yield Wrong(("--mode=export",), ("--export_dir",), mode="export")


def one_try(rng: random.Random, wrongs: list[Wrong], folder: Path) -> Typed:
    """A wrong command: something wrong, alone, beside something right, or beside another wrong."""
    chosen = [rng.choice(wrongs)]
    if rng.random() < 0.4:
        other = rng.choice(wrongs)
        modes = {wrong.mode for wrong in (*chosen, other)} - {None}
        own = {name_of(wrong.arguments[0]) for wrong in (*chosen, other)}
        if len(modes) <= 1 and len(own) == 2 and "mode" not in own:
            chosen.append(other)
    mode = next((wrong.mode for wrong in chosen if wrong.mode), rng.choice(list(main.MODES)))
    arguments = [argument for wrong in chosen for argument in wrong.arguments]
    names = [name for wrong in chosen for name in wrong.names]
    given = {name_of(argument) for argument in arguments}
    if rng.random() < 0.4:
        right = rng.choice(RIGHT)
        if name_of(right) not in given | {"images", "export_dir"}:
            arguments.insert(0, right)
    if "mode" not in given and mode != "last":
        arguments.insert(0, f"--mode={mode}")
        # What the mode asks for, so that the rest is what is wrong.
        for asked, value in (("predict", "--images=picture.png"), ("export", "--export_dir=new")):
            if mode == asked and name_of(value) not in given:
                arguments.insert(0, value)
    if "model_dir" not in given:
        arguments.insert(0, f"--model_dir={rng.choice(('missing', 'model'))}")
    environment = {}
    if rng.random() < 0.06:
        environment["TF_CONFIG"] = rng.choice(NO_CLUSTERS)
        names.append("TF_CONFIG")
        if rng.random() < 0.5:
            arguments = [rng.choice(("--mode=train", "--mode=summary", "--model_dir=missing"))]
    return Typed(arguments, names, environment, folder)


def name_of(argument: str) -> str:
    """The flag of an argument, without dashes and value."""
    name = argument.lstrip("-").partition("=")[0]
    return name.removeprefix("no") if argument.startswith("--no") else name


def furnish(folder: Path) -> None:
    """Makes a folder to work in, with a few things in it that are good for nothing."""
    for name in ("empty", "full", "damaged", "model/report"):
        (folder / name).mkdir(parents=True)
    (folder / "a_file").write_text("no folder, no image\n", encoding="utf-8")
    (folder / "full" / "notes.txt").write_text("mine\n", encoding="utf-8")
    (folder / "damaged" / "mnist.npz").write_bytes(b"PK\3\4\xff\xfe\x00damaged\n" * 9)
    (folder / "to_nowhere").symlink_to("nowhere")
    (folder / "to_itself").symlink_to("to_itself")
    shutil.copy(ROOT / "tests" / "digits" / "5_thick.png", folder / "picture.png")
    (folder / "model" / "checkpoint").write_text('model_checkpoint_path: "gone"\n')
    (folder / "model" / "report" / "report.html").write_text("<p>97 %</p>\n", encoding="utf-8")


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder: when it was changed, and what is in it."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the program in a folder."""
    try:
        result = subprocess.run(
            [sys.executable, "-m", "cnn_mnist.main", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environment},
            capture_output=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL, "", f"no end after {PATIENCE} s"
    out, err = (text.decode(errors="backslashreplace") for text in (result.stdout, result.stderr))
    return result.returncode, out, err


def refused(one: Typed) -> Try:
    """Runs a wrong command; what is wrong with what came of it, or nothing."""
    furnish(one.folder)
    before = contents(one.folder)
    typed = f"{one.environment or ''} {one.arguments}"[:300]
    code, stdout, stderr = run(one.arguments, one.environment, one.folder)
    said = f"exit code {code}, stdout {stdout[-200:]!r}, stderr {stderr[-400:]!r}"
    if code != 2 or stdout or not stderr.startswith("error: "):
        return Try(typed, said)
    if stderr.count("\n") != 1 or len(stderr.splitlines()) != 1 or len(stderr) > 1200:
        return Try(typed, f"not one line: {said}")
    if "Traceback" in stderr or not any(name in stderr for name in one.names):
        return Try(typed, f"names none of {one.names}: {said}")
    if contents(one.folder) != before:
        return Try(typed, "something was written")
    shutil.rmtree(one.folder)
    return Try(typed)


def not_harmed(folder: Path) -> Try:
    """Runs a right command where the environment is full of rubbish that must do no harm."""
    folder.mkdir()
    rubbish = ("TF_CPP_MIN_LOG_LEVEL", "MPLBACKEND", "KERAS_BACKEND", "TERM")
    environment = {**dict.fromkeys(rubbish, "rubbish"), "COLUMNS": "0"}
    mode, expected = (
        ("summary", "3,274,634"),
        ("show_data", "model_dir/data/examples.png"),
    )[int(folder.name) % 2]
    code, stdout, stderr = run([f"--mode={mode}"], environment, folder)
    said = f"exit code {code}, {stdout[-200:]!r}, {stderr[-400:]!r}"
    harmed = code or expected not in stdout or "Traceback" in stderr
    return Try(f"{environment} --mode={mode}", said if harmed else "")
