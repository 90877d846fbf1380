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
    before,
    bench,
    duel,
    flops,
    growth,
    growth_plot,
    machine,
    measures,
    processes,
    recipes,
    scaling,
    table,
)
from benchmarks.growth import Point
from benchmarks.scaling import Plan, Times
from benchmarks.table import Row, Target
from cnn_mnist.data import dataset
from cnn_mnist.recipes import RECIPES, Recipe

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


def test_rows_of_a_duel(monkeypatch):
    rates = {
        "cnn_mnist": [20.0, 22.0],
        "keras": [10.0, 10.0],
        "torch": [16.0, 11.0],
        "product": [10.0, 11.0],
        "bare": [20.0, 22.44],
    }
    monkeypatch.setattr(measures, "OPPONENTS", {measures.STEPS: ("keras", "torch")})
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
    rates |= {"cnn_mnist@": [16.0, 11.0], "small": [30.0, 60.0], "small@": [20.0, 30.0]}
    ratios = [row.values for row in measures.duel_rows(measures.BEFORE, "float32", rates)]
    assert ratios == [[1.25, 2], [1.5, 2]]
    rates |= {"accurate": [3.0, 5.0], "accurate@": [2.0, 2.0]}
    *_, long = measures.duel_rows(measures.BEFORE, "float32", rates)
    assert long.what == "a step of recipe `accurate`, float32, against before"
    assert long.values == [1.5, 2.5]
    assert (long.held(), long.profile[1]) == ("yes", "--recipe=accurate")


def test_keras_is_measured_as_it_comes_where_it_comes_without_onednn(monkeypatch):
    opponents = {measures.STEPS: ("keras", measures.AS_IT_COMES, "torch")}
    monkeypatch.setattr(measures, "OPPONENTS", opponents)
    rates = {"cnn_mnist": [6.0], "keras": [4.0], measures.AS_IT_COMES: [3.0], "torch": [5.0]}
    rows = {row.what: row.values for row in measures.duel_rows(measures.STEPS, "float32", rates)}
    assert rows["this package against Keras `fit`"] == [1.5]
    assert rows["this package against Keras `fit` as it comes, without oneDNN"] == [2]


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


def test_shares_of_what_it_took_before():
    runs = [recipes.Training(0.991, 3.0, 6.0), recipes.Training(0.99, 2.0, 7.0)]
    earlier = [recipes.Training(0.99, 6.0, 12.0), recipes.Training(0.99, 8.0, 10.0)]
    training, whole = measures.share_rows("fast", runs, earlier)
    assert (training.values, whole.values) == ([0.5, 0.25], [0.5, 0.7])
    assert training.cells()[1::3] == ("under 0.5 x", "yes")
    (accurate,) = measures.share_rows("accurate", runs, earlier)
    assert "training" in accurate.what


def test_rows_that_are_not_held_have_a_profile_each_once(monkeypatch):
    slow, fast = [recipes.Training(0.991, 7.0, 9.0)], [recipes.Training(0.99, 8.0, 16.0)]
    rows = measures.share_rows("fast", slow, fast) + measures.share_rows("fast", slow, slow)
    assert [row.held() for row in rows] == ["no", "yes", "no", "no"]
    assert bench.wanting(rows) == [("benchmarks.stages", "--recipe=fast")]
    rates = {"cnn_mnist": [1.0], "product": [1.0], "keras": [1.0], "torch": [1.0]}
    monkeypatch.setattr(measures, "OPPONENTS", {measures.STEPS: ("keras", "torch")})
    rows = measures.duel_rows(measures.STEPS, "bfloat16", rates)
    ((module, *flags),) = bench.wanting(rows)
    assert (module, flags[:2]) == (
        "benchmarks.breakdown",
        ["--recipe=estimator", "--precision=bfloat16"],
    )


def test_the_stages_of_a_command_add_up(small_data_dir):
    flags = ["--recipe=tfjs", "--steps=3", "--validation_size=7", f"--data_dir={small_data_dir}"]
    shown = bench.profile((measures.STAGES, *flags))
    assert shown.split("\n")[0].strip() == "Stages of --recipe=tfjs"  # no table of the report's
    found = re.findall(r"^│ (.+?) +│ +([\d.]+) │", shown, re.MULTILINE)
    seconds = {stage: float(text) for stage, text in found}
    assert sum(seconds.values()) == pytest.approx(2 * seconds["all"], abs=0.1)
    assert min(seconds.values()) >= 0
    for stage in (
        "loading TensorFlow",
        "training, with its graph, checkpoints and validation",
        "scoring the test images",
    ):
        assert seconds[stage] > 0


