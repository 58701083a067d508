"""What would become of a frame, told from its first look-up to the ports that it would leave by.

Theory of operation. The switch itself decides, by the same stages as for any frame, and changes
nothing (`Switch.trace`). Here its verdict becomes a value that can be printed: the trail of
findings by stage, the fate, and each frame that would be sent. A rewritten frame is not computed
here either: the fast path's executor runs the verdict's program on a copy.

`place` finds the port that a description names, `stations` fills in what it leaves open, as a host
there would: a frame goes to the neighbour's station where the destination is on the same network,
and to the gateway's where it is not; a segment of a connection that is there has the next numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from vswitch.dataplane.drops import Reason
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Port, Side
from vswitch.dataplane.verdict import Delivery, Fate, Finding
from vswitch.debug.explain.describing import (
    Description,
    DescriptionError,
    IsAt,
    Question,
    Segment,
    Stations,
    WhoHas,
)
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import BROADCAST, IpAddress, MacAddress, Protocol

FAST_PATH = "fast path"
"""The stage before all stages: whether a frame would come by the pipeline at all."""

STRANGER = MacAddress.parse("02:00:00:00:00:01")
"""The station of a host outside that the switch has not met."""

_UNSPECIFIED = IpAddress(bytes(4))
"""Whoever has no address asks in the name of this one (RFC 5227, 1.1)."""

_MULTICAST = bytes.fromhex("01005e")
"""RFC 1112, 6.4: the group station of an IPv4 group ends with 23 bits of its address."""

FATES = {
    Fate.FORWARDED: "it leaves by the port of its destination",
    Fate.FLOODED: "it leaves by every other port of its network",
    Fate.ANSWERED: "it is for the switch itself, which answers",
    Fate.ABSORBED: "it is for the switch itself, which takes note",
    Fate.WAITING: "it waits for the station of its next hop",
    Fate.DROPPED: "it goes no further",
}

_SENT = {
    Fate.ANSWERED: "the answer",
    Fate.DROPPED: "what tells the sender",
    Fate.WAITING: "the question",
}


@dataclass(frozen=True, slots=True)
class Host:
    """A host that is known to be behind a port."""

    port: str
    network: str
    address: IpAddress
    mac: MacAddress


@dataclass(frozen=True, slots=True)
class Step:
    """One stage, and what was looked up and found there, in words."""

    stage: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaving:
    """A frame that would be sent."""

    what: str
    """The frame itself in its new form, or what would be sent instead."""
    ports: tuple[str, ...]
    frame: bytes
    """With its virtio-net header."""
    is_kept: bool
    """Whether the fast path would do this by itself from then on."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The whole answer."""

    port: str
    network: str
    frame: bytes
    """As it came in, with its virtio-net header."""
    steps: tuple[Step, ...]
    fate: Fate
    reason: Reason | None
    """Why it was dropped, where it was."""
    flow: int
    """The number of the connection that it is part of, 0 where there is none yet."""
    leaving: tuple[Leaving, ...]


def trace(switch: Switch, port: Port, frame: Buffer, now: Nanoseconds) -> Trace:
    """What would become of `frame` if it came in by `port` now. Nothing is changed."""
    verdict = switch.trace(port.number, bytearray(frame), now)
    return Trace(
        port=port.name,
        network=switch.tables.networks[port.network].name,
        frame=bytes(frame),
        steps=(_fast_path(switch, port, frame), *_steps(verdict.trail)),
        fate=verdict.fate,
        reason=verdict.reason,
        flow=verdict.connection.number if verdict.connection else 0,
        leaving=tuple(_leaving(switch, verdict.fate, each) for each in verdict.deliveries),
    )


def place(switch: Switch, name: str) -> Port:
    """The port called `name`. Raises DescriptionError."""
    ports = switch.tables.ports.values()
    found = next((port for port in ports if port.name == name), None)
    if found is None:
        there = ", ".join(port.name for port in ports) or "none"
        raise DescriptionError(f"there is no port {name!r}: there is {there}")
    return found


