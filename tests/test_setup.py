"""What setup.py says of the package: its command, its metadata and the versions that are pinned."""

import importlib
import runpy
import sys
import types

import programs
import pytest

from conftest import ROOT

RUN = "from cnn_mnist.__main__ import run; run()"


@pytest.fixture(scope="module")
def metadata():
    """What setup.py says to setuptools, which need not be installed for that."""
    said = {}
    names = {"setup": lambda **keywords: said.update(keywords), "find_packages": lambda **_: []}
    before = sys.modules.get("setuptools")
    sys.modules["setuptools"] = types.SimpleNamespace(**names)
    try:
        runpy.run_path(str(ROOT / "setup.py"))
    finally:
        del sys.modules["setuptools"]
        if before:
            sys.modules["setuptools"] = before
    return said


def test_the_installed_command_names_a_function(metadata):
    (command,) = metadata["entry_points"]["console_scripts"]
    name, _, place = command.partition(" = ")
    module, _, function = place.partition(":")
    assert name == "cnn_mnist"
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(("flags", "code"), [(["--help"], 0), (["--steps=none"], 2)])
def test_the_installed_command_does_what_the_module_does(flags, code):
    as_module = programs.run("-m", "cnn_mnist.main", *flags, fresh=True)
    as_command = programs.run("-c", RUN, *flags, fresh=True)
    assert as_module.returncode == code
    assert as_command.returncode == as_module.returncode
    assert as_command.stdout == as_module.stdout
    assert as_command.stderr == as_module.stderr
    assert "--steps" in as_module.stdout + as_module.stderr


def test_the_classifiers_name_the_pythons_that_are_required(metadata):
    named = [line for line in metadata["classifiers"] if " :: Python :: 3." in line]
    minors = [int(line.rpartition(".")[2]) for line in named]
    assert metadata["python_requires"] == f">=3.{min(minors)},<3.{max(minors) + 1}"
    assert minors == list(range(min(minors), max(minors) + 1))
