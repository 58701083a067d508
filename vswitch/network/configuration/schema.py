"""The shape of a configuration file: which keys there are, and what each may hold.

Theory of operation. pydantic knows the tables and calls one function of `fields` per value, which
either answers with a value of this house or refuses. Every field says in its description what is
allowed there, and that is the text of a mistake unless the function knows better (`shaping`). What
several keys must agree on is none of its business.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from vswitch.impairment import LARGEST_SEED, Impairment, Impairments
from vswitch.network import linking, names, sizes
from vswitch.network.configuration import fields
from vswitch.network.configuration.fields import (
    ALLOWED_MAC,
    LARGEST_MTU,
    LARGEST_RECORDER,
    MOST_DUMPS,
    SMALLEST_MTU,
    SMALLEST_RECORDER,
)
from vswitch.network.configuration.leaseschema import DhcpTable, flag_as_table
from vswitch.network.configuration.nameschema import (
    DnsTable,
    DomainName,
    Hostname,
    NetworkDnsTable,
    ResolverOptions,
    Search,
    Servers,
)
from vswitch.network.configuration.table import (
    LARGEST_MEMORY,
    LONGEST_TIMEOUT,
    Flag,
    Table,
    by_default,
    size,
    time,
)
from vswitch.network.model import (
    DEFAULT_MTU,
    DEFAULT_NETWORK,
    LARGEST_PRIORITY,
    EndpointKind,
    LearntAddress,
    NamedLink,
    RecorderSettings,
    TriggerRequest,
    UplinkDevice,
)
from vswitch.network.ports import ExposedPorts, PublicationRequest, StaticMapping
from vswitch.network.publish import GRAMMAR, MAPPING_GRAMMAR
from vswitch.policy import Action, GatewayMode, NetworkPolicy, PortRole
from vswitch.translation import (
    PROFILES,
    Filtering,
    Limits,
    Quotas,
    Refresh,
    Translation,
    Unsolicited,
)
from vswitch.units import KIBIBYTE, MEBIBYTE, SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

LONGEST_FRAGMENT_TIMEOUT = 255 * SECOND
"""The highest time to live, which RFC 791, 3.2, counts in seconds."""

MOST_CONNECTIONS = 1 << 24
"""Of a table or an endpoint: more than any memory here holds."""

SMALLEST_MEMORY = 1 * MEBIBYTE
SMALLEST_FRAGMENTS = 64 * KIBIBYTE
"""Bytes: one datagram of the greatest length."""

MOST_PER_SECOND = 1_000_000
MOST_HELD = 1_000_000

_COUNT = f"a number from 0 to {MOST_CONNECTIONS}, 0 for no limit"

_Mac = Annotated[MacAddress | None, PlainValidator(fields.mac), Field(description=ALLOWED_MAC)]
_Count = Annotated[
    int, PlainValidator(fields.whole_number(0, MOST_CONNECTIONS)), Field(description=_COUNT)
]
_Impair = Annotated[
    Impairment | None,
    PlainValidator(fields.impairment),
    Field(description='an impairment, like "delay=20ms loss=1%", or "none"'),
]
_Priority = Annotated[
    int,
    PlainValidator(fields.whole_number(-LARGEST_PRIORITY, LARGEST_PRIORITY)),
    Field(description=f"a whole number from -{LARGEST_PRIORITY} to {LARGEST_PRIORITY}"),
]
_Seed = Annotated[
    int, PlainValidator(fields.seed), Field(description=f"a whole number from 0 to {LARGEST_SEED}")
]


_HOSTS = 'an IPv4 subnet or address, like "192.0.2.0/24" or "192.0.2.8"'
_PORTS = 'a port or a range of ports, like "80" or "1024-32767"'
_Hosts = Annotated[IpNetwork, PlainValidator(fields.hosts)]
_Ports = Annotated[range, PlainValidator(fields.ports)]


_Timeout = Annotated[
    Nanoseconds | None,
    PlainValidator(fields.duration(SECOND, LONGEST_TIMEOUT)),
    Field(description=time("1s")),
]
_Rest = Annotated[
    Nanoseconds | None,
    PlainValidator(fields.duration(0, LONGEST_TIMEOUT)),
    Field(description=time("0s")),
]


class UplinkTable(Table):
    """`[uplink]` and `[uplinks.NAME]`."""

    interface: Annotated[str, PlainValidator(fields.interface)] = Field(
        description=names.ALLOWED_INTERFACE
    )
    address: Annotated[IpInterface | LearntAddress, PlainValidator(fields.uplink_address)] = Field(
        description='an IPv4 address with its prefix length, like "198.51.100.2/24", '
        'or "host" or "dhcp"'
    )
    gateway: Annotated[IpAddress | None, PlainValidator(fields.ipv4)] = Field(
        default=None, description="an IPv4 address in the uplink's subnet"
    )
    mac: _Mac = None
    addresses: list[Annotated[IpAddress, PlainValidator(fields.ipv4)]] = Field(
        default=[], description="an IPv4 address in the uplink's subnet"
    )
    device: Annotated[UplinkDevice, PlainValidator(fields.one_of(UplinkDevice))] = Field(
        default=UplinkDevice.PACKET, description=fields.quoted(UplinkDevice)
    )
    ports: Annotated[
        list[Annotated[range, PlainValidator(fields.ports)]] | None, AfterValidator(fields.apart)
    ] = Field(default=None, description='a port or a range of ports, like "1024-32767"')
    unsolicited: Annotated[Unsolicited, PlainValidator(fields.one_of(Unsolicited))] = Field(
        default=Unsolicited.HOLD, description=fields.quoted(Unsolicited)
    )
    clamp_mss: Flag = True
    impair: _Impair = None
    impair_in: _Impair = None
    impair_out: _Impair = None
    impair_seed: _Seed = 0


class TimeoutsTable(Table):
    """`[networks.NAME.timeouts]`: what differs from a profile."""

    profile: Annotated[str, PlainValidator(fields.profile)] = Field(
        default="rfc", description=" or ".join(f'"{name}"' for name in PROFILES)
    )
    udp_unanswered: _Timeout = None
    udp: _Timeout = None
    udp_short: _Timeout = None
    udp_mapping: _Timeout = None
    icmp: _Timeout = None
    tcp_opening: _Timeout = None
    tcp_established: _Timeout = None
    tcp_half_closed: _Timeout = None
    tcp_closing: _Timeout = None
    tcp_reset: _Timeout = None
    other: _Timeout = None
    hold_down: _Rest = None


class QuotasTable(Table):
    """`[networks.NAME.quotas]`."""

    mappings: _Count = Quotas().mappings
    connections: _Count = Quotas().connections
    connections_per_second: _Count = Quotas().connections_per_second


class NetworkTable(Table):
    """`[networks.NAME]`."""

    subnet: Annotated[IpNetwork | None, PlainValidator(fields.home_subnet)] = Field(
        default=None, description='an IPv4 subnet, like "172.18.0.0/16"'
    )
    gateway: Annotated[IpAddress | None, PlainValidator(fields.ipv4)] = Field(
        default=None, description="an IPv4 address in the network's subnet"
    )
    mtu: Annotated[int, PlainValidator(fields.whole_number(SMALLEST_MTU, LARGEST_MTU))] = Field(
        default=DEFAULT_MTU, description=f"a number of bytes from {SMALLEST_MTU} to {LARGEST_MTU}"
    )
    mac: _Mac = None
    uplink: Annotated[str | None, PlainValidator(fields.string)] = Field(
        default=None, description="the name of an uplink"
    )
    host: Flag = False
    external: Annotated[IpAddress | None, PlainValidator(fields.ipv4)] = Field(
        default=None, description="one of the uplink's addresses"
    )
    untranslated: list[Annotated[IpNetwork, PlainValidator(fields.destinations)]] = Field(
        default=[], description='an IPv4 subnet, like "192.0.2.0/24"'
    )
    filtering: Annotated[Filtering, PlainValidator(fields.one_of(Filtering))] = Field(
        default=Translation().filtering, description=fields.quoted(Filtering)
    )
    refresh: Annotated[Refresh, PlainValidator(fields.one_of(Refresh))] = Field(
        default=Translation().refresh, description=fields.quoted(Refresh)
    )
    window_tracking: Flag = Translation().window_tracking
    port_parity: Flag = Translation().keeps_parity
    resets: Flag = Translation().resets
    timeouts: Annotated[TimeoutsTable, BeforeValidator(fields.profile_as_table)] = Field(
        default=by_default(TimeoutsTable),
        description=" or ".join(f'"{name}"' for name in PROFILES) + ", or a table",
    )
    quotas: QuotasTable = Field(default=by_default(QuotasTable), description="a table")
    internal: Flag = NetworkPolicy().internal
    icc: Flag = NetworkPolicy().icc
    gateway_mode: Annotated[GatewayMode, PlainValidator(fields.gateway_mode)] = Field(
        default=NetworkPolicy().gateway_mode, description=fields.quoted(GatewayMode)
    )
    isolated_ports: Flag = NetworkPolicy().isolated_ports
    spoof_guard: Flag = NetworkPolicy().spoof_guard
    ip_range: Annotated[IpNetwork | None, PlainValidator(fields.destinations)] = Field(
        default=None, description='a part of the subnet, like "172.18.5.0/24"'
    )
    aux_addresses: dict[
        str, Annotated[IpAddress, PlainValidator(fields.or_say("an IPv4 address", fields.ipv4))]
    ] = Field(default={}, description='a table, like { router = "172.18.0.9" }')
    labels: dict[str, Annotated[str, PlainValidator(fields.or_say("a text", fields.string))]] = (
        Field(default={}, description='a table, like { stage = "test" }')
    )
    dns: NetworkDnsTable = Field(
        default=by_default(NetworkDnsTable), description="a table, [networks.NAME.dns]"
    )
    dhcp: Annotated[DhcpTable | None, BeforeValidator(flag_as_table)] = Field(
        default=None, description="true, false or a table"
    )


class FilterTable(Table):
    """`[[filters]]`."""

    action: Annotated[Action, PlainValidator(fields.one_of(Action))] = Field(
        description=fields.quoted(Action)
    )
    source: list[_Hosts] = Field(default=[], description=_HOSTS)
    destination: list[_Hosts] = Field(default=[], description=_HOSTS)
    protocol: Annotated[int | None, PlainValidator(fields.protocol)] = Field(
        default=None,
        description=" or ".join(f'"{name}"' for name in fields.PROTOCOLS)
        + f", or a number from 1 to {fields.HIGHEST_PROTOCOL}",
    )
    source_ports: list[_Ports] = Field(default=[], description=_PORTS)
    ports: list[_Ports] = Field(default=[], description=_PORTS)
    in_network: Annotated[str | None, PlainValidator(fields.string)] = Field(
        default=None, description="the name of a network or an uplink"
    )
    out_network: Annotated[str | None, PlainValidator(fields.string)] = Field(
        default=None, description="the name of a network or an uplink"
    )


class PoolTable(Table):
    """One of `default_address_pools`."""

    base: Annotated[IpNetwork, PlainValidator(fields.home_subnet)] = Field(
        description='an IPv4 subnet, like "10.10.0.0/16"'
    )
    size: Annotated[int, PlainValidator(fields.whole_number(1, 32))] = Field(
        description="a prefix length from 1 to 32"
    )


class MembershipTable(Table):
    """`[endpoints.NAME.networks.NETWORK]`."""

    address: Annotated[IpAddress | None, PlainValidator(fields.ipv4)] = Field(
        default=None, description="an IPv4 address in the network's subnet"
    )
    aliases: list[Annotated[str, PlainValidator(fields.string)]] = Field(
        default=[], description='a name, like "www"'
    )
    mac: _Mac = None
    gateway_priority: _Priority = 0


class EndpointTable(Table):
    """`[endpoints.NAME]`."""

    network: Annotated[str, PlainValidator(fields.string)] = Field(
        default=DEFAULT_NETWORK.name, description="the name of a network"
    )
    kind: Annotated[EndpointKind, PlainValidator(fields.one_of(EndpointKind))] = Field(
        default=EndpointKind.TAP, description=fields.quoted(EndpointKind)
    )
    namespace: Annotated[str | None, PlainValidator(fields.string)] = Field(
        default=None, description="the name of a network namespace"
    )
    address: Annotated[IpAddress | None, PlainValidator(fields.ipv4)] = Field(
        default=None, description="an IPv4 address in the network's subnet"
    )
    aliases: list[Annotated[str, PlainValidator(fields.string)]] = Field(
        default=[], description='a name, like "www"'
    )
    publish: list[Annotated[PublicationRequest, PlainValidator(fields.publication)]] = Field(
        default=[], description=f'"{GRAMMAR}", like "8080:80"'
    )
    expose: list[Annotated[ExposedPorts, PlainValidator(fields.exposed)]] = Field(
        default=[], description='a port or range that it serves, like "5432" or "53/udp"'
    )
    links: list[Annotated[NamedLink, PlainValidator(fields.link)]] = Field(
        default=[], description=f'"{linking.GRAMMAR}", like "db:database"'
    )
    role: Annotated[PortRole, PlainValidator(fields.one_of(PortRole))] = Field(
        default=PortRole.COMMUNITY, description=fields.quoted(PortRole)
    )
    external: Annotated[IpAddress | None, PlainValidator(fields.ipv4)] = Field(
        default=None, description="one of the uplink's further addresses"
    )
    mappings: list[Annotated[StaticMapping, PlainValidator(fields.mapping)]] = Field(
        default=[], description=f'"{MAPPING_GRAMMAR}", like "5000:5000/udp"'
    )
    mac: _Mac = None
    gateway_priority: _Priority = 0
    dns: Servers = Field(default=[])
    dns_search: Search = Field(default=[])
    dns_options: ResolverOptions = Field(default=[])
    hostname: Hostname = None
    domainname: DomainName = None
    networks: dict[str, MembershipTable] = Field(
        default={}, description="a table of further networks, [endpoints.NAME.networks.NETWORK]"
    )
    impair: _Impair = None
    impair_in: _Impair = None
    impair_out: _Impair = None
    impair_seed: _Seed = 0


class RecorderTable(Table):
    """`[recorder]`."""

    size: Annotated[int, PlainValidator(fields.recorder_size)] = Field(
        default=RecorderSettings().size,
        description=f'a size from "{sizes.text(SMALLEST_RECORDER)}" to '
        f'"{sizes.text(LARGEST_RECORDER)}", or 0 for no recorder',
    )
    directory: Annotated[str | None, PlainValidator(fields.directory)] = Field(
        default=None, description="the absolute path of a directory"
    )
    keep: Annotated[int, PlainValidator(fields.whole_number(1, MOST_DUMPS))] = Field(
        default=RecorderSettings().keep, description=f"a number of dumps from 1 to {MOST_DUMPS}"
    )
    triggers: list[Annotated[TriggerRequest, PlainValidator(fields.trigger)]] = Field(
        default=[],
        description='"dropped 1000/s", "dropped REASON 10/s", "resets 50/s" or "unresolved 5/s"',
    )


_Pem = Annotated[
    str | None,
    PlainValidator(fields.directory),
    Field(description="the absolute path of a file in PEM"),
]


class ApiTable(Table):
    """`[api]`."""

    group: Annotated[str | None, PlainValidator(fields.string)] = Field(
        default=None, description="the name of a group of users"
    )
    listen: Annotated[tuple[IpAddress, int] | None, PlainValidator(fields.listening)] = Field(
        default=None, description='an IP address with a port, like "127.0.0.1:2377"'
    )
    certificate: _Pem = None
    key: _Pem = None
    client_ca: _Pem = None


class LimitsTable(Table):
    """`[limits]`."""

    connections: Annotated[int, PlainValidator(fields.whole_number(1, MOST_CONNECTIONS))] = Field(
        default=Limits().connections, description=f"a number from 1 to {MOST_CONNECTIONS}"
    )
    memory: Annotated[int, PlainValidator(fields.size(SMALLEST_MEMORY, LARGEST_MEMORY))] = Field(
        default=Limits().memory, description=size(SMALLEST_MEMORY, "256MiB")
    )
    fragments: Annotated[int, PlainValidator(fields.size(SMALLEST_FRAGMENTS, LARGEST_MEMORY))] = (
        Field(default=Limits().fragments, description=size(SMALLEST_FRAGMENTS, "4MiB"))
    )
    fragment_timeout: Annotated[
        Nanoseconds, PlainValidator(fields.duration(SECOND, LONGEST_FRAGMENT_TIMEOUT))
    ] = Field(
        default=Limits().fragment_timeout,
        description='a time from 1s to 4m15s, like "30s" or 30 (seconds)',
    )
    held_syns: Annotated[int, PlainValidator(fields.whole_number(0, MOST_HELD))] = Field(
        default=Limits().held_syns, description=f"a number from 0 to {MOST_HELD}"
    )
    errors_per_second: Annotated[int, PlainValidator(fields.whole_number(1, MOST_PER_SECOND))] = (
        Field(
            default=Limits().errors_per_second, description=f"a number from 1 to {MOST_PER_SECOND}"
        )
    )


class Document(Table):
    """The file."""

    name: Annotated[str, PlainValidator(fields.name)] = Field(description=names.ALLOWED_NAME)
    uplink: UplinkTable | None = Field(default=None, description="a table, [uplink]")
    uplinks: dict[str, UplinkTable] = Field(
        default={}, description="a table of further uplinks, [uplinks.NAME]"
    )
    networks: dict[str, NetworkTable] = Field(
        default={}, description="a table of networks, [networks.NAME]"
    )
    endpoints: dict[str, EndpointTable] = Field(
        default={}, description="a table of endpoints, [endpoints.NAME]"
    )
    dns: DnsTable = Field(default=by_default(DnsTable), description="a table, [dns]")
    recorder: RecorderTable = Field(
        default=by_default(RecorderTable), description="a table, [recorder]"
    )
    limits: LimitsTable = Field(default=by_default(LimitsTable), description="a table, [limits]")
    api: ApiTable = Field(default=by_default(ApiTable), description="a table, [api]")
    bip: Annotated[IpInterface | None, PlainValidator(fields.gateway)] = Field(
        default=None, description='an IPv4 address with its prefix length, like "172.26.0.1/16"'
    )
    icc: Flag = NetworkPolicy().icc
    default_address_pools: list[PoolTable] = Field(
        default=[], description='a table, like { base = "10.10.0.0/16", size = 24 }'
    )
    ip_forward: Flag = True
    filters: list[FilterTable] = Field(default=[], description="a table, [[filters]]")
    state_directory: Annotated[str | None, PlainValidator(fields.directory)] = Field(
        default=None, description="the absolute path of a directory"
    )


def impairments(table: UplinkTable | EndpointTable) -> Impairments:
    """What the four keys say: `impair` is for each direction that has no key of its own."""
    both = table.impair or Impairment()
    return Impairments(table.impair_in or both, table.impair_out or both, table.impair_seed)
