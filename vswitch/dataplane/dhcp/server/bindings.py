"""Which client of a DHCP server has which address, had it, or has been offered it?

Theory of operation. A client is known by its identifier, where it says one, else by its station
(RFC 2131, 4.2; RFC 4361). It has at most one *lease* and one *offer*, and an address is held by at
most one client: that is kept here, and nothing is given here that `holder` says is somebody's. An
offer lapses and a lease expires when its time has come; then the client is remembered, so that it
gets the same address again where that is free, and the address, so that of those which have been
used the one comes first that has been free for longest (`unused_first`). An address that somebody
has who was not leased it is *spoilt* for a while.

Addresses of guests are counted by the port that the client was behind when it was last given or
offered its address (`held_behind`). One of an earlier life is behind none until its client has
spoken.

Memory is bounded: by `CAPACITY` of what is held, and as much of what was. Time comes in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vswitch.dataplane.dhcp.server.book import Grant
from vswitch.dataplane.timers import Timers
from vswitch.units import Nanoseconds
from vswitch.wire.dhcp_service import Request
from vswitch.wire.values import IPV4_LENGTH, IpAddress, IpNetwork, MacAddress

CAPACITY = 8192
"""Clients of one network: as many as its FDB has stations."""

Client = bytes
"""What a client is known by."""


def client_of(identifier: bytes, station: MacAddress) -> Client:
    """A name that a client chooses is never that of a station."""
    return b"\1" + identifier if identifier else b"\0" + station


@dataclass(frozen=True, slots=True)
class Offer:
    """An address that a client may have if it wants it."""

    client: Client
    address: IpAddress
    request: Request
    """What it answers."""
    port: int
    """The one that the client is behind."""
    until: Nanoseconds
    is_own: bool
    """Whether the address is that of an endpoint, not a guest's."""
    is_probed: bool = False
    """Whether the network is being asked whether somebody has the address: nobody has been told of
    the offer yet."""


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a client has."""

    client: Client
    grant: Grant
    is_own: bool
    """Whether the address is that of an endpoint, not a guest's."""
    port: int | None = None
    """The one that the client was behind when it was last given the address; None where it has not
    been heard of in this life, or the port is gone."""


