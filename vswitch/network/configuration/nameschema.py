"""The tables of a configuration that are about names, and the keys about them in other tables.

`namekeys` makes values of them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator

from vswitch.naming import CacheSettings, NameSettings, NetworkNames, Server, ServerOrder
from vswitch.network import names, sizes
from vswitch.network.configuration import fields
from vswitch.network.configuration.table import (
    LARGEST_MEMORY,
    LONGEST_TIMEOUT,
    Flag,
    Table,
    by_default,
    time,
)
from vswitch.units import KIBIBYTE, Nanoseconds
from vswitch.wire.values import IpAddress

SMALLEST_CACHE = 64 * KIBIBYTE
"""Bytes: some hundred answers."""

ALLOWED_SERVER = (
    'an IP address, alone or with a port: "198.51.100.53", "198.51.100.53:53"; '
    'or over TLS "tls://9.9.9.9#dns.quad9.net"'
)
ALLOWED_DOMAIN = 'a domain name, like "corp.example"'
ALLOWED_PATTERN = 'a domain name, or all below one: "registry.example", "*.debian.org"'
_ALLOWED_SERVERS = f"a list, each item {ALLOWED_SERVER}"
_ALLOWED_ADDRESSES = "an IP address, or a list of at least one"

_Server = Annotated[Server, PlainValidator(fields.server)]
_Time = Annotated[
    Nanoseconds, PlainValidator(fields.duration(0, LONGEST_TIMEOUT)), Field(description=time("0s"))
]

Servers = Annotated[list[_Server], Field(description=ALLOWED_SERVER)]
Search = Annotated[
    list[Annotated[str, PlainValidator(fields.search)]],
    Field(description='a domain name, like "corp.example", or "." alone for none'),
]
ResolverOptions = Annotated[
    list[Annotated[str, PlainValidator(fields.resolver_option)]],
    Field(description='an option of resolv.conf(5), like "ndots:1"'),
]
Hostname = Annotated[str | None, PlainValidator(fields.name), Field(description=names.ALLOWED_NAME)]
DomainName = Annotated[str | None, PlainValidator(fields.domain), Field(description=ALLOWED_DOMAIN)]


class CacheTable(Table):
    """`[dns.cache]`."""

    memory: Annotated[
        int, PlainValidator(fields.or_zero(fields.size(SMALLEST_CACHE, LARGEST_MEMORY)))
    ] = Field(
        default=CacheSettings().memory,
        description=f'a size from "{sizes.text(SMALLEST_CACHE)}" to '
        f'"{sizes.text(LARGEST_MEMORY)}", like "4MiB", or 0 for none',
    )
    least_ttl: _Time = CacheSettings().least_ttl
    most_ttl: _Time = CacheSettings().most_ttl
    negative_ttl: _Time = CacheSettings().most_negative_ttl
    stale: _Time = CacheSettings().stale
    prefetch: Flag = CacheSettings().prefetch


class DnsTable(Table):
    """`[dns]`."""

    upstream: Servers = Field(default=[])
    order: Annotated[ServerOrder, PlainValidator(fields.one_of(ServerOrder))] = Field(
        default=NameSettings().order, description=fields.quoted(ServerOrder)
    )
    domains: dict[
        str,
        Annotated[
            tuple[Server, ...],
            PlainValidator(fields.or_say(_ALLOWED_SERVERS, fields.at_least_one(fields.server))),
        ],
    ] = Field(default={}, description='a table, like { "corp.example" = ["10.0.0.53"] }')
    records: dict[
        str,
        Annotated[
            tuple[IpAddress, ...],
            PlainValidator(
                fields.or_say(_ALLOWED_ADDRESSES, fields.one_or_more(fields.host_address))
            ),
        ],
    ] = Field(default={}, description='a table, like { "db.example" = ["10.1.2.3"] }')
    ttl: _Time = NameSettings().ttl
    default_network: Flag = NameSettings().default_network
    rebind_protection: Flag = NameSettings().protects_from_rebinding
    rebind_domains: list[Annotated[str, PlainValidator(fields.domain)]] = Field(
        default=[], description=ALLOWED_DOMAIN
    )
    log: Flag = NameSettings().logs
    listen: Annotated[tuple[IpAddress, int] | None, PlainValidator(fields.host_place)] = Field(
        default=None,
        description='one IP address of the host with a port, like "127.0.0.1:5353"',
    )
    cache: CacheTable = Field(default=by_default(CacheTable), description="a table, [dns.cache]")


class NetworkDnsTable(Table):
    """`[networks.NAME.dns]`."""

    servers: Servers = Field(default=[])
    at_gateway: Flag = NetworkNames().at_gateway
    allow: list[Annotated[str, PlainValidator(fields.domain_pattern)]] | None = Field(
        default=None, description=ALLOWED_PATTERN
    )
