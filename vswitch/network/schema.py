"""The shape of a configuration file: which keys there are, and what each may hold.

Theory of operation. pydantic knows the tables and calls one function per value, which either
answers with a value of this house or refuses. Every field says in its description what is allowed
there, and that is the text of a mistake unless the function knows better. `check` turns
whatever pydantic found into mistakes in this house's words. What several keys must agree on is
none of its business.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from vswitch.network import ipam, names, publish
from vswitch.network.errors import KeyPath, NetworkError
from vswitch.network.mistakes import Mistake
from vswitch.network.model import DEFAULT_MTU, DEFAULT_NETWORK, EndpointKind, PublicationRequest
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

T = TypeVar("T")

SMALLEST_MTU = 68
"""Bytes that every IPv4 link must carry (RFC 791, 3.2)."""

LARGEST_MTU = 65521
"""Bytes: what the kernel allows on a TAP (65535 without the Ethernet header)."""

DNS_PORT = 53

NO_SUBNET = tuple(IpNetwork.parse(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4"))
"""Where no host of a network can live: this host, loopback, multicast (RFC 6890, RFC 5771)."""

_SERVER = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>[0-9]{1,5}))?")
"""An address that may be followed by a port; an IPv6 address then stands in brackets."""


class NotAllowedError(ValueError):
    """A value is not allowed: for the reason given, or because of the field's description."""


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise NotAllowedError
    return value


def _parsed(parse: Callable[[str], T], value: object) -> T:
    text = _string(value)
    try:
        return parse(text)
    except ValueError:
        raise NotAllowedError from None


def _name(value: object) -> str:
    text = _string(value)
    if not names.is_name(text):
        raise NotAllowedError
    return text


def _interface(value: object) -> str:
    text = _string(value)
    if not names.is_interface_name(text):
        raise NotAllowedError
    return text


def _kind(value: object) -> EndpointKind:
    text = _string(value)
    kinds = {kind.value: kind for kind in EndpointKind}
    if text not in kinds:
        raise NotAllowedError
    return kinds[text]


def _ipv4(value: object) -> IpAddress:
    address = _parsed(IpAddress.parse, value)
    if address.version != 4:
        raise NotAllowedError
    return address


def _uplink_address(value: object) -> IpInterface:
    interface = _parsed(IpInterface.parse, value)
    network = interface.network
    if interface.address.version != 4:
        raise NotAllowedError
    if any(network.overlaps(other) for other in NO_SUBNET):
        raise NotAllowedError
    if not ipam.is_usable(network, interface.address):
        raise NotAllowedError(f"that is the network or broadcast address of {network}")
    return interface


def _uplink_mac(value: object) -> MacAddress | None:
    if value == "auto":
        return None
    mac = _parsed(MacAddress.parse, value)
    if mac.is_multicast or mac.is_zero:
        raise NotAllowedError
    return mac


def _subnet(value: object) -> IpNetwork:
    written = _parsed(IpInterface.parse, value)
    subnet = written.network
    if subnet.version != 4:
        raise NotAllowedError
    if written.address != subnet.address:
        raise NotAllowedError(f"invalid subnet {written}: it should be {subnet}")
    for other in NO_SUBNET:
        if subnet.overlaps(other):
            raise NotAllowedError(f"allowed is a subnet of unicast addresses, and {other} has none")
    return subnet


def _mtu(value: object) -> int:
    if not isinstance(value, int) or not SMALLEST_MTU <= value <= LARGEST_MTU:
        raise NotAllowedError
    return value


def _publication(value: object) -> PublicationRequest:
    try:
        return publish.parse(_string(value))
    except NetworkError as error:
        raise NotAllowedError(error.explained) from None


def _server(value: object) -> tuple[IpAddress, int]:
    text = _string(value)
    parts = _SERVER.fullmatch(text)
    host, port_text = (parts["host"], parts["port"]) if parts else (text, None)
    address = _parsed(IpAddress.parse, host.strip("[]"))
    port = int(port_text) if port_text else DNS_PORT
    if address.is_multicast or address.is_unspecified or address.is_limited_broadcast:
        raise NotAllowedError
    if not 1 <= port <= publish.HIGHEST_PORT:
        raise NotAllowedError
    return address, port


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UplinkTable(_Table):
    """`[uplink]`."""

    interface: Annotated[str, PlainValidator(_interface)] = Field(
        description=names.ALLOWED_INTERFACE
    )
    address: Annotated[IpInterface, PlainValidator(_uplink_address)] = Field(
        description='an IPv4 address with its prefix length, like "198.51.100.2/24"'
    )
    gateway: Annotated[IpAddress | None, PlainValidator(_ipv4)] = Field(
        default=None, description="an IPv4 address in the uplink's subnet"
    )
    mac: Annotated[MacAddress | None, PlainValidator(_uplink_mac)] = Field(
        default=None, description='"auto" or a unicast MAC address, like "02:00:5e:10:00:01"'
    )


