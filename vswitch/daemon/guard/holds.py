"""Held ports: sockets that take a port of the host for us and hear nothing.

Theory of operation. A port is held by a socket that has it: TCP listens, UDP is bound. So `ss`
shows it, and a program that wants it is told "address already in use". A socket filter
(`socketfilter`) lets nothing through to it: no handshake ever begins, no datagram is ever queued,
and the kernel stays silent. Packet sockets see every frame all the same.

A TCP socket that only is bound does not do: the kernel answers a segment to it with RST.

Holds are counted: a port that is held twice is given back when it was released twice. The range of
a NAPT and a publication may thus have a port in common. They have to name the same address, since
the kernel knows that 0.0.0.0 and an address of the host exclude each other. What the host itself is
served at is taken in the same way (`taken`), and by one owner alone: see `hostlistener`.

A port costs one descriptor, about 10 kB in the kernel and 16 us. The process's limit of descriptors
is raised as far as the kernel lets it.

Everything is in the network namespace of the calling thread. A process that is killed leaves
nothing of this behind. Only IPv4 and IPv6 addresses, TCP and UDP can be held.

Read first: socket(7), SO_ATTACH_FILTER; `inet_csk_get_port` in `net/ipv4/inet_connection_sock.c`.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from vswitch.daemon.guard import socketfilter
from vswitch.daemon.guard.socketfilter import Hears
from vswitch.wire.values import IpAddress, Protocol

SPARE_DESCRIPTORS = 256
"""How many the rest of the process may still open after the last hold: devices, captures, clients
of the control socket."""

_TYPES = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}
_BACKLOGS = {Hears.NOBODY: 0, Hears.HOST: socket.SOMAXCONN}
"""Connections that wait to be accepted; where nobody is heard, nothing ever gets that far."""

_IP_FREEBIND = 15  # linux/in.h


@dataclass(frozen=True, slots=True)
class Held:
    """What one socket holds."""

    protocol: Protocol
    address: IpAddress
    port: int

    def __str__(self) -> str:
        where = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{where}:{self.port}/{self.protocol.name.lower()}"


class HoldError(Exception):
    """A port cannot be held. The text is Docker's; `what` is the port, `reason` the kernel's word.

    "failed to bind host port 0.0.0.0:8080/tcp: address already in use"
    """

    def __init__(self, what: Held, reason: str, number: int) -> None:
        super().__init__(f"failed to bind host port {what}: {reason}")
        self.what = what
        self.reason = reason
        self.is_taken = number == errno.EADDRINUSE
        """Whether another program has the port."""


class TooManyHolds(Exception):
    """The process may not open that many descriptors. The text is one line with both numbers."""


class Holds:
    """Ports that are held, each for as many as have asked for it."""

    def __init__(self) -> None:
        self._sockets: dict[Held, socket.socket] = {}
        self._counts: dict[Held, int] = {}

    def hold(self, protocol: Protocol, address: IpAddress, ports: Iterable[int]) -> None:
        """Take all of `ports` (TCP or UDP) at `address`, or none. Raises HoldError, TooManyHolds.

        0.0.0.0 stands for every address of the host.
        """
        wanted = [Held(protocol, address, port) for port in ports]
        fresh = [each for each in wanted if each not in self._sockets]
        allow_descriptors(len(fresh))
        with ExitStack() as undo:
            made = {each: undo.enter_context(taken(each)) for each in fresh}
            undo.pop_all()
        self._sockets.update(made)
        for each in wanted:
            self._counts[each] = self._counts.get(each, 0) + 1

    def release(self, protocol: Protocol, address: IpAddress, ports: Iterable[int]) -> None:
        """Undo one `hold` of these ports. Those that are not held are passed over."""
        for each in [Held(protocol, address, port) for port in ports]:
            count = self._counts.pop(each, 0)
            if count > 1:
                self._counts[each] = count - 1
            elif count == 1:
                self._sockets.pop(each).close()

    def close(self) -> None:
        """Give everything back."""
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()
        self._counts.clear()

    def __contains__(self, held: Held) -> bool:
        return held in self._sockets

    def __len__(self) -> int:
        """How many sockets there are."""
        return len(self._sockets)


def allow_descriptors(more: int) -> None:
    """Raise the soft limit so that `more` may be opened. Raises TooManyHolds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(os.listdir("/proc/self/fd")) + more + SPARE_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise TooManyHolds(
            f"holding {more} ports takes {needed} open files, and the limit is {hard} (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def taken(wanted: Held, hears: Hears = Hears.NOBODY) -> socket.socket:
    """A socket that has a port and `hears` who it is to hear. Raises HoldError.

    One that hears somebody may have an address that the host has not, or not yet: then it hears
    nobody, either. SO_REUSEADDR lets TCP pass over what an earlier server left in TIME_WAIT; UDP
    would share.
    """
    family = socket.AF_INET if wanted.address.version == 4 else socket.AF_INET6
    made = socket.socket(family, _TYPES[wanted.protocol])
    try:
        socketfilter.attach(made, hears)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if hears is not Hears.NOBODY:
            made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if wanted.protocol is Protocol.TCP:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((str(wanted.address), wanted.port))
        if wanted.protocol is Protocol.TCP:
            made.listen(_BACKLOGS[hears])
    except OSError as error:
        made.close()
        number = error.errno or 0
        raise HoldError(wanted, os.strerror(number).lower(), number) from error
    return made
