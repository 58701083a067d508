"""A lease as a client has it: what a server of the uplink's network lets us have, and until when.

Theory of operation. `lease_of` takes what an OFFER or an ACK says and believes only what an uplink
can live with: the address has to be one that a host of that subnet can have, the server has to
name itself and say how long the lease is. Everything else may be missing, and counts as missing
where it makes no sense.

Times are points on the clock of `now`, counted from when the question was sent (RFC 2131, 4.4.5),
so that the client never thinks its lease longer than the server does. A lease without an end has no
times at all.

Read first: RFC 2131 section 4.4.5 for T1 and T2; RFC 2132 for the options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.dhcp import INFINITE, Option, Reply
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

SMALLEST_MTU = 576
"""Bytes that every host takes (RFC 791, 3.1): a server that says less is mistaken, as no link of
today has less, and would make the uplink crawl."""

_DOMAIN = re.compile(rb"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_LONGEST_DOMAIN = 253


@dataclass(frozen=True, slots=True)
class Lease:
    """An address, and what a server tells along with it. Times are None where there is no end."""

    address: IpInterface
    gateway: IpAddress | None
    """The first router of the server's list."""
    mtu: int | None
    """Bytes of the longest IP packet on the link."""
    name_servers: tuple[IpAddress, ...]
    domain: str | None
    server: IpAddress
    server_station: MacAddress
    """Who sent the frame with the lease: the server, or the relay or router to it."""
    obtained_at: Nanoseconds
    renew_at: Nanoseconds | None
    """T1: when to ask this server for more time."""
    rebind_at: Nanoseconds | None
    """T2: when to ask any server."""
    expires_at: Nanoseconds | None

    def is_over(self, now: Nanoseconds) -> bool:
        """Has it come to its end?"""
        return self.expires_at is not None and self.expires_at <= now

    def tells_the_same(self, other: Lease) -> bool:
        """Is there nothing between the two that an uplink would have to change for?"""
        return self._told == other._told

    @property
    def _told(self) -> tuple[object, ...]:
        return self.address, self.gateway, self.mtu, self.name_servers, self.domain


def lease_of(reply: Reply, station: MacAddress, asked_at: Nanoseconds) -> Lease | None:
    """The lease that an OFFER or ACK is about, or None where it is none that can be used.

    `station` sent its frame; `asked_at` is when the question was sent that it answers.
    """
    address = _address(reply)
    server = reply.address_of(Option.SERVER_IDENTIFIER)
    seconds = reply.number_of(Option.LEASE_TIME, 4)
    if address is None or server is None or not _is_host(server) or not seconds:
        return None
    renew_at, rebind_at, expires_at = _times(reply, seconds, asked_at)
    return Lease(
        address=address,
        gateway=_gateway(reply, address.address),
        mtu=_mtu(reply),
        name_servers=tuple(filter(_is_host, reply.addresses_of(Option.NAME_SERVERS))),
        domain=_domain(reply),
        server=server,
        server_station=station,
        obtained_at=asked_at,
        renew_at=renew_at,
        rebind_at=rebind_at,
        expires_at=expires_at,
    )


def _address(reply: Reply) -> IpInterface | None:
    """None where there is no contiguous mask, or the address is not a host's under it."""
    mask = reply.number_of(Option.SUBNET_MASK, 4)
    if not mask or not _is_host(reply.address):
        return None
    hosts = ~mask & 0xFFFFFFFF
    if hosts & (hosts + 1):
        return None
    lowest = IpAddress((int.from_bytes(reply.address, "big") & mask).to_bytes(4, "big"))
    network = IpNetwork(lowest, 32 - hosts.bit_length())
    if network.broadcast is not None and reply.address in (lowest, network.broadcast):
        return None
    return IpInterface(reply.address, network)


def _is_host(address: IpAddress) -> bool:
    """Can it be one host's on a wire (RFC 1122, 3.2.1.3)?"""
    return not (
        address[0] == 0
        or address.is_multicast
        or address.is_loopback
        or address.is_limited_broadcast
    )


def _times(
    reply: Reply, seconds: int, asked_at: Nanoseconds
) -> tuple[Nanoseconds | None, Nanoseconds | None, Nanoseconds | None]:
    """T1, T2 and the end.

    T1 comes before T2, and T2 before the end: what a server says to the contrary is replaced by
    the RFC's fractions of the lease, 0.5 and 0.875, of which the first is 4/7 of the second.
    """
    if seconds == INFINITE:
        return None, None, None
    length = seconds * SECOND
    rebind = (reply.number_of(Option.REBINDING_TIME, 4) or 0) * SECOND
    if not 0 < rebind < length:
        rebind = length * 7 // 8
    renew = (reply.number_of(Option.RENEWAL_TIME, 4) or 0) * SECOND
    if not 0 < renew < rebind:
        renew = rebind * 4 // 7
    return asked_at + renew, asked_at + rebind, asked_at + length


def _gateway(reply: Reply, own: IpAddress) -> IpAddress | None:
    routers = reply.addresses_of(Option.ROUTERS)
    return next((router for router in routers if _is_host(router) and router != own), None)


def _mtu(reply: Reply) -> int | None:
    mtu = reply.number_of(Option.INTERFACE_MTU, 2)
    return mtu if mtu is not None and mtu >= SMALLEST_MTU else None


def _domain(reply: Reply) -> str | None:
    """Some servers count a final NUL as part of the text (RFC 2132, 2)."""
    octets = reply.options.get(Option.DOMAIN_NAME, b"").rstrip(b"\0")
    if len(octets) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(octets):
        return None
    return octets.decode("ascii")
