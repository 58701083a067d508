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
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from vswitch.impairment import LARGEST_SEED, Impairment, ImpairmentError, Impairments
from vswitch.network import ipam, names, publish, sizes
from vswitch.network.errors import KeyPath, NetworkError
from vswitch.network.mistakes import Mistake
from vswitch.network.model import (
    DEFAULT_MTU,
    DEFAULT_NETWORK,
    EndpointKind,
    PublicationRequest,
    RecorderSettings,
    TriggerEvent,
    TriggerRequest,
)
from vswitch.units import MEBIBYTE
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

TableAround: TypeAlias = Callable[[KeyPath], type["Table"]]

MOST_KEYS_NAMED = 16
"""Keys that the line about an unknown one lists; of more, only the nearest is named."""

SMALLEST_MTU = 68
"""Bytes that every IPv4 link must carry (RFC 791, 3.2)."""

LARGEST_MTU = 65521
"""Bytes: what the kernel allows on a TAP (65535 without the Ethernet header)."""

DNS_PORT = 53

ALLOWED_MAC = '"auto" or a unicast MAC address, like "02:00:5e:10:00:01"'

SMALLEST_RECORDER = 1 * MEBIBYTE
LARGEST_RECORDER = 256 * MEBIBYTE
"""Bytes: enough for a few thousand frames, and no more than is copied in a tenth of a second, which
is how long frames then wait when a dump begins."""

MOST_DUMPS = 1000

NO_SUBNET = tuple(IpNetwork.parse(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4"))
"""Where no host of a network can live: this host, loopback, multicast (RFC 6890, RFC 5771)."""

_SERVER = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>[0-9]{1,5}))?")
"""An address that may be followed by a port; an IPv6 address then stands in brackets."""


_TRIGGER = re.compile(r"(?P<event>[a-z]+)( (?P<reason>[a-z0-9_]+))? (?P<rate>[0-9]{1,9})/s")


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


def _mac(value: object) -> MacAddress | None:
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


def _impairment(value: object) -> Impairment:
    try:
        return Impairment.parse(_string(value))
    except ImpairmentError as error:
        raise NotAllowedError(str(error)) from None


