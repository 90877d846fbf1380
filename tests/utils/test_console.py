import io
import logging
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from rich.console import Console

from cnn_mnist.utils import console
from stress import programs

QUIET_START = """
import os, sys
from cnn_mnist.utils import console
os.write(2, b"before: oneDNN custom operations are on\\n")
with console.quiet_start():
    os.write(2, b"I0000 port.cc:153] oneDNN custom operations are on. You may see\\n")
    os.write(2, b"W0000 a real warning\\n")
    os.write(2, b"To enable the following instructions: AVX2\\n")
    print("a line of Python", file=sys.stderr)
    os.write(2, b"\\xff not UTF-8\\n")
    {last}
os.write(2, b"after: oneDNN custom operations are on\\n")
"""


def run(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, **kwargs)


def test_quiet_start_drops_the_noise_and_nothing_else():
    result = run(QUIET_START.format(last="pass"))
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        b"before: oneDNN custom operations are on",
        b"W0000 a real warning",
        b"a line of Python",
        b"\xff not UTF-8",
        b"after: oneDNN custom operations are on",
    ]


def test_quiet_start_passes_on_what_a_dying_process_says():
    result = run(QUIET_START.format(last="os.write(2, b'needs AVX\\n'); os.abort()"))
    assert result.returncode == -signal.SIGABRT
    assert b"W0000 a real warning" in result.stderr
    assert result.stderr.endswith(b"needs AVX\n")


def test_quiet_start_lets_errors_through_and_puts_stderr_back():
    result = run(QUIET_START.format(last="raise RuntimeError('broken')"))
    assert result.returncode == 1
    assert result.stderr.endswith(b"RuntimeError: broken\n")


def test_quiet_start_without_grep_shows_everything(tmp_path):
    result = run(QUIET_START.format(last="pass"), env={**os.environ, "PATH": str(tmp_path)})
    assert result.returncode == 0
    assert result.stderr.count(b"oneDNN") == 3


