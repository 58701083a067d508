"""Leases of a running switch: taken up, written down, told, and ended by hand.

Theory of operation. The DHCP servers of the dataplane decide who is granted which address and until
when (`dataplane.dhcp`). What has come of it is noted here, in three places: in the state, so that
the next daemon goes on with it, in the inventory, which then gives the address to no endpoint and
tells the resolver what its station is called, and as an event. A renewal is no event, and of the
inventory it changes nothing.

A station is told that it has an address after that has been written: a switch that stops at any
moment knows of every lease that a station believes in. Where the disk refuses, the station gets no
answer, and asks again.

Time runs on while no switch does, so ends are written as moments of the calendar. That may be set
back, so it is also written when that was, and nothing lasts longer than it was written to last.
What is over by then is dropped, and so is what can not be any more: the network is gone or has
another subnet, or the configuration asks for the address by name. The station is told so when it
renews.

An endpoint's own address, a virtual machine's, is leased as any other, but is the inventory's to
give: it is noted when the endpoint is there.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from vswitch import assembly
from vswitch.daemon.events import Events
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.messages.leases import LeaseRow, PoolRow
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import Store, StoreError
from vswitch.daemon.store.kept import KeptLease
from vswitch.dataplane.dhcp.server.book import Grant
from vswitch.dataplane.dhcp.server.news import (
    Crowded,
    Ended,
    Exhausted,
    Granted,
    InUse,
    LeaseNews,
    Relayed,
    Renewed,
    Rogue,
    Turn,
)
from vswitch.dataplane.rate import Rate
from vswitch.dataplane.switch import Switch
from vswitch.leasing import Lease
from vswitch.network import networks
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import Configuration, Network
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import IpAddress

log = logging.getLogger(__name__)

GRANTS_PER_SECOND = 100
"""Of one network. Each waits for the disk, 1 to 2 ms, and so does all else that is on the event
loop: whoever asks without end must not take more of its time than that."""

RESERVE = 8
"""A lease is written as if it ran longer by one part in so many, so that what a station may do as
often as it likes, renewing it, writes a few times in a lease's life."""

RELEASED_BY_HAND = "released by hand"
LEASES_NO_LONGER = "the network leases no addresses any more"


class Place(NamedTuple):
    """An address on the network of that name."""

    network: str
    address: IpAddress

    def __str__(self) -> str:
        return f"{self.network} {self.address}"


