"""The notice that the chief leaves on its own server for the workers.

It tells what is trained, when the chief is ready for them; later also why the training ended. It is
gone with the chief's process.
"""

import contextlib
import json
from typing import Any

from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.utils.lazy import tf

TRAINED, DONE = "trained", "done"  # keys of the notice
WELL = "well"  # of `DONE`; anything else tells why the training ended earlier
CHIEF = "/job:chief/task:0"
PATIENCE = 5.0  # seconds, until a look at the board is given up

# Never closed, which would wait without end for a chief that does not answer.
_SESSIONS: list[Any] = []


class Board:
    """Reads and writes the notice, an object of JSON.

    Args:
      target: of the process's own server, `grpc://host:port`.
      cluster: whose processes they are.
    """

    def __init__(self, target: str, cluster: Cluster) -> None:
        with tf.Graph().as_default(), tf.device(CHIEF):
            text = tf.raw_ops.VarHandleOp(dtype=tf.string, shape=[], shared_name="board")
            self._text = tf.compat.v1.placeholder(tf.string, [])
            self._write = tf.raw_ops.AssignVariableOp(resource=text, value=self._text)
            self._is_there = tf.raw_ops.VarIsInitializedOp(resource=text)
            self._read = tf.raw_ops.ReadVariableOp(resource=text, dtype=tf.string)
            config = tf.compat.v1.ConfigProto(
                # Without filters, the session would wait for every process of the cluster; without
                # a time limit, for a chief that has just gone.
                device_filters=[CHIEF, cluster.device],
                operation_timeout_in_ms=int(1000 * PATIENCE),
            )
            self._session = tf.compat.v1.Session(target, config=config)
            _SESSIONS.append(self._session)

    def read(self) -> dict[str, Any]:
        """The notice; empty if there is none yet, or the chief does not answer."""
        with contextlib.suppress(tf.errors.DeadlineExceededError):
            if self._session.run(self._is_there):
                return json.loads(self._session.run(self._read))
        return {}

    def write(self, **notice: Any) -> None:
        """Leaves the notice in the place of the one before, as soon as the chief answers."""
        while True:
            with contextlib.suppress(tf.errors.DeadlineExceededError):
                self._session.run(self._write, {self._text: json.dumps(notice)})
                return
