"""TF_CONFIG, the environment variable that tells a process its cluster and its place in it.

{"cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"]},
 "task": {"type": "worker", "index": 1}}

The chief trains, as the workers do, and writes the checkpoints; an evaluator, which need not be in
`cluster`, scores them.
"""

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cnn_mnist.utils.errors import UsageError, in_json, shown
from cnn_mnist.utils.listening import place, why_no_address

VARIABLE = "TF_CONFIG"
JOBS = ("chief", "worker", "evaluator")
CHIEF = "the chief"
RENAMED = "this job is called chief now"  # of "master"
NO_SERVERS = "--strategy=multi_worker needs no parameter servers; remove them, and start none"


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
    def trainers(self) -> dict[str, str]:
        """Those who train, the chief first: name, for people, -> address."""
        workers = {f"worker {index}": address for index, address in enumerate(self.workers)}
        return {CHIEF: self.chief, **workers}

    @property
    def others(self) -> dict[str, str]:
        """The trainers without this process."""
        return {name: where for name, where in self.trainers.items() if where != self.address}

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
        found = in_json(config)
    except (RecursionError, ValueError) as error:
        config, found = None, f"{error!s:.200}"
    if not isinstance(config, dict):
        raise UsageError(
            f"{VARIABLE}={shown(text):.100}: expected a JSON object, found {found}; "
            f"mend it or unset {VARIABLE}"
        )
    jobs = config.get("cluster", {})
    remedy = "mend it or remove it"
    _require(isinstance(jobs, dict), "cluster", "an object", in_json(jobs), remedy)
    if not jobs:
        return None
    rpc_layer = config.get("rpc_layer", "grpc")
    _require(rpc_layer == "grpc", "rpc_layer", '"grpc"', in_json(rpc_layer), "remove it")
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
    if "master" in jobs:
        raise UsageError(f"{VARIABLE}: cluster.master: {RENAMED}; rename it")
    if jobs.get("ps"):
        raise UsageError(f"{VARIABLE}: cluster.ps: {NO_SERVERS}")
    known, some = "only the jobs chief, worker and evaluator", 'such as ["host:2222"]'
    paths: dict[tuple[str, int], str] = {}
    for job, addresses in jobs.items():
        _require(job in (*JOBS, "ps"), "cluster", known, in_json(job), "rename or remove it")
        is_list, found = isinstance(addresses, list), in_json(addresses)
        _require(is_list, f"cluster.{job}", f"a list of addresses, {some}", found, "write a list")
        for index, address in enumerate(addresses):
            path, found = f"cluster.{job}[{index}]", in_json(address)
            _require(isinstance(address, str), path, 'an address "host:port"', found, "mend it")
            wrong = why_no_address(address)
            _require(not wrong, path, wrong, found, "mend the address")
            other = paths.setdefault(place(address), path)
            found, own = f"that of {other}, {address}", "an address of its own"
            remedy = "give each process a host or port of its own"
            _require(other == path, path, own, found, remedy)
    every = {job: jobs.get(job, []) for job in JOBS}
    one, chiefs = "exactly one address", len(every["chief"])
    _require(chiefs > 0, "cluster.chief", one, "none", "name the chief")
    for job, expected in (("chief", one), ("evaluator", "at most one address")):
        count = len(every[job])
        _require(count < 2, f"cluster.{job}", expected, str(count), "keep one of them")
    return every


def _task(task: Any, addresses: dict[str, list[str]]) -> tuple[str, int]:
    """Role and index of this process."""
    is_object, such = isinstance(task, dict), 'an object such as {"type": "worker", "index": 0}'
    found = "nothing" if task is None else in_json(task)
    remedy = "say which process of the cluster this is"
    _require(is_object, "task", such, found, remedy)
    role, index = task.get("type"), task.get("index")
    found = in_json(role) if "type" in task else "nothing"
    remedy = {"master": RENAMED, "ps": NO_SERVERS}.get(str(role), "mend it")
    _require(role in JOBS, "task.type", "chief, worker or evaluator", found, remedy)
    count = 1 if role == "evaluator" else len(addresses[role])  # in `cluster` or not
    remedy = f"mend it, or name the address in cluster.{role}"
    _require(count > 0, "task.type", "a job of the cluster", found, remedy)
    if isinstance(index, str) and re.fullmatch("[0-9]{1,9}", index):  # as some tools write it
        index = int(index)
    found = in_json(index) if "index" in task else "nothing"
    _require(type(index) is int, "task.index", "a whole number", found, "mend it")
    if addresses[role]:
        found += f", but cluster.{role} has {count} address{'es' if count > 1 else ''}"
    expected = f"0 to {count - 1}" if count > 1 else "0"
    _require(0 <= index < count, "task.index", expected, found, "mend it")
    return role, index


def _require(holds: bool, path: str, expected: str, found: str, remedy: str) -> None:
    """Raises UsageError where something does not hold, for the place `path` within the JSON."""
    if not holds:
        raise UsageError(f"{VARIABLE}: {path}: expected {expected}, found {found}; {remedy}")
