"""The connections of one switch, as octets, and what those mean in another switch.

Theory of operation. `save` writes down every connection and every mapping that a frame made, with
what the fast path knows of them: states, windows, when they were last used. Times are durations, as
the other switch has another clock; the names of networks are told, as it may have other numbers.
`restore` puts in what still holds there: both networks exist, the endpoints are there, an external
port is one that the other switch would give away, a publication leads where it led, and nobody's
policy speaks against it (`policy`, which says as well whose address may be shown). What does not
hold is stale and left out, so that a snapshot can not do what a frame could not. Programs are not
carried over: the first frame in each direction finds its connection and is decided about as ever.

There may be a quarter of a million of them, and a switch that stops is waited for. So each is one
record of a fixed form, which one call packs and one call unpacks; octets that were made by another
form are another vswitch's, and nothing of them holds.

What allowed names have led to goes over, too: it was told to clients that go on by it.

Static mappings, publications and neighbours are not in a snapshot: they come from what the other
switch was made of. Ports that rest, held SYNs and fragments that wait are forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from vswitch.dataplane import policy
from vswitch.dataplane.accounts import Account
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.dataplane.openings import Opening
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

_NUMBER_BYTES = 2
"""With the number of its network a `FlowTuple` begins, and an `Internal`."""

_WINDOW_BYTES = len(Window().state)

_MAPPING = Struct(">9s H 7s q")
"""An `Internal`, the number of the uplink, an `External`, and nanoseconds since the inside last
sent by it."""

_CONNECTION = Struct(f">16s 16s B B q q Q Q 7s 7s {_WINDOW_BYTES}s")
"""A `SavedConnection`: both tuples, state and `_Has`, age and idle time, what has passed, the
external ports that it holds and that it came in by, and its window."""

_STATES = tuple(State)
_STATE_NUMBERS = {state: number for number, state in enumerate(_STATES)}

FORM = " ".join((_MAPPING.format, _CONNECTION.format, *(each.name for each in _STATES)))
"""What records look like: other octets are another vswitch's."""

_HOLDS_TARGET, _IS_PUBLISHED, _HAS_MAPPING, _HAS_TARGET, _HAS_WINDOW = (
    1 << bit for bit in range(5)
)

_NOTHING = b""
"""In the place of what is not there: the record is filled up with zeros."""


