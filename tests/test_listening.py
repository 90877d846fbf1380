"""Where a server may listen: real sockets, and a real server of TensorFlow's.

What a filter keeps out is not answered, so these tests wait `PATIENCE` for what must not come.
"""

import contextlib
import ipaddress
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_mnist import listening
from cnn_mnist.tf_config import Cluster
from cnn_mnist.usage import UsageError
from conftest import ROOT

PATIENCE = 1.0  # seconds; on one machine a connect takes microseconds
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
# Of documentation (RFC 5737, 3849): no machine has them, if it is set up well.
NOBODYS = {4: "198.51.100.77", 6: "2001:db8::77"}

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="filters are Linux's")


def own_address(version):
    """An address of this machine that is not a loopback one; None where it has none."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((NOBODYS[version], 9))  # asks for the route; nothing is sent
        address = probe.getsockname()[0]
        if not ipaddress.ip_address(address).is_loopback:
            return address
    return None


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


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
    warning = listening.unrestricted(2222)
    assert "port 2222 is open on every interface" in warning
    assert warning.splitlines() == [warning]


SERVER = """
import socket, sys
import tensorflow as tf
from cnn_mnist import listening
from cnn_mnist.tf_config import host_and_port

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
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, f"[{host}]" if version == 6 else host],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
    ) as process:
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


# Which addresses are refused before there is a server.


def cluster(own, role="worker", ps=("localhost:9",)):
    """A cluster in which this process has the address `own`."""
    addresses = {"chief": "localhost:1", "worker": "localhost:2", role: own}
    if role == "ps":
        ps = (own, *ps)
    return Cluster(addresses["chief"], (addresses["worker"],), ps, role, 0)


def refusal(own, allow_public=False, **more):
    with pytest.raises(UsageError) as caught:
        listening.check(cluster(own, **more), allow_public)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert message.startswith(f"TF_CONFIG: cluster.{more.get('role', 'worker')}[0]: expected ")
    assert f"found {own}" in message
    return message


@pytest.mark.parametrize("role", ["chief", "worker", "ps"])
def test_an_address_of_this_machine(role):
    for host in ("localhost", "127.0.0.1", "127.0.0.9", own_address(4)):
        if host:
            listening.check(cluster(f"{host}:2222", role), allow_public=False)
    for address in ("::1" if has_ipv6() else None, own_address(6)):
        if address:
            listening.check(cluster(f"[{address}]:2222", role), allow_public=False)


@pytest.mark.parametrize("role", ["chief", "worker", "ps"])
@pytest.mark.parametrize(
    "host",
    [
        *("8.8.8.8", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "172.32.0.1", "100.128.0.1"),
        *("0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "[2002:808:808::1]", "[2001:0:808:808::1]"),
        *("192.0.0.9", "240.0.0.1", "[fec0::1]"),
    ],
)
def test_an_address_that_is_not_private(host, role):
    message = refusal(f"{host}:2222", role=role)
    assert "expected a loopback or private address" in message
    assert "as it asks for no password" in message
    assert "--allow_public_cluster" in message


def test_0_0_0_0_is_told_to_mean_every_interface():
    for host in ("0.0.0.0", "[::]", "[::ffff:0.0.0.0]"):
        assert f"found {host}:1, which means every interface: whoever" in refusal(f"{host}:1")


def test_a_public_address_that_is_allowed():
    for host in ("0.0.0.0", *(["[::]"] if has_ipv6() else [])):
        listening.check(cluster(f"{host}:2222"), allow_public=True)


def test_one_public_address_among_private_ones_is_refused(monkeypatch):
    two = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("8.8.8.8")]
    monkeypatch.setattr(listening, "addresses", lambda host: two)  # no name here has these
    assert "found two:1, which means 8.8.8.8: whoever" in refusal("two:1")
    listening.check(cluster("two:1"), allow_public=True)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.254"),
        *("192.168.0.1", "169.254.1.1", "100.64.0.1", "100.127.255.254", "192.0.2.1"),
        *("198.51.100.1", "203.0.113.1", "::1", "fe80::1", "fd00::1", "fc00::1", "2001:db8::1"),
        "3fff::1",
    ],
)
def test_a_private_address_is_refused_only_where_it_is_another_machines(address):
    host = f"[{address}]" if ":" in address else address
    with contextlib.suppress(UsageError):
        listening.check(cluster(f"{host}:2222"), allow_public=False)
        return
    assert "expected an address of this machine" in refusal(f"{host}:2222")


@pytest.mark.parametrize("allow_public", [False, True])
@pytest.mark.parametrize("host", [NOBODYS[4], f"[{NOBODYS[6]}]"])
def test_the_address_of_another_machine(host, allow_public):
    message = refusal(f"{host}:2222", allow_public)
    assert message == (
        f"TF_CONFIG: cluster.worker[0]: expected an address of this machine, found {host}:2222, "
        f"which means {host.strip('[]')}; mend the host, or task.index if this is another process "
        "of the cluster"
    )


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "n" * 64 + ".invalid"])
def test_a_host_that_cannot_be_resolved(host):
    message = refusal(f"{host}:2222")
    assert re.search(r"expected a host that can be resolved, found \S+ \(.+\); mend", message)


def test_a_loopback_address_in_a_cluster_of_several_machines():
    """As where /etc/hosts gives the machine's own name the address 127.0.1.1."""
    message = refusal("127.0.1.1:2222", ps=("nowhere.invalid:1", "localhost:3", f"{NOBODYS[4]}:4"))
    assert message == (
        f"TF_CONFIG: cluster.worker[0]: expected an address that {NOBODYS[4]}:4 can reach, "
        "found 127.0.1.1:2222, which means 127.0.1.1 here; use the machine's address in its network"
    )
    own = own_address(4)
    if own:
        listening.check(cluster(f"{own}:2222", ps=(f"{NOBODYS[4]}:4",)), allow_public=False)


def test_the_evaluator_listens_nowhere():
    listening.check(Cluster("8.8.8.8:1", (), ("8.8.8.8:2",), "evaluator", 0), allow_public=False)


def test_what_a_host_resolves_to():
    assert ipaddress.ip_address("127.0.0.1") in listening.addresses("localhost")
    assert listening.addresses("10.0.0.7") == [ipaddress.ip_address("10.0.0.7")]
    assert listening.addresses("2001:db8::1") == [ipaddress.ip_address("2001:db8::1")]
    assert listening.addresses("::ffff:10.0.0.7") == [ipaddress.ip_address("10.0.0.7")]
    with pytest.raises(OSError):
        listening.addresses("nowhere.invalid")
