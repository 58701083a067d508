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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from types import MappingProxyType

from vswitch.network import ids, networks, uplinks
from vswitch.network.errors import ForbiddenError, NetworkError, Refusal
from vswitch.network.hostports import AnyPort, HostPorts, can_not_assign, is_for_host_alone
from vswitch.network.ids import Identity
from vswitch.network.ipam import PREDEFINED_POOLS, AddressPool, Pool, choose_subnet
from vswitch.network.macs import MacPool
from vswitch.network.model import (
    DEFAULT_NETWORK,
    Configuration,
    Endpoint,
    EndpointKind,
    EndpointRequest,
    Network,
    NetworkRequest,
    PortRange,
    Publication,
    PublicationRequest,
    Uplink,
)
from vswitch.network.names import (
    ALLOWED_INTERFACE,
    host_interface,
    is_interface_name,
    require_name,
)
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
        self._pools: dict[str, AddressPool] = {}
        self._uplinks = {uplink.name: uplink for uplink in outside}
        self._host_ports = HostPorts(self._uplinks.values(), any_port)
        self._macs = MacPool(random)
        self._claims: dict[str, _Claim] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._before: dict[str, Endpoint] = {}
        self._macs_before: dict[str, MacAddress] = {}
        self._given_macs: dict[str, MacAddress] = {}
        for network in self._networks.values():
            self._pools[network.name] = _pool(network)
            if network.mac is not None:
                self._macs.reserve(network.mac)
        for uplink in self._uplinks.values():
            if uplink.mac is not None:
                self._macs.reserve(uplink.mac)

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
        named = self._networks.get(reference)  # at once: no name is as long as an id
        return ids.find(reference, self._networks.values()) if named is None else named

    def endpoints_on(self, network: Network) -> tuple[Endpoint, ...]:
        """The endpoints of one network."""
        return tuple(each for each in self._endpoints.values() if each.network == network.name)

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
            network = replace(network, mac=self._macs.allocate())
        else:
            self._take_mac(network.mac)
        self._pools[network.name] = _pool(network)
        self._networks[network.name] = network
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
            names = ", ".join(endpoint.name for endpoint in self.endpoints_on(network))
            raise ForbiddenError(f"network {network.name} has active endpoints ({names})")
        del self._networks[network.name], self._pools[network.name]
        if network.mac is not None:
            self._macs.release(network.mac)
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
        self._before = {endpoint.name: endpoint for endpoint in endpoints}
        for name, mac in macs.items():
            with suppress(NetworkError):
                self._macs.take(mac)
                self._macs_before[name] = mac

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
        mac = self._given_macs.get(name) or self._macs_before.get(name) or self._macs.allocate()
        self._given_macs[name] = mac
        return mac

    @property
    def given_macs(self) -> Mapping[str, MacAddress]:
        """What `allocate_mac` has given."""
        return MappingProxyType(self._given_macs)

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
        claims = [self._claim(request) for request in requests]
        for claim in claims:
            self._reclaim(claim)
        for claim in claims:
            self._complete(claim)
        for claim in claims:
            if claim.errors:
                self._withdraw(claim)
        return [Refusal(claim.request.name, error) for claim in claims for error in claim.errors]

    def remove_endpoint(self, name: str) -> Endpoint:
        """Take an endpoint out and free all that it held; answer with what it was.

        Raises:
            NetworkError: there is none.
        """
        endpoint = self.endpoint(name)
        self._withdraw(self._claims[name])
        return endpoint

    def publish(self, name: str, requests: Iterable[PublicationRequest]) -> tuple[Publication, ...]:
        """Publish further ports of the endpoint called `name`, all or none.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        endpoint, wanted = self.endpoint(name), tuple(requests)
        for request in wanted:
            self._require_host(self.network(endpoint.network), request)
        made = self._host_ports.publish(wanted, name)
        publications = (*endpoint.publications, *made)
        self._endpoints[name] = replace(endpoint, publications=publications)
        return made

    def unpublish(self, name: str, publications: Iterable[Publication]) -> None:
        """Publish some of what the endpoint called `name` publishes no longer.

        Raises:
            NetworkError: there is no such endpoint.
        """
        endpoint, gone = self.endpoint(name), tuple(publications)
        self._host_ports.withdraw(gone)
        left = tuple(each for each in endpoint.publications if each not in gone)
        self._endpoints[name] = replace(endpoint, publications=left)

    def reserve_name(self, name: str, network: str) -> None:
        """Let no endpoint be called `name`: somebody is who takes no part in the switch.

        `network` is what that one has instead of a network of the switch.

        Raises:
            NetworkError: it is no name, or somebody has it.
        """
        claim = self._claims.get(name)
        if claim is not None:
            raise _already_exists(claim)
        require_name("endpoint", name)
        self._claims[name] = _Claim(EndpointRequest(name, network), holds_name=True)

    def free_name(self, name: str) -> None:
        """The name that was reserved may be an endpoint's again."""
        self._withdraw(self._claims[name])

    def _claim(self, request: EndpointRequest) -> _Claim:
        """First round: take what the request names."""
        claim = _Claim(request)
        if request.name in self._claims:
            claim.errors.append(_already_exists(self._claims[request.name]))
            return claim
        self._claims[request.name] = claim
        claim.holds_name = True
        self._check_names(claim)
        self._claim_network(claim)
        self._check_rules_of_predefined_network(claim)
        self._claim_named_address(claim)
        self._claim_named_mac(claim)
        self._claim_external_address(claim)
        self._claim_mappings(claim)
        self._claim_named_host_ports(claim)
        return claim

    def _reclaim(self, claim: _Claim) -> None:
        """Between the rounds: take again what the endpoint of that name had, where that is free."""
        before, network = self._before.get(claim.request.name), claim.network
        if before is None or network is None or before.network != network.name:
            return
        with suppress(NetworkError):
            if claim.request.address is None:
                self._pools[network.name].take(before.address)
                claim.address = before.address
        with suppress(NetworkError):
            if claim.mac is None:
                self._macs.take(before.mac)
                claim.mac = before.mac
        for i, publication in enumerate(claim.request.publish):
            if publication.chooses_host_port:
                self._reclaim_host_ports(claim, i, publication, before)

    def _reclaim_host_ports(
        self, claim: _Claim, place: int, publication: PublicationRequest, before: Endpoint
    ) -> None:
        for chosen in before.publications:
            port = chosen.endpoint_ports.first
            wanted = replace(
                publication, host_ports=chosen.host_ports, endpoint_ports=chosen.endpoint_ports
            )
            if (place, port) not in claim.kept and publication.may_become(chosen):
                with suppress(NetworkError):
                    claim.kept[place, port] = self._host_ports.take(wanted, claim.request.name)

    def _complete(self, claim: _Claim) -> None:
        """Second round: fill what the request left open, and make the endpoint."""
        if claim.network is None:
            return
        request = claim.request
        try:
            if request.address is None and claim.address is None:
                claim.address = self._pools[claim.network.name].take_lowest()
        except NetworkError as error:
            claim.errors.append(error)
        self._choose_host_ports(claim)
        if claim.errors or claim.address is None:
            return
        claim.mac = claim.mac or self._macs.allocate()
        self._endpoints[request.name] = Endpoint(
            name=request.name,
            network=claim.network.name,
            kind=request.kind,
            namespace=request.namespace,
            address=claim.address,
            mac=claim.mac,
            aliases=request.aliases,
            publications=claim.publications_in_order(),
            impairments=request.impairments,
            external=request.external,
            mappings=request.mappings,
            exposed=request.exposed,
            dns=request.dns,
            hostname=request.hostname,
            owner=request.owner,
        )

    def _withdraw(self, claim: _Claim) -> None:
        """Free all that a claim took."""
        if not claim.holds_name:
            return
        name = claim.request.name
        del self._claims[name]
        self._endpoints.pop(name, None)
        self._host_ports.release(name)
        if claim.network is not None and claim.address is not None:
            self._pools[claim.network.name].release(claim.address)
        if claim.mac is not None:
            self._macs.release(claim.mac)

    def _check_names(self, claim: _Claim) -> None:
        request = claim.request
        named: list[tuple[str, str, tuple[str | int, ...]]] = [("endpoint", request.name, ())]
        if request.namespace is not None and request.namespace != request.name:
            named.append(("namespace", request.namespace, ("namespace",)))
        named += [("alias", alias, ("aliases", i)) for i, alias in enumerate(request.aliases)]
        for what, name, key in named:
            try:
                require_name(what, name, *key)
            except NetworkError as error:
                claim.errors.append(error)
        if request.kind is EndpointKind.VM:
            claim.errors += _mistakes_of_a_virtual_machine(request)
        self._check_port_name_is_free(claim)
        self._check_namespace_is_free(claim)

    def _check_port_name_is_free(self, claim: _Claim) -> None:
        """All ports have their names from one and the same space."""
        uplink = self._uplinks.get(claim.request.name)
        if uplink is not None:
            message = f"{uplink.name} is the name of {uplink}'s port: allowed is another one"
            claim.errors.append(NetworkError(message))
        for network in self._networks.values():
            if network.host and claim.request.name == host_interface(network.name):
                whose = f"the host's port on network {network.name}"
                message = f"{claim.request.name} is the name of {whose}: allowed is another one"
                claim.errors.append(NetworkError(message))

    def _check_namespace_is_free(self, claim: _Claim) -> None:
        """Every endpoint is its namespace's eth0, so a namespace holds one."""
        namespace = claim.request.namespace
        if namespace is None:
            return
        for other in self._claims.values():
            if other is not claim and other.request.namespace == namespace:
                claim.errors.append(
                    NetworkError(
                        f"namespace {namespace} already has an endpoint",
                        hint=other.request.name,
                        key=("namespace",),
                    )
                )

    def _claim_network(self, claim: _Claim) -> None:
        try:
            claim.network = self.network(claim.request.network)
        except NetworkError as error:
            claim.errors.append(error.at("network"))

    def _check_rules_of_predefined_network(self, claim: _Claim) -> None:
        if claim.network is None or not claim.network.predefined:
            return
        if claim.request.address is not None:
            message = "user-specified IP address is supported on user-defined networks only"
            claim.errors.append(NetworkError(message, key=("address",)))
        if claim.request.aliases:
            message = "network-scoped aliases are only supported for user-defined networks"
            claim.errors.append(NetworkError(message, key=("aliases",)))

    def _claim_named_address(self, claim: _Claim) -> None:
        network, address = claim.network, claim.request.address
        if network is None or network.predefined or address is None:
            return
        try:
            self._pools[network.name].take(address)
            claim.address = address
        except NetworkError as error:
            hint = error.hint or self._holder_of(network, address)
            claim.errors.append(NetworkError(str(error), hint=hint, key=("address",)))

    def _claim_named_mac(self, claim: _Claim) -> None:
        mac = claim.request.mac
        if mac is None:
            return
        try:
            self._take_mac(mac)
            claim.mac = mac
        except NetworkError as error:
            claim.errors.append(error)

    def _take_mac(self, mac: MacAddress) -> None:
        try:
            self._macs.take(mac)
        except NetworkError as error:
            raise NetworkError(str(error), hint=self._holder_of_mac(mac), key=("mac",)) from None

    def _claim_external_address(self, claim: _Claim) -> None:
        """An address that stands for one endpoint alone stands for nothing else."""
        address, network = claim.request.external, claim.network
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

    def _check_external_is_no_endpoints(self, network: Network) -> None:
        address = network.translation.external
        for claim in self._claims.values():
            if address is not None and claim.request.external == address:
                hint = f"by endpoint {claim.request.name}"
                raise NetworkError("Address already in use", hint=hint, key=("external",))

    def _claim_mappings(self, claim: _Claim) -> None:
        request, network = claim.request, claim.network
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

    def _claim_named_host_ports(self, claim: _Claim) -> None:
        for i, publication in enumerate(claim.request.publish):
            if not publication.chooses_host_port:
                try:
                    self._require_host(claim.network, publication)
                    taken = self._host_ports.take(publication, claim.request.name)
                    claim.publications[i] = [taken]
                except NetworkError as error:
                    claim.errors.append(error.at("publish", i))

    def _choose_host_ports(self, claim: _Claim) -> None:
        for i, publication in enumerate(claim.request.publish):
            if publication.chooses_host_port:
                try:
                    self._require_host(claim.network, publication)
                    claim.publications[i] = [
                        chosen
                        for port in publication.endpoint_ports
                        for chosen in self._host_port_for(claim, i, publication, port)
                    ]
                except NetworkError as error:
                    claim.errors.append(error.at("publish", i))

    def _host_port_for(
        self, claim: _Claim, place: int, publication: PublicationRequest, port: int
    ) -> list[Publication]:
        """Where one endpoint port of a publication is reached: as before, or at a new choice."""
        kept = claim.kept.get((place, port))
        if kept is not None:
            return [kept]
        alone = replace(publication, endpoint_ports=PortRange(port, port))
        return self._host_ports.choose(alone, claim.request.name)

    @staticmethod
    def _require_host(network: Network | None, request: PublicationRequest) -> None:
        """The host reaches its loopback's published ports by its own port on their network."""
        if is_for_host_alone(request) and network is not None and not network.host:
            raise can_not_assign(request, f"the host is not on network {network.name}")

    def _holder_of(self, network: Network, address: IpAddress) -> str:
        if address == network.gateway:
            return f"by the gateway of network {network.name}"
        for each in network.auxiliary:
            if each.address == address:
                return f"by {each.name} of network {network.name}, which is no endpoint"
        for claim in self._claims.values():
            if claim.network is network and claim.address == address:
                return f"by endpoint {claim.request.name}"
        return ""

    def _holder_of_mac(self, mac: MacAddress) -> str:
        for network in self._networks.values():
            if network.mac == mac:
                return f"by the gateway of network {network.name}"
        for claim in self._claims.values():
            if claim.mac == mac:
                return f"by endpoint {claim.request.name}"
        return "by the switch"


