"""Why a connection is as it is: who began it, what let it, how it is translated, when it ends.

Theory of operation. Nothing is recorded for this: a connection's two tuples say how its frames are
translated, its mapping and publication what let it be, its state and the table of transitions what
can come next, and the fast path's counters what has passed. So the reasons are those of this
moment, and they cost nothing until somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.flow import ANSWERS, FlowTuple
from vswitch.dataplane.mappings import Mapping
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Network, Side
from vswitch.debug.explain.tracing import Host
from vswitch.fastpath.states import TCP_TRANSITIONS, Direction, Event, State
from vswitch.translation import Refresh
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import domain, tcp
from vswitch.wire.values import IpAddress, Protocol

STATES = {
    State.UNANSWERED: "no answer has come yet",
    State.ANSWERED: "frames have passed in both directions",
    State.OPENING: "a SYN has come from the side that began",
    State.ESTABLISHED: "a SYN has come from both sides",
    State.ORIGINAL_CLOSED: "the side that began has sent its FIN, the other may still send",
    State.REPLY_CLOSED: "the side that answers has sent its FIN, the other may still send",
    State.CLOSING: "a FIN has come from both sides",
    State.TRANSITORY: "a RST has come: over, unless traffic goes on",
}
"""What each state means, in words."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What has been seen of a connection, by the pipeline and by the fast path."""

    frames: int
    bytes: int
    last_seen: Nanoseconds
    expires: Nanoseconds
    """When it ends if nothing more is seen of it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A program of a connection in the fast path."""

    direction: str
    port: str
    """Whose frames it is for."""
    frames: int
    bytes: int
    tcp_flags: tuple[str, ...]
    """All that have been seen."""


@dataclass(frozen=True, slots=True)
class Why:
    """All reasons of one connection, each as lines for a person."""

    flow: int
    protocol: str
    state: str
    state_means: str
    began: tuple[str, ...]
    allowed: tuple[str, ...]
    """What let it begin: policy, publication, mapping."""
    original: tuple[str, ...]
    """What happens to frames of the side that began."""
    reply: tuple[str, ...]
    """What happens to the answers."""
    next_states: tuple[str, ...]
    ends: tuple[str, ...]
    kept: tuple[Kept, ...]


def why(switch: Switch, connection: Connection, hosts: Iterable[Host], now: Nanoseconds) -> Why:
    """The reasons of a connection of `switch`; `hosts` gives addresses their names."""
    people = _People(switch, hosts)
    state = connection.state
    return Why(
        flow=connection.number,
        protocol=Protocol(connection.original.protocol).name.lower(),
        state=state.value,
        state_means=STATES[state],
        began=tuple(_began(people, connection, now)),
        allowed=tuple(_allowed(switch, people, connection)),
        original=tuple(_way(switch, connection, Direction.ORIGINAL)),
        reply=tuple(_way(switch, connection, Direction.REPLY)),
        next_states=tuple(_next_states(people, connection)),
        ends=tuple(_ends(switch, people, connection, now)),
        kept=tuple(_kept(switch, connection)),
    )


def usage(switch: Switch, connection: Connection) -> Usage:
    """What has passed, and when the connection ends by itself."""
    frames, octets = connection.frames, connection.bytes
    for kept in switch.kept(connection):
        frames, octets = frames + kept.counters.frames, octets + kept.counters.bytes
    connections = switch.tables.connections
    last_seen, expires = connections.last_seen(connection), connections.expires_at(connection)
    return Usage(frames, octets, last_seen, expires)


class _People:
    """Names for addresses."""

    def __init__(self, switch: Switch, hosts: Iterable[Host]) -> None:
        self._networks = switch.tables.networks
        self._names = {(host.network, host.address): host.port for host in hosts}

    def name(self, number: int, address: IpAddress) -> str:
        """Of an endpoint, or the address of whoever is none."""
        return self._names.get((self._networks[number].name, address), str(address))

    def whole(self, number: int, address: IpAddress) -> str:
        """`app (172.18.0.3 on front)`, or `93.184.216.34 on uplink`."""
        network, name = self._networks[number].name, self.name(number, address)
        if name == str(address):
            return f"{address} on {network}"
        return f"{name} ({address} on {network})"

    def sides(self, connection: Connection) -> dict[Direction, str]:
        """Who sends the frames of each direction."""
        original, reply = connection.original, connection.reply
        return {
            Direction.ORIGINAL: self.name(original.network, original.source),
            Direction.REPLY: self.name(reply.network, reply.source),
        }


def _began(people: _People, connection: Connection, now: Nanoseconds) -> Iterator[str]:
    original = connection.original
    ago = _seconds(now - connection.created)
    yield f"by {people.whole(original.network, original.source)}, {ago} ago"
    yield f"with a frame {original}"


