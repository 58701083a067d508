"""What exists on a running switch: networks, endpoints, and everything that they hold.

Theory of operation. An endpoint holds a name, perhaps a namespace, an address, a MAC address,
host ports, and perhaps an external address. The inventory is the one place that gives these out and
takes them back, for endpoints of the configuration and for those that `vswitch run` brings and
takes away, and it answers a refused request with Docker's own words.

Several requests at once are admitted in two rounds: first each takes what it names, then each gets
what it left open. So the order in which endpoints stand in a file does not matter: nobody is given
an address or a host port that somebody else asked for. An endpoint is admitted whole or not at all.

An inventory may `remember` what an earlier one has given out: between the two rounds, everybody
gets back what is open, still free and still allowed.

Nothing is created here. The inventory knows no device, no namespace and no kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random

from vswitch.leasing import Lease
from vswitch.network import ids, networks
from vswitch.network.admission import Admission
from vswitch.network.claims import Claim
from vswitch.network.errors import ForbiddenError, NetworkError, Refusal
from vswitch.network.hostports import AnyPort, HostPorts
from vswitch.network.ids import Identity
from vswitch.network.ipam import PREDEFINED_POOLS, Pool, choose_subnet
from vswitch.network.model import (
    DEFAULT_NETWORK,
    Configuration,
    Endpoint,
    EndpointRequest,
    MembershipRequest,
    Network,
    NetworkRequest,
    Uplink,
)
from vswitch.network.names import (
    require_name,
)
from vswitch.network.places import Places
from vswitch.network.ports import Publication, PublicationRequest
from vswitch.network.reach import require_host
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress, Protocol


class Inventory:
    """The networks and endpoints of one switch, which come and go."""

    def __init__(
        self,
        inside: Iterable[Network],
        outside: Iterable[Uplink],
        random: Random,
        pools: Sequence[Pool] = PREDEFINED_POOLS,
        any_port: AnyPort | None = None,
    ) -> None:
        """Begin with networks and uplinks, whose subnets do not overlap, and no endpoint.

        Subnets of further networks that nobody chooses come from `pools`, host ports for who asks
        for any from `any_port`.
        """
        self._networks = {network.name: network for network in inside}
        self._subnet_pools = pools
        self._uplinks = {uplink.name: uplink for uplink in outside}
        self._host_ports = HostPorts(self._uplinks.values(), any_port)
        self._places = Places(self._networks.values(), self._uplinks.values(), random)
        self._admission = Admission(self._networks, self._uplinks, self._places, self._host_ports)
        self._endpoints: dict[str, Endpoint] = {}
        self.revision = 0
        """Another one with every change of a network or an endpoint."""
        self._before: dict[str, Endpoint] = {}

    @classmethod
    def of(cls, configuration: Configuration, random: Random) -> Inventory:
        """The inventory that `configuration` describes, with its endpoints admitted."""
        inventory = cls(configuration.networks, configuration.uplinks, random)
        for refusal in inventory.admit(configuration.endpoints):
            raise refusal.error
        return inventory

    @property
    def networks(self) -> tuple[Network, ...]:
        """Every network, the default one first unless the configuration placed it."""
        return tuple(self._networks.values())

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint, in the order in which they were admitted."""
        return tuple(self._endpoints.values())

    def network(self, reference: str) -> Network:
        """The network with that id or name, or the one whose id begins so.

        Raises:
            NetworkError: there is none, or more than one.
        """
        return ids.find_named(reference, self._networks)

    def endpoints_on(self, network: Network) -> tuple[Endpoint, ...]:
        """The endpoints of one network."""
        return tuple(each for each in self._endpoints.values() if each.on(network.name))

    def is_in_use(self, network: Network) -> bool:
        """Whether it can not be removed: endpoints are on it, or it is the default one."""
        return network.name == DEFAULT_NETWORK.name or bool(self.endpoints_on(network))

    def add_network(
        self,
        request: NetworkRequest,
        network_id: str,
        created: Nanoseconds,
        *,
        learnt: Iterable[tuple[IpNetwork, str]] = (),
        keep_clear: Iterable[IpNetwork] = (),
    ) -> Network:
        """Admit one more network; see `networks.create`. Its gateway has a MAC address, too.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        network = networks.create(
            request,
            beside=self._networks.values(),
            outside=tuple(self._uplinks.values()),
            learnt=learnt,
            pools=self._subnet_pools,
            keep_clear=keep_clear,
            network_id=network_id,
            created=created,
        )
        self._check_external_is_no_endpoints(network)
        if network.mac is None:
            network = replace(network, mac=self._places.choose_mac())
        else:
            self._places.take_mac(network.mac)
        self._places.add_network(network)
        self._networks[network.name] = network
        self.revision += 1
        return network

    def free_subnet(self, size: int, keep_clear: Iterable[IpNetwork]) -> IpNetwork:
        """A subnet of the pools of that prefix length that is nobody's, nor in `keep_clear`.

        Raises:
            NetworkError: there is none.
        """
        taken = [network.subnet for network in self._networks.values()]
        taken += [each.subnet for each in self._uplinks.values() if each.subnet is not None]
        return choose_subnet((*taken, *keep_clear), size, self._subnet_pools)

    def remove_network(self, reference: str) -> Network:
        """Take a network out; answer with what it was.

        Raises:
            NetworkError: there is none, it is predefined, or it has endpoints.
        """
        network = self.network(reference)
        if network.name == DEFAULT_NETWORK.name:
            words = f"{network.name} is a pre-defined network and cannot be removed"
            raise ForbiddenError(words)
        if self.is_in_use(network):
            raise self._has_endpoints(network)
        del self._networks[network.name]
        self.revision += 1
        self._places.remove_network(network)
        return network

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint called `name`.

        Raises:
            NetworkError: there is none.
        """
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise NetworkError(f"endpoint {name} not found")
        return endpoint

    def remember(self, endpoints: Iterable[Endpoint], macs: Mapping[str, MacAddress]) -> None:
        """Prefer, from now on, what was given to endpoints and to other things of the same names.

        It is a preference: what somebody else asks for, or has, is theirs.
        """
        self._before |= {endpoint.name: endpoint for endpoint in endpoints}
        self._places.remember(macs)

    def recognise(self, identities: Mapping[str, Identity]) -> None:
        """Let networks be those that they were, by their names."""
        for name, identity in identities.items():
            if name in self._networks:
                id_, created = identity
                self._networks[name] = replace(self._networks[name], id=id_, created=created)

    def allocate_mac(self, name: str) -> MacAddress:
        """A MAC address for something else that the switch makes: a gateway, or an uplink.

        What is called `name` has one; asking again gives the same.
        """
        return self._places.mac_of(name)

    @property
    def given_macs(self) -> Mapping[str, MacAddress]:
        """What `allocate_mac` has given."""
        return self._places.given_macs

    def learn_address(self, uplink: str, address: IpAddress | None) -> None:
        """The uplink called `uplink`, which learns its address, has this one now, or none.

        Publications that name an address are judged by it from now on.
        """
        self._host_ports.learn(uplink, address)

    def published_host_ports(self) -> frozenset[tuple[Protocol, int]]:
        """The host ports that lead to endpoints, which NAPT must not use."""
        return self._host_ports.published()

    def add_endpoint(self, request: EndpointRequest) -> Endpoint:
        """Admit one endpoint.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        for refusal in self.admit((request,)):
            raise refusal.error
        return self._endpoints[request.name]

    def admit(self, requests: Iterable[EndpointRequest]) -> list[Refusal]:
        """Admit every endpoint that can be, and answer with every reason against the others.

        A request that is refused still stands in the way of the others of this call, so that all
        conflicts among them are found at once.
        """
        claims = [self._admission.claim(request) for request in requests]
        for claim in claims:
            before = self._before.get(claim.request.name)
            if before is not None:
                self._admission.reclaim(claim, before)
        for claim in claims:
            endpoint = self._admission.complete(claim)
            if endpoint is not None:
                self._put(endpoint)
        for claim in claims:
            if claim.errors:
                self._admission.withdraw(claim)
        return [Refusal(claim.request.name, error) for claim in claims for error in claim.errors]

    def remove_endpoint(self, name: str) -> Endpoint:
        """Take an endpoint out and free all that it held; answer with what it was.

        Raises:
            NetworkError: there is none.
        """
        endpoint = self.endpoint(name)
        del self._endpoints[name]
        self.revision += 1
        self._admission.withdraw(self._admission.claims[name])
        return endpoint

    def connect(self, name: str, request: MembershipRequest) -> Endpoint:
        """Let the endpoint called `name` be on one more network, too; answer with what it is now.

        Which of its networks leads out may change by that.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        endpoint = self._admission.connect(self.endpoint(name), request)
        self._put(endpoint)
        return endpoint

    def disconnect(self, name: str, network: Network) -> Endpoint:
        """Let it be on that network no longer; answer with what it is now.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        endpoint = self._admission.disconnect(self.endpoint(name), network)
        self._put(endpoint)
        return endpoint

    def publish(self, name: str, requests: Iterable[PublicationRequest]) -> tuple[Publication, ...]:
        """Publish further ports of the endpoint called `name`, all or none.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        endpoint, wanted = self.endpoint(name), tuple(requests)
        for request in wanted:
            require_host(self.network(endpoint.network), request)
        made = self._host_ports.publish(wanted, name)
        publications = (*endpoint.publications, *made)
        self._put(replace(endpoint, publications=publications))
        return made

    def unpublish(self, name: str, publications: Iterable[Publication]) -> None:
        """Publish some of what the endpoint called `name` publishes no longer.

        Raises:
            NetworkError: there is no such endpoint.
        """
        endpoint, gone = self.endpoint(name), tuple(publications)
        self._host_ports.withdraw(gone)
        left = tuple(each for each in endpoint.publications if each not in gone)
        self._put(replace(endpoint, publications=left))

    # Addresses that are leased

    def lease(self, network: Network, lease: Lease) -> None:
        """Give an address to no endpoint, since it is leased. One that has it keeps it."""
        if lease not in self.leases_on(network):
            self._places.lease(network, lease)
            self.revision += 1

    def end_lease(self, network: Network, address: IpAddress) -> None:
        """It is leased no longer."""
        self._places.end_lease(network, address)
        self.revision += 1

    def leases_on(self, network: Network) -> tuple[Lease, ...]:
        """What is leased on a network, the longest known first."""
        return self._places.leases_on(network)

    @property
    def guests(self) -> tuple[tuple[str, Lease], ...]:
        """What is leased to stations that are no endpoints, each with the name of the network."""
        return tuple(
            (network.name, lease)
            for network in self.networks
            for lease in self.leases_on(network)
            if not self.has_own(network, lease.address)
        )

    def has_own(self, network: Network, address: IpAddress) -> bool:
        """Whether an address is an endpoint's, the gateway's, or whose it is as an auxiliary one:
        of somebody who was not leased it."""
        return self._places.has(network, address)

    def count_for_guests(self, network: Network, part: IpNetwork) -> int:
        """How many addresses of a part of its subnet a network can give that are none of those."""
        return self._places.count_for_guests(network, part)

    # What another configuration changes

    @property
    def uplinks(self) -> tuple[Uplink, ...]:
        """Every uplink, the default one first."""
        return tuple(self._uplinks.values())

    def use_pools(self, pools: Sequence[Pool]) -> None:
        """Let subnets that nobody chooses come from `pools` from now on."""
        self._subnet_pools = pools

    def add_uplink(self, uplink: Uplink) -> None:
        """There is one more, in whose way nothing is.

        Raises:
            NetworkError: its MAC address is in use. Nothing has changed then.
        """
        if uplink.mac is not None:
            self._places.take_mac(uplink.mac)
        self._uplinks[uplink.name] = uplink
        self._host_ports.add_uplink(uplink)

    def change_uplink(self, uplink: Uplink) -> None:
        """Let an uplink be another one that has the same addresses."""
        self._uplinks[uplink.name] = uplink

    def remove_uplink(self, name: str) -> None:
        """There is one less, of whose addresses nobody has a mapping or all ports."""
        uplink = self._uplinks.pop(name)
        self._host_ports.remove_uplink(name)
        if uplink.mac is not None:
            self._places.release_mac(uplink.mac)

    def place_network(self, network: Network) -> None:
        """There is one more that was resolved with all others, the default one perhaps.

        Raises:
            NetworkError: its MAC address is in use. Nothing has changed then.
        """
        if network.mac is not None:
            self._places.take_mac(network.mac)
        self._places.add_network(network)
        self._networks[network.name] = network
        self.revision += 1

    def displace_network(self, name: str) -> None:
        """There is one less, that nobody is on, the default one perhaps.

        Raises:
            NetworkError: somebody is. Nothing has changed then.
        """
        network = self.network(name)
        if self.endpoints_on(network):
            raise self._has_endpoints(network)
        del self._networks[name]
        self.revision += 1
        self._places.remove_network(network)

    def change_network(self, network: Network) -> None:
        """Let a network be another one that has the same addresses."""
        self._networks[network.name] = network
        self._places.reserve(network)
        self.revision += 1

    def change_endpoint(self, request: EndpointRequest) -> Endpoint:
        """Let an endpoint have the names and name servers, links and exposed ports, the role, the
        impairments, the external address and the static mappings of `request`, of which no more is
        looked at.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        changed = self._admission.change(self.endpoint(request.name), request)
        self._put(changed)
        return changed

    def reserve_name(self, name: str, network: str) -> None:
        """Let no endpoint be called `name`: somebody is who takes no part in the switch.

        `network` is what that one has instead of a network of the switch.

        Raises:
            NetworkError: it is no name, or somebody has it.
        """
        if name in self._admission.claims:
            raise self._admission.already_exists(name)
        require_name("endpoint", name)
        self._admission.claims[name] = Claim(EndpointRequest(name, network), holds_name=True)

    @property
    def reserved_names(self) -> Mapping[str, str]:
        """Those names, each with what its bearer has instead of a network."""
        claims = self._admission.claims
        return {
            name: claim.request.network
            for name, claim in claims.items()
            if name not in self._endpoints
        }

    def free_name(self, name: str) -> None:
        """The name that was reserved may be an endpoint's again."""
        self._admission.withdraw(self._admission.claims[name])

    def _has_endpoints(self, network: Network) -> ForbiddenError:
        names = ", ".join(endpoint.name for endpoint in self.endpoints_on(network))
        return ForbiddenError(f"network {network.name} has active endpoints ({names})")

    def _put(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.name] = endpoint
        self.revision += 1

    def _check_external_is_no_endpoints(self, network: Network) -> None:
        address = network.translation.external
        for endpoint in self._endpoints.values():
            if address is not None and endpoint.external == address:
                hint = f"by endpoint {endpoint.name}"
                raise NetworkError("Address already in use", hint=hint, key=("external",))
