"""The network itself, as an export is compared with it."""

import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.checkpoints import restore
from cnn_mnist.data.dataset import Split
from cnn_mnist.data.form import Form
from cnn_mnist.engines.engine import in_chunks
from cnn_mnist.exports import proof
from cnn_mnist.models import graphs
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils import sessions


def yardstick(
    recipe: Recipe, model_dir: str, form: Form, test: Split, *, labelled: bool = True
) -> proof.Yardstick:
    """What the newest checkpoint makes of test images: the answers of a `Predictor`.

    It is the same graph, in a session of the same settings; the size is that of the variables.
    `labelled` tells whether the labels are of what the network was trained on.
    """
    checkpoint = restore.newest(recipe, model_dir, form)
    with tf.Graph().as_default(), tf.compat.v1.Session(config=sessions.config()) as session:
        graph = graphs.build(recipe, estimator.ModeKeys.PREDICT, form)
        restore.read_into(session, checkpoint, recipe)
        asked = [graph.spec.predictions[name] for name in ("classes", "probabilities")]
        run = session.make_callable(asked, [graph.images])
        size = sum(v.shape.num_elements() * v.dtype.size for v in tf.compat.v1.global_variables())
        runtime = f"TensorFlow {tf.__version__}, {recipe.precision}"
        labels = test.labels if labelled else None
        return proof.yardstick(
            lambda images: in_chunks(run, images, form), test.images, labels, runtime, size
        )
