"""Which addresses are refused before there is a server."""

import contextlib
import ipaddress
import re

import pytest
from hosts import NOBODYS, has_ipv6, own_address

from cnn_mnist.utils import listening
from cnn_mnist.utils.errors import UsageError

PLACE = "TF_CONFIG: cluster.worker[0]"


def check(own, allow_public=False, others=("localhost:1", "localhost:9")):
    listening.check(own, PLACE, (*others, own), allow_public)


def refusal(own, allow_public=False, **more):
    with pytest.raises(UsageError) as caught:
        check(own, allow_public, **more)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert message.startswith(f"{PLACE}: expected ")
    assert f"found {own}" in message
    return message


def test_an_address_of_this_machine():
    for host in ("localhost", "127.0.0.1", "127.0.0.9", own_address(4)):
        if host:
            check(f"{host}:2222", False)
    for address in ("::1" if has_ipv6() else None, own_address(6)):
        if address:
            check(f"[{address}]:2222", False)


@pytest.mark.parametrize(
    "host",
    [
        *("8.8.8.8", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "172.32.0.1", "100.128.0.1"),
        *("0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "[2002:808:808::1]", "[2001:0:808:808::1]"),
        *("192.0.0.9", "240.0.0.1", "[fec0::1]"),
    ],
)
def test_an_address_that_is_not_private(host):
    message = refusal(f"{host}:2222")
    assert "expected a loopback or private address" in message
    assert "as it asks for no password" in message
    assert "--allow_public_cluster" in message


def test_0_0_0_0_is_told_to_mean_every_interface():
    for host in ("0.0.0.0", "[::]", "[::ffff:0.0.0.0]"):
        assert f"found {host}:1, which means every interface: whoever" in refusal(f"{host}:1")


def test_a_public_address_that_is_allowed():
    for host in ("0.0.0.0", *(["[::]"] if has_ipv6() else [])):
        check(f"{host}:2222", True)


def test_one_public_address_among_private_ones_is_refused(monkeypatch):
    two = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("8.8.8.8")]
    monkeypatch.setattr(listening, "addresses", lambda host: two)  # no name here has these
    assert "found two:1, which means 8.8.8.8: whoever" in refusal("two:1")
    check("two:1", True)


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
        check(f"{host}:2222", False)
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
    message = refusal(
        "127.0.1.1:2222", others=("nowhere.invalid:1", "localhost:3", f"{NOBODYS[4]}:4")
    )
    assert message == (
        f"TF_CONFIG: cluster.worker[0]: expected an address that {NOBODYS[4]}:4 can reach, "
        "found 127.0.1.1:2222, which means 127.0.1.1 here; use the machine's address in its network"
    )
    own = own_address(4)
    if own:
        check(f"{own}:2222", others=(f"{NOBODYS[4]}:4",))


def test_what_a_host_resolves_to():
    assert ipaddress.ip_address("127.0.0.1") in listening.addresses("localhost")
    assert listening.addresses("10.0.0.7") == [ipaddress.ip_address("10.0.0.7")]
    assert listening.addresses("2001:db8::1") == [ipaddress.ip_address("2001:db8::1")]
    assert listening.addresses("::ffff:10.0.0.7") == [ipaddress.ip_address("10.0.0.7")]
    with pytest.raises(OSError):
        listening.addresses("nowhere.invalid")
