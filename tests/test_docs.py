"""The pages: links that resolve, names that exist, and the worked example, done as it is told."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest

from cnn_mnist import main
from conftest import ROOT
from stress import programs

FOLDERS = ("", "docs", "web", "deploy", "benchmarks", "model_dir", "cnn_mnist/data/mnist")
PAGES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
FLAG = re.compile(r"^\| `--(\w+)` \| (?:`([^`]*)`|-) \|", re.MULTILINE)


def blocks(page, language):
    """The code blocks of a page that are in a language."""
    found = re.findall(
        r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE
    )
    return [text for its_language, text in found if its_language == language]


def anchors(path):
    """The headings of a page as its links name them: GitHub's rule."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        assert target.resolve().is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_readme_or_from_a_page_that_is():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = [link.partition("#")[0] for link in LINK.findall(page.read_text())]
        waiting += [(page.parent / link).resolve() for link in links if link and "//" not in link]
    assert {page for page in PAGES if page.parent == ROOT / "docs"} <= reached


def test_the_tree_of_readme_names_what_is_there():
    (tree,) = [block for block in blocks("README.md", "") if block.startswith("cnn_mnist/\n")]
    named, folder = set(), ROOT
    for line in tree.splitlines():
        name = line.split()[0]
        folder = ROOT / "cnn_mnist" if line.startswith(" ") else ROOT
        assert (folder / name).is_dir() if name.endswith("/") else (folder / name).is_file(), name
        named.add((folder / name).resolve())
    rooms = {path.parent for path in (ROOT / "cnn_mnist").glob("*/__init__.py")}
    assert rooms <= named


def test_the_page_of_flags_names_each_with_its_default():
    told = dict(FLAG.findall((ROOT / "docs" / "flags.md").read_text()))
    defined = main.FLAGS.flags_by_module_dict()["cnn_mnist.main"]
    assert sorted(told) == sorted(flag.name for flag in defined)
    recipe = main.RECIPES[main.CLASSIC]
    for flag in defined:
        default = getattr(recipe, flag.name, flag.default)
        shown = ",".join(default) if isinstance(default, list) else str(default)
        assert told[flag.name] == ("" if default is None else shown), flag.name


def test_the_page_of_recipes_names_each_recipe():
    for page in ("README.md", "docs/recipes.md"):
        for name in main.RECIPES:
            assert f"| `{name}`" in (ROOT / page).read_text(), (page, name)


@pytest.fixture
def project(tmp_path):
    """A copy of what the worked example changes and reads."""
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "cnn_mnist", tmp_path / "cnn_mnist", ignore=left_out)
    shutil.copytree(ROOT / "tests" / "digits", tmp_path / "tests" / "digits")
    return tmp_path


def python(folder, *arguments, **options):
    """What `python` prints in a folder."""
    run = programs.run(*arguments, cwd=folder, **options)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.long  # four commands, each of them an interpreter of its own
def test_the_worked_example_of_a_network(project, small_data_dir):
    page = "docs/add_a_network.md"
    function, line, client, *_ = blocks(page, "python")
    summary, train, predict, export = blocks(page, "sh")[0].splitlines()

    networks = project / "cnn_mnist" / "models" / "networks.py"
    table = re.compile(r"^NETWORKS\b.*{\n", re.MULTILINE)
    text, times = table.subn(lambda found: f"{function}\n\n{found[0]}{line}", networks.read_text())
    assert times == 1
    networks.write_text(text)

    def typed(command, *short):
        program, *arguments = shlex.split(command)
        assert program == "python"
        # An interpreter of its own, which takes the package of the folder that it starts in.
        return python(project, *arguments, *short, env={"PYTHONPATH": ""}, fresh=True)

    data = f"--data_dir={small_data_dir}"
    parameters = re.search(r"([\d,]+) parameters", function)[1]
    assert parameters in typed(summary)

    stdout = typed(train, data, "--steps=20", "--validation_size=37")
    assert "on 67 images at step 20\n" in stdout
    noted = json.loads((project / "model_dir" / "lenet" / "recipe.json").read_text())
    assert "lenet" in json.dumps(noted)

    digits = json.loads(typed(predict))
    assert len(digits) == len(list((project / "tests" / "digits").iterdir()))
    for digit in digits:
        assert digit["digit"] in range(10)
        assert 0.1 < digit["probability"] <= 1  # the highest of ten

    typed(export, data)
    exported = project / "exported"
    names = {path.name for path in exported.iterdir()}
    assert {"saved_model.pb", "variables", "assets.extra"} <= names
    images = np.load(exported / "assets.extra" / "images.npy")
    stdout = python(project, "-c", client)
    classes, shape = re.fullmatch(r"\[([\d\s]+)\] (\(\d+, \d+\))\n", stdout).groups()
    assert shape == f"({len(images)}, 10)"
    assert len(classes.split()) == len(images)
    assert set(map(int, classes.split())) <= set(range(10))


def test_the_worked_example_in_a_program_of_its_own(tmp_path, small_data_dir):
    function, _, _, program = blocks("docs/add_a_network.md", "python")
    source = (ROOT / "cnn_mnist" / "models" / "networks.py").read_text()
    imports = source[source.index("from collections.abc") : source.index("\nMEMBERS")]
    short = f'"--data_dir={small_data_dir}", "--steps=20", "--validation_size=37"])'
    text, times = re.subn(r"\]\)$", lambda _: f", {short}", program, flags=re.MULTILINE)
    assert times == 1
    stdout = python(tmp_path, "-c", f"{imports}\n\n{function}\n\n{text}")
    assert "on 67 images at step 20\n" in stdout
    assert (tmp_path / "model_dir" / "lenet" / "model.ckpt-20.index").is_file()
