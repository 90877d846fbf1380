"""The words of a command line: where they come from, what a flag's value may be, and the help.

absl reads the flags. Errors are told in one line of our own: the flag, what was expected and found.
"""

import itertools
import re
import sys
import textwrap
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from cnn_mnist.utils.errors import UsageError, one_line, shown

HELP = ("-h", "--help", "-help", "-?", "--helpshort", "--helpfull")
# Programs that run a notebook or a prompt. Their arguments are not ours.
LAUNCHERS = re.compile(r"(ipykernel_launcher|colab_kernel_launcher|ipython[\d.]*)(\.py|\.exe)?")
LAUNCHER_PACKAGES = ("ipykernel", "IPython")  # started as `python -m ipykernel`
WITHOUT_FILE = ("-c", "-m")  # what Python calls a program that it has no file for
CONNECTION_FILE = re.compile(r"--?f=.*\.json")
# What a word processor or a web page makes of "-" and "--": hyphens, dashes and the minus sign.
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
WHOLE = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+|\d{1,3}(_\d{3})+)", re.ASCII)
WIDTH = 88  # columns of the help
LONGEST_NUMBER = 4_000  # digits; Python reads no more than 4,300


class WholeNumber(flags.IntegerParser):
    """Takes `20000`, `20,000` and `20_000`."""

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        """Sets the range; None: no limit."""
        super().__init__(least, most)
        self.syntactic_help = "a whole number"
        if least is not None:
            self.syntactic_help += f" of at least {least}"
        if most is not None:
            self.syntactic_help += f" and at most {most}"

    def parse(self, argument: str | int) -> int:
        """The number; raises ValueError for what is none, or is out of range."""
        if isinstance(argument, str):
            text = argument.strip()
            if not WHOLE.fullmatch(text) or len(text) > LONGEST_NUMBER:
                raise ValueError(f"expected a whole number, such as 20000, found {argument!r:.100}")
            argument = int(re.sub("[,_]", "", text))
        if self.is_outside_bounds(argument):
            raise ValueError(f"expected {self.syntactic_help}")
        return argument


class _InOurWords(flags.ArgumentParser[Any]):
    """One of absl's parsers that says what was expected and found, in a ValueError."""

    example = ""

    def parse(self, argument: Any) -> Any:
        try:
            return super().parse(argument)
        except ValueError:
            expected = self.syntactic_help + self.example
            raise ValueError(f"expected {expected}, found {str(argument)!r:.100}") from None


class Number(_InOurWords, flags.FloatParser):
    """Takes what Python's `float` takes."""

    example = ", such as 0.001"


class Choice(_InOurWords, flags.EnumParser):
    """Takes one of some names."""

    enum_values: Any

    def __init__(self, names: Collection[str]) -> None:
        """Sets the names; one that is added to a table later can be chosen, too."""
        super().__init__(names)
        self.names = self.enum_values = names

    @property
    def syntactic_help(self) -> str:  # type: ignore[override]
        """The names, for people."""
        return f"one of {', '.join(self.names)}"


class YesOrNo(_InOurWords, flags.BooleanParser):
    """Takes true and false, as absl does."""

    syntactic_help = "true or false"
    names = ("true", "false")


class Names(_InOurWords, flags.ListParser):
    """Takes names separated by commas."""


TEXT: flags.ArgumentParser[str] = flags.ArgumentParser()


def typed(argv: Sequence[str] | None) -> list[str]:
    """The arguments of a command, which is given with or without the program's name.

    None means `sys.argv`. In a notebook that is the command of the kernel, and nothing is taken.
    """
    if isinstance(argv, str):
        raise TypeError(f"expected a list of arguments, found the text {argv!r}")
    if argv is None:
        return [] if _is_launcher(sys.argv[0]) else _without_connection_file(sys.argv[1:])
    is_flag = bool(argv) and argv[0][:1] in ("-", *DASHES) and argv[0] not in WITHOUT_FILE
    return list(argv if is_flag else argv[1:])


def help_text(program: str, about: str, values: flags.FlagValues) -> str:
    """What `--help` prints: the program, what it is about, and every flag with its default."""
    paragraphs = [
        "-h, --help: Print this help.",
        "--flagfile=FILE: Read flags from a text file, one a line.",
        *(_described(values[name]) for name in values),
    ]
    wrapper = textwrap.TextWrapper(WIDTH, initial_indent="  ", subsequent_indent="      ")
    lines = [
        *(about.strip(), "", f"usage: {program} [flags]", ""),
        "Each flag is given as --flag=value or --flag value. Of a flag given twice, the last",
        "one counts. Thousands in whole numbers may be separated: 20000, 20,000 or 20_000.",
        *("", *map(wrapper.fill, paragraphs)),
    ]
    return "\n".join(lines)


