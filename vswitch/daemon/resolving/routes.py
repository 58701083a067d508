"""Which servers are asked for the names that are not ours, and from where.

The switch's, else the host's, are asked from the daemon's own namespace, so that one on the host's
loopback can be asked. An endpoint may have servers of its own instead: those are asked from its
namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vswitch.daemon.kernel.netns import Namespace
from vswitch.dataplane.responders.dns.party import Route
from vswitch.naming import Server

SERVERS_ASKED = 3
"""Docker's and the C library's (MAXNS): a client has given up before a fourth could answer."""


class Routes:
    """Those of one switch."""

    def __init__(self, upstreams: Sequence[Server]) -> None:
        """No upstreams: unknown names get SERVFAIL."""
        self.ask(upstreams)

    def ask(self, upstreams: Sequence[Server]) -> None:
        """Ask these servers from now on, for all who have none of their own."""
        self._common = Route(tuple(upstreams[:SERVERS_ASKED]))

    def of(
        self, namespace: Namespace, own_servers: Sequence[Server] = ()
    ) -> Callable[[bytes], Route]:
        """Where the names of an endpoint in `namespace` are asked: as `Party` wants it."""
        if own_servers:
            own = Route(tuple(own_servers[:SERVERS_ASKED]), origin=namespace)
            return lambda _: own
        return lambda _: self._common
