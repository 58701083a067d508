"""Policy: may this packet be routed at all, and from which network into which?

Addresses first (RFC 1812, 5.3.7 and BCP 38): a source must be a host that can be on the network
that it came from, a destination one that a router forwards to, and nobody is both. Options neither
choose the way nor show inside addresses.

Then flows (`judge`): the user's filters first, and what they leave open is the switch's own to say.
Each inside network reaches the outside; inside networks are isolated from each other; from the
outside no connection is begun to an inside address, as published ports and answers are addressed to
the switch. A network's `NetworkPolicy` says otherwise, and where it has a list of names, its flows
reach outside what these have led to alone (`openings`). What is said about a new flow is said about
a live one by the same words when rules change (`refuse_connection`).

The host has the gateway's address on a network where it has a port: in that name it reaches what is
on that network, internal or not, and nothing beyond.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.filters import NOTHING_SAID, Entry, Flow, Said
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.mappings import Mapping
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.verdict import Stage
from vswitch.dataplane.walk import Walk
from vswitch.policy import Action, GatewayMode
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import domain
from vswitch.wire.ipv4 import HEADER_LENGTH, Ipv4
from vswitch.wire.values import IPV4_LENGTH, IpAddress, Protocol

_THIS_NETWORK = 0
"""The first octet of 0.0.0.0/8, which is nobody's address (RFC 1122, 3.2.1.3)."""

_LOOPBACK = 127
_LIMITED_BROADCAST = b"\xff\xff\xff\xff"
_GROUPS = range(224, 240)
_NO_HOST = frozenset({_THIS_NETWORK, _LOOPBACK, *_GROUPS})
"""First octets of addresses that no host has on any network (RFC 6890, RFC 5771)."""

_INSIDE, _OUTSIDE = Side.INSIDE, Side.OUTSIDE

_LOOSE_SOURCE_ROUTE = 131
_STRICT_SOURCE_ROUTE = 137
_RECORD_ROUTE = 7
_TIMESTAMP = 68
_RECORDS_FROM = {_RECORD_ROUTE: 3, _TIMESTAMP: 4}
"""Where in an option the addresses of those begin that it has passed (RFC 791, 3.1)."""

_NO_OPERATION = 1
_END_OF_OPTIONS = 0
_SHORTEST_OPTION = 2
"""Bytes of an option that has a length: its type and that (RFC 791, 3.1)."""


def refuse_packet(packet: Ipv4, network: Network, tables: Tables) -> DropReason | None:
    """Why a packet that arrived on `network` may not be looked at further, None where it may."""
    refused = refuse_ends(packet.source, packet.destination, network, tables)
    if refused:
        return refused
    if packet.header_length == HEADER_LENGTH:
        return None
    return _refuse_options(packet.options, network, tables)


def refuse_ends(
    source: IpAddress, destination: IpAddress, network: Network, tables: Tables
) -> DropReason | None:
    """The same for the addresses alone."""
    if source == destination:
        return DropReason.LAND
    home = tables.connected(source)
    if _is_no_host(source) or tables.owner(source) or _is_broadcast(source, home):
        return DropReason.MARTIAN_SOURCE
    if network.side is _INSIDE and not network.holds(source):
        return DropReason.SOURCE_NOT_IN_SUBNET
    if network.side is _OUTSIDE and home is not None and home.side is _INSIDE:
        return DropReason.MARTIAN_SOURCE
    if _is_no_host(destination) or _is_broadcast(destination, tables.connected(destination)):
        return DropReason.MARTIAN_DESTINATION
    return None


def refuse_host_packet(packet: Ipv4, network: Network, tables: Tables) -> DropReason | None:
    """The same as `refuse_packet` for one that the host itself has sent into `network`."""
    refused = refuse_ends_of_host(packet.source, packet.destination, network)
    if refused or packet.header_length == HEADER_LENGTH:
        return refused
    return _refuse_options(packet.options, network, tables)


def refuse_ends_of_host(
    source: IpAddress, destination: IpAddress, network: Network
) -> DropReason | None:
    """The host has the gateway's address on a network and no other, and reaches by its port there
    what is on that network alone."""
    if source == destination:
        return DropReason.LAND
    if not network.owns(source):
        return DropReason.MARTIAN_SOURCE
    if _is_no_host(destination) or _is_broadcast(destination, network):
        return DropReason.MARTIAN_DESTINATION
    return None if network.holds(destination) else DropReason.NO_ROUTE


class Way(Enum):
    """By what a flow reaches who it leads to."""

    STRAIGHT = "by its own address"
    OPENED = "by a port or an address that somebody has opened to it"
    """A publication, a mapping by hand, an address that stands for one endpoint."""
    MAPPED = "by an external port that it has taken itself"

    @classmethod
    def of(cls, original: FlowTuple, reply: FlowTuple, target: Mapping | None) -> Way:
        """That of a flow with these tuples, which comes in by `target` where that is a mapping."""
        if original.destination == reply.source:
            return cls.STRAIGHT
        return cls.OPENED if target is None or target.is_static else cls.MAPPED


