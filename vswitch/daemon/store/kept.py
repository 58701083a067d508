"""What is kept of things that change while the switch runs, beside the things themselves.

Each of these says what became of a wish: of an endpoint's, of a filter's, of a publication's. What
the configuration says is kept with it, as the next daemon may find another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.daemon.kernel.processes import Birth
from vswitch.network.model import Endpoint, EndpointRequest
from vswitch.network.ports import Publication
from vswitch.network.unswitched import Unswitched
from vswitch.policy import Filter
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, MacAddress


@dataclass(frozen=True, slots=True)
class Home:
    """Where an endpoint lives that was brought while the switch ran: in the namespace at a path,
    and with a process where it ends with that. A virtual machine's TAP is at home in itself."""

    namespace: str | None = None
    process: Birth | None = None


@dataclass(frozen=True, slots=True)
class KeptEndpoint:
    """An endpoint: what was asked for, and what it was given."""

    asked: EndpointRequest
    given: Endpoint
    home: Home | None
    """None for one that the configuration asks for."""


@dataclass(frozen=True, slots=True)
class KeptBystander:
    """A command on network `host` or `none`."""

    network: Unswitched
    process: Birth
    hostname: str | None
    domainname: str | None = None


@dataclass(frozen=True, slots=True)
class KeptFilter:
    """A filter at its place in the chain."""

    number: int
    filter: Filter
    is_added: bool
    """While the switch ran; the others are the configuration's."""


@dataclass(frozen=True, slots=True)
class KeptFilters:
    """The whole chain, and what the configuration said when it came to be."""

    configured: tuple[Filter, ...]
    chain: tuple[KeptFilter, ...]


@dataclass(frozen=True, slots=True)
class KeptPublication:
    """Something that the endpoint of that name publishes."""

    endpoint: str
    publication: Publication
    is_added: bool
    """While the switch ran; the others the endpoint has come with."""
    closes_at: Nanoseconds | None
    """When its time is over: counted from 1970, UTC, as it runs on while no switch does."""
    is_used_up: bool
    """Whether it was for one connection, and that has come."""


@dataclass(frozen=True, slots=True)
class KeptLease:
    """An address that a station on the network of that name was granted."""

    network: str
    address: IpAddress
    station: MacAddress
    identifier: str
    """What it calls itself (option 61), in hexadecimal digits."""
    hostname: str | None
    ends_at: Nanoseconds
    """Counted from 1970, UTC, as it runs on while no switch does."""
    written_at: Nanoseconds
    """Counted likewise. From then on there was no more time left than until `ends_at`, whatever has
    become of the calendar."""
    endpoint: str | None
    """Whose own address it is; None for a guest."""
