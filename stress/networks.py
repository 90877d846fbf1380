"""A network of its own for a job: a Linux network namespace for each process, joined by a bridge.

A process joins its namespace by itself: `python -m stress.networks NAMESPACE FLAGS...` is
`python -m cnn_mnist.main FLAGS...` in there.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

CLONE_NEWNET = 0x40000000  # linux/sched.h
PLACE = Path("/var/run/netns")  # where `ip netns` keeps them: ip-netns(8)
PORT = 2222


class Network:
    """Namespaces of some processes; each has the address that `addresses` tells."""

    def __init__(self, names: Sequence[str]) -> None:
        """Sets the names; nothing is made."""
        self._hub = f"hub-{os.getpid()}"
        self._spaces = {name: f"{name}-{os.getpid()}" for name in names}
        self.addresses = {name: f"10.77.0.{i}:{PORT}" for i, name in enumerate(names, 1)}

    def space(self, name: str) -> str:
        """The namespace of a process."""
        return self._spaces[name]

    def link(self, name: str, state: str) -> None:
        """Sets a process's connection to all others to "up" or "down"."""
        _ip("-n", self._hub, "link", "set", self._end(name), state)

    def limit(self, name: str, rate: str) -> None:
        """Limits what a process can send, as tc-tbf(8) writes a rate: `1gbit`."""
        of_it = ("ip", "netns", "exec", self._spaces[name])
        what = ("rate", rate, "burst", "1mb", "latency", "50ms")
        _run(*of_it, "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", *what)

    def make(self) -> None:
        """Makes all."""
        for space in (self._hub, *self._spaces.values()):
            _ip("netns", "add", space)
        _ip("-n", self._hub, "link", "add", "hub", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "hub", "up")
        for name, space in self._spaces.items():
            end, host = self._end(name), self.addresses[name].partition(":")[0]
            pair = ("type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", self._hub, "link", "add", end, *pair)
            _ip("-n", self._hub, "link", "set", end, "master", "hub", "up")
            _ip("-n", space, "addr", "add", f"{host}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", space, "link", "set", device, "up")

    def remove(self) -> None:
        """Removes what there is of it."""
        for space in (*self._spaces.values(), self._hub):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", space)

    def _end(self, name: str) -> str:
        return f"to-{name}"[:15]  # IFNAMSIZ


@contextlib.contextmanager
def made(names: Sequence[str]) -> Iterator[Network]:
    """While entered, there is a network of these processes."""
    network = Network(names)
    try:
        network.make()
        yield network
    finally:
        network.remove()


def why_not() -> str:
    """Why this machine cannot have such networks; "" if it can."""
    try:
        with made(["one", "two"]):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return f"no network namespaces here: {said.strip()}"


def enter(space: str) -> None:
    """Moves this process, which has one thread, into a namespace."""
    with (PLACE / space).open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), space)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    enter(sys.argv.pop(1))
    from cnn_mnist import main

    main.run()