class Judgment(NamedTuple):
    """What is said about a new flow."""

    refused: DropReason | None
    rules: tuple[Entry, ...]
    """The filters that have matched it."""
    is_repeatable: bool
    """Whether the same is said, whenever that is, about a flow that differs in its source port
    alone, and nobody has to be told of that one."""


_MAY_PASS = Judgment(None, (), is_repeatable=True)


def judge(
    walk: Walk,
    tables: Tables,
    original: FlowTuple,
    reply: FlowTuple | None,
    leaves: Network,
    way: Way,
    may_begin: bool,
) -> Judgment:
    """May a flow that is not known pass? Without `reply` its destination is the one that it names.

    Filters that match it are counted, unless it may and the frame can not begin it.
    """
    arrives, now = walk.network, walk.now
    is_by_name = _needs_name(arrives, leaves)
    if is_by_name:
        _tell_name(walk, tables, original.destination)
    if not tables.filters.entries:
        refused = _refuse_flow(tables, original, arrives, leaves, way, begins=now)
        return Judgment(refused, (), not is_by_name) if refused or is_by_name else _MAY_PASS
    flow = Flow.of(original, reply or original.turned, arrives, leaves)
    said = tables.filters.judge(flow)
    tell(walk, said)
    refused = REFUSALS.get(said.action)
    if walk.commit and (refused or may_begin):
        tables.filters.note(said, flow, walk.now)
    if refused is None:
        accepted = said.action is Action.ACCEPT
        refused = _refuse_flow(
            tables, original, arrives, leaves, way, accepted=accepted, begins=now
        )
    is_repeatable = not (is_by_name or tables.filters.has_source_ports or said.is_logged)
    return Judgment(refused, said.matched, is_repeatable)


def tell(walk: Walk, said: Said) -> None:
    """Put what the filters have said into the trail."""
    for entry in said.matched:
        walk.found(Stage.POLICY, "filter {} says {}", entry.number, entry.filter)
    if said.by is None:
        walk.detail(Stage.POLICY, "no filter ends the matter")


def refuse_connection(
    tables: Tables, connection: Connection, begins: Nanoseconds | None = None
) -> DropReason | None:
    """Why a connection that lives may not be any more, None where it may; or why one that is over
    may not begin anew. Nothing is counted."""
    original, reply = connection.original, connection.reply
    arrives, leaves = tables.networks[original.network], tables.networks[reply.network]
    said = NOTHING_SAID
    if tables.filters.entries:
        said = tables.filters.judge(Flow.of(original, reply, arrives, leaves))
    refused = REFUSALS.get(said.action)
    if refused is None:
        way, accepted = Way.of(original, reply, connection.target), said.action is Action.ACCEPT
        refused = _refuse_flow(
            tables, original, arrives, leaves, way, accepted=accepted, begins=begins
        )
    if refused is None and _shows_what_is_hidden(original, reply, arrives, leaves):
        return DropReason.NETWORKS_ISOLATED
    return refused


REFUSALS = {
    Action.DROP: DropReason.FILTER_DROPPED,
    Action.REJECT: DropReason.FILTER_REJECTED,
}
"""By the actions that end a flow."""


def _refuse_flow(
    tables: Tables,
    original: FlowTuple,
    arrives: Network,
    leaves: Network,
    way: Way,
    *,
    accepted: bool = False,
    begins: Nanoseconds | None = None,
) -> DropReason | None:
    """The switch's own policy about a flow that a filter may have accepted, and that begins now or
    lives already."""
    if way is Way.STRAIGHT and arrives is leaves and _is_of_host(original, arrives):
        return None
    if arrives.policy.internal or leaves.policy.internal:
        return DropReason.NETWORK_INTERNAL
    if leaves.side is _OUTSIDE and arrives.side is _OUTSIDE:
        return DropReason.NOT_PUBLISHED
    if arrives is leaves:
        return _refuse_neighbour(leaves, way, accepted=accepted)
    if not tables.forwards:
        return DropReason.FORWARDING_OFF
    if leaves.side is _OUTSIDE:
        is_shut = _needs_name(arrives, leaves) and not accepted
        return _refuse_unnamed(tables, original, begins) if is_shut else None
    if way is not Way.STRAIGHT:
        is_routed = leaves.policy.gateway_mode is GatewayMode.ROUTED
        return DropReason.NOT_PUBLISHED if is_routed else None
    if _is_open(tables, original, leaves):
        return None
    if arrives.side is _OUTSIDE:
        may_open = accepted and leaves.policy.shows_addresses
        return None if may_open else DropReason.NOT_PUBLISHED
    return None if accepted else DropReason.NETWORKS_ISOLATED


def _needs_name(arrives: Network, leaves: Network) -> bool:
    """Whether names alone lead from a network to where a flow leaves."""
    return arrives.allowed is not None and leaves.side is _OUTSIDE


