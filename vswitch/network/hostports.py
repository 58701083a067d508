"""Which external ports are spoken for, on which address, and by whom.

Theory of operation. A publication without a host address answers on every address there is, one
with an address on that alone; a loopback address is the host's, for itself. So two of them conflict
where protocol and port are the same, and the addresses too, or either is every address. A static
mapping takes its ports in the same way, and an endpoint with an external address of its own takes
all of them at once. A run of ports is one entry, however long it is (`portruns`).

A request that names its host ports gets those or nothing (`take`); one that leaves the choice gets
the first free port of its range, or, without a range, the one after the last that was given that
way (`choose`), so that a port which was just given back is not at once somebody else's. What a
program of the host has is passed over, too: the host may be a client, or have the same address.

An uplink that learns its address has none until then (`learn`). As long as one has not, any address
may turn out to be the switch's, and none is refused.

Ports that NAPT uses for mappings are not known here: `published` is what it must keep clear of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vswitch.network.errors import NetworkError
from vswitch.network.model import Uplink
from vswitch.network.portruns import PortRuns
from vswitch.network.ports import (
    PortRange,
    Publication,
    PublicationRequest,
    StaticMapping,
    socket_text,
)
from vswitch.wire.values import IpAddress, Protocol

DYNAMIC_PORTS = PortRange(49153, 65535)
"""Docker's range where the host does not say: IANA's (RFC 6335) without the first."""


@dataclass(frozen=True, slots=True)
class AnyPort:
    """Which host port somebody gets who asks for any."""

    ports: PortRange = DYNAMIC_PORTS
    """The host's own (net.ipv4.ip_local_port_range)."""
    kept_back: frozenset[int] = frozenset()
    """What the host keeps for who asks by number (net.ipv4.ip_local_reserved_ports)."""
    is_in_use: Callable[[Protocol, int], bool] = lambda _protocol, _port: False
    """Whether a program of the host has a port."""


def is_for_host_alone(request: PublicationRequest) -> bool:
    """Whether what is asked for is to be reached from the host's own loopback and nowhere else."""
    asked = request.host_address
    return asked is not None and asked.version == 4 and asked.is_loopback


def can_not_assign(request: PublicationRequest, hint: str) -> NetworkError:
    """The refusal of a request for an address that is not to be had, in Docker's words."""
    first = request.host_ports.first if request.host_ports else 0
    where = f"{socket_text(request.host_address, first)}/{request.protocol.name.lower()}"
    text = f"failed to bind host port {where}: cannot assign requested address"
    return NetworkError(text, hint=hint)


