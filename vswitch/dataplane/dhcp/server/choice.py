"""Which address may a client have, and which one is it to get?

Theory of operation. `may_have` is asked of each address that a client names, and of each that it
could get. What it gets is, in this order: the client's reservation; the address of the endpoint
whose port it is behind, unless another station behind that port has it and is still there
(`contested`); what it has, or has been
offered; what it had before; what it asks for; what nobody has had, or what has been free for
longest; and where nothing else is left, what somebody was seen with who was not leased it. RFC
2131, 4.3.1, has the same order but for the first two.

A port has its share. Whoever is behind it may invent clients without end, so guests behind one get
new addresses only while they have less than `SHARE` times as many as are left for everybody: one
port gets three quarters of what there is, two that compete three sevenths each, and something is
left for all others, but of a handful. What is said to be a client's by name is beyond that, and
nobody loses what he has.

What it never does: change anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from vswitch.dataplane.dhcp.server.bindings import CAPACITY, Bindings, Client, client_of
from vswitch.dataplane.dhcp.server.book import Addresses, Terms
from vswitch.dataplane.topology import Interface
from vswitch.units import Nanoseconds
from vswitch.wire.dhcp import Option
from vswitch.wire.dhcp_service import Request
from vswitch.wire.values import IpAddress, MacAddress

SHARE = 3
"""A network behind a port that is all of a pool's clients is served for the most part, and a flood
leaves a quarter."""

_LABEL = re.compile(rb"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and from where."""

    client: Client
    station: MacAddress
    hostname: str | None
    """The first part of what it says that it is called, where that can be a name."""
    port: int

    @staticmethod
    def of(request: Request, port: int) -> Caller:
        """The client that has sent a request by a port."""
        client = client_of(request.identifier, request.client)
        return Caller(client, request.client, _hostname(request), port)


class Chosen(NamedTuple):
    """An address for a client."""

    address: IpAddress
    is_known: bool
    """Whether it is known already that nobody else has it."""


