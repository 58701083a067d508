"""Ports that are published and withdrawn while the switch runs.

Theory of operation. A publication exists three times: in the inventory, which knows whose host
ports are whose; as sockets of the host's, which serve the host where it is on the network
(`hostlistener`), and else are holds where it has the address, too (`exposure`); and in the
dataplane, which lets clients in.
`publish` makes all of these or none, in this order, so that nobody is let in by a port that
somebody else has. What comes to its end by itself (its time is over, its one
connection has ended) is gone from the dataplane already when `take_news` hears of it.

What an endpoint publishes when it is attached is made by `attachment`, in the same order. All of it
has a row in the state (`published`), by which the next daemon publishes the same.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence

from vswitch import assembly
from vswitch.daemon.attaching.linked import LinkedEndpoints
from vswitch.daemon.events import Events
from vswitch.daemon.exposure import PortTakenError
from vswitch.daemon.guard import ports as host_ports
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.messages.publications import PublicationRow
from vswitch.daemon.networks import Networks
from vswitch.daemon.published import Published
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import StoreError
from vswitch.daemon.uplinks import Uplinks
from vswitch.dataplane import publications as dataplane
from vswitch.dataplane.switch import Switch
from vswitch.network import publish, terms
from vswitch.network.errors import NetworkError
from vswitch.network.hostports import AnyPort
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint
from vswitch.network.ports import PortRange, Publication, PublicationRequest
from vswitch.units import SECOND
from vswitch.wire.values import Protocol

log = logging.getLogger(__name__)

_KINDS = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}


class Publishing:
    """The published ports of one switch."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        inventory: Inventory,
        uplinks: Uplinks,
        listeners: HostListeners,
        linked: LinkedEndpoints,
        networks: Networks,
        published: Published,
        events: Events,
    ) -> None:
        self._switch = switch
        self._runtime = runtime
        self._inventory = inventory
        self._uplinks = uplinks
        self._listeners = listeners
        self._linked = linked
        self._networks = networks
        self._published = published
        self._events = events

    def publish(
        self, name: str, requests: Sequence[PublicationRequest], *, is_added: bool = True
    ) -> tuple[PublicationRow, ...]:
        """Publish further ports of an endpoint, all or none; `is_added` beyond what it asks for.

        Raises NetworkError, PortTakenError where a program of the host has one, or StoreError.
        """
        before = self._attached(name)
        made = self._inventory.publish(name, requests)
        endpoint = self._inventory.endpoint(name)
        try:
            self._uplinks.exposure.follow(endpoint)
            self._listeners.follow(endpoint, self._number(endpoint))
        except PortTakenError:
            self._inventory.unpublish(name, made)
            self._uplinks.exposure.follow(before)
            raise
        number, now = self._number(before), self._runtime.now()
        there = [(each, assembly.publication(each, endpoint, number)) for each in made]
        for _, published in there:
            self._switch.changes.publish(published, now)
        try:
            self._published.keep(name, there, now, is_added=is_added)
        except StoreError:
            self._conceal(endpoint, made)
            self._inventory.unpublish(name, made)
            self._uplinks.exposure.follow(before)
            self._listeners.follow(before, self._number(before))
            raise
        for each in made:
            log.info("endpoint %s publishes %s", name, _words(each))
            tell(self._events, Event.CREATE, each, endpoint)
        self._linked.follow(name)
        self._runtime.rearm()
        return tuple(self._row(endpoint, each) for each in made)

    def withdraw(self, name: str, spec: str) -> None:
        """Publish what `spec` names (`publish.published`) no longer.

        Raises NetworkError or StoreError.
        """
        self.withdraw_all(name, publish.published(self._attached(name), spec))

    def withdraw_all(self, name: str, gone: Sequence[Publication]) -> None:
        """Publish some of it no longer. Raises NetworkError or StoreError."""
        endpoint = self._attached(name)
        self._published.drop(name, gone)
        self._conceal(endpoint, gone)
        self._forget(endpoint, gone, "withdrawn")
        self._runtime.rearm()

    def resume(self, endpoint: Endpoint, number: int) -> None:
        """Let what an endpoint publishes, as of now, be as far as it was when it was kept."""
        now = self._runtime.now()
        for each in endpoint.publications:
            there = assembly.publication(each, endpoint, number)
            self._published.resume(endpoint.name, each, there, now)

    def keep(self, endpoint: Endpoint) -> None:
        """Write down what an endpoint publishes that has come; what is written already stays as it
        is. Raises StoreError."""
        number = self._number(endpoint)
        self._published.settle(endpoint.name, endpoint.publications)
        fresh = [
            (each, assembly.publication(each, endpoint, number))
            for each in endpoint.publications
            if not self._published.is_kept(endpoint.name, each)
        ]
        self._published.keep(endpoint.name, fresh, self._runtime.now(), is_added=False)

    def note(self, endpoints: Iterable[Endpoint], kept: Collection[str]) -> None:
        """Write down what these publish, and of others what is written of those who are `kept`, by
        their names, and nothing else. Raises StoreError."""
        for endpoint in endpoints:
            self.keep(endpoint)
        for name in self._published.endpoints:
            if name not in kept:
                self._published.settle(name, ())

    def forget(self, name: str) -> None:
        """Write down that the endpoint called `name` publishes nothing. Raises StoreError."""
        self._published.settle(name, ())

    def take_news(self) -> None:
        """Forget what the dataplane publishes no longer, and note what is used up."""
        try:
            for endpoint, used_up in self._among(self._switch.news.take_served_publications()):
                self._published.note_used_up(endpoint.name, used_up)
            for endpoint, gone in self._among(self._switch.news.take_ended_publications()):
                self._forget(endpoint, gone, "it has come to its end")
                self._published.drop(endpoint.name, gone)
        except StoreError as error:
            log.error("%s: what is published may come back with the next start", error)

    def end_served(self) -> None:
        """Publish no longer what was for one connection which has not outlived the last daemon."""
        self._switch.changes.end_served_publications(self._runtime.now())
        self.take_news()

    def rows(self) -> tuple[PublicationRow, ...]:
        """All that is published, for people."""
        return tuple(
            self._row(endpoint, each)
            for endpoint in self._inventory.endpoints
            for each in endpoint.publications
        )

    def _among(
        self, there: Sequence[dataplane.Publication]
    ) -> Iterator[tuple[Endpoint, list[Publication]]]:
        """Whose these are, and what they are to an endpoint."""
        for endpoint in self._inventory.endpoints if there else ():
            number = self._number(endpoint)
            found = [
                each
                for each in endpoint.publications
                if assembly.publication(each, endpoint, number) in there
            ]
            if found:
                yield endpoint, found

    def _conceal(self, endpoint: Endpoint, gone: Sequence[Publication]) -> None:
        number, now = self._number(endpoint), self._runtime.now()
        for each in gone:
            self._switch.changes.unpublish(assembly.publication(each, endpoint, number), now)

    def _number(self, endpoint: Endpoint) -> int:
        return self._networks.number(self._inventory.network(endpoint.network))

    def _attached(self, name: str) -> Endpoint:
        endpoint = self._inventory.endpoint(name)
        if not self._uplinks.exposure.has(endpoint):
            raise NetworkError(f"endpoint {name} is not attached yet, or not any more")
        return endpoint

    def _forget(self, endpoint: Endpoint, gone: Sequence[Publication], why: str) -> None:
        self._inventory.unpublish(endpoint.name, gone)
        left = self._inventory.endpoint(endpoint.name)
        if self._uplinks.exposure.has(left):
            self._uplinks.exposure.follow(left)
            self._listeners.follow(left, self._number(left))
            self._linked.follow(left.name)
        for each in gone:
            log.info("endpoint %s no longer publishes %s: %s", endpoint.name, each, why)
            tell(self._events, Event.DESTROY, each, endpoint, reason=why)

    def _row(self, endpoint: Endpoint, each: Publication) -> PublicationRow:
        number, table = self._number(endpoint), self._switch.tables.publications
        published = assembly.publication(each, endpoint, number)
        closes_at = table.closes_at(published)
        return PublicationRow(
            endpoint=endpoint.name,
            network=endpoint.network,
            published=str(each),
            protocol=each.protocol.name.lower(),
            host_address=str(each.host_address or publish.EVERY_ADDRESS),
            host_ports=_pair(each.host_ports),
            endpoint_ports=_pair(each.endpoint_ports),
            sources=tuple(map(str, each.terms.sources)),
            is_for_one=each.terms.is_for_one,
            is_used_up=table.has_served(published),
            per_second=each.terms.per_second,
            expires_in_seconds=closes_at and (closes_at - self._runtime.now()) / SECOND,
        )


def tell(
    events: Events, event: Event, of: Publication, endpoint: Endpoint, **about: object
) -> None:
    """Tell of a publication that comes or goes."""
    where = {"endpoint": endpoint.name, "network": endpoint.network}
    events.tell(EventType.PUBLICATION, event, str(of), **where, **about)


def any_port() -> AnyPort:
    """Which host ports somebody gets who asks for any, as the host's settings say."""
    try:
        host = host_ports.host_ports()
    except OSError as error:
        log.warning("which ports the host gives away can not be read: %s", error)
        return AnyPort(is_in_use=_is_in_use)
    ephemeral = PortRange(host.ephemeral.start, host.ephemeral.stop - 1)
    return AnyPort(ephemeral, host.reserved, _is_in_use)


def _is_in_use(protocol: Protocol, port: int) -> bool:
    """Whether a program of the host has a port: asked by trying to have it."""
    with socket.socket(socket.AF_INET, _KINDS[protocol]) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def _pair(ports: PortRange) -> tuple[int, int]:
    return ports.first, ports.last


def _words(of: Publication) -> str:
    return " ".join(_told(of))


def _told(of: Publication) -> Iterator[str]:
    yield str(of)
    if said := terms.text(of.terms):
        yield said
