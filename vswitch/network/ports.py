"""Ports as a user speaks of them: ranges of them, published, mapped for good, exposed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vswitch.translation import OPEN_TO_ALL, Terms
from vswitch.wire.values import IpAddress, Protocol


@dataclass(frozen=True, slots=True)
class PortRange:
    """Transport ports from `first` to `last`, both included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1))

    def __contains__(self, port: object) -> bool:
        return isinstance(port, int) and self.first <= port <= self.last

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class PublicationRequest:
    """One `-p`: `host_ports` is None where any host port will do.

    More host ports than endpoint ports (which is then one) means: the first free of them.
    """

    protocol: Protocol
    host_address: IpAddress | None
    host_ports: PortRange | None
    endpoint_ports: PortRange
    terms: Terms = OPEN_TO_ALL

    @property
    def chooses_host_port(self) -> bool:
        """Whether it is for the switch to say which host port it becomes."""
        return self.host_ports is None or len(self.host_ports) != len(self.endpoint_ports)

    def may_become(self, publication: Publication) -> bool:
        """Whether the switch could have chosen that `publication` for one of its ports."""
        host_port, endpoint_port = publication.host_ports.first, publication.endpoint_ports.first
        return (
            len(publication.endpoint_ports) == 1
            and publication.protocol is self.protocol
            and endpoint_port in self.endpoint_ports
            and (self.host_ports is None or host_port in self.host_ports)
        )


@dataclass(frozen=True, slots=True)
class Publication:
    """Host ports that lead to an endpoint's ports, one to one: both ranges are equally long.

    `host_address` is None where every outside address of the switch answers.
    """

    protocol: Protocol
    host_address: IpAddress | None
    host_ports: PortRange
    endpoint_ports: PortRange
    terms: Terms = OPEN_TO_ALL

    def __str__(self) -> str:
        host = socket_text(self.host_address, self.host_ports)
        return f"{host}->{self.endpoint_ports}/{self.protocol.name.lower()}"


@dataclass(frozen=True, slots=True)
class StaticMapping:
    """External ports that belong to an endpoint's ports for good, whoever begins a connection.

    Both ranges are equally long. They are ports of the address that the endpoint's network is
    translated to: its `external` one, or the first of its uplink.
    """

    protocol: Protocol
    external_ports: PortRange
    endpoint_ports: PortRange

    def __str__(self) -> str:
        return f"{self.external_ports}<->{self.endpoint_ports}/{self.protocol.name.lower()}"


@dataclass(frozen=True, slots=True)
class ExposedPorts:
    """Ports that an endpoint says it serves. Nothing is published by that alone."""

    protocol: Protocol
    ports: PortRange

    def __str__(self) -> str:
        return f"{self.ports}/{self.protocol.name.lower()}"


def socket_text(address: IpAddress | None, ports: PortRange | int) -> str:
    """An address with ports as Docker prints it: `0.0.0.0:8080`, `[::1]:8080-8082`."""
    if address is None:
        return f"0.0.0.0:{ports}"
    return f"[{address}]:{ports}" if address.version == 6 else f"{address}:{ports}"