class Choice:
    """The addresses of one network."""

    def __init__(
        self, interface: Interface, terms: Terms, addresses: Addresses, bindings: Bindings
    ) -> None:
        self._interface = interface
        self._terms = terms
        self._addresses = addresses
        self._bindings = bindings

    def own(self, caller: Caller) -> IpAddress | None:
        """The address of the endpoint whose port a client is behind; None where that is nobody's,
        or another station's that is behind the same port."""
        own = self.own_of(caller)
        return own if own is not None and self._is_free_for(caller, own, own) else None

    def own_of(self, caller: Caller) -> IpAddress | None:
        """The same, whoever has it."""
        return self._addresses.of_port(caller.port, caller.station)

    def contested(self, caller: Caller) -> IpAddress | None:
        """The address of the endpoint whose port a client is behind, where another station behind
        that port has been leased it, and the client has nothing yet."""
        own = self.own_of(caller)
        if own is None or self._is_free_for(caller, own, own):
            return None
        bindings, client = self._bindings, caller.client
        has_something = bindings.lease_of(client) or bindings.offer_of(client)
        return None if has_something or self._reserved(caller) else own

    def configured(self, caller: Caller) -> IpAddress | None:
        """The address that a client is to have, where that has been said."""
        reserved = self._reserved(caller)
        return self.own(caller) if reserved is None else reserved

    def known(self, caller: Caller) -> list[IpAddress]:
        """What a client has, has been offered, and had."""
        bindings = self._bindings
        lease, offer = bindings.lease_of(caller.client), bindings.offer_of(caller.client)
        earlier = bindings.earlier(caller.client)
        had = [] if earlier is None else [earlier]
        offered = [] if offer is None else [offer.address]
        return [*([lease.grant.address] if lease else []), *offered, *had]

    def is_host(self, address: IpAddress) -> bool:
        """Whether it can be that of a host on the network, other than the gateway."""
        subnet = self._interface.address.network
        if address not in subnet or address in self._interface:
            return False
        return address not in (subnet.address, subnet.broadcast)

    def may_have(
        self,
        caller: Caller,
        address: IpAddress,
        now: Nanoseconds,
        *,
        even_if_spoilt: bool = False,
    ) -> bool:
        """Whether a client may be given an address, or keep it."""
        own = self.own_of(caller)
        if not self.is_host(address) or not self._is_free_for(caller, address, own):
            return False
        if self._bindings.is_spoilt(address, now) and not even_if_spoilt:
            return False
        is_leased = self._is_leased(caller, address, own)
        return is_leased and self._is_within_share(caller, address, own)

    def claimed(self, caller: Caller, wanted: IpAddress | None, now: Nanoseconds) -> Chosen | None:
        """The address that a client is to be offered which has more of a claim to it than others,
        or asks for it; None where there is none."""
        own, known = self.own_of(caller), self.known(caller)
        for address in (self._reserved(caller), own, *known, wanted):
            if address is not None and self.may_have(caller, address, now):
                return Chosen(address, address == own or address in known)
        return None

    def unclaimed(self, caller: Caller, now: Nanoseconds) -> Chosen | None:
        """The address that it is to be offered where there is none of those; None where the pool is
        exhausted. To find that out takes a look at all of its addresses."""
        bindings, pool = self._bindings, self._terms.pool
        if bindings.is_full or not self._terms.leasing.takes_guests:
            return None
        if not self._has_room_behind(caller.port):
            return None
        for address in bindings.unused_first(pool, now):
            if self.may_have(caller, address, now):
                return Chosen(address, is_known=False)
        for address in bindings.spoilt_first(pool):
            if self.may_have(caller, address, now, even_if_spoilt=True):
                return Chosen(address, is_known=False)
        return None

    def is_crowded(self, caller: Caller) -> bool:
        """Whether something is left, but for others than guests behind a client's port."""
        return self._left > 0 and not self._has_room_behind(caller.port)

    # What an address is

    def _is_free_for(self, caller: Caller, address: IpAddress, own: IpAddress | None) -> bool:
        """Whether no other client has it or has been offered it. A station that calls itself by
        another name is the same one behind an endpoint's port: firmware, then what that boots."""
        holder = self._bindings.holder(address)
        if holder is None or holder == caller.client:
            return True
        return address == own and self._bindings.station_of(address) == caller.station

    def _is_within_share(self, caller: Caller, address: IpAddress, own: IpAddress | None) -> bool:
        """Whether it is the client's in any case, or one that the port may have still."""
        if self._bindings.holder(address) == caller.client:
            return True
        return address in (own, self._reserved(caller)) or self._has_room_behind(caller.port)

    def _has_room_behind(self, port: int) -> bool:
        return self._bindings.held_behind(port) < SHARE * self._left

    @property
    def _left(self) -> int:
        """How many addresses of the pool guests can have still, all of them together."""
        there_are = min(self._addresses.count(self._terms.pool), CAPACITY)
        return there_are - self._bindings.held_by_guests

    def _is_leased(self, caller: Caller, address: IpAddress, own: IpAddress | None) -> bool:
        """Whether it is one of those that this client can be leased at all."""
        if address == own:
            return True
        leasing = self._terms.leasing
        if not leasing.takes_guests or self._addresses.is_taken(address):
            return False
        whose = [each.station for each in leasing.reservations if each.address == address]
        if whose:
            return any(_is_meant(station, caller) for station in whose)
        return address in self._terms.pool

    def _reserved(self, caller: Caller) -> IpAddress | None:
        for station, address in self._terms.leasing.reservations:
            if _is_meant(station, caller):
                return address
        return None


def _is_meant(station: MacAddress | str, caller: Caller) -> bool:
    if isinstance(station, str):
        return caller.hostname is not None and caller.hostname.lower() == station.lower()
    return caller.station == station


def _hostname(request: Request) -> str | None:
    """Some clients count a final NUL as part of the text (RFC 2132, 2), some say their domain."""
    said = request.options.get(Option.HOST_NAME, b"").rstrip(b"\0").partition(b".")[0]
    return said.decode("ascii") if _LABEL.fullmatch(said) else None
