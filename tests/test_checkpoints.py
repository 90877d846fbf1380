import pytest
import tensorflow as tf

from cnn_mnist import checkpoints
from cnn_mnist.recipes import Recipe


def save(folder, shape, step=7):
    """Saves a checkpoint with one variable of the classic network, of this shape."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        global_step = tf.compat.v1.train.get_or_create_global_step()
        tf.compat.v1.get_variable("conv2d/kernel", shape)
        session.run(tf.compat.v1.global_variables_initializer())
        global_step.load(step, session)
        tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt"), global_step=step)


def test_without_a_checkpoint_no_step_is_reached(tmp_path):
    assert checkpoints.resume(Recipe(), str(tmp_path)) == 0
    with pytest.raises(checkpoints.CheckpointError, match=rf"^--model_dir={tmp_path}: holds no "):
        checkpoints.newest(Recipe(), str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([3, 3, 1, 8], r"conv2d/kernel is of the shape \[3, 3, 1, 8\], expected \[5, 5, 1, 32\]"),
        ([5, 5, 1, 32], r"conv2d/bias is missing, expected \[32\]"),
    ],
)
def test_a_checkpoint_of_another_network_is_told_with_its_variable(tmp_path, shape, message):
    save(tmp_path, shape)
    for read in (checkpoints.newest, checkpoints.resume):
        with pytest.raises(checkpoints.CheckpointError, match="another network: .*" + message):
            read(Recipe(), str(tmp_path))


def test_variable_shapes_leave_the_optimizers_out():
    assert checkpoints.variable_shapes(Recipe(network="tfjs", optimizer="adam")) == {
        "global_step": [],
        "conv2d/kernel": [5, 5, 1, 8],
        "conv2d/bias": [8],
        "conv2d_1/kernel": [5, 5, 8, 16],
        "conv2d_1/bias": [16],
        "dense/kernel": [256, 10],
        "dense/bias": [10],
    }