class Leases:
    """What is leased on the networks of one switch."""

    def __init__(
        self, switch: Switch, runtime: Runtime, inventory: Inventory, events: Events
    ) -> None:
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._events = events
        self._numbers: dict[str, int] = {}
        """Of the networks in the dataplane, by name."""
        self._before: dict[Place, KeptLease] = {}
        """What an earlier daemon has left, and has not been taken up yet."""
        self._kept: dict[Place, KeptLease] = {}
        """What is written down of what is granted."""
        self._rates: defaultdict[str, Rate] = defaultdict(lambda: Rate(GRANTS_PER_SECOND))
        self._exhausted: Counter[str] = Counter()
        self._is_closed = False
        self._store: Store
        """From `keep_in` on."""

    # With the networks

    def keep_in(self, store: Store) -> None:
        """Keep in `store` what is granted from now on, before anybody is told."""
        self._store = store

    def recall(self, configuration: Configuration) -> None:
        """Read what was left. Call it before there are networks. Raises StoreError."""
        asked = {
            Place(at.network, at.address)
            for endpoint in configuration.endpoints
            for at in endpoint.memberships
            if at.address is not None
        } | {
            Place(network.name, each.address)
            for network in configuration.networks
            for each in network.auxiliary
        }
        for kept in self._store.leases.all().values():
            place = Place(kept.network, kept.address)
            if kept.endpoint is None and place in asked:
                self._drop(place, "the configuration has somebody else with that address")
            else:
                self._before[place] = kept

    def begin(self, network: Network, number: int) -> None:
        """Lease addresses of a network that the dataplane knows by number, and go on with its
        guests. Raises StoreError."""
        self._numbers[network.name] = number
        self._lease(network, number)
        if assembly.leases(network):
            self._take_up(network, [each for each in self._of(network) if each.endpoint is None])

    def resume(self) -> None:
        """Go on with the leases of endpoints, which are there by now, and forget what is left.
        Raises StoreError."""
        for network in filter(assembly.leases, self._inventory.networks):
            there = self._endpoints(network)
            kept = [each for each in self._of(network) if each.endpoint == there.get(each.address)]
            self._take_up(network, kept)
        for place in tuple(self._before):
            self._drop(place, "what it was of is gone")
        self._before.clear()

    def change(self, network: Network) -> None:
        """Lease addresses of a network as it says by now. Raises StoreError."""
        number = self._numbers[network.name]
        self._lease(network, number)
        granted = {each.address for each in self._switch.tables.dhcp_servers.grants(number)}
        for lease in self._inventory.leases_on(network):
            if lease.address not in granted:
                self._forget(network, lease.address)
                self._tell(network, lease, Event.END, LEASES_NO_LONGER)
        self._runtime.rearm()

    def end(self, network: Network) -> None:
        """A network is gone from the inventory, and with it all that was leased there. What can not
        be written of that is dropped by the next daemon."""
        del self._numbers[network.name]
        for place in [each for each in self._kept if each.network == network.name]:
            del self._kept[place]
            try:
                self._store.leases.remove(str(place))
            except StoreError as error:
                log.error("the lease of %s is still written down: %s", place, error)

    def close(self) -> None:
        """Let what is granted outlive the switch, whose ports go now."""
        self._is_closed = True

    def _lease(self, network: Network, number: int) -> None:
        assembly.lease(self._switch, self._inventory, network, number, self._keep_or_log)

    def _of(self, network: Network) -> list[KeptLease]:
        return [kept for kept in self._before.values() if kept.network == network.name]

    def _take_up(self, network: Network, kept: Iterable[KeptLease]) -> None:
        number, now, today = self._numbers[network.name], self._runtime.now(), time.time_ns()
        left = {each.address: each for each in kept}
        grants = {
            address: Grant(
                address,
                each.station,
                bytes.fromhex(each.identifier),
                each.hostname,
                now + each.ends_at - max(today, each.written_at),
            )
            for address, each in left.items()
        }
        for address in left:
            del self._before[Place(network.name, address)]
        if not grants:
            return
        lost = self._switch.changes.restore_leases(number, grants.values(), now)
        for grant in lost:
            self._drop(Place(network.name, grant.address), "its time is over, or its place")
            del grants[grant.address]
        for grant in grants.values():
            self._kept[Place(network.name, grant.address)] = left[grant.address]
            self._inventory.lease(network, _lease(grant))

    def _drop(self, place: Place, why: str) -> None:
        log.info("network %s: the lease of %s has ended: %s", place.network, place.address, why)
        self._store.leases.remove(str(place))

    # What comes of the servers

    def take_news(self) -> None:
        """Tell what else has come of the servers: what it takes somebody to look at."""
        for number, news in self._switch.news.take_leased():
            self._complain(self._inventory.network(self._switch.tables.networks[number].name), news)

    def _keep_or_log(self, network: Network, turn: Turn) -> bool:
        """Whether what has become of a grant is written down."""
        try:
            return self._is_closed or self._note(network, turn)
        except StoreError as error:
            words = "what has become of the lease of %s is not written down: %s"
            log.error(words, turn.grant.address, error)
            return False

    def _note(self, network: Network, turn: Turn) -> bool:
        """Raises StoreError."""
        match turn:
            case Granted(grant) | Renewed(grant):
                is_known = Place(network.name, grant.address) in self._kept
                if not self._keep(network, grant):
                    return False
                if not is_known:
                    self._tell(network, _lease(grant), Event.GRANT)
            case Ended(grant, reason):
                self._forget(network, grant.address)
                self._tell(network, _lease(grant), Event.END, reason.value)
        return True

    def _complain(self, network: Network, news: LeaseNews) -> None:
        match news:
            case Exhausted(station):
                self._exhausted[network.name] += 1
                log.warning("network %s: no address is left for %s", network.name, station)
                self._events.tell(EventType.LEASE, Event.EXHAUST, network.name, station=station)
            case Crowded(station, port):
                words = "network %s: no address for %s, as port %s has its share of them"
                log.warning(words, network.name, station, self._port(port))
            case InUse(address, station):
                words = "network %s: %s is not leased, as %s has it"
                log.warning(words, network.name, address, station)
            case Relayed(agent, port):
                words = "network %s: DHCP by a relay agent, %s behind port %s, is not served"
                log.warning(words, network.name, agent, self._port(port))
            case Rogue(station, port):
                words = "network %s: %s, behind port %s, is not let through as a DHCP server"
                log.warning(words, network.name, station, self._port(port))

    def _keep(self, network: Network, grant: Grant) -> bool:
        """Whether that is not too much at once. Raises StoreError."""
        place, now = Place(network.name, grant.address), self._runtime.now()
        kept = _kept(network, grant, now, self._endpoints(network).get(grant.address))
        if not _covers(self._kept.get(place), kept):
            if not self._rates[network.name].take(now):
                return False
            reserved = replace(kept, ends_at=kept.ends_at + (grant.until - now) // RESERVE)
            self._store.leases.put(str(place), reserved)
            self._kept[place] = reserved
        self._inventory.lease(network, _lease(grant))
        return True

    def _forget(self, network: Network, address: IpAddress) -> None:
        """Its lease is over, whether that can be written or not. Raises StoreError."""
        place = Place(network.name, address)
        if self._kept.pop(place, None) is None:
            return
        self._inventory.end_lease(network, address)
        self._store.leases.remove(str(place))

    def _tell(
        self, network: Network, lease: Lease, event: Event, reason: str | None = None
    ) -> None:
        words = f"leased to {lease}" if reason is None else f"no longer leased to {lease}: {reason}"
        log.info("network %s: %s %s", network.name, lease.address, words)
        self._events.tell(
            *(EventType.LEASE, event, str(lease.address)),
            network=network.name,
            station=lease.station,
            hostname=lease.hostname,
            endpoint=self._endpoints(network).get(lease.address),
            reason=reason,
        )

    # By hand

    def release(self, address: IpAddress, reference: str | None) -> None:
        """End the lease of an address, on that network or on the first that it is leased on.

        Raises NetworkError or StoreError.
        """
        for network in filter(assembly.leases, self._asked(reference)):
            number, now = self._numbers[network.name], self._runtime.now()
            grant = self._switch.changes.end_lease(number, address, now)
            if grant is not None:
                self._forget(network, address)
                self._tell(network, _lease(grant), Event.END, RELEASED_BY_HAND)
                self._runtime.rearm()
                return
        raise NetworkError(f"address {address} is not leased")

    # As it is shown

    def rows(self, reference: str | None = None) -> list[LeaseRow]:
        """What is leased on one network or on all. Raises NetworkError."""
        return [
            row
            for network in self._asked(reference)
            for row in self._shown(network, sorted(self._grants(network)))
        ]

    def row(self, network: Network, address: IpAddress) -> LeaseRow | None:
        """The lease of an address; None where there is none."""
        grants = [each for each in self._grants(network) if each.address == address]
        return next(self._shown(network, grants), None) if grants else None

    def _shown(self, network: Network, grants: Iterable[Grant]) -> Iterator[LeaseRow]:
        now, endpoints = self._runtime.now(), self._endpoints(network)
        for grant in grants:
            yield LeaseRow(
                network=network.name,
                address=str(grant.address),
                station=str(grant.station),
                hostname=grant.hostname,
                endpoint=endpoints.get(grant.address),
                expires_in_seconds=max(0, grant.until - now) / SECOND,
            )

    def pools(self) -> list[PoolRow]:
        """Of each network that takes guests, how much there is to lease, and is leased."""
        return [
            PoolRow(
                network=network.name,
                addresses=_count(network),
                leased=len(self._grants(network)),
                exhausted=self._exhausted[network.name],
            )
            for network in self._inventory.networks
            if network.leasing is not None and network.leasing.takes_guests
        ]

    def _grants(self, network: Network) -> list[Grant]:
        return self._switch.tables.dhcp_servers.grants(self._numbers[network.name])

    def _asked(self, reference: str | None) -> Collection[Network]:
        networks = self._inventory.networks
        return networks if reference is None else (self._inventory.network(reference),)

    def _endpoints(self, network: Network) -> dict[IpAddress, str]:
        """Who has which address of its own."""
        return {
            at.address: each.name
            for each in self._inventory.endpoints_on(network)
            if (at := each.on(network.name)) is not None
        }

    def _port(self, number: int) -> str:
        return self._switch.tables.ports[number].name


def _kept(network: Network, grant: Grant, now: Nanoseconds, endpoint: str | None) -> KeptLease:
    today = time.time_ns()
    return KeptLease(
        network.name,
        grant.address,
        grant.station,
        grant.identifier.hex(),
        grant.hostname,
        today + grant.until - now,
        today,
        endpoint,
    )


def _covers(written: KeptLease | None, wanted: KeptLease) -> bool:
    """Whether nothing is lost where `wanted` is not written."""
    if written is None or written.ends_at < wanted.ends_at:
        return False
    return replace(written, ends_at=wanted.ends_at, written_at=wanted.written_at) == wanted


def _lease(grant: Grant) -> Lease:
    return Lease(grant.address, grant.station, grant.hostname)


def _count(network: Network) -> int:
    """How many addresses there are to lease, endpoints' included that are among them."""
    if network.leasing is None:
        return 0
    return networks.count_addresses(network, assembly.leased_from(network, network.leasing))