def _seed(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_SEED:
        raise NotAllowedError
    return value


_Impair = Annotated[
    Impairment | None,
    PlainValidator(_impairment),
    Field(description='an impairment, like "delay=20ms loss=1%", or "none"'),
]
_Seed = Annotated[
    int, PlainValidator(_seed), Field(description=f"a whole number from 0 to {LARGEST_SEED}")
]


def _recorder_size(value: object) -> int:
    if value == 0 and isinstance(value, int) and not isinstance(value, bool):
        return 0
    size = _parsed(sizes.parse, value)
    if not SMALLEST_RECORDER <= size <= LARGEST_RECORDER:
        raise NotAllowedError
    return size


def _directory(value: object) -> str:
    text = _string(value)
    if not text.startswith("/") or "\0" in text:
        raise NotAllowedError
    return text


def _keep(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_DUMPS:
        raise NotAllowedError
    return value


def _trigger(value: object) -> TriggerRequest:
    parts = _TRIGGER.fullmatch(_string(value))
    events = {event.value: event for event in TriggerEvent}
    if parts is None or parts["event"] not in events or int(parts["rate"]) == 0:
        raise NotAllowedError
    event = events[parts["event"]]
    if parts["reason"] and event is not TriggerEvent.DROPPED:
        raise NotAllowedError(f'a reason only goes with "dropped", not with "{event.value}"')
    return TriggerRequest(event, parts["reason"], float(parts["rate"]))


class Table(BaseModel):
    """A table of a file: keys that it does not know are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UplinkTable(Table):
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
    mac: Annotated[MacAddress | None, PlainValidator(_mac)] = Field(
        default=None, description=ALLOWED_MAC
    )
    impair: _Impair = None
    impair_in: _Impair = None
    impair_out: _Impair = None
    impair_seed: _Seed = 0


class NetworkTable(Table):
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
    mac: Annotated[MacAddress | None, PlainValidator(_mac)] = Field(
        default=None, description=ALLOWED_MAC
    )


class EndpointTable(Table):
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
    mac: Annotated[MacAddress | None, PlainValidator(_mac)] = Field(
        default=None, description=ALLOWED_MAC
    )
    impair: _Impair = None
    impair_in: _Impair = None
    impair_out: _Impair = None
    impair_seed: _Seed = 0


class DnsTable(Table):
    """`[dns]`."""

    upstream: list[Annotated[tuple[IpAddress, int], PlainValidator(_server)]] = Field(
        default=[],
        description='an IP address, alone or with a port: "198.51.100.53", "198.51.100.53:53"',
    )


class RecorderTable(Table):
    """`[recorder]`."""

    size: Annotated[int, PlainValidator(_recorder_size)] = Field(
        default=RecorderSettings().size,
        description=f'a size from "{sizes.text(SMALLEST_RECORDER)}" to '
        f'"{sizes.text(LARGEST_RECORDER)}", or 0 for no recorder',
    )
    directory: Annotated[str | None, PlainValidator(_directory)] = Field(
        default=None, description="the absolute path of a directory"
    )
    keep: Annotated[int, PlainValidator(_keep)] = Field(
        default=RecorderSettings().keep, description=f"a number of dumps from 1 to {MOST_DUMPS}"
    )
    triggers: list[Annotated[TriggerRequest, PlainValidator(_trigger)]] = Field(
        default=[],
        description='"dropped 1000/s", "dropped REASON 10/s", "resets 50/s" or "unresolved 5/s"',
    )


class Document(Table):
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
    recorder: RecorderTable = Field(default=RecorderTable(), description="a table, [recorder]")


def impairments(table: UplinkTable | EndpointTable) -> Impairments:
    """What the four keys say: `impair` is for each direction that has no key of its own."""
    both = table.impair or Impairment()
    return Impairments(table.impair_in or both, table.impair_out or both, table.impair_seed)


class NamedTables(Table):
    """Stands for a table of tables, whose keys are for the user to choose."""


def check(document: dict[str, Any]) -> Document | list[Mistake]:
    """`document` in values of this house, or everything in it that has the wrong shape."""
    return shaped(Document, document, _table_around)


def shaped(model: type[M], document: dict[str, Any], around: TableAround) -> M | list[Mistake]:
    """The same for any document; `around` knows the table that the last key of a path is in."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return [_mistake(one["loc"], one["type"], one.get("ctx", {}), around) for one in found]


def _mistake(path: KeyPath, kind: str, context: dict[str, Any], around: TableAround) -> Mistake:
    reason = context.get("error")
    if isinstance(reason, NotAllowedError) and str(reason):
        return Mistake(path, str(reason))
    if kind == "extra_forbidden":
        return Mistake(path, _unknown_key(path, around), quotes_value=False)
    if kind == "missing":
        return Mistake(path, f"missing: allowed is {_description(path, around)}")
    allowed = "allowed is a list, each item " if kind == "list_type" else "allowed is "
    return Mistake(path, allowed + _description(path, around))


def _unknown_key(path: KeyPath, around: TableAround) -> str:
    allowed = around(path).model_fields
    guess = names.did_you_mean(str(path[-1]), allowed)
    said = f"unknown key: allowed is {', '.join(allowed)}"
    if len(allowed) > MOST_KEYS_NAMED:
        said = "unknown key"
    return f"{said}; {guess}" if guess else said


def _description(path: KeyPath, around: TableAround) -> str:
    """What is allowed at `path`, for an item of a list what each of its items may be."""
    if isinstance(path[-1], int):
        return _description(path[:-1], around)
    fields = around(path).model_fields
    if path[-1] in fields:
        return fields[path[-1]].description or ""
    return f"a table, [{'.'.join(str(step) for step in path)}]"


def _table_around(path: KeyPath) -> type[Table]:
    match path:
        case ("uplink", _):
            return UplinkTable
        case ("networks" | "endpoints", _):
            return NamedTables
        case ("networks", _, _):
            return NetworkTable
        case ("endpoints", _, _):
            return EndpointTable
        case ("dns", _):
            return DnsTable
        case ("recorder", _):
            return RecorderTable
    return Document
