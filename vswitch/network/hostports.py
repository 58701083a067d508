"""Which host ports are published, and by whom.

Theory of operation. The switch has one outside address, that of its uplink, and a publication
without a host address answers on every address there is. So two publications conflict exactly
where protocol and port are the same. A request that names its host ports gets those or nothing
(`take`); one that leaves the choice gets the first free port of its range, or, without a range,
the one after the last that was given that way (`choose`), so that a port which was just given back
is not at once somebody else's.

Ports that NAPT uses for mappings are not known here: `published` is what it must keep clear of.
"""

from __future__ import annotations

from collections.abc import Iterator

from vswitch.network.errors import NetworkError
from vswitch.network.model import (
    PortRange,
    Publication,
    PublicationRequest,
    Uplink,
    socket_text,
)
from vswitch.wire.values import IpAddress, Protocol

ANY_HOST_PORT = PortRange(49153, 65535)
"""Docker's range for host ports that nobody chose (IANA's dynamic ports, RFC 6335, without the
first)."""


class HostPorts:
    """Host ports of one switch and the names of the endpoints that hold them."""

    def __init__(self, uplink: Uplink | None) -> None:
        self._uplink = uplink
        self._holders: dict[tuple[Protocol, int], str] = {}
        self._last_given: dict[Protocol, int] = {}

    def take(self, request: PublicationRequest, holder: str) -> Publication:
        """Publish the host ports that `request` names, all or none.

        Raises:
            NetworkError: one is published already, or the host address is not the switch's.
        """
        ports = request.host_ports
        if ports is None or request.chooses_host_port:
            raise ValueError(f"no host ports are named by {request}")
        address = self._outside_address(request)
        for port in ports:
            other = self._holders.get((request.protocol, port))
            if other is not None:
                where = socket_text(request.host_address, port)
                raise NetworkError(
                    f"Bind for {where} failed: port is already allocated",
                    hint=f"by endpoint {other}",
                )
        for port in ports:
            self._holders[request.protocol, port] = holder
        return Publication(request.protocol, address, ports, request.endpoint_ports)

    def choose(self, request: PublicationRequest, holder: str) -> list[Publication]:
        """Publish every endpoint port of `request` at a host port of the switch's choice.

        Raises:
            NetworkError: none is left, or the host address is not the switch's.
        """
        address = self._outside_address(request)
        publications: list[Publication] = []
        for endpoint_port in request.endpoint_ports:
            port = self._first_free(request)
            self._holders[request.protocol, port] = holder
            publications.append(
                Publication(
                    request.protocol,
                    address,
                    PortRange(port, port),
                    PortRange(endpoint_port, endpoint_port),
                )
            )
        return publications

    def release(self, holder: str) -> None:
        """Give back every port that `holder` has."""
        self._holders = {key: name for key, name in self._holders.items() if name != holder}

    def published(self) -> frozenset[tuple[Protocol, int]]:
        """Every published host port."""
        return frozenset(self._holders)

    def _outside_address(self, request: PublicationRequest) -> IpAddress | None:
        """The address to answer on, or None for every one the switch has."""
        asked = request.host_address
        own = self._uplink.address.address if self._uplink else None
        if own is not None and (asked is None or asked == own):
            return asked
        if own is not None and asked is not None and asked.is_unspecified and asked.version == 4:
            return None
        first = request.host_ports.first if request.host_ports else 0
        where = f"{socket_text(asked, first)}/{request.protocol.name.lower()}"
        raise NetworkError(
            f"failed to bind host port {where}: cannot assign requested address",
            hint=f"the uplink's address is {own}" if own else "the switch has no uplink",
        )

    def _first_free(self, request: PublicationRequest) -> int:
        candidates = iter(request.host_ports or self._after_last_given(request.protocol))
        for port in candidates:
            if (request.protocol, port) not in self._holders:
                if request.host_ports is None:
                    self._last_given[request.protocol] = port
                return port
        hint = f"{request.host_ports or ANY_HOST_PORT}/{request.protocol.name.lower()}"
        raise NetworkError("all ports are allocated", hint=hint)

    def _after_last_given(self, protocol: Protocol) -> Iterator[int]:
        """All of `ANY_HOST_PORT` once, beginning behind the last one given."""
        last = self._last_given.get(protocol, ANY_HOST_PORT.last)
        yield from range(last + 1, ANY_HOST_PORT.last + 1)
        yield from range(ANY_HOST_PORT.first, last + 1)