def _refuse_unnamed(
    tables: Tables, original: FlowTuple, begins: Nanoseconds | None
) -> DropReason | None:
    """About a flow that needs a name. One that lives had it in time."""
    opening = tables.openings.find(original.network, original.destination)
    if opening is None or (begins is not None and begins >= opening.until):
        return DropReason.NAME_NOT_ALLOWED
    return None


def _tell_name(walk: Walk, tables: Tables, destination: IpAddress) -> None:
    """Put into the trail which name has led to an address."""
    opening = tables.openings.find(walk.network.number, destination)
    if opening is None:
        walk.found(Stage.POLICY, "no allowed name has led to {}", destination)
        return
    left = (opening.until - walk.now) // SECOND
    state = f"open for {left} s more" if left >= 0 else f"shut for {-left} s"
    name = domain.decode(opening.name)
    walk.found(Stage.POLICY, "{} has led to {}, {}", name, destination, state)


def _is_of_host(original: FlowTuple, network: Network) -> bool:
    """Whether the host itself is one of a flow's ends."""
    if network.host is None:
        return False
    return network.owns(original.source) or network.owns(original.destination)


def _refuse_neighbour(network: Network, way: Way, *, accepted: bool) -> DropReason | None:
    """About a flow from one endpoint of a network to another by way of the switch's station: it is
    no way around what holds between the two (RFC 5517, 5), but what is opened is open to all."""
    if way is Way.STRAIGHT:
        return DropReason.NETWORKS_ISOLATED
    is_shut = way is Way.MAPPED and not network.policy.icc and not accepted
    return DropReason.ENDPOINTS_ISOLATED if is_shut else None


def _is_open(tables: Tables, original: FlowTuple, leaves: Network) -> bool:
    """Whether whoever reaches an inside address from another network gets through to it."""
    if leaves.policy.gateway_mode is not GatewayMode.ROUTED:
        return leaves.policy.gateway_mode is GatewayMode.NAT_UNPROTECTED
    protocol, address, port = original.protocol, original.destination, original.destination_port
    is_ping = protocol == Protocol.ICMP
    return is_ping or tables.publications.opens(protocol, leaves.number, address, port)


def _shows_what_is_hidden(
    original: FlowTuple, reply: FlowTuple, arrives: Network, leaves: Network
) -> bool:
    """Whether a connection to the outside carries inside addresses that are to be hidden now."""
    is_translated = reply.destination != original.source
    if is_translated or arrives.side is _OUTSIDE or leaves.side is _INSIDE:
        return False
    is_routed = arrives.policy.gateway_mode is GatewayMode.ROUTED
    return not (is_routed or arrives.translation.is_untranslated(original.destination))


def may_report(packet: Ipv4, network: Network, tables: Tables) -> bool:
    """Whether the sender of a packet that waited may be told what became of it: the outside hears
    nothing about an address that is not the switch's own, or that it is not shown."""
    if network.side is Side.INSIDE or tables.owner(packet.destination) is network:
        return True
    inside = tables.connected(packet.destination)
    return inside is not None and (
        inside.policy.shows_addresses or inside.translation.is_untranslated(packet.source)
    )


def _is_no_host(address: IpAddress) -> bool:
    return address[0] in _NO_HOST or address == _LIMITED_BROADCAST


def _is_inside(address: IpAddress, tables: Tables) -> bool:
    network = tables.connected(address)
    return network is not None and network.side is Side.INSIDE


def _is_broadcast(address: IpAddress, home: Network | None) -> bool:
    """Whether an address is all hosts of the subnet that it is in, or that subnet itself, which
    once meant the same (RFC 1122, 3.2.1.3)."""
    if home is None or home.interface is None:
        return False
    subnet = home.interface.address.network
    return subnet.broadcast is not None and address in (subnet.broadcast, subnet.address)


def _refuse_options(options: bytes, network: Network, tables: Tables) -> DropReason | None:
    at = 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        kind = options[at]
        if kind == _NO_OPERATION:
            at += 1
            continue
        if kind in (_LOOSE_SOURCE_ROUTE, _STRICT_SOURCE_ROUTE):
            return DropReason.SOURCE_ROUTE
        length = options[at + 1] if at + 1 < len(options) else 0
        if not _SHORTEST_OPTION <= length <= len(options) - at:
            return DropReason.BAD_OPTIONS
        if network.side is Side.INSIDE and kind in _RECORDS_FROM:
            recorded = options[at + _RECORDS_FROM[kind] : at + length]
            if _shows_inside(recorded, tables):
                return DropReason.RECORDED_ROUTE
        at += length
    return None


def _shows_inside(recorded: bytes, tables: Tables) -> bool:
    """Whether an inside address is among those that an option has recorded."""
    starts = range(0, len(recorded) - IPV4_LENGTH + 1, IPV4_LENGTH)
    return any(_is_inside(IpAddress(recorded[at : at + IPV4_LENGTH]), tables) for at in starts)
