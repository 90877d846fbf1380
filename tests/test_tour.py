"""The tour: a notebook that is kept as text, too."""

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from conftest import ROOT

DOCS = ROOT / "docs"


def test_the_notebook_is_its_text_and_has_no_outputs():
    """After a change of either: `jupytext --sync docs/tour.ipynb`, then clear the outputs."""
    notebook, text = (jupytext.read(DOCS / f"tour.{kind}") for kind in ("ipynb", "py"))
    cells = [[(cell.cell_type, cell.source) for cell in each.cells] for each in (notebook, text)]
    assert cells[0] == cells[1]
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.long
def test_the_tour_goes_through(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(DOCS / "tour.ipynb", as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert "test       (10000, 28, 28) uint8" in printed
    assert "it is a 7, with a probability of " in printed
    assert "test accuracy 0.9" in printed and "saved_model.pb" in printed
    pages = [output for output in outputs if "text/html" in output.get("data", {})]
    assert len(pages) >= 2  # the report and the explanation
