"""Texts that processes of a cluster leave for each other, on the chief's server.

The chief writes `TRAINED`, what is trained, when it is ready for the workers, and `DONE` when the
training is over. Each worker writes a text of its own name when it has taken its last step. They
are gone with the chief's process.
"""

import contextlib
from typing import Any

from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.utils.lazy import tf

TRAINED, DONE = "trained", "done"
WELL = "done"  # on `DONE`; anything else tells why the training ended earlier
CHIEF = "/job:chief/task:0"
PATIENCE = 5.0  # seconds, until a look at the board is given up

# Never closed, which would wait without end for a chief that does not answer.
_SESSIONS: list[Any] = []


class Board:
    """Reads and writes texts; each has a name.

    Args:
      target: of the process's own server, `grpc://host:port`.
      cluster: whose processes they are.
    """

    def __init__(self, target: str, cluster: Cluster) -> None:
        workers = [f"worker {index}" for index in range(len(cluster.workers))]
        with tf.Graph().as_default():
            self._text = tf.compat.v1.placeholder(tf.string, [])
            self._is_there, self._read, self._write = {}, {}, {}
            for name in (TRAINED, DONE, *workers):
                variable = _variable(name)
                with tf.device(CHIEF):
                    self._is_there[name] = variable.is_initialized()
                    self._read[name] = variable.read_value()
                self._write[name] = variable.assign(self._text, read_value=False)
            config = tf.compat.v1.ConfigProto(
                # Without filters, the session would wait for every process of the cluster; without
                # a time limit, for a chief that has just gone.
                device_filters=[CHIEF, cluster.device],
                operation_timeout_in_ms=int(1000 * PATIENCE),
            )
            self._session = tf.compat.v1.Session(target, config=config)
            _SESSIONS.append(self._session)

    def read(self, name: str) -> str | None:
        """The text of a name; None if there is none yet, or the chief does not answer."""
        try:
            is_there = self._session.run(self._is_there[name])
            return self._session.run(self._read[name]).decode() if is_there else None
        except tf.errors.DeadlineExceededError:
            return None

    def write(self, name: str, text: str) -> None:
        """Leaves a text, as soon as the chief answers."""
        is_left = False
        while not is_left:
            with contextlib.suppress(tf.errors.DeadlineExceededError):
                self._session.run(self._write[name], {self._text: text})
                is_left = True


def _variable(name: str) -> Any:
    """A variable of the default graph that is in no checkpoint."""
    options = {"initializer": tf.constant_initializer(""), "trainable": False, "collections": []}
    with tf.device(CHIEF), tf.name_scope("board"):
        return tf.compat.v1.get_variable(name.replace(" ", "_"), [], tf.string, **options)