class SavedOpening(NamedTuple):
    """An address that a network reaches by a name; `left` is negative where that is over."""

    network: int
    address: bytes
    name: bytes
    left: Nanoseconds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of them."""

    form: str
    networks: MappingOf[int, str]
    """Their names, by the numbers that the records have."""
    mappings: bytes
    connections: bytes
    openings: tuple[SavedOpening, ...] = ()

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self.connections) // _CONNECTION.size


class SavedMapping(NamedTuple):
    """A mapping that a frame made."""

    internal: bytes
    uplink: int
    external: bytes
    idle: Nanoseconds


class SavedConnection(NamedTuple):
    """A connection."""

    original: bytes
    reply: bytes
    state: int
    has: int
    """Some of `_HOLDS_TARGET` and the others."""
    age: Nanoseconds
    idle: Nanoseconds
    frames: int
    octets: int
    mapping: bytes
    target: bytes
    window: bytes


def save(tables: Tables, now: Nanoseconds) -> Snapshot:
    """The connections and mappings that there are. Who changes windows is to stand still."""
    connections = b"".join(_saved(tables, each, now) for each in tables.connections)
    mappings = b"".join(
        _MAPPING.pack(each.internal, each.uplink, each.external, now - each.last_outbound)
        for each in tables.mappings
        if not each.is_static
    )
    networks = {number: network.name for number, network in tables.networks.items()}
    openings = tuple(
        SavedOpening(network, address, opening.name, opening.until - now)
        for network, address, opening in tables.openings
    )
    return Snapshot(FORM, networks, mappings, connections, openings)


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
    if snapshot.form != FORM:
        return 0
    restorer = _Restorer(tables, snapshot.networks, present, now - elapsed)
    restorer.openings(snapshot.openings)
    mappings = restorer.mappings(snapshot.mappings)
    restored = restorer.connections(snapshot.connections)
    for mapping in mappings:
        tables.mappings.settle(mapping)
    return restored


def _saved(tables: Tables, connection: Connection, now: Nanoseconds) -> bytes:
    tables.note_last_outbound(connection)
    window = tables.fastpath.window(connection.number)
    mapping, target = connection.mapping, connection.target
    has = (
        (_HOLDS_TARGET if connection.holds_target else 0)
        | (_IS_PUBLISHED if connection.publication is not None else 0)
        | (_HAS_MAPPING if mapping is not None else 0)
        | (_HAS_TARGET if target is not None else 0)
        | (_HAS_WINDOW if window is not None else 0)
    )
    return _CONNECTION.pack(
        connection.original,
        connection.reply,
        _STATE_NUMBERS[connection.state],
        has,
        now - connection.created,
        now - tables.connections.last_seen(connection),
        connection.frames,
        connection.bytes,
        _NOTHING if mapping is None else mapping.external,
        _NOTHING if target is None else target.external,
        _NOTHING if window is None else bytes(window.state),
    )


class _Restorer:
    """One restoration. `made_at` is when the snapshot was made, by the clock of these tables."""

    def __init__(
        self,
        tables: Tables,
        names: MappingOf[int, str],
        present: Collection[Endpoint],
        made_at: Nanoseconds,
    ) -> None:
        self._tables = tables
        self._made_at = made_at
        by_name = {network.name: network for network in tables.networks.values()}
        self._networks = {
            _octets(number): by_name[name] for number, name in names.items() if name in by_name
        }
        """By the numbers that the records have."""
        self._accounts: dict[tuple[int, IpAddress], Account] = {}
        """Those that were asked for: of a few endpoints is most of it."""
        self._present = {
            (by_name[name].number, address) for name, address in present if name in by_name
        }

    def openings(self, saved: Iterable[SavedOpening]) -> None:
        """Open what names have led to that are allowed here."""
        for number, address, name, left in saved:
            network = self._networks.get(_octets(number))
            if network is not None and network.allowed and network.allowed.allows(name):
                opening = Opening(name, self._made_at + left)
                self._tables.openings.put(network.number, IpAddress(address), opening)

    def mappings(self, octets: bytes) -> list[Mapping]:
        """Make those that hold."""
        saved = map(SavedMapping._make, _MAPPING.iter_unpack(octets))
        return [mapping for each in saved if (mapping := self._mapping(each)) is not None]

    def connections(self, octets: bytes) -> int:
        """Begin those that hold; how many."""
        return sum(map(self._begin, map(SavedConnection._make, _CONNECTION.iter_unpack(octets))))

    def _mapping(self, saved: SavedMapping) -> Mapping | None:
        network = self._networks.get(saved.internal[:_NUMBER_BYTES])
        uplink = self._networks.get(_octets(saved.uplink))
        if network is None or uplink is None or self._tables.uplink_of(network) is not uplink:
            return None
        external = External.trusted(saved.external)
        internal = Internal.trusted(_numbered(network, saved.internal))
        table, address = self._tables.mappings, internal.address
        if not uplink.owns(external.address) or not table.may_be_given(external):
            return None
        if not self._is_there(network, address):
            return None
        if table.of_internal(internal, uplink.number) is not None:
            return None
        account = self._account(network, address)
        mapping = Mapping(internal, external, uplink.number, account, self._made_at - saved.idle)
        table.add(mapping)
        return mapping

    def _begin(self, saved: SavedConnection) -> bool:
        connection = self._connection(saved)
        tables = self._tables
        if connection is None or tables.connections.full:
            return False
        tables.begin(connection)
        if saved.has & _HAS_WINDOW:
            self._go_on_with_window(connection, saved.window)
        return True

    def _connection(self, saved: SavedConnection) -> Connection | None:
        """What was saved, where it holds in the tables as they are."""
        original, reply = self._flow(saved.original), self._flow(saved.reply)
        if original is None or reply is None:
            return None
        tables = self._tables
        if tables.connections.find(original) or tables.connections.find(reply):
            return None
        has = saved.has
        mapping = self._held(saved.mapping) if has & _HAS_MAPPING else None
        target = self._held(saved.target) if has & _HAS_TARGET else None
        publication = self._publication(original) if has & _IS_PUBLISHED else None
        connection = Connection(
            original,
            reply,
            self._account_of(original, reply),
            self._made_at - saved.age,
            mapping=mapping,
            target=target,
            publication=publication,
        )
        connection.state = _STATES[saved.state]
        connection.last_seen = self._made_at - saved.idle
        connection.frames, connection.bytes = saved.frames, saved.octets
        connection.holds_target = bool(has & _HOLDS_TARGET)
        holds = self._source_holds(connection) and self._destination_holds(connection)
        return connection if holds and not policy.refuse_connection(tables, connection) else None

    def _account_of(self, original: FlowTuple, reply: FlowTuple) -> Account:
        """Of who began it, or of whom it leads to where it came from outside."""
        network = self._tables.networks[original.network]
        if network.side is Side.INSIDE:
            return self._account(network, original.source)
        return self._account(self._tables.networks[reply.network], reply.source)

    def _account(self, network: Network, address: IpAddress) -> Account:
        key = network.number, address
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = self._tables.account_of(network, address)
        return account

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

    def _flow(self, octets: bytes) -> FlowTuple | None:
        network = self._networks.get(octets[:_NUMBER_BYTES])
        return None if network is None else FlowTuple.trusted(_numbered(network, octets))

    def _held(self, external: bytes) -> Mapping | None:
        return self._tables.mappings.of_external(External.trusted(external))

    def _publication(self, original: FlowTuple) -> Publication | None:
        return self._tables.publications.find(
            original.protocol, original.destination, original.destination_port
        )

    def _is_there(self, network: Network, address: IpAddress) -> bool:
        return (network.number, address) in self._present

    def _is_ours(self, number: int, address: IpAddress) -> bool:
        owner = self._tables.owner(address)
        return owner is not None and owner.number == number

    def _go_on_with_window(self, connection: Connection, octets: bytes) -> None:
        with self._tables.fastpath.still():
            self._tables.fastpath.open_window(connection.number).state[:] = octets


def _numbered(network: Network, octets: bytes) -> bytes:
    """A packed value with the number that its network has here."""
    return _octets(network.number) + octets[_NUMBER_BYTES:]


def _octets(number: int) -> bytes:
    """Of a network, as packed values begin with it."""
    return number.to_bytes(_NUMBER_BYTES, "big")
