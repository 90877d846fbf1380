"""Which addresses TensorFlow's server may listen on: `check` before it starts, `restrict` after.

The server has no authentication, and runs whatever graph it is sent. Of its own address it uses the
port alone: it listens on every interface of the machine (measured with TensorFlow 2.15 and 2.21).
So the address that it is given is checked before it starts, and once it listens, the kernel is told
to let in only connections to that address. A network policy of a Kubernetes cluster serves as well;
a cluster that a person starts on a laptop has none.
"""

import contextlib
import ctypes
import ipaddress
import itertools
import logging
import os
import re
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cnn_mnist.utils.errors import UsageError
from cnn_mnist.utils.lazy import tf

log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A host name has at most 253 characters (RFC 1035); the text of an IPv6 address, in brackets, may
# end in "%" and an interface.
ADDRESS = re.compile(r"(\[[A-Za-z0-9:.%_-]{1,99}\]|[A-Za-z0-9._-]{0,253}):([0-9]{1,9})")

LOOPBACK = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128")))
# Addresses to which the internet has no route. A list of our own, as what Python calls private
# differs from release to release, and takes in 0.0.0.0, Teredo's 2001::/32 and 6to4's 2002::/16.
_PRIVATE = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
    "100.64.0.0/10",  # RFC 6598: of carriers; VPNs use it, too
    *("169.254.0.0/16", "fe80::/10"),  # link-local
    "fc00::/7",  # RFC 4193: unique local
    # Of documentation: RFC 5737, 3849 and 9637.
    *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
)
PRIVATE = (*LOOPBACK, *map(ipaddress.ip_network, _PRIVATE))

_SERVERS: list[Any] = []  # they serve as long as they are not collected: until the process ends
# A warning, of one line, for where `restrict` returns False.
UNRESTRICTED = (
    "port %d is open on every interface of this machine, and TensorFlow's server asks for "
    "no password: see that a firewall lets in the cluster's machines alone"
)

SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it

