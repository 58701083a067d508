"""The shape of `[networks.NAME.dhcp]`: a part of `schema`.

Stations and destinations are keys there, for the user to choose. What they may be, and what they
have to do with the network's addresses, is `leasekeys`' to say.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator

from vswitch.leasing import Leasing
from vswitch.network.configuration import fields
from vswitch.network.configuration.fields import NotAllowedError
from vswitch.network.configuration.nameschema import ALLOWED_DOMAIN, DomainName
from vswitch.network.configuration.table import LONGEST_TIMEOUT, Flag, Table
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork

LONGEST_OPTION = 255
"""Octets of a DHCP option (RFC 2132, 2)."""


def flag_as_table(value: object) -> object:
    """`dhcp = true` is short for a table that says no more."""
    return {"enabled": value} if isinstance(value, bool) else value


def _option(value: object) -> str:
    text = fields.string(value)
    if not text.isascii() or not text.isprintable() or not 0 < len(text) <= LONGEST_OPTION:
        raise NotAllowedError
    return text


_ADDRESS = "an IPv4 address"
_Address = Annotated[IpAddress, PlainValidator(fields.or_say(_ADDRESS, fields.ipv4))]
_Option = Annotated[
    str,
    PlainValidator(_option),
    Field(description=f"1 to {LONGEST_OPTION} printable ASCII characters"),
]
_Domain = Annotated[str, PlainValidator(fields.domain)]


class BootTable(Table):
    """`[networks.NAME.dhcp.boot]`."""

    server: _Option
    file: _Option


class DhcpTable(Table):
    """`[networks.NAME.dhcp]`."""

    enabled: Flag = True
    range: Annotated[IpNetwork | None, PlainValidator(fields.destinations)] = Field(
        default=None, description='a part of the subnet, like "172.18.128.0/17"'
    )
    lease_time: Annotated[Nanoseconds, PlainValidator(fields.duration(SECOND, LONGEST_TIMEOUT))] = (
        Field(
            default=Leasing().lease_time,
            description='a time from 1s to 365d, like "1h", "30m" or 3600 (seconds)',
        )
    )
    reservations: dict[str, _Address] = Field(
        default={}, description='a table, like { "52:54:00:12:34:56" = "172.18.0.50" }'
    )
    domain: DomainName = None
    search: list[_Domain] = Field(default=[], description=ALLOWED_DOMAIN)
    routes: dict[str, _Address] = Field(
        default={}, description='a table, like { "10.0.0.0/8" = "172.18.0.9" }'
    )
    boot: BootTable | None = Field(
        default=None, description='a table, like { server = "172.18.0.9", file = "pxelinux.0" }'
    )
    ntp: list[Annotated[IpAddress, PlainValidator(fields.ipv4)]] = Field(
        default=[], description=_ADDRESS
    )
