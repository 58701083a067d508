"""Which servers are asked for the names that are not ours, and from where.

Theory of operation. Whoever asks has a *way*, which says of each name where it goes, by the first
of these that there is:

1. the endpoint's own servers, asked from its namespace;
2. those of the network that leads out of it;
3. those of the longest of the switch's domains that the name is in;
4. those of the switch;
5. those of the host, as they are at the time.

All but the first are asked from the daemon's namespace, so one on the host's loopback can be; the
first are so, too, where the network that leads out reaches nothing but what names lead to. Where
the network that leads out is internal, there is the first alone, which reaches no further than the
endpoint itself. A server that is ourselves is passed over, or a query would come back to us for
ever; and where nobody is left, nobody is asked: no server is made up.

A way is worked out once, and again when somebody or something has changed. How a server is asked is
`forwarding`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.files.resolvconf import ADDRESS
from vswitch.dataplane.responders.dns.party import Route
from vswitch.naming import PORT, NameSettings, Server
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network
from vswitch.wire import domain
from vswitch.wire.values import IpAddress

SERVERS_ASKED = 3
"""Docker's and the C library's (MAXNS): a client has given up before a fourth could answer."""

OURSELVES = IpAddress.parse(ADDRESS)

NOWHERE = Route()
"""Nobody is asked: SERVFAIL."""

Way: TypeAlias = Callable[[bytes], Route]
"""Where a name, as `Inquiry` has it, is asked: the same object for as long as that is so."""


class Routes:
    """Those of one switch."""

    def __init__(
        self, inventory: Inventory, settings: NameSettings, host: Iterable[Server] = ()
    ) -> None:
        """`host` are the host's own servers."""
        self._inventory = inventory
        self._settings = settings
        self._host = tuple(host)
        self._changes = 0

    def follow(self, settings: NameSettings) -> None:
        """Ask whom the user wants from now on."""
        self._settings = settings
        self._changes += 1

    def follow_host(self, servers: Iterable[Server]) -> None:
        """The host's own servers are these from now on."""
        self._host = tuple(servers)
        self._changes += 1

    def of_endpoint(self, name: str, namespace: Namespace | None) -> Way:
        """The way of an endpoint, which lives there; None for a virtual machine, whose own servers
        are asked from where the daemon is."""
        return _Way(self._revision, lambda: self._endpoints(name, namespace))

    def of_network(self, name: str) -> Way:
        """That of who is on a network and no endpoint."""
        return _Way(self._revision, lambda: self._networks(self._inventory.network(name)))

    @property
    def servers(self) -> tuple[Server, ...]:
        """Who is asked for the names of whoever has nobody else to ask."""
        return self._switchs().elsewhere.servers

    def _revision(self) -> tuple[int, int]:
        return self._inventory.revision, self._changes

    def _endpoints(self, name: str, namespace: Namespace | None) -> _Directions:
        endpoint = self._inventory.endpoint(name)
        network = self._inventory.network(endpoint.network)
        if network.names.allowed is not None and not network.policy.internal:
            namespace = None
        is_inside = namespace is not None
        own = [each for each in endpoint.dns if not self._is_us(each, is_asked_inside=is_inside)]
        if own:
            order = self._settings.order
            return _Directions(Route(tuple(own[:SERVERS_ASKED]), order, namespace))
        return self._networks(network)

    def _networks(self, network: Network) -> _Directions:
        if network.policy.internal:
            return _Directions(NOWHERE)
        own = self._route(network.names.servers)
        return self._switchs() if own is NOWHERE else _Directions(own)

    def _switchs(self) -> _Directions:
        routes = {each.name: self._route(each.servers) for each in self._settings.domains}
        within = {
            domain.encode(name): route for name, route in routes.items() if route is not NOWHERE
        }
        own = self._route(self._settings.upstreams)
        return _Directions(self._route(self._host) if own is NOWHERE else own, within)

    def _route(self, servers: Iterable[Server]) -> Route:
        others = tuple(each for each in servers if not self._is_us(each, is_asked_inside=False))
        return Route(others[:SERVERS_ASKED], self._settings.order) if others else NOWHERE

    def _is_us(self, server: Server, *, is_asked_inside: bool) -> bool:
        """Whether a query would come back to us, or to nobody.

        A gateway's address is ours; from the host's namespace it is the host's own where the host
        is on that network, and nobody's elsewhere.
        """
        if server.port == PORT:
            gateways = {
                each.gateway
                for each in self._inventory.networks
                if is_asked_inside or not each.host
            }
            if server.address == OURSELVES or server.address in gateways:
                return True
        return not is_asked_inside and self._settings.listen == (server.address, server.port)


class _Directions(NamedTuple):
    """Where names go that are in none of some domains, and where those go that are in one."""

    elsewhere: Route
    within: Mapping[bytes, Route] = {}


class _Way:
    """Directions, which are worked out anew when there is another revision."""

    def __init__(
        self, revision: Callable[[], tuple[int, int]], directions: Callable[[], _Directions]
    ) -> None:
        self._revision = revision
        self._work_out = directions
        self._known: tuple[int, int] | None = None
        self._directions: _Directions

    def __call__(self, name: bytes) -> Route:
        revision = self._revision()
        if revision != self._known:
            self._directions, self._known = self._work_out(), revision
        elsewhere, within = self._directions
        if within:
            for each in (name, *domain.above(name)):
                if each in within:
                    return within[each]
        return elsewhere