# linux/filter.h and linux/bpf_common.h: a program of classic BPF, which the kernel runs for every
# packet of a socket. It has one register; k is the constant of an instruction.
LOAD = 0x00 | 0x10 | 0x20  # BPF_LD | BPF_B | BPF_ABS: the byte at offset k
AND = 0x04 | 0x50 | 0x00  # BPF_ALU | BPF_AND | BPF_K
JUMP_IF_EQUAL = 0x05 | 0x10 | 0x00  # BPF_JMP | BPF_JEQ | BPF_K
RETURN = 0x06 | 0x00  # BPF_RET | BPF_K: k bytes of the packet are let in
INSTRUCTION = struct.Struct("HBBI")  # struct sock_filter: code, jump if so, jump otherwise, k
HEADER = 2**32 - 0x100000  # SKF_NET_OFF, as an unsigned k: offsets from the IP header
ALL, NONE = 2**32 - 1, 0
# Where the destination address stands in the header: RFC 791 and RFC 8200.
DESTINATION = {4: 16, 6: 24}


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of an address; the host of an IPv6 address without its brackets.

    Raises:
      ValueError: the message is what was expected.
    """
    parts = ADDRESS.fullmatch(address)
    if not parts:
        raise ValueError('an address such as "host:2222" or "[2001:db8::1]:2222"')
    host, port = parts[1], int(parts[2])
    if not host:
        raise ValueError('a host before the colon, as in "host:2222"')
    if not 1 <= port <= 65535:
        raise ValueError("a port of 1 to 65535")
    if host.startswith("["):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError("an IPv6 address in the brackets") from None
    return host, port


def why_no_address(address: str) -> str:
    """What `host_and_port` expects in the place of a text; "" for an address."""
    try:
        host_and_port(address)
    except ValueError as error:
        return str(error)
    return ""


def place(address: str) -> tuple[str, int]:
    """Host and port, alike for addresses that a server would take for one.

    So are all loopback addresses, as a server listens on every interface.
    """
    host, port = host_and_port(address)
    host = host.lower()
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host, port
    return ("localhost" if number.is_loopback else str(number)), port


def free_addresses(count: int) -> list[str]:
    """Addresses of the loopback, "host:port", at which nothing listens."""
    with contextlib.ExitStack() as stack:
        each = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return ["{}:{}".format(*server.getsockname()) for server in each]


def addresses(host: str) -> list[Address]:
    """What a host resolves to; `host` is a name or a number, of IPv6 without brackets.

    Raises:
      OSError: it cannot be resolved.
    """
    try:
        known = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # an empty part of a name, or a long one
        raise OSError(f"{error!s:.100}") from None
    found = [ipaddress.ip_address(where[0]) for *_, where in known]
    # ::ffff:10.0.0.7 is 10.0.0.7
    return list(dict.fromkeys(getattr(each, "ipv4_mapped", None) or each for each in found))


def check(where: str, place: str, others: Iterable[str], allow_public: bool) -> None:
    """Checks that this process may listen at the address `where`, "host:port", before it does.

    Args:
      where: the address.
      place: of the address in what the user wrote, with which messages start.
      others: the addresses of the processes that are to reach it.
      allow_public: also one that the internet has a route to, or 0.0.0.0.

    Raises:
      UsageError: it may not.
    """
    start, found = f"{place}: expected", f"found {where}"
    try:
        own = addresses(host_and_port(where)[0])
    except OSError as error:
        raise UsageError(
            f"{start} a host that can be resolved, {found} ({error.strerror or error}); "
            "mend the host"
        ) from None
    for address in own:
        if not allow_public and not any(address in network for network in PRIVATE):
            means = "every interface" if address.is_unspecified else str(address)
            raise UsageError(
                f"{start} a loopback or private address, {found}, which means {means}: whoever "
                "reaches TensorFlow's server can run programs here, as it asks for no password; "
                "use a private address, or --allow_public_cluster where a firewall is in the way"
            )
    means = ", ".join(map(str, own[:4])) + ", ..." * (len(own) > 4)
    if not any(map(_is_of_this_machine, own)):
        raise UsageError(
            f"{start} an address of this machine, {found}, which means {means}; "
            "mend the host, or task.index if this is another process of the cluster"
        )
    if all(address.is_loopback for address in own) and (other := _elsewhere(others)):
        raise UsageError(
            f"{start} an address that {other} can reach, {found}, which means "
            f"{means} here; use the machine's address in its network"
        )


def restrict(port: int, host: str) -> bool:
    """Lets the kernel drop connections to this process's server that are not to its own host.

    A loopback host lets in connections to every loopback address, 127.0.0.0/8 and ::1. Any other
    host lets in those to its own addresses, and not to the loopback ones; whoever names it on the
    same machine gets to them as well. What is dropped is not answered: the caller's connect times
    out. Connections that were accepted before go on only if they, too, are to the host.

    Returns:
      Whether it is so now. False where the port is open to every interface as before: the system is
      not Linux or forbids it, nothing listens on the port, the host cannot be resolved, or is
      0.0.0.0 or ::, which stand for every interface.
    """
    if sys.platform != "linux":
        return False
    try:
        own = addresses(host)
        if any(address.is_unspecified for address in own):
            return False
        networks = [ipaddress.ip_network(address.packed) for address in own]
        if any(address.is_loopback for address in own):
            networks.extend(LOOPBACK)
        program = b"".join(map(_let_in, networks)) + INSTRUCTION.pack(RETURN, 0, 0, NONE)
        instructions = ctypes.create_string_buffer(program, len(program))
        count = len(program) // INSTRUCTION.size
        sock_fprog = struct.pack("HP", count, ctypes.addressof(instructions))  # linux/filter.h
        restricted = False
        for server in _sockets(port):
            with server:
                server.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog)
            restricted = True
    except OSError:
        return False
    return restricted


def serve(spec: dict[str, list[str]], role: str, index: int, config: Any) -> str:
    """Starts TensorFlow's server, for connections to its own address alone; returns its target.

    Args:
      spec: the addresses of each job of a cluster.
      role, index: of this process, among them.
      config: a `ConfigProto`.
    """
    server = tf.distribute.Server(tf.train.ClusterSpec(spec), role, index, config=config)
    _SERVERS.append(server)
    host, port = host_and_port(spec[role][index])
    if not restrict(port, host):
        log.warning(UNRESTRICTED, port)
    return server.target


def _is_of_this_machine(address: Address) -> bool:
    """Whether a socket can be bound to the address."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError):
        where = socket.getaddrinfo(str(address), 0, family, flags=socket.AI_NUMERICHOST)[0][4]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(where)
            return True
    return False


def _elsewhere(where: Iterable[str]) -> str:
    """An address that is another machine's; "" where all are this machine's."""
    for address in where:
        with contextlib.suppress(OSError):  # one that cannot be resolved yet may be anywhere
            if not any(map(_is_of_this_machine, addresses(host_and_port(address)[0]))):
                return address
    return ""


def _sockets(port: int) -> Iterator[socket.socket]:
    """Duplicates of this process's sockets on a port, listening or accepted; the caller closes."""
    tables = [path for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    # proc(5): 1 local address:port, 9 inode
    inodes = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{port:04X}")}
    for link in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # closed since
            if str(link.readlink()) in inodes:
                yield socket.socket(fileno=os.dup(int(link.name)))


def _let_in(network: Network) -> bytes:
    """Lets in what is sent to a network; for anything else the program goes on behind this part."""
    version, masks = network.version, network.netmask.packed
    offsets = itertools.count(HEADER + DESTINATION[version])
    tests = [
        (HEADER, 0xF0, version << 4),  # the version stands in the upper half of the first byte
        *zip(offsets, masks, network.network_address.packed, strict=False),
    ]
    part = INSTRUCTION.pack(RETURN, 0, 0, ALL)
    for offset, mask, byte in reversed(tests):
        behind = len(part) // INSTRUCTION.size
        part = (
            INSTRUCTION.pack(LOAD, 0, 0, offset)
            + INSTRUCTION.pack(AND, 0, 0, mask)
            + INSTRUCTION.pack(JUMP_IF_EQUAL, 0, behind, byte)
            + part
        )
    return part
