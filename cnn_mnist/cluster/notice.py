"""What the chief tells the other processes of a cluster, by way of the parameter servers.

`TRAINED`, on the first parameter server: what is trained, once everything is ready for workers.
`DONE`, on each parameter server: that the training is over.
"""

from collections.abc import Sequence
from typing import Any

from cnn_mnist.utils.lazy import tf

TRAINED, DONE = "trained", "done"
WELL = "done"  # on `DONE`; anything else tells of a failure


def board(name: str, server: int) -> Any:
    """A text on a parameter server, as a variable of the default graph, in no checkpoint."""
    options = {"initializer": tf.constant_initializer(""), "trainable": False, "collections": []}
    with tf.device(f"/job:ps/task:{server}"):
        return tf.compat.v1.get_variable(f"{name}_{server}", [], tf.string, **options)


class Reader:
    """Reads the text `name` on a parameter server.

    Args:
      target: of the reader's own server, `grpc://host:port`.
      job: its own name in the cluster, `/job:worker/task:0`.
    """

    def __init__(self, target: str, job: str, name: str, server: int) -> None:
        device = f"/job:ps/task:{server}"
        with tf.Graph().as_default():
            text = board(name, server)
            with tf.device(device):
                self._is_there, self._text = text.is_initialized(), text.read_value()
            # Without filters, the session would wait for every process of the cluster.
            config = tf.compat.v1.ConfigProto(device_filters=[device, job])
            self._session = tf.compat.v1.Session(target, config=config)

    def read(self) -> str | None:
        """What is written there; None if nothing is."""
        is_there = self._session.run(self._is_there)
        return self._session.run(self._text).decode() if is_there else None


def write(target: str, job: str, name: str, servers: Sequence[int], text: str) -> None:
    """Writes a text onto each of the parameter servers; `target` and `job` as of a `Reader`."""
    filters = [f"/job:ps/task:{server}" for server in servers]  # others may be gone
    with tf.Graph().as_default():
        assigned = [board(name, server).assign(text, read_value=False) for server in servers]
        config = tf.compat.v1.ConfigProto(device_filters=[*filters, job])
        with tf.compat.v1.Session(target, config=config) as session:
            session.run(assigned)
