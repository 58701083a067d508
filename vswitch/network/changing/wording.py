"""Values as they are written in a configuration: `8080:80 from=192.0.2.0/24`, `5m`, `true`.

Theory of operation. What a key says is a tuple of texts: none where it says nothing, one for a
value, several for a list. Two values that mean different things have different texts, so that who
compares the texts has compared the values.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TypeAlias

from vswitch.impairment import Impairments
from vswitch.naming import Server
from vswitch.network import durations, sizes, terms
from vswitch.network.ipam import Pool
from vswitch.network.model import MembershipRequest, RemoteDoor, Settings, TriggerRequest
from vswitch.network.ports import PublicationRequest, StaticMapping
from vswitch.policy import ports_text
from vswitch.units import Nanoseconds
from vswitch.wire.values import Protocol

Said: TypeAlias = tuple[str, ...]
"""What a key says."""

_SIZES = frozenset({"memory", "fragments"})
_COUNTS = frozenset(
    {"connections", "held_syns", "errors_per_second", "mappings", "connections_per_second"}
)


def text(value: object) -> Said:
    """A value that has a text of its own."""
    if value is None:
        return ()
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (str(value.value if isinstance(value, Enum) else value),)


def texts(values: Iterable[object]) -> Said:
    """A list of such."""
    return tuple(map(str, values))


def field(name: str, value: object) -> Said:
    """The value of a field whose name says what its number counts."""
    if not isinstance(value, int) or name in _COUNTS:
        return text(value)
    return size(value) if name in _SIZES else (durations.text(value),)


def size(octets: int) -> Said:
    """A number of bytes."""
    return (sizes.text(octets) if octets else "0",)


def duration(value: Nanoseconds) -> Said:
    """A time."""
    return (durations.text(value),)


def settings(values: Settings) -> Said:
    """Keys with their values."""
    return tuple(f"{key}={value}" for key, value in values)


def pools(values: Iterable[Pool]) -> Said:
    """Where subnets come from."""
    return tuple(f"{each.base} in parts of /{each.size}" for each in values)


def door(value: RemoteDoor | None) -> Said:
    """Where the interface is served to other machines, and whom by."""
    if value is None:
        return ()
    files = f"certificate {value.certificate}, key {value.key}, client_ca {value.client_ca}"
    return (f"{value.address}:{value.port} ({files})",)


def servers(values: Iterable[Server]) -> Said:
    """Name servers."""
    return tuple(map(str, values))


def ports(values: Iterable[range] | None) -> Said:
    """Ports that may be given away."""
    return () if values is None else tuple(map(ports_text, values))


def impairments(value: Impairments) -> Said:
    """How bad a line is."""
    return () if value.is_none else (str(value),)


def trigger(value: TriggerRequest) -> str:
    """What makes the flight recorder write a dump."""
    reason = f" {value.reason}" if value.reason else ""
    return f"{value.event.value}{reason} {value.per_second:g}/s"


def membership(value: MembershipRequest) -> str:
    """A further network of an endpoint, and what it asks for there."""
    asked = [*text(value.address), *text(value.mac), *value.aliases]
    if value.gateway_priority:
        asked.append(f"gateway_priority {value.gateway_priority}")
    return " ".join((value.network, *asked))


def mapping(value: StaticMapping) -> str:
    """A static mapping."""
    return f"{value.external_ports}:{value.endpoint_ports}{_protocol(value.protocol)}"


def publication(value: PublicationRequest) -> str:
    """What is to be published, with its terms."""
    said = f"{_host(value)}{value.endpoint_ports}"
    on_terms = terms.text(value.terms)
    return f"{said}{_protocol(value.protocol)}{' ' if on_terms else ''}{on_terms}"


def _host(value: PublicationRequest) -> str:
    """What stands before the endpoint's ports. An address is followed by a colon for host ports
    even where these are left open."""
    address, ports = value.host_address, value.host_ports
    chosen = "" if ports is None else str(ports)
    if address is None:
        return f"{chosen}:" if chosen else ""
    return f"[{address}]:{chosen}:" if address.version == 6 else f"{address}:{chosen}:"


def _protocol(protocol: Protocol) -> str:
    return "" if protocol is Protocol.TCP else f"/{protocol.name.lower()}"