class NetworkTable(_Table):
    """`[networks.NAME]`."""

    subnet: Annotated[IpNetwork | None, PlainValidator(_subnet)] = Field(
        default=None, description='an IPv4 subnet, like "172.18.0.0/16"'
    )
    gateway: Annotated[IpAddress | None, PlainValidator(_ipv4)] = Field(
        default=None, description="an IPv4 address in the network's subnet"
    )
    mtu: Annotated[int, PlainValidator(_mtu)] = Field(
        default=DEFAULT_MTU, description=f"a number of bytes from {SMALLEST_MTU} to {LARGEST_MTU}"
    )


class EndpointTable(_Table):
    """`[endpoints.NAME]`."""

    network: Annotated[str, PlainValidator(_string)] = Field(
        default=DEFAULT_NETWORK.name, description="the name of a network"
    )
    kind: Annotated[EndpointKind, PlainValidator(_kind)] = Field(
        default=EndpointKind.TAP,
        description=" or ".join(f'"{kind.value}"' for kind in EndpointKind),
    )
    namespace: Annotated[str | None, PlainValidator(_string)] = Field(
        default=None, description="the name of a network namespace"
    )
    address: Annotated[IpAddress | None, PlainValidator(_ipv4)] = Field(
        default=None, description="an IPv4 address in the network's subnet"
    )
    aliases: list[Annotated[str, PlainValidator(_string)]] = Field(
        default=[], description='a name, like "www"'
    )
    publish: list[Annotated[PublicationRequest, PlainValidator(_publication)]] = Field(
        default=[], description=f'"{publish.GRAMMAR}", like "8080:80"'
    )


class DnsTable(_Table):
    """`[dns]`."""

    upstream: list[Annotated[tuple[IpAddress, int], PlainValidator(_server)]] = Field(
        default=[],
        description='an IP address, alone or with a port: "198.51.100.53", "198.51.100.53:53"',
    )


class Document(_Table):
    """The file."""

    name: Annotated[str, PlainValidator(_name)] = Field(description=names.ALLOWED_NAME)
    uplink: UplinkTable | None = Field(default=None, description="a table, [uplink]")
    networks: dict[str, NetworkTable] = Field(
        default={}, description="a table of networks, [networks.NAME]"
    )
    endpoints: dict[str, EndpointTable] = Field(
        default={}, description="a table of endpoints, [endpoints.NAME]"
    )
    dns: DnsTable = Field(default=DnsTable(), description="a table, [dns]")


def check(document: dict[str, Any]) -> Document | list[Mistake]:
    """`document` in values of this house, or everything in it that has the wrong shape."""
    try:
        return Document.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return [_mistake(one["loc"], one["type"], one.get("ctx", {})) for one in found]


def _mistake(path: KeyPath, kind: str, context: dict[str, Any]) -> Mistake:
    reason = context.get("error")
    if isinstance(reason, NotAllowedError) and str(reason):
        return Mistake(path, str(reason))
    if kind == "extra_forbidden":
        return Mistake(path, _unknown_key(path), quotes_value=False)
    if kind == "missing":
        return Mistake(path, f"missing: allowed is {_description(path)}")
    allowed = "allowed is a list, each item " if kind == "list_type" else "allowed is "
    return Mistake(path, allowed + _description(path))


def _unknown_key(path: KeyPath) -> str:
    allowed = _table_around(path).model_fields
    guess = names.did_you_mean(str(path[-1]), allowed)
    return f"unknown key: allowed is {', '.join(allowed)}" + (f"; {guess}" if guess else "")


def _description(path: KeyPath) -> str:
    """What is allowed at `path`, for an item of a list what each of its items may be."""
    match path:
        case ("networks" | "endpoints" as kind, str(name)):
            return f"a table, [{kind}.{name}]"
        case (*_, str(), int()):
            return _description(path[:-1])
        case (*_, key):
            return _table_around(path).model_fields[str(key)].description or ""
    return "a table"


def _table_around(path: KeyPath) -> type[_Table]:
    """The table that the last key of `path` stands in."""
    match path:
        case ("uplink", _):
            return UplinkTable
        case ("networks", _, _):
            return NetworkTable
        case ("endpoints", _, _):
            return EndpointTable
        case ("dns", _):
            return DnsTable
    return Document
