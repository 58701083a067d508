"""Who asks, and what is asked outside for it: values that say nothing of how.

A *party* is somebody who may ask: an endpoint, whoever is at a network's gateway, the host. A
*route* is where its foreign names are asked. An *inquiry* is a question that goes out: two of them
that are equal have one answer, so it is what is asked once for all who wait for it, and what an
answer is kept under.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from vswitch.naming import Server, ServerOrder

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.bounds import Bounds
    from vswitch.dataplane.responders.dns.inside.names import Names


class Route(NamedTuple):
    """The servers that are asked, and from where: None is the daemon's own namespace."""

    servers: tuple[Server, ...] = ()
    order: ServerOrder = ServerOrder.IN_ORDER
    origin: Hashable = None


class Inquiry(NamedTuple):
    """A question for servers outside. `name` is in small letters, as on the wire (RFC 4343)."""

    name: bytes
    type: int
    cls: int
    wants_dnssec: bool
    """DO (RFC 3225)."""
    checking_disabled: bool
    """CD (RFC 4035, 3.2.2)."""
    route: Route


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """Somebody who asks. Its functions are called for each query, and return the same object for as
    long as nothing has changed."""

    name: str
    """What it is called in logs and counters, and has its share of what is asked at once under."""
    names: Callable[[], Names]
    route: Callable[[bytes], Route]
    """Where a foreign name is asked: a name as in `Inquiry`."""
    network: str | None = None
    """The network that it asks from; None for the host."""
    keeps_short_names: Callable[[], bool] = lambda: False
    """Whether a name of one label that nobody here has is not asked for outside: Docker's rule for
    whom `ndots` was set for, who looks for such names in a search list."""
    bounds: Callable[[], Bounds | None] = lambda: None
    """What limits which foreign names it may ask for; None: nothing does."""
