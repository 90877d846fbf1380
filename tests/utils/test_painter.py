"""Figures drawn by other processes, which must leave nothing behind."""

import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cnn_mnist.evaluation import figures, inside, report
from cnn_mnist.explanations import explain
from cnn_mnist.utils import drawing, painter
from cnn_mnist.utils.painter import Painter
from stress import programs

BEGIN = """
import sys, time
import numpy as np
from cnn_mnist.utils.painter import Painter

painter = Painter()
MATRIX = "cnn_mnist.evaluation.figures", "confusion_matrix"
COUNTS, NAMES = np.array([[7, 2], [0, 11]]), ("one", "two")
"""
DRAWS = (
    BEGIN
    + """
with painter:
    first = painter.draw(*MATRIX, COUNTS, NAMES).result()
    error = painter.draw(*MATRIX, "no counts", NAMES).exception()
    print(type(error).__name__)
    second = painter.draw(*MATRIX, COUNTS, NAMES).result()
    assert "matplotlib" not in sys.modules
    painter._processes[0].kill()
    more = [painter.draw(*MATRIX, COUNTS, NAMES) for _ in range(5)]
    assert {each.result() for each in more} == {first}
    painter._processes[1].kill()
    more = [painter.draw(*MATRIX, COUNTS, NAMES) for _ in range(5)]
    assert {each.result() for each in more} == {first}
    assert "matplotlib" in sys.modules  # it had to draw by itself
assert first == second
open("matrix.png", "wb").write(first)
"""
)
WAITS = (
    BEGIN
    + """
with painter:
    painter.draw(*MATRIX, COUNTS, NAMES).result()
    for _ in range(100):  # more than it can draw soon
        painter.draw(*MATRIX, COUNTS, NAMES)
    print(*(process.pid for process in painter._processes), flush=True)
    time.sleep(3600)
"""
)


def test_other_processes_draw_what_this_one_would(tmp_path):
    done = programs.run("-c", DRAWS, cwd=tmp_path, fresh=True)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("AttributeError\n", "")
    here = drawing.png(figures.confusion_matrix(np.array([[7, 2], [0, 11]]), ("one", "two")))
    assert (tmp_path / "matrix.png").read_bytes() == here


def test_with_matplotlib_loaded_it_draws_here():
    with Painter() as painter:
        assert painter._processes == []
        drawn = painter.draw(figures.__name__, "label_distribution", {"a": [2, 3]}, ("x", "y"))
        assert drawn.result().startswith(b"\x89PNG")
        with pytest.raises(AttributeError, match="no_such_figure"):
            painter.draw(figures.__name__, "no_such_figure").result()


def test_without_room_for_other_processes_it_draws_here(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib")
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with Painter() as painter:
        monkeypatch.undo()
        drawn = painter.draw(figures.__name__, "label_distribution", {"a": [2, 3]}, ("x", "y"))
        assert drawn.result().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_processes_end_with_the_first(tmp_path, number):
    with programs.start("-c", WAITS, cwd=tmp_path, fresh=True) as program:
        drawing = [int(number) for number in program.stdout.readline().split()]
        assert list(map(alive, drawing)) == [True, True]
        program.send_signal(number)
        _, stderr = program.communicate()
    while any(map(alive, drawing)):
        time.sleep(0.05)
    assert stderr.count("Traceback") == (number == signal.SIGINT)


def alive(process_id):
    """Whether it runs; one that ended and that nobody has asked after does not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_figures_that_are_loaded_at_once_are_those_that_are_drawn():
    assert set(painter.FIGURES) == {report.FIGURES, inside.FIGURES, explain.FIGURES}
