"""What setup.py says of the package: its command, its metadata and the versions that are pinned."""

import importlib
import os
import runpy
import subprocess
import sys
import types

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT
from stress import programs

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


def test_the_installed_commands_name_functions(metadata):
    commands = [line.split(" = ") for line in metadata["entry_points"]["console_scripts"]]
    assert [name for name, _ in commands] == ["cnn_mnist", "cnn_mnist_estimator"]
    for _, place in commands:
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_command_runs_a_program_that_is_called_as_the_package(tmp_path):
    """The classic tutorial's file is `cnn_mnist.py`; `python -m` would import that."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "cnn_mnist_estimator"
    script.write_text("from cnn_mnist.estimator.runner import main\nmain()\n")
    (tmp_path / "cnn_mnist.py").write_text("import sys\nprint(__name__, sys.argv)\n")
    done = programs.run(str(script), "cnn_mnist.py", "a", cwd=tmp_path, fresh=True)
    assert done.stdout == "__main__ ['cnn_mnist.py', 'a']\n", done.stderr


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


def pins(name):
    """The requirements in a file of constraints, in the order of its lines."""
    lines = (ROOT / "constraints" / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def required(metadata):
    """What setup.py requires for use, for the tests and for lint."""
    extras = metadata["extras_require"]
    return map(Requirement, metadata["install_requires"] + extras["test"] + extras["lint"])


def test_every_requirement_is_pinned_to_one_version_that_it_admits(metadata):
    tested = {canonicalize_name(pin.name): pin for pin in pins("tested.txt")}
    assert len(tested) == len(pins("tested.txt"))
    for pin in tested.values():
        (specifier,) = pin.specifier
        assert specifier.operator == "==" and "*" not in specifier.version
        assert pin.url is None
        # Where a pin does not hold, pip takes the newest version that Python 3.10 can have.
        assert str(pin.marker) in ("None", 'python_version >= "3.11"')
    for requirement in required(metadata):
        (specifier,) = tested[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(specifier.version), requirement


def test_make_takes_the_tested_versions_unless_it_is_told_others():
    def installs(*arguments):
        command = ["make", "--dry-run", "--always-make", "VENV=nowhere", *arguments]
        of_make = {"CONSTRAINTS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
        environment = {name: os.environ[name] for name in os.environ.keys() - of_make}
        made = subprocess.run(
            [*command, "nowhere/installed-test"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return [line for line in made.stdout.splitlines() if "pip install" in line]

    older = "constraints/tensorflow-2.15.txt"
    for_use, for_tests = installs()
    assert "--constraint constraints/tested.txt" in for_use
    assert "--constraint constraints/tested.txt" in for_tests
    assert all(f"--constraint {older}" in line for line in installs(f"CONSTRAINTS={older}"))
    assert not any("--constraint" in line for line in installs("CONSTRAINTS="))


def test_what_is_compared_with_is_installed_beside_the_tested_versions(metadata):
    assert "-c tested.txt" in (ROOT / "constraints" / "bench.txt").read_text().splitlines()
    tested = {canonicalize_name(pin.name) for pin in pins("tested.txt") + pins("bench.txt")}
    assert {Requirement(line).name for line in metadata["extras_require"]["bench"]} <= tested
