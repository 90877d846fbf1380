"""TF_CONFIG, the environment variable that tells a process its cluster and its place in it.

{"cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"]},
 "task": {"type": "worker", "index": 1}}

The chief trains, as the workers do, and writes the checkpoints; an evaluator, which need not be in
`cluster`, scores them.
"""

import contextlib
import dataclasses
import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cnn_mnist.utils.errors import UsageError, shown
from cnn_mnist.utils.listening import host_and_port

VARIABLE = "TF_CONFIG"
JOBS = ("chief", "worker", "evaluator")
RENAMED = "this job is called chief now"  # of "master"
NO_SERVERS = "--strategy=multi_worker needs no parameter servers; remove them, and start none"
LONGEST_SHOWN = 60  # characters of a value that is quoted in a message


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes that train together, and which of them this one is.

    Attributes:
      chief, workers: the addresses, "host:port".
      role: of this process: "chief", "worker" or "evaluator".
      index: of this process, among those of its role.
      has_evaluator: whether `cluster` names one.
    """

    chief: str
    workers: tuple[str, ...]
    role: str
    index: int
    has_evaluator: bool = False

    @property
    def spec(self) -> dict[str, list[str]]:
        """The addresses of each job that has any, for `tf.train.ClusterSpec`."""
        jobs = {"chief": [self.chief], "worker": list(self.workers)}
        return {job: addresses for job, addresses in jobs.items() if addresses}

    @property
    def trainers(self) -> tuple[str, ...]:
        """The addresses of those who train: the chief's, then the workers'."""
        return (self.chief, *self.workers)

    @property
    def address(self) -> str:
        """Of this process; "" for the evaluator, to which nobody talks."""
        return "" if self.role == "evaluator" else self.spec[self.role][self.index]

    @property
    def name(self) -> str:
        """Of this process, for people: "chief", "worker 1" or "evaluator"."""
        return f"{self.role} {self.index}" if self.role == "worker" else self.role

    @property
    def device(self) -> str:
        """Of this process, for TensorFlow: "/job:worker/task:1"."""
        return f"/job:{self.role}/task:{self.index}"


def read(environment: Mapping[str, str]) -> Cluster | None:
    """Reads TF_CONFIG out of an environment, and checks it.

    Returns:
      None where this process trains or evaluates by itself: there is no TF_CONFIG, or it names no
      cluster, or this process is a chief without workers.

    Raises:
      UsageError: the message, of one line, names the place within the JSON.
    """
    text = environment.get(VARIABLE, "{}")
    try:
        config = json.loads(text)
        found = _found(config)
    except (RecursionError, ValueError) as error:
        config, found = None, f"{error!s:.200}"
    if not isinstance(config, dict):
        raise UsageError(
            f"{VARIABLE}={shown(text):.100}: expected a JSON object, found {found}; "
            f"mend it or unset {VARIABLE}"
        )
    jobs = config.get("cluster", {})
    if not isinstance(jobs, dict):
        raise _error("cluster", "an object", _found(jobs), "mend it or remove it")
    if not jobs:
        return None
    rpc_layer = config.get("rpc_layer", "grpc")
    if rpc_layer != "grpc":
        raise _error("rpc_layer", '"grpc"', _found(rpc_layer), "remove it")
    addresses = _addresses(jobs)
    role, index = _task(config.get("task"), addresses)
    chief, workers, evaluator = (tuple(addresses[job]) for job in JOBS)
    if role == "chief" and not workers:
        return None
    return Cluster(chief[0], workers, role, index, has_evaluator=bool(evaluator))


@contextlib.contextmanager
def taken() -> Iterator[Cluster | None]:
    """What TF_CONFIG says, as of `read`; while this is entered, it is not in the environment.

    There every Estimator would read it, also that of one process that scores by itself.
    """
    before = os.environ.get(VARIABLE)
    cluster = read(os.environ)
    os.environ.pop(VARIABLE, None)
    try:
        yield cluster
    finally:
        if before is not None:
            os.environ[VARIABLE] = before


def _addresses(jobs: dict[str, Any]) -> dict[str, list[str]]:
    """The addresses of every job; of one that `cluster` does not have, none."""
    for job in jobs:
        if job == "master":
            raise UsageError(f"{VARIABLE}: cluster.master: {RENAMED}; rename it")
        if job == "ps" and jobs[job]:
            raise UsageError(f"{VARIABLE}: cluster.ps: {NO_SERVERS}")
        if job not in (*JOBS, "ps"):
            expected = "only the jobs chief, worker and evaluator"
            raise _error("cluster", expected, _found(job), "rename or remove it")
    paths: dict[tuple[str, int], str] = {}
    for job, addresses in jobs.items():
        if not isinstance(addresses, list):
            expected = 'a list of addresses, such as ["host:2222"]'
            raise _error(f"cluster.{job}", expected, _found(addresses), "write a list")
        for index, address in enumerate(addresses):
            path = f"cluster.{job}[{index}]"
            other = paths.setdefault(_place(path, address), path)
            if other != path:
                found, remedy = f"that of {other}, {address}", "a host or port of its own"
                raise _error(path, "an address of its own", found, f"give each process {remedy}")
    every = {job: jobs.get(job, []) for job in JOBS}
    if not every["chief"]:
        raise _error("cluster.chief", "exactly one address", "none", "name the chief")
    for job, expected in (("chief", "exactly one address"), ("evaluator", "at most one address")):
        if len(every[job]) > 1:
            raise _error(f"cluster.{job}", expected, len(every[job]), "keep one of them")
    return every


def _place(path: str, address: Any) -> tuple[str, int]:
    """Host and port of an address; every loopback address is one, as a server listens on all."""
    if not isinstance(address, str):
        raise _error(path, 'an address "host:port"', _found(address), "mend it")
    try:
        host, port = host_and_port(address)
    except ValueError as error:
        raise _error(path, str(error), _found(address), "mend the address") from None
    host = host.lower()
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host, port
    return ("localhost" if number.is_loopback else str(number)), port


def _task(task: Any, addresses: dict[str, list[str]]) -> tuple[str, int]:
    """Role and index of this process."""
    if not isinstance(task, dict):
        expected = 'an object such as {"type": "worker", "index": 0}'
        found = "nothing" if task is None else _found(task)
        raise _error("task", expected, found, "say which process of the cluster this is")
    role = task.get("type")
    if role not in JOBS:
        found = _found(role) if "type" in task else "nothing"
        remedy = {"master": RENAMED, "ps": NO_SERVERS}.get(str(role), "mend it")
        raise _error("task.type", "chief, worker or evaluator", found, remedy)
    count = 1 if role == "evaluator" else len(addresses[role])  # in `cluster` or not
    if not count:
        remedy = f"mend it, or name the address in cluster.{role}"
        raise _error("task.type", "a job of the cluster", _found(role), remedy)
    index = task.get("index")
    if isinstance(index, str) and re.fullmatch("[0-9]{1,9}", index):  # as some tools write it
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool):
        found = _found(index) if "index" in task else "nothing"
        raise _error("task.index", "a whole number", found, "mend it")
    if not 0 <= index < count:
        found = _found(index)
        if addresses[role]:
            found += f", but cluster.{role} has {count} address{'es' if count > 1 else ''}"
        expected = f"0 to {count - 1}" if count > 1 else "0"
        raise _error("task.index", expected, found, "mend it")
    return role, index


def _found(value: Any) -> str:
    """A value of JSON, for a message: short, and in characters that can be printed."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def _error(path: str, expected: str, found: object, remedy: str) -> UsageError:
    return UsageError(f"{VARIABLE}: {path}: expected {expected}, found {found}; {remedy}")
