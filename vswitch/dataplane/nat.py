"""Translation: what are the addresses and ports of a new flow on the other side?

Theory of operation. There is one function per direction of origin: `outbound` for a flow from the
inside to the outside (NAPT), `inbound` for one from the outside to a published port, `hairpin` for
one from the inside to an external address of the switch. Each answers with the tuple of the
replies, which with the original tuple says all there is to know (see `conntrack`), and with what
let it happen.

Read first: RFC 4787 (mapping, hairpinning), RFC 5382, RFC 5508. Mapping is endpoint-independent;
what comes in is filtered by connection and publication, so by address and port (RFC 4787, 5). A
hairpinned flow carries the external address and port of the side that began (REQ-9a), so that the
answers come back this way. Nothing is written to a table here; a new mapping is returned as part
of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.dataplane.conntrack import FlowTuple
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Interface, Network
from vswitch.dataplane.verdict import Stage
from vswitch.dataplane.walk import Walk


@dataclass(frozen=True, slots=True)
class Translation:
    """The other side of a new flow."""

    reply: FlowTuple
    mapping: Mapping | None = None
    publication: Publication | None = None


def outbound(
    walk: Walk, tables: Tables, original: FlowTuple, uplink: Network, interface: Interface
) -> Translation | DropReason:
    """From the inside to the outside: the source becomes an external port of the uplink."""
    mapping = _source_mapping(walk, tables, original, interface)
    if isinstance(mapping, DropReason):
        return mapping
    reply = FlowTuple(
        uplink.number,
        original.protocol,
        original.destination,
        original.destination_port,
        mapping.external.address,
        mapping.external.port,
    )
    return Translation(reply, mapping)


def inbound(walk: Walk, tables: Tables, original: FlowTuple) -> Translation | DropReason:
    """From the outside to an address of the switch: only a published port leads further."""
    publication = _publication(walk, tables, original)
    if publication is None:
        return DropReason.NOT_PUBLISHED
    reply = FlowTuple(
        publication.network,
        original.protocol,
        publication.endpoint,
        publication.endpoint_port(original.destination_port),
        original.source,
        original.source_port,
    )
    return Translation(reply, publication=publication)


def hairpin(walk: Walk, tables: Tables, original: FlowTuple) -> Translation | DropReason | None:
    """From the inside to an address of the switch, or None where nobody's port is there.

    Both sides are translated: the destination to whoever has the external port, the source to its
    own external port.
    """
    uplink = tables.uplink
    interface = uplink.interface if uplink else None
    if interface is None:
        return None
    publication = _publication(walk, tables, original)
    if publication is not None:
        network, address = publication.network, publication.endpoint
        port = publication.endpoint_port(original.destination_port)
    else:
        external = External(original.protocol, original.destination, original.destination_port)
        target = tables.mappings.of_external(external)
        if target is None:
            walk.detail(Stage.NAT, "{} port {} is not mapped", external.address, external.port)
            return None
        walk.found(Stage.NAT, "{} port {} is mapped", external.address, external.port)
        network, address, port = (
            target.internal.network,
            target.internal.address,
            target.internal.port,
        )
    mapping = _source_mapping(walk, tables, original, interface)
    if isinstance(mapping, DropReason):
        return mapping
    reply = FlowTuple(
        network,
        original.protocol,
        address,
        port,
        mapping.external.address,
        mapping.external.port,
    )
    return Translation(reply, mapping, publication)


def _publication(walk: Walk, tables: Tables, original: FlowTuple) -> Publication | None:
    address, port = original.destination, original.destination_port
    publication = tables.publications.find(original.protocol, address, port)
    if publication is None:
        walk.found(Stage.NAT, "port {} of {} is not published", port, address)
    else:
        walk.found(
            Stage.NAT,
            "port {} of {} is published to {} port {}",
            port,
            address,
            publication.endpoint,
            publication.endpoint_port(port),
        )
    return publication


def _source_mapping(
    walk: Walk, tables: Tables, original: FlowTuple, interface: Interface
) -> Mapping | DropReason:
    internal = Internal(original.network, original.protocol, original.source, original.source_port)
    mapping = tables.mappings.of_internal(internal)
    if mapping is None:
        walk.detail(Stage.NAT, "{} port {} is not mapped yet", internal.address, internal.port)
        external = tables.mappings.choose(internal, interface.address.address, walk.random)
        if external is None:
            return DropReason.PORTS_EXHAUSTED
        mapping = Mapping(internal, external, walk.now)
    walk.found(
        Stage.NAT,
        "{} port {} is {} port {} outside",
        internal.address,
        internal.port,
        mapping.external.address,
        mapping.external.port,
    )
    return mapping
