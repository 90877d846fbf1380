"""Where a server may listen: real sockets, and a real server of TensorFlow's.

What a filter keeps out is not answered, so these tests wait `PATIENCE` for what must not come.
"""

import contextlib
import ipaddress
import os
import socket
import sys
from pathlib import Path

import pytest
from hosts import NOBODYS, has_ipv6, own_address

from cnn_mnist.utils import listening
from stress import programs

PATIENCE = 0.3  # seconds; on one machine the kernel connects in microseconds, or never
LOOPBACK = {4: "127.0.0.1", 6: "::1"}

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="filters are Linux's")


@pytest.fixture(params=["0.0.0.0", "::"])
def listener(request):
    """A socket that listens on every interface, as TensorFlow's server does."""
    if request.param == "::":
        if not has_ipv6():
            pytest.skip("no IPv6 here")
        with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            yield server
    else:
        with socket.create_server(("0.0.0.0", 0)) as server:
            yield server


def versions(listener):
    """Of IP, in which others can talk to a socket."""
    return (4, 6) if listener.family == socket.AF_INET6 else (4,)


def port_of(listener):
    return listener.getsockname()[1]


def lets_in(listener, address, source=None):
    """Whether somebody can connect to the address, and data flow both ways."""
    source = source and (source, 0)
    try:
        caller = socket.create_connection((address, port_of(listener)), PATIENCE, source)
    except TimeoutError:
        return False
    with caller:
        listener.settimeout(60)
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(60)
            caller.settimeout(60)
            for sender, receiver in ((caller, accepted), (accepted, caller)):
                sender.sendall(b"x" * 9_999)
                sender.shutdown(socket.SHUT_WR)
                with receiver.makefile("rb") as stream:
                    assert stream.read() == b"x" * 9_999
    return True


# Which connections the kernel lets in.


@needs_linux
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost"])
def test_a_loopback_host_lets_in_loopback_alone(listener, host):
    own = [address for address in map(own_address, versions(listener)) if address]
    assert all(lets_in(listener, address) for address in own)
    assert listening.restrict(port_of(listener), host) is True
    for version in versions(listener):
        assert lets_in(listener, LOOPBACK[version])
    assert lets_in(listener, "127.0.0.2")
    assert not any(lets_in(listener, address) for address in own)


@needs_linux
@pytest.mark.parametrize("version", [4, 6])
def test_another_host_lets_in_its_own_address_alone(listener, version):
    """Where the machine has no address of its own, nothing at all is let in."""
    own = {v: own_address(v) for v in versions(listener)}
    host = own.get(version) or NOBODYS[version]
    assert listening.restrict(port_of(listener), host) is True
    for address in own.values():
        if address:
            assert lets_in(listener, address) == (address == host)
    for other in versions(listener):
        assert not lets_in(listener, LOOPBACK[other])


@needs_linux
def test_it_does_not_matter_where_a_connection_comes_from(listener):
    assert listening.restrict(port_of(listener), "127.0.0.1")
    for version in versions(listener):
        loopback, own = LOOPBACK[version], own_address(version)
        if own:
            assert lets_in(listener, loopback, source=own)
            assert not lets_in(listener, own, source=loopback)


@needs_linux
@pytest.mark.parametrize(("host", "goes_on"), [("127.0.0.1", True), (NOBODYS[4], False)])
def test_a_connection_that_was_there_before(listener, host, goes_on):
    with socket.create_connection(("127.0.0.1", port_of(listener)), 60) as caller:
        accepted, _ = listener.accept()
        with accepted:
            assert listening.restrict(port_of(listener), host)
            caller.sendall(b"x")
            accepted.settimeout(60 if goes_on else PATIENCE)
            with contextlib.nullcontext() if goes_on else pytest.raises(TimeoutError):
                assert accepted.recv(1) == b"x"


@needs_linux
def test_a_host_with_several_addresses_lets_in_each(listener, monkeypatch):
    own = [address for address in map(own_address, versions(listener)) if address]
    several = [ipaddress.ip_address(address) for address in (*NOBODYS.values(), *own)]
    monkeypatch.setattr(listening, "addresses", lambda host: several)  # no name here has these
    assert listening.restrict(port_of(listener), "several") is True
    assert all(lets_in(listener, address) for address in own)
    assert not lets_in(listener, "127.0.0.1")


