"""Which ports of the host's own address a NAPT may use: those that the host itself never comes to.

Theory of operation. A host gives its own connections ports out of its ephemeral range, and
programs ask for others by number. A NAPT on the same address has to keep clear of both. So its
ports come from one side of the ephemeral range, without those on which something is bound at the
moment and those that somebody has reserved (net.ipv4.ip_local_reserved_ports). A program that
asks for a port of ours later is `holds`' business.

Linux's default leaves 61000 to 65535, and those are taken where they are free, because no service
is registered up there. Where the range was altered, the larger side of it is.

`free_ranges` decides, `host_ports` asks the kernel about the calling thread's namespace.

Read first: Documentation/networking/ip-sysctl.rst, ip_local_port_range; RFC 6056, 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FIRST_PORT = 1024
"""Those below are for privileged programs (RFC 6335, 6: system ports)."""

END_OF_PORTS = 65536

FEWEST = 1024
"""With fewer ports to choose from than this, they would be guessed and used up too easily."""

USUAL_EPHEMERAL_END = 61000
"""Linux's default range is 32768 to 60999."""

_NETWORK = Path("/proc/thread-self/net")
_SETTINGS = Path("/proc/sys/net/ipv4")
_SOCKET_TABLES = ("tcp", "udp", "tcp6", "udp6")


class NoFreePorts(Exception):
    """The host can spare no range that is long enough. The text is one line."""


@dataclass(frozen=True, slots=True)
class HostPorts:
    """What the host does with its ports."""

    ephemeral: range
    """What it takes for its own connections."""
    reserved: frozenset[int]
    """What it never takes by itself, because an administrator said so."""
    in_use: frozenset[int]
    """On which TCP or UDP is bound, at any address."""


def free_ranges(
    ephemeral: range, reserved: Iterable[int], in_use: Iterable[int]
) -> tuple[range, ...]:
    """The ports that a NAPT may use, in rising order and at least `FEWEST`.

    `reserved` are ports that are not to be used although nothing is bound there, published ones
    among them. Raises NoFreePorts.
    """
    above = range(max(ephemeral.stop, FIRST_PORT), END_OF_PORTS)
    below = range(FIRST_PORT, max(ephemeral.start, FIRST_PORT))
    run = above if ephemeral.stop == USUAL_EPHEMERAL_END else max(above, below, key=len)
    free = tuple(_without(run, {*reserved, *in_use}))
    if sum(map(len, free)) < FEWEST:
        own = f"{ephemeral.start}-{ephemeral.stop - 1}"
        raise NoFreePorts(
            f"the host's own ports (net.ipv4.ip_local_port_range {own}) and those in use leave "
            f"fewer than {FEWEST} ports for others"
        )
    return free


def host_ports() -> HostPorts:
    """What the kernel says. Raises OSError where /proc is not there."""
    first, last = (_SETTINGS / "ip_local_port_range").read_text(encoding="ascii").split()
    reserved = (_SETTINGS / "ip_local_reserved_ports").read_text(encoding="ascii")
    in_use: set[int] = set()
    for table in _SOCKET_TABLES:
        with suppress(FileNotFoundError):  # a kernel without IPv6
            in_use |= bound_ports((_NETWORK / table).read_text(encoding="ascii"))
    return HostPorts(range(int(first), int(last) + 1), listed_ports(reserved), frozenset(in_use))


def bound_ports(table: str) -> frozenset[int]:
    """The local ports in a table like /proc/net/tcp. Lines that are no socket are passed over.

    One looks like "   0: 0100007F:1F90 00000000:0000 0A ...": number, local address and port.
    """
    return frozenset(_bound_ports(table))


def listed_ports(text: str) -> frozenset[int]:
    """The ports in a list like "8080,9148-9150", the form of ip_local_reserved_ports."""
    ports: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        ports.update(range(int(first), int(last or first) + 1))
    return frozenset(ports)


def _without(run: range, excluded: set[int]) -> Iterator[range]:
    start = run.start
    for port in sorted(excluded.intersection(run)):
        if port > start:
            yield range(start, port)
        start = port + 1
    if start < run.stop:
        yield range(start, run.stop)


def _bound_ports(table: str) -> Iterator[int]:
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 2 or not fields[0].endswith(":"):
            continue
        with suppress(ValueError):
            port = int(fields[1].rpartition(":")[2], 16)
            if port:
                yield port