def stations(
    switch: Switch, port: Port, description: Description, hosts: Iterable[Host]
) -> Stations:
    """What `description`, which comes in by `port`, leaves open; `hosts` are those that are known
    beside the ones that the switch has met. Raises DescriptionError.
    """
    network = switch.tables.networks[port.network]
    interface = network.interface
    if interface is None:
        raise DescriptionError(f"the switch has no address on {network.name}: give it as bytes")
    hosts = [host for host in hosts if host.network == network.name]
    known = {entry.address: entry.mac for entry in network.neighbours if entry.mac}
    known |= {host.address: host.mac for host in hosts}
    if network.host is not None and network.is_host(port.number):
        return _stations_of_host(switch, network, interface, network.host.mac, description)
    own = next((host for host in hosts if host.port == port.name), None)
    source, destination = own.mac if own else _someone(network, port, known), interface.mac
    message, options = description.message, description.options
    if not isinstance(message, WhoHas | IsAt | Question):
        begins, ends = message.addresses
        if network.side is Side.OUTSIDE:
            source = known.get(begins, source)
        destination = options.destination_mac or _towards(network, interface, known, ends)
    address = own.address if own else _UNSPECIFIED
    numbers = _numbers(switch, network, message) if isinstance(message, Segment) else (1, 0)
    return Stations(source, destination, address, interface.address.address, *numbers)


def _stations_of_host(
    switch: Switch, network: Network, interface: Interface, mac: MacAddress, of: Description
) -> Stations:
    """The host speaks to the switch alone, in the gateway's name."""
    gateway = interface.address.address
    numbers = _numbers(switch, network, of.message) if isinstance(of.message, Segment) else (1, 0)
    destination = of.options.destination_mac or interface.mac
    return Stations(mac, destination, gateway, gateway, *numbers)


def _numbers(switch: Switch, network: Network, segment: Segment) -> tuple[int, int]:
    """The sequence and acknowledgment numbers that the sender of a segment would use next."""
    (source, source_port), (destination, destination_port) = segment.source, segment.destination
    arriving = FlowTuple(
        network.number, Protocol.TCP, source, source_port, destination, destination_port
    )
    found = switch.tables.connections.find(arriving)
    window = switch.fastpath.window(found.connection.number) if found else None
    if found is None or window is None:
        return 1, 0
    direction = found.direction.index
    return window.expects(direction), window.sent(1 - direction)


def _someone(network: Network, port: Port, known: Mapping[IpAddress, MacAddress]) -> MacAddress:
    """A station behind a port whose host is not known: the router outside, or who was heard."""
    if network.side is Side.OUTSIDE and network.next_hop is not None:
        return known.get(network.next_hop, STRANGER)
    heard = (entry.station.mac for entry in network.fdb if entry.port == port.number)
    return next(heard, STRANGER)


def _towards(
    network: Network, interface: Interface, known: Mapping[IpAddress, MacAddress], to: IpAddress
) -> MacAddress:
    if to.is_multicast:
        return MacAddress(_MULTICAST + bytes((to[1] & 0x7F, to[2], to[3])))
    if to.is_limited_broadcast or to == interface.address.network.broadcast:
        return BROADCAST
    if not network.holds(to) or network.owns(to):
        return interface.mac
    if to not in known:
        raise DescriptionError(f"the station of {to} on {network.name} is not known: say dst-mac=")
    return known[to]


def _fast_path(switch: Switch, port: Port, frame: Buffer) -> Step:
    key = switch.fastpath.key(port.number, frame)
    seen = switch.fastpath.flow_counters(key) if key else None
    if key is None:
        words = "each frame like this one is decided about anew"
    elif seen is None:
        words = "no program is kept for frames like this one"
    else:
        words = f"a program is kept for frames like this one: it has carried {seen.frames}"
    return Step(FAST_PATH, (words,))


def _steps(trail: Sequence[Finding]) -> Iterator[Step]:
    for stage, findings in groupby(trail, key=attrgetter("stage")):
        yield Step(stage.value, tuple(str(finding) for finding in findings))


def _leaving(switch: Switch, fate: Fate, delivery: Delivery) -> Leaving:
    delivery.routine.run(delivery.frame)
    return Leaving(
        what=_SENT.get(fate, "the frame"),
        ports=tuple(switch.tables.ports[number].name for number in delivery.routine.outputs),
        frame=bytes(delivery.frame),
        is_kept=delivery.kept is not None,
    )