def _pool(network: Network) -> AddressPool:
    """The addresses of a network, without those that are somebody's from the start."""
    pool = AddressPool(network.subnet, network.ip_range)
    for address in (network.gateway, *(each.address for each in network.auxiliary)):
        pool.take(address)
    return pool


@dataclass(slots=True, eq=False)
class _Claim:
    """What a request has taken so far, and what speaks against it."""

    request: EndpointRequest
    errors: list[NetworkError] = field(default_factory=list)
    holds_name: bool = False
    network: Network | None = None
    address: IpAddress | None = None
    mac: MacAddress | None = None
    publications: dict[int, list[Publication]] = field(default_factory=dict)
    kept: dict[tuple[int, int], Publication] = field(default_factory=dict)
    """Host ports that it had before, by the place of the publication and the endpoint's port."""

    def publications_in_order(self) -> tuple[Publication, ...]:
        """As the request lists them, whichever round they were made in."""
        return tuple(
            publication for _, made in sorted(self.publications.items()) for publication in made
        )


def _already_exists(holder: _Claim) -> NetworkError:
    name, network = holder.request.name, holder.request.network
    if holder.network is not None:
        network = holder.network.name
    return NetworkError(f"endpoint with name {name} already exists in network {network}")


def _mistakes_of_a_virtual_machine(request: EndpointRequest) -> Iterator[NetworkError]:
    """Its name is that of an interface, and there is no namespace for it to be in."""
    if not is_interface_name(request.name):
        message = f"{request.name} is no name for a TAP"
        yield NetworkError(message, hint=f"allowed is {ALLOWED_INTERFACE}")
    if request.namespace is not None:
        message = "not allowed with kind vm: its TAP is in the host's own namespace"
        yield NetworkError(message, key=("namespace",))
