"""Translation: what are the addresses and ports of a new flow on the other side?

Theory of operation. There is one function per direction of origin: `outbound` for a flow from the
inside to the outside, `inbound` for one from the outside to an address of the switch, `hairpin` for
one from the inside to such an address, `straight` for one that is not translated at all, as it goes
to an inside address that policy lets it reach, or from or to the host. Each answers with the tuple
of the replies, which with the original tuple says all there is to know (see `conntrack`), and with
what let it happen.

Read first: RFC 4787 (mapping, filtering, hairpinning), RFC 5382, RFC 5508. Mapping is
endpoint-independent. From outside three things lead in: a publication whose terms let the sender
pass, an address that stands for one endpoint, and a mapping whose network's filtering does. A
hairpinned flow carries the external address and port of the side that began (REQ-9a), so that the
answers come back this way; it is not filtered within its own network, where the endpoints reach
each other anyway.
Nothing is written to a table here; a new mapping is returned as part of the answer.
"""

from __future__ import annotations

from typing import NamedTuple

from vswitch.dataplane.accounts import Account
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.transport import PORTLESS
from vswitch.dataplane.verdict import Stage
from vswitch.dataplane.walk import Walk
from vswitch.policy import GatewayMode
from vswitch.translation import OPEN_TO_ALL, Filtering
from vswitch.wire.values import IpAddress, Protocol


class Translation(NamedTuple):
    """The other side of a new flow."""

    reply: FlowTuple
    account: Account
    """Of the endpoint that it belongs to."""
    mapping: Mapping | None = None
    """The external port of its source."""
    target: Mapping | None = None
    """The mapping that it comes in by."""
    publication: Publication | None = None


class _Source(NamedTuple):
    """What a source becomes outside."""

    address: IpAddress
    port: int
    mapping: Mapping | None = None


class _Target(NamedTuple):
    """Where an address and port of the switch lead."""

    network: Network
    address: IpAddress
    port: int
    mapping: Mapping | None = None
    publication: Publication | None = None


def outbound(
    walk: Walk, tables: Tables, original: FlowTuple, uplink: Network
) -> Translation | DropReason:
    """From the inside to the outside: the source becomes an external one of the uplink."""
    account, destination = tables.account_of(walk.network, original.source), original.destination
    if walk.network.translation.is_untranslated(destination):
        walk.found(Stage.NAT, "{} sees inside addresses", destination)
        source: _Source | DropReason = _Source(original.source, original.source_port)
    else:
        source = _source(walk, tables, original, account, uplink)
    if isinstance(source, DropReason):
        return source
    reply = _reply(original, uplink.number, destination, original.destination_port, source)
    return Translation(reply, account, source.mapping)


def inbound(walk: Walk, tables: Tables, original: FlowTuple) -> Translation | DropReason:
    """From the outside to an address of the switch."""
    target = _target(walk, tables, original)
    if target is None:
        return DropReason.NOT_PUBLISHED
    refused = _refused_by_terms(walk, tables, original, target)
    if refused is not None:
        return refused
    if not _lets_in(target, original):
        filtering = target.network.translation.filtering.value
        walk.found(Stage.NAT, "filtered: {} for {}", filtering, target.network.name)
        return DropReason.FILTERED
    source = _Source(original.source, original.source_port)
    reply = _reply(original, target.network.number, target.address, target.port, source)
    account = tables.account_of(target.network, target.address)
    return Translation(reply, account, target=target.mapping, publication=target.publication)


def hairpin(walk: Walk, tables: Tables, original: FlowTuple) -> Translation | DropReason | None:
    """From the inside to an address of the switch, or None where nobody's port is there.

    Both sides are translated: the destination to whoever has the external port, the source to its
    own external port.
    """
    uplink = tables.uplink_of(walk.network)
    if uplink is None or uplink.interface is None:
        return None
    target = _target(walk, tables, original)
    if target is None:
        return None
    refused = _refused_by_terms(walk, tables, original, target)
    if refused is not None:
        return refused
    account = tables.account_of(walk.network, original.source)
    source = _source(walk, tables, original, account, uplink)
    if isinstance(source, DropReason):
        return source
    is_neighbour = target.network is walk.network
    if not is_neighbour and not _lets_in(target, _from_outside(original, source)):
        return DropReason.FILTERED
    reply = _reply(original, target.network.number, target.address, target.port, source)
    return Translation(reply, account, source.mapping, target.mapping, target.publication)


def straight(
    walk: Walk, tables: Tables, original: FlowTuple, leaves: Network
) -> Translation | DropReason:
    """From anywhere to an inside address on another network: nothing is translated."""
    walk.found(Stage.NAT, "straight to {}: nothing is translated", original.destination)
    address, port = original.destination, original.destination_port
    source = _Source(original.source, original.source_port)
    reply = _reply(original, leaves.number, address, port, source)
    from_outside = walk.network.side is Side.OUTSIDE
    owner = (leaves, address) if from_outside else (walk.network, original.source)
    return Translation(reply, tables.account_of(*owner))


def _reply(
    original: FlowTuple, network: int, address: IpAddress, port: int, source: _Source
) -> FlowTuple:
    """The tuple of the answers of whoever is at `address` and `port`."""
    return original.answered_from(network, address, port, source.address, source.port)


def _from_outside(original: FlowTuple, source: _Source) -> FlowTuple:
    """The frame as it would look if it came from outside."""
    return FlowTuple(
        original.network,
        original.protocol,
        source.address,
        source.port,
        original.destination,
        original.destination_port,
        original.kind,
    )


# Where it leads