def parse(arguments: Sequence[str], values: flags.FlagValues) -> None:
    """Reads arguments into flags, which start from their defaults; raises UsageError."""
    for name in values:
        values[name].unparse()
    _check_no_flag_is_a_value(arguments, values)
    try:
        positional = values(["", *arguments])[1:]  # "": for the program's name
    except UnicodeDecodeError as error:
        raise UsageError(f"--flagfile: expected a text file, found {error}") from None
    except flags.CantOpenFlagFileError as error:
        reason = re.sub(r"^.*flagfile: (\[Errno \d+\] )?", "", str(error))
        raise UsageError(one_line(f"--flagfile: cannot be read: {reason}")) from None
    except (flags.Error, ValueError) as error:  # ValueError: of --noflag=value
        raise UsageError(one_line(_in_our_words(str(error)))) from None
    if positional:
        raise UsageError(_not_a_flag(positional[0], values))


# What absl says, and what is said instead.
_OUR_WORDS = (
    (r"flag (--.*)", r"\1"),
    (r"Missing value for flag (.*)", r"\1: expected a value, found none"),
    (r"(--?no[^=]*)=(.*) does not take an argument", r"\1: expected no value, found '\2'"),
    (r"--flagfile with no argument", "--flagfile: expected a file, found none"),
)


def _in_our_words(message: str) -> str:
    for theirs, ours in _OUR_WORDS:
        if match := re.fullmatch(theirs, message, re.DOTALL):
            return match.expand(ours)
    return message


def _described(flag: Any) -> str:
    """A flag's name, meaning, values and, if it has one of its own, default."""
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    notes = [flag.parser.syntactic_help] if flag.parser.syntactic_help else []
    if flag.default not in (None, []):
        default = ",".join(flag.default) if isinstance(flag.default, list) else str(flag.default)
        notes.append(f"default: {default.lower() if flag.boolean else default}")
    return f"{name}: {flag.help}" + (f" ({'; '.join(notes)})" if notes else "")


def _is_launcher(program: str) -> bool:
    """Whether it runs notebooks or a prompt, and its arguments are its own."""
    path = Path(program)
    if path.name == "__main__.py":
        return path.parent.name in LAUNCHER_PACKAGES
    return LAUNCHERS.fullmatch(path.name) is not None


def _without_connection_file(words: list[str]) -> list[str]:
    """Leaves out a kernel's `-f FILE.json` or `--f=FILE.json`."""
    kept: list[str] = []
    for word in words:
        if kept and CONNECTION_FILE.fullmatch(f"{kept[-1]}={word}"):
            kept.pop()
        elif not CONNECTION_FILE.fullmatch(word):
            kept.append(word)
    return kept


def _check_no_flag_is_a_value(words: Sequence[str], values: flags.FlagValues) -> None:
    """Refuses `--model_dir --steps=5`, which absl takes for a folder named `--steps=5`."""
    take_value = {f"{dashes}{n}" for n in values if not values[n].boolean for dashes in ("-", "--")}
    names = {f"--{name}" for name in values}
    for word, following in itertools.pairwise(words):
        if word in take_value and following.partition("=")[0] in names:
            raise UsageError(f"{word}: expected a value, found the flag {shown(following)}")


def _not_a_flag(word: str, values: flags.FlagValues) -> str:
    """What is said of an argument that is no flag."""
    typed, bare = shown(word), word.lstrip("-" + DASHES)
    if word.startswith(tuple(DASHES)):
        kind = unicodedata.name(word[0]).lower()
        return f"{typed}: starts with the character {kind}; expected two hyphens, --{bare}"
    if word.startswith("-") and bare and not bare.startswith("="):
        return f"{typed}: stands after --, which ends the flags; leave the -- out"
    if word.partition("=")[0] in values:
        meant = [f"--{word}"]
    else:
        taking = [name for name in values if word in getattr(values[name].parser, "names", ())]
        given = [name for name in taking if values[name].present]  # `--flag true`
        meant = [f"--{name}={word}" for name in given or taking]
    hint = f". Did you mean: {', '.join(map(shown, meant))} ?" if meant else ""
    return f"{typed}: unknown argument; every flag starts with --{hint}"
