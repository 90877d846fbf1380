"""Addresses of this machine and of none."""

import contextlib
import ipaddress
import socket

# Of documentation (RFC 5737, 3849): no machine has them, if it is set up well.
NOBODYS = {4: "198.51.100.77", 6: "2001:db8::77"}


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