def _target(walk: Walk, tables: Tables, original: FlowTuple) -> _Target | None:
    """Whom an address and port of the switch stand for, or None where for nobody."""
    address, port = original.destination, original.destination_port
    publication = tables.publications.find(original.protocol, address, port)
    if publication is not None:
        endpoint_port = publication.endpoint_port(port)
        words = "port {} of {} is published to {} port {}"
        walk.found(Stage.NAT, words, port, address, publication.endpoint, endpoint_port)
        network = tables.networks[publication.network]
        return _Target(network, publication.endpoint, endpoint_port, publication=publication)
    alone = tables.one_to_one.internal(address)
    if alone is not None:
        walk.found(Stage.NAT, "{} stands for {} alone", address, alone[1])
        return _Target(tables.networks[alone[0]], alone[1], port)
    if original.protocol == Protocol.ICMP:
        return None
    mapping = tables.mappings.of_external(External(original.protocol, address, port))
    if mapping is None:
        words = "port {} of {} is neither published nor mapped"
        walk.found(Stage.NAT, words, port, address)
        return None
    internal = mapping.internal
    words = "port {} of {} is mapped to {} port {}"
    walk.found(Stage.NAT, words, port, address, internal.address, internal.port)
    network = tables.networks[internal.network]
    return _Target(network, internal.address, internal.port, mapping)


def _refused_by_terms(
    walk: Walk, tables: Tables, original: FlowTuple, target: _Target
) -> DropReason | None:
    """Why a published port does not let a new sender in: it is held against the address that it has
    of itself, whichever side it comes from."""
    publication = target.publication
    if publication is None or publication.terms is OPEN_TO_ALL:
        return None
    refused = tables.publications.refuse(publication, original.source, walk.now)
    if refused is None:
        walk.detail(Stage.NAT, "its terms let {} in", original.source)
    else:
        walk.found(Stage.NAT, "its terms do not let {} in: {}", original.source, refused.value)
    return refused


def _lets_in(target: _Target, original: FlowTuple) -> bool:
    """Whether the filtering of a network lets a new sender in by a mapping. One that answers on
    address and port has its connection already, and is not asked about; a mapping by hand is open
    to everybody."""
    if target.mapping is None or target.mapping.is_static:
        return True
    match target.network.translation.filtering:
        case Filtering.ENDPOINT_INDEPENDENT:
            return True
        case Filtering.ADDRESS_DEPENDENT:
            return target.mapping.has_contact(original.source)
        case Filtering.ADDRESS_AND_PORT_DEPENDENT:
            return False


# What the source becomes


def _source(
    walk: Walk, tables: Tables, original: FlowTuple, account: Account, uplink: Network
) -> _Source | DropReason:
    if walk.network.policy.gateway_mode is GatewayMode.ROUTED:
        walk.found(Stage.NAT, "{} is routed: {} stays", walk.network.name, original.source)
        return _Source(original.source, original.source_port)
    own = tables.one_to_one.external(account.network, account.address)
    if own is not None:
        walk.found(Stage.NAT, "{} is {} outside, port for port", account.address, own)
        return _Source(own, original.source_port)
    if original.protocol in PORTLESS:
        address = _address_for_peer(walk, tables, original, account, uplink)
        walk.found(Stage.NAT, "{} is {} outside", account.address, address)
        return _Source(address, 0)
    mapping = _mapping(walk, tables, original, account, uplink)
    if isinstance(mapping, DropReason):
        return mapping
    internal, address, port = mapping.internal, mapping.external.address, mapping.external.port
    if walk.is_heard:
        words = "{} port {} is {} port {} outside"
        walk.found(Stage.NAT, words, internal.address, internal.port, address, port)
    return _Source(address, port, mapping)


def _address_for_peer(
    walk: Walk, tables: Tables, original: FlowTuple, account: Account, uplink: Network
) -> IpAddress:
    """The address that an endpoint has on an uplink, else one by which nobody has a flow of this
    protocol with the same peer."""
    addresses = _addresses(tables, walk.network, uplink)
    paired = account.paired.get(uplink.number)
    if paired in addresses:
        return paired
    for address in addresses:
        reply = _reply(original, uplink.number, original.destination, 0, _Source(address, 0))
        if tables.connections.find(reply) is None:
            return address
    return addresses[0]


def _mapping(
    walk: Walk, tables: Tables, original: FlowTuple, account: Account, uplink: Network
) -> Mapping | DropReason:
    """The mapping that the source has, or a new one for it."""
    internal = Internal.source_of(original)
    known = tables.mappings.of_internal(internal, uplink.number)
    if known is not None:
        return known
    if walk.is_heard:
        walk.detail(Stage.NAT, "{} port {} is not mapped yet", internal.address, internal.port)
    if not account.may_hold_mapping:
        return DropReason.MAPPING_QUOTA
    addresses = _addresses(tables, walk.network, uplink)
    address = tables.mappings.address_for(account, internal.protocol, uplink.number, addresses)
    parity = walk.network.translation.keeps_parity
    external = tables.mappings.choose(internal, uplink.number, address, walk.random, parity=parity)
    if external is None:
        return DropReason.PORTS_EXHAUSTED
    return Mapping(internal, external, uplink.number, account, walk.now)


def _addresses(tables: Tables, network: Network, uplink: Network) -> tuple[IpAddress, ...]:
    """The uplink's addresses that may stand for endpoints of `network`: never none of them."""
    interface, fixed = uplink.interface, network.translation.external
    if interface is None:
        raise ValueError(f"{uplink.name} has no address")
    if fixed is not None:
        return (fixed,)
    first = interface.address.address
    if not interface.also:
        return (first,)
    internal = tables.one_to_one.internal
    return (first, *(each for each in interface.also if internal(each) is None))