def _allowed(switch: Switch, people: _People, connection: Connection) -> Iterator[str]:
    tables = switch.tables
    original, reply = connection.original, connection.reply
    came, goes = tables.networks[original.network], tables.networks[reply.network]
    publication, mapping, target = connection.publication, connection.mapping, connection.target
    if publication is not None:
        yield _publication_words(people, publication, original.destination_port)
    elif goes.side is Side.OUTSIDE:
        yield f"policy: {came.name} is an inside network, which may begin connections to outside"
        opening = tables.openings.find(original.network, original.destination)
        if opening is not None and came.allowed is not None:
            yield f"name: {domain.decode(opening.name)} has led to {original.destination}"
    elif target is not None and came.side is Side.OUTSIDE:
        yield f"filtering: {goes.translation.filtering.value} for {goes.name}"
        yield f"mapping: {_mapping_words(people, target)}"
    elif target is not None:
        yield f"hairpin: {_mapping_words(people, target)}"
    else:
        yield f"one to one: {original.destination} stands for {reply.source}"
    if mapping is not None:
        yield f"mapping: {_mapping_words(people, mapping)}"


def _publication_words(people: _People, publication: Publication, port: int) -> str:
    protocol = Protocol(publication.protocol).name.lower()
    host = publication.host_address or "every address of the switch"
    to = people.whole(publication.network, publication.endpoint)
    return (
        f"publication: port {port}/{protocol} of {host} leads to {to}, "
        f"port {publication.endpoint_port(port)}"
    )


def _mapping_words(people: _People, mapping: Mapping) -> str:
    internal, external = mapping.internal, mapping.external
    what = "identifier" if internal.protocol == Protocol.ICMP else "port"
    others = mapping.holders - 1
    shared = f", shared with {_count(others, 'other connection')}" if others > 0 else ""
    return (
        f"{what} {internal.port} of {people.whole(internal.network, internal.address)} is "
        f"{what} {external.port} of {external.address} for everyone{shared}"
    )


def _way(switch: Switch, connection: Connection, direction: Direction) -> Iterator[str]:
    """How frames of one direction come in and go out."""
    arriving, leaving = connection.arriving(direction), connection.leaving(direction)
    networks = switch.tables.networks
    network = networks[leaving.network]
    yield f"comes in on {networks[arriving.network].name} as {arriving}"
    yield f"goes out on {network.name} as {leaving}"
    changes = list(_changes(arriving, leaving))
    yield ", ".join(changes) if changes else "nothing is translated"
    yield _next_hop_words(network, leaving)


def _changes(arriving: FlowTuple, leaving: FlowTuple) -> Iterator[str]:
    before, after = _ends_of(arriving), _ends_of(leaving)
    for what, old, new in zip(("source", "destination"), before, after, strict=True):
        if old != new:
            yield f"{what} {old} becomes {new}"


def _ends_of(of: FlowTuple) -> tuple[str, str]:
    """Sender and receiver, with the port of each, or the identifier at the one that asks."""
    if of.protocol != Protocol.ICMP:
        return f"{of.source}:{of.source_port}", f"{of.destination}:{of.destination_port}"
    if of.kind in ANSWERS:
        return f"{of.source} id {of.identifier}", str(of.destination)
    return str(of.source), f"{of.destination} id {of.identifier}"


def _next_hop_words(network: Network, leaving: FlowTuple) -> str:
    hop = network.hop_towards(leaving.destination)
    if hop is None:
        return f"{network.name} has no gateway that leads there"
    mac = network.station(hop)
    return f"next hop {hop} is at {mac}" if mac else f"the station of next hop {hop} is not known"


def _next_states(people: _People, connection: Connection) -> Iterator[str]:
    sides = people.sides(connection)
    state = connection.state
    if connection.original.protocol != Protocol.TCP:
        if state is State.UNANSWERED:
            yield f"a frame from {sides[Direction.REPLY]}: {State.ANSWERED.value}"
        return
    for (before, direction, event), after in TCP_TRANSITIONS.items():
        if before is state:
            what = "any other segment" if event is Event.OTHER else event.value
            yield f"{what} from {sides[direction]}: {after.value}"


def _ends(
    switch: Switch, people: _People, connection: Connection, now: Nanoseconds
) -> Iterator[str]:
    seen = usage(switch, connection)
    lives_for = _seconds(seen.expires - seen.last_seen)
    yield f"in {_seconds(seen.expires - now)}, if nothing more is seen of it"
    outbound_only = connection.account.translation.refresh is Refresh.OUTBOUND
    is_tcp = connection.original.protocol == Protocol.TCP
    whose = "the inside" if outbound_only and not is_tcp else "either side"
    yield f"each frame of {whose} puts that off to {lives_for} later"
    yield f"the last one came {_seconds(now - seen.last_seen)} ago; frames until now: {seen.frames}"
    inside = [
        people.name(side.network, side.source)
        for side in (connection.original, connection.reply)
        if switch.tables.networks[side.network].side is Side.INSIDE
    ]
    yield f"at once where {' or '.join(inside)} is detached"
    if connection.publication is not None:
        yield "at once where its port is no longer published"
    if connection.mapping is not None:
        rest = connection.account.translation.timeouts.hold_down
        yield f"nobody else gets its external port within {_seconds(rest)} of that"


def _kept(switch: Switch, connection: Connection) -> Iterator[Kept]:
    for kept in switch.kept(connection):
        port, counters = switch.tables.ports.get(kept.port), kept.counters
        flags = (flag.name for flag in tcp.Flags if counters.tcp_flags & flag)
        yield Kept(
            direction=kept.direction.value,
            port=port.name if port else "",
            frames=counters.frames,
            bytes=counters.bytes,
            tcp_flags=tuple(flag for flag in flags if flag),
        )


def _seconds(duration: Nanoseconds) -> str:
    return f"{duration / SECOND:.0f} s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
