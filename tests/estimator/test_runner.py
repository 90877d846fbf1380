"""`python -m cnn_mnist.estimator`: the command, and which TensorFlow a program is taken for."""

import signal
import textwrap

import pytest
import tensorflow as tf

from cnn_mnist.estimator.api import decide, uses
from stress import programs


@pytest.fixture
def run(tmp_path):
    """Writes a program and runs it; returns what it printed."""

    def run(code, *arguments, options=(), name="program.py", **how):
        (tmp_path / name).write_text(textwrap.dedent(code))
        command = [*options, name, *arguments]
        return programs.run("-m", "cnn_mnist.estimator", *command, cwd=tmp_path, **how)

    return run


def test_a_program_is_run_as_python_would(run, tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 5\n")
    done = run(
        """
        import sys
        import beside
        print(__name__, __file__, sys.argv, sys.path[0], beside.VALUE)
        assert sys.modules["__main__"].beside is beside
        raise SystemExit(7)
        """,
        "--help",
        "-m",
        fresh=True,
    )
    assert done.returncode == 7 and done.stderr == ""
    assert done.stdout == (f"__main__ program.py ['program.py', '--help', '-m'] {tmp_path} 5\n")


def test_its_exceptions_are_shown_as_python_shows_them(run):
    done = run(
        """
        def fails():
            try:
                {}["a"]
            except KeyError as error:
                raise ValueError("no\\nluck") from error

        fails()
        """,
        fresh=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert 'File "program.py", line 4, in fails\n    {}["a"]' in done.stderr
    assert done.stderr.endswith("ValueError: no\nluck\n")
    assert "cnn_mnist" not in done.stderr and "runpy" not in done.stderr


def test_an_exception_inside_an_import_shows_the_programs_lines_alone(run, tmp_path):
    (tmp_path / "beside.py").write_text("import tensorflow\nimport no_such_module\n")
    done = run("import beside", options=["--api=v1"], fresh=True)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'no_such_module'" in done.stderr
    frames = [line for line in done.stderr.splitlines() if line.startswith("  File")]
    assert len(frames) == 2 and "program.py" in frames[0] and "beside.py" in frames[1]


def test_ctrl_c_reaches_it(tmp_path):
    code = """
    import time
    try:
        print("here", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("caught")
        raise
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(code))
    program = programs.start("-m", "cnn_mnist.estimator", "program.py", cwd=tmp_path, fresh=True)
    with program:
        assert program.stdout.readline() == "here\n"
        program.send_signal(signal.SIGINT)
        stdout, stderr = program.communicate()
    assert stdout == "caught\n" and stderr.endswith("KeyboardInterrupt\n")
    assert program.returncode == -signal.SIGINT


@pytest.mark.parametrize(
    "code, message",
    [
        ("x = 1\nprint 'old'\n", "program.py: line 2: this is not Python 3: Missing parentheses"),
        ("x = \0", "program.py: this is not Python 3: "),
    ],
)
def test_a_file_that_is_no_python(run, code, message):
    done = run(code)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gone.py"], "gone.py: No such file or directory; name a program's file"),
        (["."], ".: Is a directory; name a program's file"),
        (["-m", "no_such"], "-m no_such: there is no such module, or it cannot be run"),
        (["-m", "json.no_such.part"], "-m json.no_such.part: there is no such module"),
        (["-m", "email"], "-m email: there is no such module, or it cannot be run"),
        (["--api=v3", "x.py"], "--api=v3: expected --api=v1, v2 or auto, or -m; usage: python -m"),
        (["--apy", "x.py"], "--apy: expected --api=v1"),
        ([], "no program is named; usage: python -m cnn_mnist.estimator"),
    ],
)
def test_what_cannot_be_run(arguments, message, tmp_path):
    done = programs.run("-m", "cnn_mnist.estimator", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1


def test_help(tmp_path):
    done = programs.run("-m", "cnn_mnist.estimator", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "--api=v1" in done.stdout


def test_a_module_of_a_package(tmp_path):
    """TensorFlow is ready before the packages that hold the module are imported."""
    package = tmp_path / "package" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text(
        "import tensorflow as tf\nOLD = tf.placeholder\nfrom tensorflow import estimator\n"
    )
    (package / "__init__.py").touch()
    (package / "part.py").write_text(
        "import sys\nfrom .. import OLD\nprint(__name__, sys.argv[1:], OLD.__name__)\n"
    )
    arguments = ("-m", "cnn_mnist.estimator", "--api=v1", "-m", "package.inner.part", "a")
    done = programs.run(*arguments, cwd=tmp_path, fresh=True)
    assert done.stdout == "__main__ ['a'] placeholder\n", done.stderr


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_what_tensorflow_is_to_the_program_and_its_modules(run, tmp_path, api):
    (tmp_path / "beside.py").write_text("import tensorflow as tf\nfrom tensorflow import nn\n")
    done = run(
        """
        import tensorflow as tf
        import tensorflow.keras.layers
        import tensorflow.python.framework.ops as ops
        from tensorflow.python.framework import dtypes
        from tensorflow.compat.v1 import layers
        from tensorflow import estimator
        import tf_keras, beside
        print(tf.executing_eagerly(), hasattr(tf, "placeholder"), beside.tf is tf)
        same = estimator.Estimator is tf.estimator.Estimator
        print(tf.estimator.Estimator.__name__, same, tf.__version__)
        assert ops.Graph is tf.Graph and dtypes.float32 is tf.float32 and layers.dense
        assert tensorflow.keras.layers.Dense is tf.keras.layers.Dense
        import sys
        assert sys.modules["tensorflow"].Variable and tf.contrib.learn
        assert not hasattr(tf, "no_such_name")
        """.replace(
            "import tf_keras, ", "import " if tf.__version__ < "2.16" else "import tf_keras, "
        ),
        options=[f"--api={api}"],
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == ("False True True" if api == "v1" else "True False True")
    name = "Estimator" if api == "v1" else "EstimatorV2"
    assert second == f"{name} True {tf.__version__}"
    assert "taken for" not in done.stderr


def test_auto_says_what_it_takes_the_program_for(run):
    done = run("import tensorflow as tf\nprint(tf.Session is not None)\n")
    assert done.stdout == "True\n"
    assert done.stderr == (
        "program.py is taken for a program of TensorFlow 1 (--api=v1): it uses tf.Session\n"
    )


def test_the_programs_environment_comes_before_tensorflow(run):
    """A program may set what TensorFlow reads when it is loaded."""
    done = run(
        """
        import os, sys
        assert "tensorflow" not in sys.modules
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
        import tensorflow as tf
        from tensorflow.python.util import _pywrap_util_port as port
        print(port.IsMklEnabled(), tf.keras.layers.Dense.__module__.split(".")[0])
        """,
        fresh=True,
    )
    assert done.returncode == 0, done.stderr
    legacy = "keras" if tf.__version__.startswith("2.15.") else "tf_keras"
    assert done.stdout.split()[1] == legacy
    assert "oneDNN" not in done.stderr


@pytest.mark.parametrize(
    "code, api",
    [
        ("import tensorflow as tf\ntf.layers.dense\ntf.train.AdamOptimizer", "v1"),
        ("import tensorflow as tf\ntf.contrib.slim", "v1"),
        ("import tensorflow.contrib.slim as slim", "v1"),
        ("from tensorflow.examples.tutorials.mnist import input_data", "v1"),
        ("from tensorflow import flags", "v1"),
        ("import tensorflow\ntensorflow.get_variable('a')", "v1"),
        ("import tensorflow as tf\ntf.losses.sparse_softmax_cross_entropy", "v1"),
        ("import tensorflow as tf\ntf.function\ntf.data.Dataset.range", "v2"),
        ("import tensorflow as tf\ntf.losses.MeanSquaredError\ntf.optimizers.Adam", "v2"),
        ("import tensorflow.compat.v1 as tf\ntf.layers.dense", "v2"),
        ("import tensorflow as tf\ntf.compat.v1.layers.dense\ntf.estimator.Estimator", "v2"),
        ("import tensorflow as tf\ntf.estimator.inputs.numpy_input_fn\ntf.matmul", "v2"),
        ("import numpy as tf\ntf.layers.dense", "v2"),
        ("import tensorflow as tf\ntf.layers\ntf.optimizers.Adam\ntf.random.Generator", "v2"),
    ],
)
def test_which_tensorflow_a_program_is_taken_for(code, api, tmp_path):
    (tmp_path / "a.py").write_text(code)
    used = uses([tmp_path / "a.py"], tmp_path)
    assert decide(used, WithEstimator(tf), tf.compat.v1)[0] == api


def test_its_modules_count(tmp_path):
    (tmp_path / "a.py").write_text("import tensorflow as tf\nfrom package import part\nimport b")
    (tmp_path / "b.py").write_text("import c, a\nnot Python")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "part.py").write_text("import tensorflow as t\nt.get_variable('a')")
    assert uses([tmp_path / "a.py"], tmp_path) == {"get_variable": 1}


class WithEstimator:
    """TensorFlow as it is after `install`."""

    __path__ = ()

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        from cnn_mnist import estimator

        return estimator if name == "estimator" else getattr(self._module, name)
