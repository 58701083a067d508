"""The switch's tables as rows for people and programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

from vswitch.daemon.messages import (
    FdbRow,
    FlowRow,
    LeavingRow,
    MappingRow,
    NeighbourRow,
    PortRow,
    StepRow,
    TraceBody,
    TraceRow,
    WhyRow,
)
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.mappings import Mapping
from vswitch.dataplane.switch import Switch
from vswitch.debug.explain import describing, tracing
from vswitch.debug.explain.why import usage
from vswitch.debug.explain.why import why as reasons_of
from vswitch.fastpath.states import Direction
from vswitch.network.model import Endpoint
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import text
from vswitch.wire.offload import HEADER_LENGTH, Offloads
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


def mappings(switch: Switch, now: Nanoseconds) -> list[MappingRow]:
    """Every external port that stands for an inside one."""
    return [_mapping(switch, mapping, now) for mapping in switch.tables.mappings]


def flows(switch: Switch, now: Nanoseconds) -> list[FlowRow]:
    """Every connection."""
    return [_flow(switch, connection, now) for connection in switch.tables.connections]


def why(
    switch: Switch, number: int, endpoints: Iterable[Endpoint], now: Nanoseconds
) -> WhyRow | None:
    """The reasons of the connection called `number`, None where there is none."""
    connection = switch.tables.connections.numbered(number)
    if connection is None:
        return None
    reasons = reasons_of(switch, connection, _hosts(endpoints), now)
    return WhyRow.model_validate(asdict(reasons))


def trace(
    switch: Switch, asked: TraceBody, endpoints: Iterable[Endpoint], now: Nanoseconds
) -> TraceRow:
    """What would become of a frame. Raises DescriptionError."""
    if asked.description is not None:
        description = describing.parse(asked.description)
        port = tracing.place(switch, description.port)
        stations = tracing.stations(switch, port, description, _hosts(endpoints))
        frame = describing.build(description, stations)
    else:
        port = tracing.place(switch, asked.port or "")
        frame = bytearray(HEADER_LENGTH) + bytes.fromhex(asked.frame or "")
    found = tracing.trace(switch, port, frame, now)
    return TraceRow(
        port=found.port,
        network=found.network,
        frame=_hex(found.frame),
        summary=text.summary(found.frame),
        layers=tuple(text.describe(found.frame)),
        steps=tuple(StepRow(stage=step.stage, words=step.words) for step in found.steps),
        fate=found.fate.value,
        explanation=found.reason.value if found.reason else tracing.FATES[found.fate],
        reason=found.reason.name.lower() if found.reason else None,
        flow=found.flow,
        leaving=tuple(_leaving(each) for each in found.leaving),
    )


def _leaving(leaving: tracing.Leaving) -> LeavingRow:
    return LeavingRow(
        what=leaving.what,
        ports=leaving.ports,
        frame=_hex(leaving.frame),
        layers=tuple(text.describe(leaving.frame)),
        kept=leaving.is_kept,
    )


def _hex(frame: bytes) -> str:
    """Without the virtio-net header, as other tools take it."""
    return frame[HEADER_LENGTH:].hex()


def _hosts(endpoints: Iterable[Endpoint]) -> list[tracing.Host]:
    return [
        tracing.Host(each.name, at.network, at.address, at.mac)
        for each in endpoints
        for at in each.memberships
    ]


def _port(switch: Switch, number: int) -> PortRow:
    port = switch.tables.ports[number]
    device = switch.fastpath.device(number)
    counters = switch.fastpath.port_counters(number)
    lost = {answer.name.lower(): count for answer, count in counters.lost.items()}
    lost |= {reason.name.lower(): count for reason, count in counters.unsendable.items()}
    drops = Counter(switch.counters.port_drops.get(number) or ())
    if counters.overrun:
        drops[DropReason.OVERRUN] = counters.overrun
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
        wrong_checksums=counters.wrong_checksums,
        lost=lost,
        drops={reason.name.lower(): count for reason, count in drops.items()},
    )


def _mapping(switch: Switch, mapping: Mapping, now: Nanoseconds) -> MappingRow:
    internal, external, expires = mapping.internal, mapping.external, mapping.expires_at
    return MappingRow(
        protocol=Protocol(internal.protocol).name.lower(),
        network=switch.tables.networks[internal.network].name,
        inside=_socket(internal.address, internal.port),
        outside=_socket(external.address, external.port),
        connections=mapping.holders,
        guests=mapping.guests,
        is_static=mapping.is_static,
        expires_in_seconds=None if expires is None else (expires - now) / SECOND,
    )


def _flow(switch: Switch, connection: Connection, now: Nanoseconds) -> FlowRow:
    seen = usage(switch, connection)
    return FlowRow(
        flow=connection.number,
        protocol=Protocol(connection.original.protocol).name.lower(),
        state=connection.state.value,
        network=switch.tables.networks[connection.original.network].name,
        original=str(connection.original),
        reply=str(connection.reply),
        translation=_translation(connection),
        frames=seen.frames,
        bytes=seen.bytes,
        idle_seconds=(now - seen.last_seen) / SECOND,
        expires_in_seconds=(seen.expires - now) / SECOND,
    )


def _translation(connection: Connection) -> str:
    """What of the first frame's tuple is another one behind the switch."""
    arriving = connection.arriving(Direction.ORIGINAL)
    leaving = connection.leaving(Direction.ORIGINAL)
    changes = []
    if leaving.sender != arriving.sender:
        changes.append(f"source {_socket(leaving.source, leaving.source_port)}")
    if leaving.receiver != arriving.receiver:
        changes.append(f"destination {_socket(leaving.destination, leaving.destination_port)}")
    return ", ".join(changes)


def _socket(address: object, port: int) -> str:
    return f"{address}:{port}"
