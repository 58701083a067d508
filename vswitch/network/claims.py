"""What a request for an endpoint has taken so far: on each of its networks, and outside.

Who takes, and gives back, is `admission`, and `reach` for what is outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vswitch.network.errors import NetworkError
from vswitch.network.model import EndpointRequest, Membership, MembershipRequest
from vswitch.network.ports import Publication
from vswitch.wire.values import IpAddress, MacAddress


@dataclass(slots=True, eq=False)
class Place:
    """One network of a claim, and what it has taken there."""

    request: MembershipRequest
    number: int
    """Which interface of the endpoint's it is: 0 is eth0."""
    key: tuple[str, ...]
    """Where in the request it stands."""
    network: str = ""
    """The name of the network, empty while that is a mistake."""
    address: IpAddress | None = None
    mac: MacAddress | None = None

    def membership(self) -> Membership:
        """As it is when nothing is open."""
        if self.address is None or self.mac is None:
            raise ValueError(f"the place on {self.request.network} is not complete")
        return Membership(
            self.network,
            self.address,
            self.mac,
            self.request.aliases,
            self.number,
            self.request.gateway_priority,
        )


@dataclass(slots=True, eq=False)
class Claim:
    """What a request has taken so far, and what speaks against it."""

    request: EndpointRequest
    errors: list[NetworkError] = field(default_factory=list)
    holds_name: bool = False
    places: list[Place] = field(default_factory=list)
    publications: dict[int, list[Publication]] = field(default_factory=dict)
    kept: dict[tuple[int, int], Publication] = field(default_factory=dict)
    """Host ports that it had before, by the place of the publication and the endpoint's port."""

    def publications_in_order(self) -> tuple[Publication, ...]:
        """As the request lists them, whichever round they were made in."""
        return tuple(
            publication for _, made in sorted(self.publications.items()) for publication in made
        )
