"""The connections of one switch, as values, and those values in another switch.

Theory of operation. `save` writes down every connection and every mapping that a frame made, with
what the fast path knows of them: states, windows, when they were last used. Times are durations, as
the other switch has another clock; networks are called by their names, as it may have other
numbers. `restore` puts in what still holds there: both networks exist, the endpoints are there, an
external port is one that the other switch would give away, a publication leads where it led, and
nobody's policy speaks against it (`policy`, which says as well whose address may be shown). What
does not hold is stale and left out, so that a snapshot can not do what a frame could not. Programs
are not carried over: the first frame in each direction finds its connection and is decided about
as ever.

Static mappings, publications and neighbours are not in a snapshot: they come from what the other
switch was made of. Ports that rest, held SYNs and fragments that wait are forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from vswitch.dataplane import policy
from vswitch.dataplane.accounts import Account
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.transport import PORTLESS
from vswitch.fastpath.states import State
from vswitch.fastpath.window import Window
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress

Endpoint = tuple[str, IpAddress]
"""The name of a network inside, and an address that somebody has there."""

_TUPLE_AFTER_NETWORK = slice(2, None)
"""A `FlowTuple` without the number of its network."""

_INTERNAL_AFTER_NETWORK = slice(2, None)
"""An `Internal` likewise."""

_WINDOW_BYTES = len(Window().state)
"""What a window takes: one of another size is another vswitch's."""


class SavedFlow(NamedTuple):
    """A flow tuple whose network has a name."""

    network: str
    octets: bytes


class SavedMapping(NamedTuple):
    """A mapping that a frame made."""

    network: str
    internal: bytes
    """An `Internal` without its network."""
    uplink: str
    external: bytes
    """An `External`."""
    idle: Nanoseconds
    """Since the inside last sent by it."""


class SavedConnection(NamedTuple):
    """A connection."""

    original: SavedFlow
    reply: SavedFlow
    state: str
    age: Nanoseconds
    idle: Nanoseconds
    frames: int
    octets: int
    mapping: bytes | None
    target: bytes | None
    """The external ports that it holds and that it came in by: an `External` each."""
    holds_target: bool
    is_published: bool
    window: bytes | None
    """The state of its window, where that is followed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of them."""

    mappings: tuple[SavedMapping, ...]
    connections: tuple[SavedConnection, ...]


def save(tables: Tables, now: Nanoseconds) -> Snapshot:
    """The connections and mappings that there are. Who changes windows is to stand still."""
    connections = tuple(_saved(tables, each, now) for each in tables.connections)
    mappings = tuple(
        SavedMapping(
            tables.networks[each.internal.network].name,
            bytes(each.internal[_INTERNAL_AFTER_NETWORK]),
            tables.networks[each.uplink].name,
            bytes(each.external),
            now - each.last_outbound,
        )
        for each in tables.mappings
        if not each.is_static
    )
    return Snapshot(mappings, connections)


def restore(
    tables: Tables,
    snapshot: Snapshot,
    present: Collection[Endpoint],
    elapsed: Nanoseconds,
    now: Nanoseconds,
) -> int:
    """Put in what holds of `snapshot`, which was made `elapsed` ago; how many connections did.

    `present` are the endpoints that are there.
    """
    restorer = _Restorer(tables, present, elapsed, now)
    mappings = restorer.mappings(snapshot.mappings)
    restored = restorer.connections(snapshot.connections)
    for mapping in mappings:
        tables.mappings.settle(mapping)
    return restored


def _saved(tables: Tables, connection: Connection, now: Nanoseconds) -> SavedConnection:
    tables.note_last_outbound(connection)
    window = tables.fastpath.window(connection.number)
    return SavedConnection(
        _saved_flow(tables, connection.original),
        _saved_flow(tables, connection.reply),
        connection.state.value,
        now - connection.created,
        now - tables.connections.last_seen(connection),
        connection.frames,
        connection.bytes,
        _external_of(connection.mapping),
        _external_of(connection.target),
        connection.holds_target,
        connection.publication is not None,
        None if window is None else bytes(window.state),
    )


def _saved_flow(tables: Tables, flow: FlowTuple) -> SavedFlow:
    return SavedFlow(tables.networks[flow.network].name, bytes(flow[_TUPLE_AFTER_NETWORK]))


def _external_of(mapping: Mapping | None) -> bytes | None:
    return None if mapping is None else bytes(mapping.external)