class HostPorts:
    """Host ports of one switch and the names of the endpoints that hold them."""

    def __init__(self, uplinks: Iterable[Uplink], any_port: AnyPort | None = None) -> None:
        self._any = any_port or AnyPort()
        self._addresses = {uplink.name: uplink.addresses for uplink in uplinks}
        self._holders: dict[tuple[Protocol, IpAddress | None], PortRuns] = {}
        self._holders_of_all: dict[IpAddress, str] = {}
        self._last_given: dict[Protocol, int] = {}

    def learn(self, uplink: str, address: IpAddress | None) -> None:
        """From now on that is the address of an uplink which learns it; None: it has none."""
        self._addresses[uplink] = () if address is None else (address,)

    def add_uplink(self, uplink: Uplink) -> None:
        """The switch has the addresses of one more uplink from now on."""
        self._addresses[uplink.name] = uplink.addresses

    def remove_uplink(self, name: str) -> None:
        """It has them no longer. What is published at one of them is somebody's still."""
        del self._addresses[name]

    def publish(
        self, requests: Iterable[PublicationRequest], holder: str
    ) -> tuple[Publication, ...]:
        """Publish all of `requests` or none; what names its host ports goes first.

        Raises:
            NetworkError: the first reason against it.
        """
        wanted = list(enumerate(requests))
        made: dict[int, list[Publication]] = {}
        try:
            for i, request in sorted(wanted, key=lambda each: each[1].chooses_host_port):
                if request.chooses_host_port:
                    made[i] = self.choose(request, holder)
                else:
                    made[i] = [self.take(request, holder)]
        except NetworkError:
            for publications in made.values():
                self.withdraw(publications)
            raise
        return tuple(publication for i, _ in wanted for publication in made[i])

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
        return Publication(request.protocol, address, ports, request.endpoint_ports, request.terms)

    def choose(self, request: PublicationRequest, holder: str) -> list[Publication]:
        """Publish every endpoint port of `request` at a host port of the switch's choice, all or
        none.

        Raises:
            NetworkError: none is left, or the host address is not the switch's.
        """
        address = self._outside_address(request)
        publications: list[Publication] = []
        try:
            for endpoint_port in request.endpoint_ports:
                port = self._first_free(request, address)
                host, to = PortRange(port, port), PortRange(endpoint_port, endpoint_port)
                self._runs(request.protocol, address).add(host, holder)
                publications.append(Publication(request.protocol, address, host, to, request.terms))
        except NetworkError:
            self.withdraw(publications)
            raise
        return publications

    def withdraw(self, publications: Iterable[Publication]) -> None:
        """Give the host ports of publications back."""
        for each in publications:
            self._runs(each.protocol, each.host_address).remove(each.host_ports)

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
        for (_, bound), runs in self._holders.items():
            if bound == address and (first := runs.first_holder()) is not None:
                hint = f"by a published or mapped port of endpoint {first}"
                raise NetworkError("Address already in use", hint=hint)
        self._holders_of_all[address] = holder

    def keep_only(self, publications: Iterable[Publication], holder: str) -> None:
        """Give back every port and address that `holder` has, but for what it publishes."""
        self.release(holder)
        for each in publications:
            self._runs(each.protocol, each.host_address).add(each.host_ports, holder)

    def release(self, holder: str) -> None:
        """Give back every port and address that `holder` has."""
        for runs in self._holders.values():
            runs.release(holder)
        self._holders_of_all = {
            address: name for address, name in self._holders_of_all.items() if name != holder
        }

    def published(self) -> frozenset[tuple[Protocol, int]]:
        """Every port that is spoken for on some address."""
        return frozenset(
            (protocol, port)
            for (protocol, _), runs in self._holders.items()
            for ports in runs
            for port in ports
        )

    def _outside_address(self, request: PublicationRequest) -> IpAddress | None:
        """The address to answer on, or None for every one the switch has."""
        asked = request.host_address
        if self._addresses and (asked is None or (asked.is_unspecified and asked.version == 4)):
            return None
        if asked is not None and (is_for_host_alone(request) or self._may_be_ours(asked)):
            return asked
        raise can_not_assign(request, self._our_addresses())

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
        taken = self._taken(protocol, address, ports)
        if taken is not None:
            port, other = taken
            raise NetworkError(
                f"Bind for {socket_text(address, port)} failed: port is already allocated",
                hint=f"by endpoint {other}",
            )
        self._runs(protocol, address).add(ports, holder)

    def _runs(self, protocol: Protocol, address: IpAddress | None) -> PortRuns:
        return self._holders.setdefault((protocol, address), PortRuns())

    def _taken(
        self, protocol: Protocol, address: IpAddress | None, ports: PortRange
    ) -> tuple[int, str] | None:
        """The lowest of `ports` that somebody has on `address`, or on any where that is None, and
        who has it."""
        if address is not None and address in self._holders_of_all:
            return ports.first, self._holders_of_all[address]
        found = [
            runs.first_within(ports)
            for (of, bound), runs in self._holders.items()
            if of == protocol and (address is None or bound is None or bound == address)
        ]
        return min((each for each in found if each is not None), default=None)

    def _first_free(self, request: PublicationRequest, address: IpAddress | None) -> int:
        for port in request.host_ports or self._after_last_given(request.protocol):
            if self._taken(request.protocol, address, PortRange(port, port)) is not None:
                continue
            if self._any.is_in_use(request.protocol, port):
                continue
            if request.host_ports is None:
                self._last_given[request.protocol] = port
            return port
        hint = f"{request.host_ports or self._any.ports}/{request.protocol.name.lower()}"
        raise NetworkError("all ports are allocated", hint=hint)

    def _after_last_given(self, protocol: Protocol) -> Iterator[int]:
        """All of the ports for who asks for any once, beginning behind the last one given."""
        every = self._any.ports
        last = self._last_given.get(protocol, every.last)
        for port in (*range(last + 1, every.last + 1), *range(every.first, last + 1)):
            if port not in self._any.kept_back:
                yield port