def test_a_commit_in_a_worktree(tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    for what in ("was", "is"):
        (repository / "what.py").write_text(f"print({what!r})\n")
        for command in (("init", "-q"), ("add", "."), ("commit", "-qm", what)):
            subprocess.run(["git", *author, *command], cwd=repository, check=True)
    with before.worktree("HEAD~1", repository) as tree:
        done = processes.run([sys.executable, "-c", "import what"], tree=tree)
        assert done.output == "was\n"
    assert not tree.exists()
    with (
        pytest.raises(RuntimeError, match="^git worktree add: .*no_such_commit"),
        before.worktree("no_such_commit", repository),
    ):
        pass


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


@pytest.mark.long
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


def test_sizes_are_counted_in_the_graph():
    assert scaling.layers(Recipe()) == list(flops.CLASSIC)
    sizes = scaling.sizes_of(Recipe(), (1, 8))
    assert sizes.parameters == 3_274_634
    assert sizes.weights == 4 * 3_274_634
    assert sizes.checkpoint == sizes.weights + 8  # the global step
    assert sizes.flop == 82_049_024  # a hundredth of the step of 100 images, above
    # Each variable is on one server as a whole, and the first dense kernel is most of them.
    assert sizes.fullest[1] == sizes.weights
    assert 4 * 3136 * 1024 <= sizes.fullest[8] < sizes.weights


@pytest.mark.long
def test_sizes_of_other_optimizers_and_precisions():
    adam = scaling.sizes_of(RECIPES["tfjs"], (2,))
    assert (adam.parameters, adam.fullest.keys()) == (5_994, {2})
    assert adam.checkpoint == 3 * adam.weights + 2 * 4 + 8  # two slots, two powers, the step
    averaged = scaling.sizes_of(RECIPES["accurate"], (1,))  # bfloat16 where that is fast
    assert averaged.weights == 4 * 4_319_166


def test_a_plan_is_as_long_as_its_slowest_part():
    times = Times(images=100, step=0.1, one_image=0.001, sums=1e-9)
    for workers, compute in ((100, 0.001), (2, 0.05)):
        parts = Plan(times, workers, 100, in_step=True).with_ring(10**7, link=1)
        assert parts["compute"] == pytest.approx(compute)
    shared = Plan(times, 8, 100, in_step=True)
    assert shared.part == 13
    parts = shared.with_servers(weights=10**7, fullest=5 * 10**6, link=1)
    # Eight workers read 5 MB and send 5 MB through one link of 125 MB a second.
    assert parts == pytest.approx(
        {"compute": 0.013, "links": 0.64, "sums": 0.04, "input": 100 * 788 / 125e6}
    )
    assert shared.speed_up(parts) == pytest.approx(0.1 / 0.64)
    own = Plan(times, 8, 800, in_step=False)
    parts = own.with_servers(weights=10**7, fullest=5 * 10**6, link=1)
    assert parts == pytest.approx({"compute": 0.1, "links": 0.32, "input": 800 * 788 / 125e6})
    assert own.speed_up(parts) == pytest.approx(8 * 0.1 / 0.32)
    ring = own.with_ring(weights=10**7, link=10)
    assert ring["links"] == pytest.approx(2 * 7 / 8 * 10**7 / 1.25e9)
    assert own.speed_up(ring) == pytest.approx(8)
    # With many servers it is a worker's own link that is full.
    assert own.with_servers(10**7, 10**3, 1)["links"] == pytest.approx(10**7 / 125e6)


def test_numbers_of_three_digits():
    assert scaling.number(0.0123, 25.77, 1234.5) == "0.012 / 25.8 / 1,234"
    assert scaling.number(1.001, 1.002) == "1"


def test_what_was_measured_is_read():
    results = "| training, float32: this package | - | 40.0 steps/s (35.5 to 42.5) | 15 | - |\n"
    assert scaling.step_seconds(results) == 0.025
    with pytest.raises(ValueError, match="no row `training, float32"):
        scaling.step_seconds("| training |")
    rates = {"100": 20.0, "1": 100.0}
    server = {"bytes": 1000, "seconds": {"1": 0.003, "2": 0.004, "5": 0.011}}
    found = scaling.times_of({"steps_per_second": rates, "server": server}, 100, 0.1)
    assert found == Times(100, 0.1, pytest.approx(0.02), pytest.approx(2e-6))


@pytest.mark.long
def test_the_plan_is_the_one_in_the_document():
    document = scaling.DOCUMENT.read_text()
    step = float(re.search(r"a step of 100 images ([\d.]+),", document)[1]) / 1e3
    sizes = {name: scaling.sizes_of(each) for name, each in RECIPES.items()}
    assert scaling.networks(sizes) in document
    times = Times(100, step, one_image=0.004, sums=1e-10)
    tables = scaling.text("estimator", sizes, times)
    assert scaling.plans(sizes["estimator"], times, shared=True, in_step=True) in tables
    written = scaling.put(document, tables)
    assert tables in written
    assert scaling.put(written, tables) == written
    with pytest.raises(ValueError, match="expected the lines"):
        scaling.put("# Title\n", tables)
    rows = [line.split(" | ") for line in tables.splitlines() if line.startswith("| 512 | ")]
    assert rows[0][1] == "none: 100 images for 512 workers"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--step_ms=0"], "--step_ms: expected milliseconds above 0, found 0.0"),
        (["--recipe=tfjs"], "--step_ms: expected the milliseconds of a step of tfjs"),
    ],
)
def test_wrong_flags_of_the_plan(flags, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scaling", *flags])
    with pytest.raises(SystemExit, match="2"):
        scaling.main()
    assert message in capsys.readouterr().err
