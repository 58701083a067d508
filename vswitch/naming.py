"""What a user may choose about names, as values: who is asked, what is known by hand, what is kept.

Theory of operation. A name that no endpoint bears is asked of *servers*: those of the endpoint that
asks, else those of its network, else those of the switch, else the host's. A *domain* may have
servers of its own, which go before the switch's and the host's. A *record* is known by hand. What
servers have said is kept in a *cache*. Nothing is decided here.

Read first: RFC 1034 section 4 (what a resolver is), RFC 2308 and RFC 8767 (what it keeps, and for
how long), RFC 7858 (DNS over TLS).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from vswitch.units import DAY, HOUR, MEBIBYTE, SECOND, Nanoseconds
from vswitch.wire.values import IpAddress

PORT = 53
"""RFC 1035, 4.2.1."""

TLS_PORT = 853
"""RFC 7858, 3.1."""


class Server(NamedTuple):
    """Somebody who is asked for names; `authenticated` is the name on its certificate where it is
    asked over TLS, None where it is asked in plain text."""

    address: IpAddress
    port: int = PORT
    authenticated: str | None = None

    def __str__(self) -> str:
        if self.authenticated is not None:
            port = "" if self.port == TLS_PORT else f":{self.port}"
            return f"tls://{self._host}{port}#{self.authenticated}"
        return str(self.address) if self.port == PORT else f"{self._host}:{self.port}"

    @property
    def _host(self) -> str:
        return f"[{self.address}]" if self.address.version == 6 else str(self.address)


class ServerOrder(Enum):
    """How several servers are asked."""

    IN_ORDER = "in-order"
    """The next one where the one before can not say."""
    PARALLEL = "parallel"
    """All at once, and the first that can say has said it."""


class Record(NamedTuple):
    """Addresses of a name that is known by hand; `*.NAME` stands for all names below NAME."""

    name: str
    addresses: tuple[IpAddress, ...]


class Domain(NamedTuple):
    """Names that end in `name`, and who is asked for them."""

    name: str
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What is kept of what servers say."""

    memory: int = 4 * MEBIBYTE
    """Bytes; 0: nothing is kept."""
    least_ttl: Nanoseconds = 0
    most_ttl: Nanoseconds = DAY
    most_negative_ttl: Nanoseconds = 3 * HOUR
    """RFC 2308, 5."""
    stale: Nanoseconds = DAY
    """For how long beyond its time an answer is good where no server says anything (RFC 8767); 0:
    not at all."""
    prefetch: bool = True
    """Whether what is asked for often is asked for anew before its time is over."""


@dataclass(frozen=True, slots=True)
class NameSettings:
    """The names of a whole switch."""

    upstreams: tuple[Server, ...] = ()
    """Who is asked; none: the servers of the host, as they are at the time."""
    order: ServerOrder = ServerOrder.IN_ORDER
    domains: tuple[Domain, ...] = ()
    records: tuple[Record, ...] = ()
    ttl: Nanoseconds = 600 * SECOND
    """Of what we know ourselves. Docker's."""
    cache: CacheSettings = CacheSettings()
    default_network: bool = False
    """Whether endpoints on the default network know each other by name, as on any other."""
    protects_from_rebinding: bool = False
    """Whether servers outside are not believed that a name has an address that only the inside can
    reach."""
    protected_but: tuple[str, ...] = ()
    """Domains of which they are believed that."""
    logs: bool = False
    """Whether each query is written into the log."""
    listen: tuple[IpAddress, int] | None = None
    """Where the host itself is answered; None: nowhere."""

    @property
    def servers(self) -> tuple[Server, ...]:
        """Everybody whom it names."""
        return (*self.upstreams, *(server for each in self.domains for server in each.servers))


@dataclass(frozen=True, slots=True)
class NetworkNames:
    """The names of one network."""

    servers: tuple[Server, ...] = ()
    """Who is asked for its endpoints; none: those of the switch."""
    at_gateway: bool = True
    """Whether its gateway answers on its port 53."""
    allowed: tuple[str, ...] | None = None
    """Names that its endpoints may ask of the outside and reach there, `*.NAME` for all below NAME;
    None: any, and addresses without names as well."""
