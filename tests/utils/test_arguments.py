"""The words of a command line, in this process: nothing here loads TensorFlow."""

import re
import sys

import pytest

from cnn_mnist import main
from cnn_mnist.utils import arguments
from cnn_mnist.utils.errors import UsageError

KERNEL = "/run/user/7/jupyter/kernel-7f.json"


def refusal(*words):
    with pytest.raises(UsageError) as caught:
        main.parse_flags(["main", *words])
    message = str(caught.value)
    assert message.splitlines() == [message]
    return message


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], []),
        (["main"], []),
        (["main", "--steps=3"], ["--steps=3"]),
        (["--recipe=tfjs_sgd"], ["--recipe=tfjs_sgd"]),
        (("--recipe=tfjs_sgd", "--steps", "3"), ["--recipe=tfjs_sgd", "--steps", "3"]),
        (["\u2013steps=3"], ["\u2013steps=3"]),
        (["-c", "--steps=3"], ["--steps=3"]),  # `main(sys.argv)` in `python -c`
        ([""], []),
    ],
)
def test_a_command_with_and_without_the_programs_name(argv, words):
    assert arguments.typed(argv) == words


@pytest.mark.parametrize(
    "launcher",
    [
        "/lib/python3.11/site-packages/ipykernel_launcher.py",
        "/lib/python3.11/site-packages/colab_kernel_launcher.py",
        "/lib/python3.11/site-packages/ipykernel/__main__.py",
        "/usr/bin/ipython3",
    ],
)
@pytest.mark.parametrize("words", [["-f", KERNEL], [f"--f={KERNEL}", "--HistoryManager.x=1"]])
def test_the_command_of_a_kernel_is_the_kernels(monkeypatch, launcher, words):
    monkeypatch.setattr(sys, "argv", [launcher, *words])
    main.parse_flags(None)
    assert arguments.typed(None) == []


@pytest.mark.parametrize(
    "words", [["-f", KERNEL], [f"-f={KERNEL}"], [f"--f={KERNEL}"], ["--f", KERNEL]]
)
def test_a_kernels_file_among_the_flags_of_a_program_is_left_out(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["train.py", "--steps=3", *words, "--seed=4"])
    main.parse_flags(None)
    assert (main.FLAGS.steps, main.FLAGS.seed) == (3, 4)
    assert refusal("--steps=3", *words) == "Unknown command line flag 'f'"


def test_only_a_kernels_file_is_left_out(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cnn_mnist/__main__.py", "-f", "5", "--f=x", "-f"])
    assert arguments.typed(None) == ["-f", "5", "--f=x", "-f"]


def test_a_text_is_no_list_of_arguments():
    with pytest.raises(TypeError, match="expected a list of arguments, found the text '--steps=3'"):
        arguments.typed("--steps=3")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("20000", 20_000), ("20,000", 20_000), ("20_000", 20_000), ("1,234,567", 1_234_567)),
        *(("+5", 5), (" 7", 7), ("007", 7), ("-3", -3)),
    ],
)
def test_whole_numbers(text, number):
    for flag in ("steps", "seed", "train_size"):
        main.parse_flags(["main", f"--{flag}={text}"])
        assert main.FLAGS[flag].value == number


NO_WHOLE_NUMBERS = ["20k", "20,00", "2_0", "20.000", "1e3", "0x10", "20,000_000", ",000", "", "٣"]