class _Restorer:
    """One restoration."""

    def __init__(
        self, tables: Tables, present: Collection[Endpoint], elapsed: Nanoseconds, now: Nanoseconds
    ) -> None:
        self._tables = tables
        self._present = present
        self._elapsed = elapsed
        self._now = now
        self._networks = {network.name: network for network in tables.networks.values()}

    def mappings(self, saved: Iterable[SavedMapping]) -> list[Mapping]:
        """Make those that hold."""
        return [mapping for each in saved if (mapping := self._mapping(each)) is not None]

    def connections(self, saved: Iterable[SavedConnection]) -> int:
        """Begin those that hold; how many."""
        return sum(self._begin(each) for each in saved)

    def _mapping(self, saved: SavedMapping) -> Mapping | None:
        network, uplink = self._networks.get(saved.network), self._networks.get(saved.uplink)
        if network is None or uplink is None or self._tables.uplink_of(network) is not uplink:
            return None
        external = External.trusted(saved.external)
        internal = Internal.trusted(_numbered(network, saved.internal))
        table = self._tables.mappings
        if not uplink.owns(external.address) or not table.may_be_given(external):
            return None
        if not self._is_there(network, internal.address):
            return None
        if table.of_internal(internal, uplink.number) is not None:
            return None
        account = self._tables.account_of(network, internal.address)
        last_outbound = self._now - self._elapsed - saved.idle
        mapping = Mapping(internal, external, uplink.number, account, last_outbound)
        table.add(mapping)
        return mapping

    def _begin(self, saved: SavedConnection) -> bool:
        connection = self._connection(saved)
        tables = self._tables
        if connection is None or tables.connections.full:
            return False
        tables.begin(connection)
        if saved.window is not None:
            self._go_on_with_window(connection, saved.window)
        return True

    def _connection(self, saved: SavedConnection) -> Connection | None:
        """What was saved, where it holds in the tables as they are."""
        original, reply = self._flow(saved.original), self._flow(saved.reply)
        if original is None or reply is None:
            return None
        if saved.window is not None and len(saved.window) != _WINDOW_BYTES:
            return None
        tables = self._tables
        if tables.connections.find(original) or tables.connections.find(reply):
            return None
        mapping, target = self._held(saved.mapping), self._held(saved.target)
        publication = self._publication(original) if saved.is_published else None
        connection = Connection(
            original,
            reply,
            self._account(original, reply),
            self._now - self._elapsed - saved.age,
            mapping=mapping,
            target=target,
            publication=publication,
        )
        connection.state = State(saved.state)
        connection.last_seen = self._now - self._elapsed - saved.idle
        connection.frames, connection.bytes = saved.frames, saved.octets
        connection.holds_target = saved.holds_target
        holds = self._source_holds(connection) and self._destination_holds(connection)
        return connection if holds and not policy.refuse_connection(tables, connection) else None

    def _account(self, original: FlowTuple, reply: FlowTuple) -> Account:
        """Of who began it, or of whom it leads to where it came from outside."""
        network = self._tables.networks[original.network]
        if network.side is Side.INSIDE:
            return self._tables.account_of(network, original.source)
        return self._tables.account_of(self._tables.networks[reply.network], reply.source)

    def _source_holds(self, connection: Connection) -> bool:
        """Whether the source is there, and would still become what the answers are sent to."""
        original, reply = connection.original, connection.reply
        network = self._tables.networks[original.network]
        if network.side is Side.OUTSIDE:
            return original.source == reply.destination
        if not self._is_there(network, original.source):
            return False
        if connection.mapping is not None:
            internal, external = connection.mapping.internal, connection.mapping.external
            return (
                internal == Internal.source_of(original)
                and external.address == reply.destination
                and external.port == reply.destination_port
            )
        if original.source == reply.destination:
            return True
        own = self._tables.one_to_one.external(network.number, original.source)
        return reply.destination == own or (
            original.protocol in PORTLESS and self._is_ours(reply.network, reply.destination)
        )

    def _destination_holds(self, connection: Connection) -> bool:
        """Whether the destination is there, and what leads to it still does."""
        original, reply = connection.original, connection.reply
        network = self._tables.networks[reply.network]
        if network.side is Side.OUTSIDE:
            return original.destination == reply.source
        if not self._is_there(network, reply.source):
            return False
        if original.destination == reply.source:
            return True
        owner = self._tables.owner(original.destination)
        if owner is None or owner.side is Side.INSIDE:
            return False
        publication, target = connection.publication, connection.target
        if publication is not None:
            leads_to = publication.network, publication.endpoint
            port = publication.endpoint_port(original.destination_port)
            return (*leads_to, port) == (network.number, reply.source, reply.source_port)
        if target is not None:
            return target.internal == Internal.source_of(reply)
        alone = self._tables.one_to_one.internal(original.destination)
        return alone == (network.number, reply.source)

    def _flow(self, saved: SavedFlow) -> FlowTuple | None:
        network = self._networks.get(saved.network)
        return None if network is None else FlowTuple.trusted(_numbered(network, saved.octets))

    def _held(self, external: bytes | None) -> Mapping | None:
        if external is None:
            return None
        return self._tables.mappings.of_external(External.trusted(external))

    def _publication(self, original: FlowTuple) -> Publication | None:
        return self._tables.publications.find(
            original.protocol, original.destination, original.destination_port
        )

    def _is_there(self, network: Network, address: IpAddress) -> bool:
        return (network.name, address) in self._present

    def _is_ours(self, number: int, address: IpAddress) -> bool:
        owner = self._tables.owner(address)
        return owner is not None and owner.number == number

    def _go_on_with_window(self, connection: Connection, octets: bytes) -> None:
        with self._tables.fastpath.still():
            self._tables.fastpath.open_window(connection.number).state[:] = octets


def _numbered(network: Network, octets: bytes) -> bytes:
    """A packed value with the number of its network in front."""
    return network.number.to_bytes(2, "big") + octets
