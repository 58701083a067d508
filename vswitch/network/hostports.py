"""Which external ports are spoken for, on which address, and by whom.

Theory of operation. A publication without a host address answers on every address there is, one
with an address on that alone. So two of them conflict where protocol and port are the same, and
the addresses too, or either is every address. A static mapping takes its ports in the same way, and
an endpoint with an external address of its own takes all of them at once.

A request that names its host ports gets those or nothing (`take`); one that leaves the choice gets
the first free port of its range, or, without a range, the one after the last that was given that
way (`choose`), so that a port which was just given back is not at once somebody else's.

An uplink that learns its address has none until then (`learn`). As long as one has not, any address
may turn out to be the switch's, and none is refused.

Ports that NAPT uses for mappings are not known here: `published` is what it must keep clear of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vswitch.network.errors import NetworkError
from vswitch.network.model import (
    PortRange,
    Publication,
    PublicationRequest,
    StaticMapping,
    Uplink,
    socket_text,
)
from vswitch.wire.values import IpAddress, Protocol

ANY_HOST_PORT = PortRange(49153, 65535)
"""Docker's range for host ports that nobody chose (IANA's dynamic ports, RFC 6335, without the
first)."""


class HostPorts:
    """Host ports of one switch and the names of the endpoints that hold them."""

    def __init__(self, uplinks: Iterable[Uplink]) -> None:
        self._addresses = {uplink.name: uplink.addresses for uplink in uplinks}
        self._holders: dict[tuple[Protocol, IpAddress | None], dict[int, str]] = {}
        self._holders_of_all: dict[IpAddress, str] = {}
        self._last_given: dict[Protocol, int] = {}

    def learn(self, uplink: str, address: IpAddress | None) -> None:
        """From now on that is the address of an uplink which learns it; None: it has none."""
        self._addresses[uplink] = () if address is None else (address,)

    def take(self, request: PublicationRequest, holder: str) -> Publication:
        """Publish the host ports that `request` names, all or none.

        Raises:
            NetworkError: one is published already, or the host address is not the switch's.
        """
        ports = request.host_ports
        if ports is None or request.chooses_host_port:
            raise ValueError(f"no host ports are named by {request}")
        address = self._outside_address(request)
        self._take(request.protocol, address, ports, holder)
        return Publication(request.protocol, address, ports, request.endpoint_ports)

    def choose(self, request: PublicationRequest, holder: str) -> list[Publication]:
        """Publish every endpoint port of `request` at a host port of the switch's choice.

        Raises:
            NetworkError: none is left, or the host address is not the switch's.
        """
        address = self._outside_address(request)
        publications: list[Publication] = []
        for endpoint_port in request.endpoint_ports:
            port = self._first_free(request, address)
            self._hold(request.protocol, address, port, holder)
            publications.append(
                Publication(
                    request.protocol,
                    address,
                    PortRange(port, port),
                    PortRange(endpoint_port, endpoint_port),
                )
            )
        return publications

    def take_mapping(self, mapping: StaticMapping, address: IpAddress | None, holder: str) -> None:
        """Take the external ports of `mapping`, all or none, on `address` or on every one.

        Raises:
            NetworkError: one is spoken for.
        """
        self._take(mapping.protocol, address, mapping.external_ports, holder)

    def take_address(self, address: IpAddress, holder: str) -> None:
        """Take every port of `address`, but for those that are published on every address.

        Raises:
            NetworkError: somebody has it, or one of its ports.
        """
        other = self._holders_of_all.get(address)
        if other is not None:
            raise NetworkError("Address already in use", hint=f"by endpoint {other}")
        for (_, bound), holders in self._holders.items():
            if bound == address:
                hint = f"by a published or mapped port of endpoint {next(iter(holders.values()))}"
                raise NetworkError("Address already in use", hint=hint)
        self._holders_of_all[address] = holder

    def release(self, holder: str) -> None:
        """Give back every port and address that `holder` has."""
        for key, holders in list(self._holders.items()):
            left = {port: name for port, name in holders.items() if name != holder}
            if left:
                self._holders[key] = left
            else:
                del self._holders[key]
        self._holders_of_all = {
            address: name for address, name in self._holders_of_all.items() if name != holder
        }

    def published(self) -> frozenset[tuple[Protocol, int]]:
        """Every port that is spoken for on some address."""
        return frozenset(
            (protocol, port) for (protocol, _), holders in self._holders.items() for port in holders
        )

    def _outside_address(self, request: PublicationRequest) -> IpAddress | None:
        """The address to answer on, or None for every one the switch has."""
        asked = request.host_address
        if self._addresses and (asked is None or (asked.is_unspecified and asked.version == 4)):
            return None
        if asked is not None and self._may_be_ours(asked):
            return asked
        first = request.host_ports.first if request.host_ports else 0
        where = f"{socket_text(asked, first)}/{request.protocol.name.lower()}"
        raise NetworkError(
            f"failed to bind host port {where}: cannot assign requested address",
            hint=self._our_addresses(),
        )

    def _may_be_ours(self, address: IpAddress) -> bool:
        known = self._addresses.values()
        if any(address in addresses for addresses in known):
            return True
        return address.version == 4 and not all(known)

    def _our_addresses(self) -> str:
        """In words."""
        known = [str(address) for addresses in self._addresses.values() for address in addresses]
        if not self._addresses:
            return "the switch has no uplink"
        if len(known) == 1:
            return f"the uplink's address is {known[0]}"
        return f"the switch has {', '.join(known) or 'no address yet'}"

    def _take(
        self, protocol: Protocol, address: IpAddress | None, ports: PortRange, holder: str
    ) -> None:
        for port in ports:
            other = self._holder(protocol, address, port)
            if other is not None:
                raise NetworkError(
                    f"Bind for {socket_text(address, port)} failed: port is already allocated",
                    hint=f"by endpoint {other}",
                )
        for port in ports:
            self._hold(protocol, address, port, holder)

    def _hold(self, protocol: Protocol, address: IpAddress | None, port: int, holder: str) -> None:
        self._holders.setdefault((protocol, address), {})[port] = holder

    def _holder(self, protocol: Protocol, address: IpAddress | None, port: int) -> str | None:
        """Who has a port of `address`, or of any where that is None."""
        if address is not None and address in self._holders_of_all:
            return self._holders_of_all[address]
        for (of, bound), holders in self._holders.items():
            if of == protocol and (address is None or bound is None or bound == address):
                holder = holders.get(port)
                if holder is not None:
                    return holder
        return None

    def _first_free(self, request: PublicationRequest, address: IpAddress | None) -> int:
        candidates = iter(request.host_ports or self._after_last_given(request.protocol))
        for port in candidates:
            if self._holder(request.protocol, address, port) is None:
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
