import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import tensorflow as tf

from cnn_mnist import tensorboard
from cnn_mnist.utils.errors import RunError, UsageError
from conftest import ROOT, listening


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """What TensorBoard reads of a training: a curve, and the graph several times."""
    folder = tmp_path_factory.mktemp("model_dir")
    with tf.Graph().as_default() as graph:
        tf.compat.v1.get_variable("a_variable", [])
        writer = tf.compat.v1.summary.FileWriter(str(folder), graph)
        writer.add_graph(graph)
        writer.add_meta_graph(tf.compat.v1.train.export_meta_graph())
    value = tf.compat.v1.Summary.Value(tag="loss", simple_value=0.5)
    writer.add_summary(tf.compat.v1.Summary(value=[value]), 7)
    writer.close()
    return folder


def free_port():
    with socket.create_server(("localhost", 0)) as server:
        return server.getsockname()[1]


def answered(url):
    """What there is at an address, as soon as it is more than an empty list."""
    while True:
        with urllib.request.urlopen(url) as response:
            content = response.read()
        if content not in (b"[]", b"{}"):
            return content
        time.sleep(0.1)


def test_prints_one_line_serves_the_curves_and_ends_with_ctrl_c(model_dir):
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "cnn_mnist.tensorboard", f"--logdir={model_dir}", f"--port={port}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = f"http://localhost:{port}"
        assert server.stdout.readline() == f"TensorBoard is at {address}/ (Ctrl-C ends it)\n"
        assert b"<title>TensorBoard</title>" in answered(address)
        assert json.loads(answered(f"{address}/data/runs")) == ["."]
        tags = json.loads(answered(f"{address}/data/plugin/scalars/tags"))
        assert list(tags["."]) == ["loss"]
        curve = json.loads(answered(f"{address}/data/plugin/scalars/scalars?run=.&tag=loss"))
        assert [(step, value) for _, step, value in curve] == [(7, 0.5)]
        assert b"a_variable" in answered(f"{address}/data/plugin/graphs/graph?run=.")
        server.send_signal(signal.SIGINT)
        assert server.communicate() == ("", "")
        assert server.returncode == 0
    finally:
        server.kill()


def test_a_port_in_use_is_told_in_one_line(model_dir):
    with listening() as address:
        port = address.rpartition(":")[2]
        with pytest.raises(RunError, match=f"port {port}.* in use; --port=PORT names") as raised:
            tensorboard.main(["tensorboard", f"--logdir={model_dir}", f"--port={port}"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "what"), [("missing", "there is no such folder"), ("empty", "no curves in it")]
)
def test_a_folder_without_curves_is_refused(name, what, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "recipe.json").touch()
    with pytest.raises(UsageError, match=f"--logdir=.*{name}: {what}; train first") as raised:
        tensorboard.main(["tensorboard", f"--logdir={tmp_path / name}"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_a_port_that_is_none_is_refused(port, model_dir):
    with pytest.raises(UsageError, match="--port: expected 0 to 65535"):
        tensorboard.main(["tensorboard", f"--logdir={model_dir}", f"--port={port}"])
