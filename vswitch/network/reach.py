"""How an endpoint is reached from outside, and what it takes for that.

That is host ports that are published for it, static mappings, an address that stands for it alone.
All of these are of the network that leads out, and of the uplink behind that, and no two endpoints
have the same. A mistake is noted in the claim, and ends nothing. What is taken is given back by
`HostPorts.release`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from vswitch.network import uplinks
from vswitch.network.claims import Claim
from vswitch.network.errors import NetworkError
from vswitch.network.hostports import HostPorts, can_not_assign, is_for_host_alone
from vswitch.network.model import Endpoint, Network, Uplink
from vswitch.network.ports import PortRange, Publication, PublicationRequest
from vswitch.wire.values import IpAddress


class Reach:
    """Claims on the outside of one switch."""

    def __init__(
        self,
        networks: Mapping[str, Network],
        uplinks: Mapping[str, Uplink],
        host_ports: HostPorts,
    ) -> None:
        """`networks` and `uplinks` are those of the inventory, as they come and go."""
        self._networks = networks
        self._uplinks = uplinks
        self._host_ports = host_ports

    def claim_translations(self, claim: Claim, network: Network | None) -> None:
        """Take the external address and the static mappings that a request names; `network` leads
        out, None while that is not known."""
        self._claim_external_address(claim, network)
        self._claim_mappings(claim, network)

    def claim_host_ports(self, claim: Claim, network: Network | None) -> None:
        """Take the host ports that a request names."""
        for i, publication in enumerate(claim.request.publish):
            if not publication.chooses_host_port:
                try:
                    require_host(network, publication)
                    taken = self._host_ports.take(publication, claim.request.name)
                    claim.publications[i] = [taken]
                except NetworkError as error:
                    claim.errors.append(error.at("publish", i))

    def reclaim_host_ports(self, claim: Claim, before: Endpoint) -> None:
        """Take again those that were chosen for it `before`, where they are free."""
        for i, publication in enumerate(claim.request.publish):
            if publication.chooses_host_port:
                self._reclaim(claim, i, publication, before)

    def choose_host_ports(self, claim: Claim, network: Network | None) -> None:
        """Choose those that a request has left open."""
        for i, publication in enumerate(claim.request.publish):
            if publication.chooses_host_port:
                try:
                    require_host(network, publication)
                    claim.publications[i] = [
                        chosen
                        for port in publication.endpoint_ports
                        for chosen in self._host_port_for(claim, i, publication, port)
                    ]
                except NetworkError as error:
                    claim.errors.append(error.at("publish", i))

    def _claim_external_address(self, claim: Claim, network: Network | None) -> None:
        """An address that stands for one endpoint alone stands for nothing else."""
        address = claim.request.external
        if address is None or network is None:
            return
        try:
            uplink = self._uplinks.get(network.uplink)
            uplinks.require_address(address, uplink)
            self._check_address_is_not_shared(address, uplink)
            self._host_ports.take_address(address, claim.request.name)
        except NetworkError as error:
            claim.errors.append(error.at("external"))

    def _check_address_is_not_shared(self, address: IpAddress, uplink: Uplink | None) -> None:
        message = "Address already in use"
        if uplink is not None and address not in uplink.also:
            raise NetworkError(message, hint=f"it is the first address of {uplink}")
        for network in self._networks.values():
            if network.translation.external == address:
                raise NetworkError(message, hint=f"by network {network.name}")

    def _claim_mappings(self, claim: Claim, network: Network | None) -> None:
        request = claim.request
        if request.mappings and request.external is not None:
            message = "not allowed with external: that address has all ports of the endpoint's"
            claim.errors.append(NetworkError(message, key=("mappings",)))
        elif network is not None:
            for i, mapping in enumerate(request.mappings):
                try:
                    address = self._mapped_address(network)
                    self._host_ports.take_mapping(mapping, address, request.name)
                except NetworkError as error:
                    claim.errors.append(error.at("mappings", i))

    def _mapped_address(self, network: Network) -> IpAddress | None:
        """What static mappings of `network` are made on; None where it is not known yet."""
        uplink = self._uplinks.get(network.uplink)
        if uplink is None:
            hint = "the switch has no uplink"
            raise NetworkError("cannot assign requested address", hint=hint)
        return network.translation.external or next(iter(uplink.addresses), None)

    def _reclaim(
        self, claim: Claim, place: int, publication: PublicationRequest, before: Endpoint
    ) -> None:
        for chosen in before.publications:
            port = chosen.endpoint_ports.first
            wanted = replace(
                publication, host_ports=chosen.host_ports, endpoint_ports=chosen.endpoint_ports
            )
            if (place, port) not in claim.kept and publication.may_become(chosen):
                with suppress(NetworkError):
                    claim.kept[place, port] = self._host_ports.take(wanted, claim.request.name)

    def _host_port_for(
        self, claim: Claim, place: int, publication: PublicationRequest, port: int
    ) -> list[Publication]:
        """Where one endpoint port of a publication is reached: as before, or at a new choice."""
        kept = claim.kept.get((place, port))
        if kept is not None:
            return [kept]
        alone = replace(publication, endpoint_ports=PortRange(port, port))
        return self._host_ports.choose(alone, claim.request.name)


def require_host(network: Network | None, request: PublicationRequest) -> None:
    """The host reaches its loopback's published ports by its own port on their network.

    Raises:
        NetworkError: it has none there.
    """
    if is_for_host_alone(request) and network is not None and not network.host:
        raise can_not_assign(request, f"the host is not on network {network.name}")
