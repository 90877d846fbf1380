"""`estimator.install()`: every spelling of the Estimator, and its way back."""

import ast
import sys

import pytest
import tensorflow as tf

from stress import programs

HAS_ESTIMATOR = tf.__version__.startswith("2.15.")

# Each ends with `found`, `Estimator` of the first or second interface.
SPELLINGS = {
    "import tensorflow as tf; found = tf.estimator.Estimator": 2,
    "import tensorflow.estimator; found = tensorflow.estimator.Estimator": 2,
    "import tensorflow.estimator as named; found = named.Estimator": 2,
    "from tensorflow.estimator import Estimator as found": 2,
    "from tensorflow import estimator; found = estimator.Estimator": 2,
    "import tensorflow.compat.v2 as tf; found = tf.estimator.Estimator": 2,
    "from tensorflow.compat.v2 import estimator; found = estimator.Estimator": 2,
    "import tensorflow as tf; found = tf.compat.v2.estimator.Estimator": 2,
    "import tensorflow as tf; found = tf.compat.v1.estimator.Estimator": 1,
    "import tensorflow.compat.v1 as tf; found = tf.estimator.Estimator": 1,
    "from tensorflow.compat.v1 import estimator; found = estimator.Estimator": 1,
    "import tensorflow.compat.v1.estimator as named; found = named.Estimator": 1,
    "import tensorflow as tf; found = tf.compat.v2.compat.v1.estimator.Estimator": 1,
    "from tensorflow.python.estimator import estimator; found = estimator.Estimator": 1,
    "from tensorflow.python.estimator.estimator import Estimator as found": 1,
    "import tensorflow.python.estimator.estimator as named; found = named.Estimator": 1,
    "from tensorflow_estimator.python.estimator.estimator import Estimator as found": 1,
}


def run(code, fresh=False, **environment):
    done = programs.run("-c", code, fresh=fresh, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("spelling, interface", SPELLINGS.items())
def test_every_spelling(spelling, interface):
    run(
        f"""
import cnn_mnist.estimator as door
door.install()
{spelling}
assert found is (door if {interface} == 2 else door.v1).Estimator, found
"""
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "from tensorflow.estimator.export import ServingInputReceiver as found",
        "import tensorflow.compat.v1.estimator.inputs as named; found = named.numpy_input_fn",
        "from tensorflow.python.estimator.canned.dnn import DNNClassifier as found",
        "from tensorflow.python.estimator.canned import head; found = head._regression_head",
        "import tensorflow as tf; found = tf.keras.estimator.model_to_estimator",
    ],
)
def test_what_is_inside(spelling):
    run(f"from cnn_mnist import estimator\nestimator.install()\n{spelling}\nassert callable(found)")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param((), marks=pytest.mark.long),
        pytest.param(("tensorflow",), marks=pytest.mark.long),
        ("tensorflow.compat.v1", "tensorflow"),
    ],
)
def test_any_order_of_imports(names):
    """Before TensorFlow, and after it; in interpreters that have loaded nothing yet."""
    before = "".join(f"import {name}\n" for name in names)
    legacy = "" if HAS_ESTIMATOR else "tf_"
    run(
        before
        + f"""
from cnn_mnist import estimator
estimator.install(contrib=True)
import tensorflow.compat.v1 as tf1
import tensorflow as tf
from tensorflow.keras import layers
assert tf.estimator.Estimator is estimator.Estimator
assert tf1.estimator.Estimator is tf.compat.v1.estimator.Estimator is estimator.v1.Estimator
for found in (layers.Dense, tf.keras.layers.Dense, tf1.keras.layers.Dense):
    assert found.__module__.startswith("{legacy}keras.src"), found.__module__
assert callable(tf1.layers.dense) and callable(tf.contrib.data.map_and_batch)
from tensorflow.contrib import slim
assert slim is tf.contrib.slim
""",
        fresh=True,
    )


def test_uninstall_leaves_tensorflow_as_it_was():
    """Every attribute of every module of TensorFlow, and what can be imported."""
    stdout = run(
        """
import sys
import tensorflow as tf
import tensorflow.compat.v1, tensorflow.compat.v2
from cnn_mnist import estimator
assert estimator.Estimator and estimator.v1.Estimator  # loaded before, so that its imports are
tf.keras.layers.Dense, tf.compat.v1.layers.dense
late = {"keras", "losses", "metrics", "optimizers", "initializers"}  # TensorFlow loads them late
if tf.__version__.startswith("2.15."):
    late.add("estimator")
import cnn_mnist.estimator.contrib

def state():
    modules = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "tensorflow"}
    modules |= {"tf.compat.v1": tf.compat.v1, "tf.compat.v2": tf.compat.v2}
    return {name: (module, dict(vars(module))) for name, module in modules.items()}

before, finders = state(), list(sys.meta_path)
estimator.install(contrib=True)
estimator.install()
from tensorflow.python.estimator.canned import dnn
import tensorflow.estimator.export, tensorflow.contrib.slim
assert hasattr(tf, "estimator") and hasattr(tf.compat.v1, "contrib")
estimator.uninstall()
after = state()
assert sys.meta_path == finders
own = "estimator" in late  # its modules are TensorFlow's own, and stay imported
assert own or after.keys() == before.keys(), after.keys() ^ before.keys()
for name, (module, old) in before.items():
    new = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    old = {key: value for key, value in old.items() if not key.startswith("_")}
    for key in late:
        old.pop(key, None), new.pop(key, None)
    assert new.keys() == old.keys(), (name, new.keys() ^ old.keys())
    changed = [key for key in old if new[key] is not old[key]]
    assert not changed, (name, changed)
try:
    import tensorflow.python.estimator
except ImportError:
    print("gone")
estimator.install()
import tensorflow.python.estimator
print(hasattr(tf, "estimator"), estimator.Estimator.__name__)
""",
        TF_USE_LEGACY_KERAS="1",
    )
    gone = [] if HAS_ESTIMATOR else ["gone"]  # TensorFlow 2.15 has that module
    assert stdout.splitlines() == [*gone, "True EstimatorV2"]


def test_nothing_that_is_there_is_replaced():
    run(
        """
import tensorflow as tf
tf.contrib, mine = object(), "mine"
found = getattr(tf, "estimator", None)
tf.estimator = tf.estimator if found else mine
kept = tf.estimator, tf.contrib
from cnn_mnist import estimator
estimator.install(contrib=True)
assert (tf.estimator, tf.contrib) == kept
estimator.uninstall()
assert (tf.estimator, tf.contrib) == kept
"""
    )


def test_importing_the_door_loads_no_tensorflow():
    code = (
        "import sys\nfrom cnn_mnist import estimator\nestimator.install, estimator.uninstall\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'keras')])"
    )
    assert ast.literal_eval(run(code, fresh=True)) == []
    assert "cnn_mnist.estimator" in sys.modules
