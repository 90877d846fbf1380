import os
import platform
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from benchmarks import (
    duel,
    flops,
    growth,
    growth_plot,
    machine,
    measures,
    processes,
    recipes,
    table,
)
from benchmarks.growth import Point
from benchmarks.table import Row, Target
from cnn_mnist import dataset

CPUINFO = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile
bugs\t\t: avx512_vnni

processor\t: 1
model name\t: another
flags\t\t: fpu
"""


def test_the_layers_are_those_of_the_network():
    weights = sum(layer.filters * (layer.window + 1) for layer in flops.CLASSIC)
    assert weights == 3_274_634  # as the table of `--mode=summary` has it


def test_operations_of_a_training_step():
    # A step forward takes, of 100 images: 125,440,000 in the first layer, then 2,007,040,000,
    # 642,252,800 and 2,048,000. Its gradients take the first once more and the others twice.
    assert flops.of_training_step(flops.CLASSIC, 100) == 8_204_902_400
    assert flops.of_product(2, 3, 5) == 60


def test_processor_from_cpuinfo():
    assert machine.of_processor(CPUINFO) == {
        "processor": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz (cpu family 6, model 143)",
        "instruction sets": "AVX2, AVX-512, AVX512-BF16, AMX, AMX-BF16",
    }
    assert machine.of_processor("") == {
        "processor": "unknown",
        "instruction sets": "none of AVX2, AVX-512, AVX512-VNNI, AVX512-BF16, AMX, AMX-BF16",
    }


def test_memory_from_meminfo():
    assert machine.of_memory("MemTotal:       16000000 kB\nMemFree: 1 kB\n") == {
        "memory": "16.4 GB"
    }
    assert machine.of_memory("") == {"memory": "unknown"}


def test_this_machine_is_described():
    about = machine.description()
    assert about["Python"] == platform.python_version()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", about["TensorFlow"])


def test_a_row_says_median_spread_and_whether_its_target_is_held():
    row = Row("speed", [1.7, 1.5, 1.61], "x", 2, Target(1.6, at_least=True))
    assert row.cells() == ("speed", "at least 1.6 x", "1.61 x (1.50 to 1.70)", "3", "yes")
    row = Row("memory", [1234.4, 900], "MB", 0, Target(850))
    assert row.cells() == ("memory", "under 850 MB", "1,067 MB (900 to 1,234)", "2", "no")
    row = Row("accuracy", [99, 99, 98.4], "%", 2, Target(99, at_least=True), statistics.mean)
    assert row.cells()[2:] == ("98.80 % (98.40 to 99.00)", "3", "no")
    assert Row("share", [0.5]).cells() == ("share", "-", "0.50", "1", "-")
    assert Row("none", [], target=Target(1)).cells() == (
        "none",
        "under 1",
        "not measured",
        "0",
        "-",
    )


def test_bounds():
    assert Target(2, at_least=True).holds(2)
    assert not Target(2).holds(2)
    assert not Target(2).holds(float("nan"))
    assert Target(0.5, at_least=True, possible=1).holds(1)
    assert not Target(0.5, at_least=True, possible=1).holds(1.01)


def test_markdown():
    assert table.markdown_table(["a", "b"], [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    page = table.page("Title", "make it", {"cores": "2"}, ["part"])
    assert page.startswith("# Title\n\nCommand: `make it`\n\n| machine |  |\n")
    assert page.endswith("| cores | 2 |\n\npart")


def test_ratios_are_of_one_round():
    rates = {"ours": [4.0, 9.0], "other": [2.0, 3.0]}
    assert duel.ratios(rates, "ours", "other") == [2, 3]


def test_rows_of_a_duel():
    rates = {
        "cnn_mnist": [20.0, 22.0],
        "keras": [10.0, 10.0],
        "torch": [16.0, 11.0],
        "product": [10.0, 11.0],
        "bare": [20.0, 22.44],
    }
    steps = measures.duel_rows(measures.STEPS, "float32", rates)
    assert [list(row.values) for row in steps] == [
        [20, 22],
        [10, 10],
        [2, 2.2],
        [16, 11],
        [1.25, 2],
    ]
    best, share = measures.duel_rows(measures.PRODUCT, "float32", rates)
    assert best.values == pytest.approx([171.798692, 188.978561])  # 2 * 2048^3 = 17.1798692 GFLOP
    assert share.values == pytest.approx([0.955176] * 2)  # 2 * 8.2049024 / 17.1798692
    (overhead,) = measures.duel_rows(measures.OVERHEAD, "float32", rates)
    assert overhead.values == pytest.approx([0, 2])


def test_rows_of_a_recipe():
    runs = [recipes.Training(0.991, 7.0, 15.0), recipes.Training(0.989, 9.5, 15.5)]
    measured = [row.cells()[2:] for row in measures.recipe_rows("fast", runs)]
    assert measured == [
        ("99.00 % (98.90 to 99.10)", "2", "yes"),
        ("8.2 s (7.0 to 9.5)", "2", "no"),
        ("15.2 s (15.0 to 15.5)", "2", "yes"),
    ]
    assert {row.cells()[1] for row in measures.recipe_rows("tfjs", runs)} == {"-"}
    assert measures.recipe_rows("fast", [])[0].cells()[2] == "not measured"


def test_training_seconds():
    output = "starting: 5 training images\ntrained 1,080 steps in 5.6 s\ntest accuracy 0.9\n"
    assert recipes.training_seconds(output) == 5.6
    with pytest.raises(ValueError, match="no line `trained"):
        recipes.training_seconds("trained")


def test_a_program_is_timed_and_weighed():
    # Asked for by a small process: this one's own size would count as the program's.
    program = "print('said'); b = bytearray(200_000_000); b[::4096] = b'1' * len(b[::4096])"
    run = f"processes.run([sys.executable, '-c', {program!r}])"
    asked = f"import sys; from benchmarks import processes; print({run})"
    found = subprocess.run(
        [sys.executable, "-c", asked],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=processes.environment(),
    )
    output, seconds, memory = re.fullmatch(
        r"Run\(output='(.*)', seconds=(.*), peak_memory_mb=(.*)\)\n", found.stdout
    ).groups()
    assert output == r"said\n"
    assert float(seconds) > 0
    assert 200 < float(memory) < 400


def test_a_program_that_fails_is_quoted():
    program = "import sys; sys.exit('no luck')"
    with pytest.raises(RuntimeError, match="expected exit code 0, found 1; it wrote:\nno luck"):
        processes.run([sys.executable, "-c", program])
    assert processes.run([sys.executable, "-c", program], expected_code=1).output == ""


def alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_contender_takes_bursts_and_is_ended():
    with pytest.raises(KeyboardInterrupt), duel.Contender("bare", "float32") as contender:
        contender.wait_until_ready()
        start = time.perf_counter()
        rates = duel.alternate([contender], [2], rounds=1)
        # Seen from outside, the burst took at least as long as the contender says.
        (rate,) = rates["bare"]
        assert rate >= 2 / (time.perf_counter() - start)
        assert alive(contender.process_id)
        raise KeyboardInterrupt
    assert not alive(contender.process_id)


def test_a_contender_that_ends_is_quoted():
    with (
        duel.Contender("nobody", "float32") as contender,
        pytest.raises(RuntimeError, match="(?s)contender nobody ended with code 2.*invalid choice"),
    ):
        contender.wait_until_ready()


def test_a_growing_data_set_is_one_that_the_program_reads(tmp_path, mnist):
    growth.write_data(tmp_path, training=60_003, test=7)
    data = dataset.load(tmp_path, validation_size=0)
    assert (len(data.train), len(data.test)) == (60_003, 7)
    first = mnist.validation
    for split, place in ((data.train, 0), (data.train, 60_000), (data.test, 0)):
        some = slice(place, place + 3)
        np.testing.assert_array_equal(split.images[some], first.images[:3])
        np.testing.assert_array_equal(split.labels[some], first.labels[:3])


def test_growth_as_a_table_and_a_plot(tmp_path):
    points = [Point(100, 0.05, 4.26, 800.4, 0.5), Point(10_000, 2.5, 4.3, 1807.88, 7.88)]
    rows = growth.PARTS["evaluation"].table(points).splitlines()
    assert rows[0].startswith(
        "| test images | evaluation, s | ms an image | evaluations a second |"
    )
    assert rows[2] == "| 100 | 0.0500 | 0.500 | 20.00 | 4.3 | 800 | 0.5 | 800 |"
    assert rows[3] == "| 10,000 | 2.5000 | 0.250 | 0.40 | 4.3 | 1,808 | 7.9 | 1,800 |"
    growth_plot.write({"test images": ("evaluation", points)}, tmp_path / "growth.png")
    with Image.open(tmp_path / "growth.png") as image:
        assert image.size == (630, 990)