class Bindings:
    """The addresses of one network."""

    def __init__(self) -> None:
        self._offers: dict[Client, Offer] = {}
        self._leases: dict[Client, Lease] = {}
        self._holders: dict[IpAddress, Client] = {}
        self._past: dict[IpAddress, Client] = {}
        """Who had an address that nobody has, that which has been free for longest first."""
        self._past_of: dict[Client, IpAddress] = {}
        self._spoilt: dict[IpAddress, Nanoseconds] = {}
        """Until when, that which was spoilt first first."""
        self._guests: dict[IpAddress, int | None] = {}
        """The addresses among those held that are no endpoint's, with the port that each is behind,
        as far as that is known."""
        self._guests_behind: Counter[int | None] = Counter()
        self._timers: Timers[Client] = Timers()
        self.revision = 0
        """Counts what makes an address free."""

    # What is known

    def offer_of(self, client: Client) -> Offer | None:
        """What a client has been offered."""
        return self._offers.get(client)

    def lease_of(self, client: Client) -> Lease | None:
        """What a client has."""
        return self._leases.get(client)

    def lease_at(self, address: IpAddress) -> Lease | None:
        """Who has an address."""
        lease = self._leases.get(self._holders.get(address, b""))
        return lease if lease is not None and lease.grant.address == address else None

    def offer_at(self, address: IpAddress) -> Offer | None:
        """Who has been offered an address."""
        offer = self._offers.get(self._holders.get(address, b""))
        return offer if offer is not None and offer.address == address else None

    def holder(self, address: IpAddress) -> Client | None:
        """Who has an address, or has been offered it."""
        return self._holders.get(address)

    def station_of(self, address: IpAddress) -> MacAddress | None:
        """The station of who has an address, or has been offered it."""
        lease, offer = self.lease_at(address), self.offer_at(address)
        if lease is not None:
            return lease.grant.station
        return offer.request.client if offer is not None else None

    def earlier(self, client: Client) -> IpAddress | None:
        """The address that a client had when it last had one, and that nobody has had since."""
        return self._past_of.get(client)

    def is_spoilt(self, address: IpAddress, now: Nanoseconds) -> bool:
        """Whether somebody has an address who was not leased it, as far as is known."""
        return self._spoilt.get(address, now) > now

    @property
    def held_by_guests(self) -> int:
        """How many addresses guests have, or have been offered."""
        return len(self._guests)

    def held_behind(self, port: int) -> int:
        """How many of these are behind a port."""
        return self._guests_behind[port]

    @property
    def offers(self) -> list[Offer]:
        """All that stand."""
        return list(self._offers.values())

    @property
    def leases(self) -> list[Lease]:
        """All that stand."""
        return list(self._leases.values())

    @property
    def is_full(self) -> bool:
        """Whether one client more would be one too many."""
        return len(self._holders) >= CAPACITY

    def unused_first(self, pool: IpNetwork, now: Nanoseconds) -> Iterator[IpAddress]:
        """The addresses of a pool that are not spoilt in the order in which they are to be given to
        somebody new: those that nobody has had, the lowest first; then the others, as long as they
        have been free."""
        first = int.from_bytes(pool.address, "big")
        for number in range(first, first + (1 << (8 * IPV4_LENGTH - pool.prefix_length))):
            octets = number.to_bytes(IPV4_LENGTH, "big")
            if octets in self._holders or octets in self._past:
                continue
            address = IpAddress.trusted(octets)
            if not self.is_spoilt(address, now):
                yield address
        yield from [address for address in self._past if address in pool]

    def spoilt_first(self, pool: IpNetwork) -> Iterator[IpAddress]:
        """The addresses of a pool that are spoilt, in the order in which they are to be tried again
        where there are no others."""
        yield from [address for address in self._spoilt if address in pool]

    # What happens

    def offer(self, offer: Offer) -> None:
        """Let a client have this offer and no other. The address is free, or its own."""
        self.withdraw(offer.client)
        self._offers[offer.client] = offer
        self._take(offer.address, offer.client)
        self._count(offer.address, offer.is_own, offer.port)
        self._timers.schedule(offer.client, offer.until)

    def withdraw(self, client: Client) -> Offer | None:
        """Let a client have no offer; the one that it had."""
        offer = self._offers.pop(client, None)
        if offer is not None and self.lease_at(offer.address) is None:
            self._free(offer.address)
            if not offer.is_probed:
                self._remember(offer.address, client)
        return offer

    def grant(self, lease: Lease) -> None:
        """Let a client have an address. It has no other, and the address is free or its own."""
        self._leases[lease.client] = lease
        self._take(lease.grant.address, lease.client)
        self._count(lease.grant.address, lease.is_own, lease.port)
        self._timers.schedule(lease.client, lease.grant.until)

    def end(self, client: Client) -> Lease | None:
        """Let a client have no address; what it had."""
        lease = self._leases.pop(client, None)
        if lease is not None:
            offer = self._offers.get(client)
            if offer is None or offer.address != lease.grant.address:
                self._free(lease.grant.address)
                self._remember(lease.grant.address, client)
        return lease

    def forget_port(self, port: int) -> None:
        """A port is gone: nobody is there to hear of an offer. Guests may come back by another."""
        for offer in self.offers:
            if offer.port == port:
                self.withdraw(offer.client)
        for lease in self.leases:
            if lease.port == port:
                self._leases[lease.client] = replace(lease, port=None)
                self._count(lease.grant.address, lease.is_own, None)

    def spoil(self, address: IpAddress, until: Nanoseconds) -> None:
        """Somebody has an address who was not leased it. Nobody has it by us, nor is it the one
        that anybody had before."""
        self._forget_past(address)
        self._spoilt.pop(address, None)
        self._spoilt[address] = until
        if len(self._spoilt) > CAPACITY:
            del self._spoilt[next(iter(self._spoilt))]

    # Time

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` may have something."""
        return self._timers.next_deadline()

    def due(self, now: Nanoseconds) -> tuple[list[Offer], list[Lease]]:
        """The offers and the leases whose time is over. They stand until they are withdrawn and
        ended, which whoever asks does."""
        offers: list[Offer] = []
        leases: list[Lease] = []
        for client in list(self._timers.due(now)):
            offer, lease = self._offers.get(client), self._leases.get(client)
            if offer is not None and offer.until <= now:
                offers.append(offer)
            elif offer is not None:
                self._timers.schedule(client, offer.until)
            if lease is not None and lease.grant.until <= now:
                leases.append(lease)
            elif lease is not None:
                self._timers.schedule(client, lease.grant.until)
        return offers, leases

    def _count(self, address: IpAddress, is_own: bool, port: int | None) -> None:
        self._count_no_longer(address)
        if not is_own:
            self._guests[address] = port
            self._guests_behind[port] += 1

    def _count_no_longer(self, address: IpAddress) -> None:
        if address in self._guests:
            port = self._guests.pop(address)
            self._guests_behind[port] -= 1
            if not self._guests_behind[port]:
                del self._guests_behind[port]

    def _take(self, address: IpAddress, client: Client) -> None:
        self._holders[address] = client
        self._spoilt.pop(address, None)
        self._forget_past(address)

    def _free(self, address: IpAddress) -> None:
        self.revision += 1
        self._count_no_longer(address)
        del self._holders[address]

    def _remember(self, address: IpAddress, client: Client) -> None:
        replaced = self._past_of.pop(client, None)
        if replaced is not None:
            self._past.pop(replaced, None)
        self._past[address] = client
        self._past_of[client] = address
        if len(self._past) > CAPACITY:
            self._forget_past(next(iter(self._past)))

    def _forget_past(self, address: IpAddress) -> None:
        client = self._past.pop(address, None)
        if client is not None:
            del self._past_of[client]