@needs_linux
def test_the_last_of_several_filters_decides(listener):
    assert listening.restrict(port_of(listener), NOBODYS[4])
    assert not lets_in(listener, "127.0.0.1")
    assert listening.restrict(port_of(listener), "127.0.0.1")
    assert lets_in(listener, "127.0.0.1")


@needs_linux
def test_every_socket_of_the_port_is_restricted_and_no_other():
    """Of several sockets that share a port the kernel chooses one for each connection."""
    with contextlib.ExitStack() as stack:
        first, second, other = (
            stack.enter_context(socket.create_server(("0.0.0.0", port), reuse_port=True))
            for port in shared_ports()
        )
        assert port_of(first) == port_of(second) != port_of(other)
        assert listening.restrict(port_of(first), NOBODYS[4])
        for _ in range(4):  # chance would find an open one of two
            with pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port_of(first)), PATIENCE)
        assert lets_in(other, "127.0.0.1")


def shared_ports():
    """One free port, twice, then another."""
    with socket.create_server(("0.0.0.0", 0), reuse_port=True) as free:
        port = port_of(free)
    return port, port, 0


@needs_linux
def test_no_descriptor_stays_open(listener):
    """Of the listener's socket; what else this process has open may come and go meanwhile."""

    def descriptors():
        socket_file = os.fstat(listener.fileno()).st_ino
        return [each.name for each in Path("/proc/self/fd").iterdir() if inode(each) == socket_file]

    for _ in range(9):
        assert listening.restrict(port_of(listener), "127.0.0.1")
    assert descriptors() == [str(listener.fileno())]


def inode(path):
    try:
        return path.stat().st_ino
    except FileNotFoundError:  # closed since it was listed
        return None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "nowhere.invalid", "a..b", ""])
def test_a_host_to_which_nothing_can_be_restricted(listener, host):
    assert listening.restrict(port_of(listener), host) is False
    assert lets_in(listener, "127.0.0.1")


def test_a_port_on_which_nothing_listens(listener):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert listening.restrict(port_of(silent), "127.0.0.1") is False
    assert lets_in(listener, "127.0.0.1")


def test_a_system_that_has_no_filters(listener, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert listening.restrict(port_of(listener), "127.0.0.1") is False


@needs_linux
def test_a_kernel_that_refuses_the_filter(listener, monkeypatch):
    monkeypatch.setattr(listening, "SO_ATTACH_FILTER", 9999)  # no option of any kernel
    assert listening.restrict(port_of(listener), "127.0.0.1") is False


def test_the_warning_names_the_port_in_one_line():
    warning = listening.UNRESTRICTED % 2222
    assert "port 2222 is open on every interface" in warning
    assert warning.splitlines() == [warning]


SERVER = """
import socket, sys
import tensorflow as tf
from cnn_mnist.utils import listening
from cnn_mnist.utils.listening import host_and_port

with socket.create_server(("127.0.0.1", 0)) as free:
    address = f"{sys.argv[1]}:{free.getsockname()[1]}"
host, port = host_and_port(address)
server = tf.distribute.Server({"chief": [address]}, "chief", 0)
print(port, flush=True)
assert sys.stdin.readline() == "restrict\\n"
print(listening.restrict(port, host), flush=True)
with tf.Graph().as_default(), tf.compat.v1.Session(f"grpc://{address}") as session:
    print(session.run(tf.constant(6) * 7), flush=True)
sys.stdin.read()
"""


def connects(address, port):
    try:
        socket.create_connection((address, port), PATIENCE).close()
    except TimeoutError:
        return False
    return True


@needs_linux
@pytest.mark.parametrize("version", [None, 4, 6])
def test_a_server_of_tensorflow(version):
    host = own_address(version) if version else "localhost"
    if not host:
        pytest.skip(f"no address of IPv{version} here but the loopback one")
    others = {address for address in map(own_address, (4, 6)) if address} - {host}
    name = f"[{host}]" if version == 6 else host
    with programs.start("-c", SERVER, name, stdin=True) as process:
        port = int(process.stdout.readline())
        assert all(connects(address, port) for address in {host, *others})  # whatever its address
        process.stdin.write("restrict\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True\n"
        assert process.stdout.readline() == "42\n"
        assert connects(host, port)
        assert connects("127.0.0.1", port) == (version is None)
        assert not any(connects(address, port) for address in others)
        process.stdin.close()
        assert process.wait() == 0