@pytest.mark.parametrize("text", NO_WHOLE_NUMBERS)
@pytest.mark.parametrize("flag", ["steps", "log_every_n_iter"])
def test_no_whole_number(flag, text):
    said = f"--{flag}={text}: expected a whole number, such as 20000, found {text!r}"
    assert refusal(f"--{flag}={text}") == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--learning_rate=fast", "--learning_rate=fast: expected a number, such as 0.001, found"),
        ("--learning_rate=0,1", "--learning_rate=0,1: expected a number, such as 0.001, found"),
        ("--steps_per_call=0", "--steps_per_call=0: expected a whole number of at least 1 and at"),
        ("--log_every_n_iter=-1", "--log_every_n_iter=-1: expected a whole number of at least 0"),
        ("--output=xml", "--output=xml: expected one of table, json, csv, found 'xml'"),
        ("--optimizer=", "--optimizer=: expected one of sgd, momentum, adam, short_adam, found ''"),
        (
            "--allow_public_cluster=maybe",
            "--allow_public_cluster=maybe: expected true or false, found 'maybe'",
        ),
        (
            "--noallow_public_cluster=1",
            "--noallow_public_cluster: expected no value, found '1'",
        ),
        (
            "--allow_public_cluster true",
            "true: unknown argument; every flag starts with --. Did you mean: "
            "--allow_public_cluster=true ?",
        ),
        ('--class_names="a', "--class_names=\"a: expected a comma separated list, found '\"a'"),
        ("--steps", "--steps: expected a value, found none"),
        ("--steps --mode=train", "--steps: expected a value, found the flag --mode=train"),
        ("--model_dir --steps=3", "--model_dir: expected a value, found the flag --steps=3"),
        ("-images --output=csv", "-images: expected a value, found the flag --output=csv"),
        ("--stpes=3", "Unknown command line flag 'stpes'. Did you mean: steps, steps_per_call ?"),
        ("--verbosity=1", "Unknown command line flag 'verbosity'"),
        (
            "steps=3",
            "steps=3: unknown argument; every flag starts with --. Did you mean: --steps=3 ?",
        ),
        (
            "train",
            "train: unknown argument; every flag starts with --. Did you mean: --mode=train ?",
        ),
        ("soup", "soup: unknown argument; every flag starts with --"),
        ("-- --steps=3", "--steps=3: stands after --, which ends the flags; leave the -- out"),
        (
            "\u2013steps=5",
            "\u2013steps=5: starts with the character en dash; expected two hyphens, --steps=5",
        ),
        (
            "--seed=3 \u2014steps=5",
            "\u2014steps=5: starts with the character em dash; expected two hyphens, --steps=5",
        ),
        ("--flagfile", "--flagfile: expected a file, found none"),
        ("--flagfile=no", "--flagfile: cannot be read: No such file or directory: 'no'"),
    ],
)
def test_what_is_said_of_a_wrong_word(words, said):
    assert refusal(*words.split()).startswith(said)


@pytest.mark.parametrize("words", ["--steps 5", "-steps 5", "-steps=5", "--steps=3 --steps=5"])
def test_a_flag_and_its_value(words):
    main.parse_flags(["main", *words.split()])
    assert main.FLAGS.steps == 5


def test_a_folder_may_begin_with_two_hyphens():
    main.parse_flags(["main", "--model_dir=--steps=3", "--images", "--x", "--images=--seed"])
    assert (main.FLAGS.model_dir, main.FLAGS.images) == ("--steps=3", ["--x", "--seed"])


def test_flags_from_a_file(tmp_path):
    (tmp_path / "flags").write_text("# mine\n--steps=20,000\n--seed=3\n")
    main.parse_flags(["main", f"--flagfile={tmp_path / 'flags'}", "--seed=4"])
    assert (main.FLAGS.steps, main.FLAGS.seed) == (20_000, 4)


def paragraphs(text):
    """Each flag of a help -> what is said of it."""
    joined = re.sub(r"\n {6}", " ", text)
    return dict(re.findall(r"^  --(?:\[no\])?(\w+): (.*)$", joined, re.MULTILINE))


@pytest.mark.parametrize("word", ["--help", "-h", "-help", "--helpfull"])
def test_the_help_names_every_flag_and_its_default(capsys, word):
    assert main.main(["main", "--steps=3", word]) == 0
    told = paragraphs(capsys.readouterr().out)
    assert list(told) == list(main.FLAGS)
    for name, said in told.items():
        default = main.FLAGS[name].default
        if default in (None, []):
            assert "Left out: " in said or "(default: the recipe's; for 'estimator': " in said, name
        else:
            shown = ",".join(default) if isinstance(default, list) else str(default)
            assert re.search(rf"default: {re.escape(shown)}\)$", said, re.IGNORECASE), name


@pytest.mark.parametrize(
    ("name", "default"), [("steps", "20000"), ("optimizer", "sgd"), ("learning_rate", "0.001")]
)
def test_the_help_names_the_default_of_the_default_recipe(capsys, name, default):
    assert main.main(["--help"]) == 0
    said = paragraphs(capsys.readouterr().out)[name]
    assert f"(default: the recipe's; for 'estimator': {default})" in said
