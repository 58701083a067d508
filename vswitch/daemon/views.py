"""The switch's tables as rows for people and programs."""

from __future__ import annotations

from collections import Counter

from vswitch.daemon.messages import FdbRow, FlowRow, NeighbourRow, PortRow
from vswitch.dataplane.conntrack import Connection, Direction, FlowTuple
from vswitch.dataplane.switch import Switch
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.offload import Offloads
from vswitch.wire.values import Protocol


def ports(switch: Switch) -> list[PortRow]:
    """Every port, with what went through it."""
    return [_port(switch, number) for number in switch.tables.ports]


def fdb(switch: Switch) -> list[FdbRow]:
    """Every station of every network."""
    tables = switch.tables
    return [
        FdbRow(
            network=network.name,
            vlan=entry.station.vlan,
            mac=str(entry.station.mac),
            port=tables.ports[entry.port].name,
            recent=entry.recent,
        )
        for network in tables.networks.values()
        for entry in network.fdb
    ]


def neighbours(switch: Switch) -> list[NeighbourRow]:
    """Every address that the switch itself has had to reach."""
    return [
        NeighbourRow(
            network=network.name,
            address=str(entry.address),
            mac=str(entry.mac) if entry.mac else None,
            state=entry.state.value,
            waiting=len(entry.waiting),
        )
        for network in switch.tables.networks.values()
        for entry in network.neighbours
    ]


def flows(switch: Switch, now: Nanoseconds) -> list[FlowRow]:
    """Every connection."""
    return [_flow(switch, connection, now) for connection in switch.tables.connections]


def _port(switch: Switch, number: int) -> PortRow:
    port = switch.tables.ports[number]
    device = switch.fastpath.device(number)
    counters = switch.fastpath.port_counters(number)
    lost = {answer.name.lower(): count for answer, count in counters.lost.items()}
    lost |= {reason.name.lower(): count for reason, count in counters.unsendable.items()}
    drops = switch.counters.port_drops.get(number) or Counter()
    return PortRow(
        port=number,
        name=port.name,
        network=switch.tables.networks[port.network].name,
        device=device.kind,
        offloads=tuple(
            each.name.lower() for each in Offloads if each.name and each in device.offloads
        ),
        received_frames=counters.received_frames,
        received_bytes=counters.received_bytes,
        sent_frames=counters.sent_frames,
        sent_bytes=counters.sent_bytes,
        lost=lost,
        drops={reason.name.lower(): count for reason, count in drops.items()},
    )


def _flow(switch: Switch, connection: Connection, now: Nanoseconds) -> FlowRow:
    frames, octets = connection.frames, connection.bytes
    last_used = connection.last_seen
    for key in connection.keys:
        seen = switch.fastpath.flow_counters(key)
        if seen is not None:
            frames, octets = frames + seen.frames, octets + seen.bytes
            last_used = max(last_used, seen.last_used)
    expires = switch.tables.connections.expires_at(connection) + last_used - connection.last_seen
    return FlowRow(
        flow=connection.number,
        protocol=Protocol(connection.original.protocol).name.lower(),
        state=connection.state.value,
        network=switch.tables.networks[connection.original.network].name,
        original=_text(connection.original),
        reply=_text(connection.reply),
        translation=_translation(connection),
        frames=frames,
        bytes=octets,
        idle_seconds=(now - last_used) / SECOND,
        expires_in_seconds=(expires - now) / SECOND,
    )


def _translation(connection: Connection) -> str:
    """What of the first frame's tuple is another one behind the switch."""
    arriving = connection.arriving(Direction.ORIGINAL)
    leaving = connection.leaving(Direction.ORIGINAL)
    changes = []
    if (leaving.source, leaving.source_port) != (arriving.source, arriving.source_port):
        changes.append(f"source {_socket(leaving.source, leaving.source_port)}")
    if (leaving.destination, leaving.destination_port) != (
        arriving.destination,
        arriving.destination_port,
    ):
        changes.append(f"destination {_socket(leaving.destination, leaving.destination_port)}")
    return ", ".join(changes)


def _text(of: FlowTuple) -> str:
    if of.protocol == Protocol.ICMP:
        return f"{of.source} > {of.destination} id {of.source_port or of.destination_port}"
    source = _socket(of.source, of.source_port)
    return f"{source} > {_socket(of.destination, of.destination_port)}"


def _socket(address: object, port: int) -> str:
    return f"{address}:{port}"