def test_tensorflow_starts_without_a_word():
    code = "from cnn_mnist.utils import console; console.start_tensorflow()\n"
    code += "import tensorflow as tf; print(tf.compat.v1.Session().run.__name__)"
    result = run(code, env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"})
    assert (result.returncode, result.stdout, result.stderr) == (0, b"run\n", b"")


@pytest.mark.parametrize(("given", "told"), [("", True), ("0", False)])
def test_that_tensorflow_came_before_and_without_onednn_is_told(given, told):
    """It trains to other last bits than the command; where that was asked for, nothing is told."""
    code = """
        import os
        import tensorflow as tf  # without oneDNN, as on a processor with AVX2 alone
        given = {given!r}
        if not given:
            del os.environ["TF_ENABLE_ONEDNN_OPTS"]
        from cnn_mnist.utils import console, processor
        processor.onednn_pays, processor.onednn_unasked = lambda: True, lambda: False
        console.load_tensorflow()
        console.load_tensorflow()
    """
    code = textwrap.dedent(code).format(given=given)
    done = programs.run("-c", code, env={"TF_ENABLE_ONEDNN_OPTS": "0"}, fresh=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(console.WITHOUT_ONEDNN) == told


def test_the_estimators_door_loads_tensorflow_as_the_program_does():
    code = """
        import os
        os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
        from cnn_mnist.utils import processor
        processor.onednn_pays, processor.onednn_unasked = lambda: True, lambda: False
        from cnn_mnist import estimator
        estimator.RunConfig
        from cnn_mnist import cnn_model_fn
        print(os.environ["TF_ENABLE_ONEDNN_OPTS"])
    """
    done = programs.run("-c", textwrap.dedent(code), fresh=True)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert console.WITHOUT_ONEDNN not in done.stderr


def test_a_clusters_noise_is_dropped_and_no_other_line():
    lines = [
        "2026 I tensorflow/core/rendezvous.cc:405] Local rendezvous is aborting with status: OUT",
        "E0000 1792 ring_alg.cc:291] Aborting RingReduce with UNAVAILABLE: failed to connect",
        "\t [[{{node global_step}}]]",
        "2026 E a real error [[{{node global_step}}]]",
        "Aborting RingReduce",
    ]
    code = "import os\nfrom cnn_mnist.utils import console\nwith console.quiet_cluster():\n"
    code += f"    os.write(2, {chr(10).join([*lines, ''])!r}.encode())"
    assert run(code).stderr.decode().splitlines() == lines[3:]


def test_nothing_is_dropped_from_stderr_but_what_is_named():
    code = "import os\nfrom cnn_mnist.utils import console\n"
    code += "with console.without(['a.c', '[x]']):\n    os.write(2, b'abc\\na.c\\nx\\n[x]\\n')"
    assert run(code).stderr == b"abc\nx\n"


def test_that_another_process_was_no_faster_is_told_only_outside_of_a_cluster(caplog):
    message = "It seems that global step (tf.train.get_global_step) has not been increased. Current"
    log = logging.getLogger("tensorflow")
    with console.quiet_cluster():
        log.warning(message)
        log.warning("another")
    assert caplog.messages == ["another"]
    log.warning(message)
    assert caplog.messages == ["another", message]


def record(message, level=logging.INFO):
    return logging.LogRecord("tensorflow", level, "", 0, message, (), None)


@pytest.mark.parametrize(
    ("message", "plain", "terminal"),
    [
        ("loss = 2.3, step = 100 (6.1 sec)", True, False),
        ("global_step/sec: 16.2", True, False),
        ("softmax_tensor: highest probability 0.12", True, False),
        ("Saving checkpoints for 300 into model_dir/model.ckpt.", True, False),
        ("Calling model_fn.", False, False),
        ("Graph was finalized.", False, False),
    ],
)
def test_which_lines_are_shown(message, plain, terminal):
    assert console.is_shown(record(message), bars=False) is plain
    assert console.is_shown(record(message), bars=True) is terminal
    for place in (True, False):
        assert console.is_shown(record(message, logging.WARNING), bars=place)


def test_deprecations_are_shown_unless_tensorflow_means_itself():
    own = "From {}/lib/{}/python/training/saver.py:1068: remove_checkpoint (from tensorflow.x) is "
    own += "deprecated and will be removed in a future version.\nInstructions for updating:\nUse"
    for package in ("tensorflow", "tensorflow_estimator"):
        message = own.format("/a b", package)
        assert not console.is_shown(record(message, logging.WARNING), bars=False)
    for message in (own.format("/a", "mine"), own.replace("From", "In").format("", "tensorflow")):
        assert console.is_shown(record(message, logging.WARNING), bars=False)


def test_log_lines_are_printed_as_they_are(monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.getLogger("tensorflow"), "level", logging.NOTSET)
    out = io.StringIO()
    console.show_log_lines(Console(file=out, width=20, soft_wrap=True, highlight=False))
    logging.getLogger("tensorflow").info("loss = %s, step = [bold]%d[/bold] and more", 0.5, 100)
    logging.getLogger("tensorflow").info("Calling model_fn.")
    logging.getLogger("other").info("unasked")
    logging.getLogger("other").warning("a warning")
    assert out.getvalue().splitlines() == [
        "INFO:tensorflow:loss = 0.5, step = [bold]100[/bold] and more",
        "WARNING:other:a warning",
    ]


def test_command_as_the_user_types_it(tmp_path, monkeypatch):
    programs = tmp_path / "my env" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "tensorboard"):
        (programs / name).touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "")
    assert console.command("tensorboard") == "'my env/bin/tensorboard'"
    monkeypatch.setenv("PATH", str(programs))
    assert console.command("tensorboard") == "tensorboard"


def test_a_notebook_keeps_the_backend_that_shows_its_figures(monkeypatch):
    backend = "module://matplotlib_inline.backend_inline"
    for name in ("KERAS_BACKEND", "MPLBACKEND"):
        monkeypatch.setenv(name, backend)
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    console.tame_environment()
    assert os.environ["MPLBACKEND"] == backend
    monkeypatch.delattr(sys, "ps1")
    console.tame_environment()
    assert (os.environ["KERAS_BACKEND"], os.environ["MPLBACKEND"]) == ("tensorflow", "agg")
