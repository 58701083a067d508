"""What speaks for and against an endpoint, and what it holds while it is there.

Theory of operation. A *claim* is a request with all that it has taken so far: a name, a place on
each of its networks (an address and a MAC address), host ports, perhaps an external address.
Several requests at once are admitted in rounds: `claim` takes what a request names, `reclaim` what
it had before, `complete` fills what is left open. A mistake does not end a round: all that is wrong
with a request is found at once, and `withdraw` gives everything back.

Of an endpoint's networks one leads out (`leading_out`): the default route goes there, and what is
published, mapped or external is of that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from vswitch.network import ids
from vswitch.network.claims import Claim, Place
from vswitch.network.errors import ForbiddenError, NetworkError
from vswitch.network.hostports import HostPorts
from vswitch.network.model import (
    Endpoint,
    EndpointKind,
    EndpointRequest,
    Membership,
    MembershipRequest,
    Network,
    Uplink,
)
from vswitch.network.names import (
    ALLOWED_INTERFACE,
    host_interface,
    is_interface_name,
    require_name,
)
from vswitch.network.places import Places
from vswitch.network.reach import Reach
from vswitch.policy import GatewayMode


class Admission:
    """The claims of one switch."""

    def __init__(
        self,
        networks: Mapping[str, Network],
        uplinks: Mapping[str, Uplink],
        places: Places,
        host_ports: HostPorts,
    ) -> None:
        """`networks` are those of the inventory, as they come and go."""
        self._networks = networks
        self._uplinks = uplinks
        self._places = places
        self._host_ports = host_ports
        self._reach = Reach(networks, uplinks, host_ports)
        self.claims: dict[str, Claim] = {}
        """By the names of the endpoints, and of those who hold nothing but a name."""

    # A request as a whole

    def claim(self, request: EndpointRequest) -> Claim:
        """First round: take what the request names."""
        claim = Claim(request)
        if request.name in self.claims:
            claim.errors.append(self.already_exists(request.name))
            return claim
        self.claims[request.name] = claim
        claim.holds_name = True
        self._check_names(claim)
        for number, each in enumerate(request.memberships):
            key = ("networks", each.network) if number else ()
            self._claim_place(claim, Place(each, number, key))
        network = self._leading_out(claim.places)
        self._reach.claim_translations(claim, network)
        self._reach.claim_host_ports(claim, network)
        return claim

    def reclaim(self, claim: Claim, before: Endpoint) -> None:
        """Between the rounds: take again what the endpoint of that name had, where that is free."""
        for place in claim.places:
            had = before.on(place.network)
            if had is not None:
                self._reclaim_place(claim, place, had)
        network = self._leading_out(claim.places)
        if network is None or network.name != before.network:
            return
        self._reach.reclaim_host_ports(claim, before)

    def complete(self, claim: Claim) -> Endpoint | None:
        """Second round: fill what the request left open; None where something is against it."""
        if not claim.places:
            return None
        request = claim.request
        for place in claim.places:
            self._complete_place(claim, place)
        self._reach.choose_host_ports(claim, self._leading_out(claim.places))
        if claim.errors:
            return None
        return Endpoint(
            name=request.name,
            kind=request.kind,
            namespace=request.namespace,
            memberships=self._memberships(claim),
            publications=claim.publications_in_order(),
            impairments=request.impairments,
            external=request.external,
            mappings=request.mappings,
            exposed=request.exposed,
            dns=request.dns,
            dns_search=request.dns_search,
            dns_options=request.dns_options,
            hostname=request.hostname,
            domainname=request.domainname,
            owner=request.owner,
            links=request.links,
            role=request.role,
        )

    def withdraw(self, claim: Claim) -> None:
        """Free all that a claim took."""
        if not claim.holds_name:
            return
        del self.claims[claim.request.name]
        self._host_ports.release(claim.request.name)
        for place in claim.places:
            self._release_place(place)

    def already_exists(self, name: str) -> NetworkError:
        """Somebody is called `name`."""
        holder = self.claims[name]
        network = next((each.network for each in holder.places), holder.request.network)
        return NetworkError(f"endpoint with name {name} already exists in network {network}")

    # Further networks of an endpoint that is there

    def connect(self, endpoint: Endpoint, request: MembershipRequest) -> Endpoint:
        """The endpoint with one more network, on its lowest free interface.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        claim = self.claims[endpoint.name]
        taken = {place.number for place in claim.places}
        number = next(n for n in range(len(taken) + 1) if n not in taken)
        place = Place(request, number, ())
        trial = Claim(claim.request, holds_name=True, places=list(claim.places))
        self._claim_place(trial, place)
        if not trial.errors:
            self._complete_place(trial, place)
            trial.errors += self._against_leading_out(endpoint, trial.places)
        for error in trial.errors:
            self._release_place(place)
            raise error
        claim.places = trial.places
        return replace(endpoint, memberships=self._memberships(claim))

    def disconnect(self, endpoint: Endpoint, network: Network) -> Endpoint:
        """The endpoint without one of its networks.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        claim = self.claims[endpoint.name]
        left = [place for place in claim.places if place.network != network.name]
        if len(left) == len(claim.places):
            words = f"endpoint {endpoint.name} is not connected to the network {network.name}"
            raise NetworkError(words)
        if not left:
            hint = "connect it to another one first, or remove the endpoint"
            raise ForbiddenError(f"endpoint {endpoint.name} is on no other network", hint=hint)
        for error in self._against_leading_out(endpoint, left):
            raise error
        for place in claim.places:
            if place not in left:
                self._release_place(place)
        claim.places = left
        return replace(endpoint, memberships=self._memberships(claim))

    # What is changed of an endpoint that is there

    def change(self, endpoint: Endpoint, request: EndpointRequest) -> Endpoint:
        """The endpoint with the names and name servers, links and exposed ports, the role, the
        impairments, the external address and the static mappings of `request`, of which no more is
        looked at.

        Raises:
            NetworkError: the first reason against it. Nothing has changed then.
        """
        before = self.claims[endpoint.name]
        aliases = {each.network: each.aliases for each in request.memberships}
        places = [_called(each, aliases.get(each.network)) for each in before.places]
        claim = Claim(request, holds_name=True, places=places)
        self._claim_translations(claim, endpoint)
        for error in claim.errors:
            self._claim_translations(before, endpoint)
            raise error
        self.claims[endpoint.name] = claim
        return replace(
            endpoint,
            memberships=self._memberships(claim),
            impairments=request.impairments,
            external=request.external,
            mappings=request.mappings,
            exposed=request.exposed,
            dns=request.dns,
            dns_search=request.dns_search,
            dns_options=request.dns_options,
            hostname=request.hostname,
            domainname=request.domainname,
            links=request.links,
            role=request.role,
        )

    def _claim_translations(self, claim: Claim, endpoint: Endpoint) -> None:
        """Take what the request names of external ports and addresses, in place of what was taken
        for an endpoint before, and beside what it publishes."""
        self._host_ports.keep_only(endpoint.publications, endpoint.name)
        self._reach.claim_translations(claim, self._leading_out(claim.places))

    def _against_leading_out(
        self, endpoint: Endpoint, places: Iterable[Place]
    ) -> Iterator[NetworkError]:
        """Why what an endpoint has outside can not be led there by one of `places`."""
        network = self._leading_out(places)
        if network is None or network.name == endpoint.network:
            return
        own = (endpoint.external, *endpoint.mappings)
        before = self._networks[endpoint.network]
        if own != (None,) and before.uplink != network.uplink:
            words = f"endpoint {endpoint.name} would lead out by network {network.name}"
            hint = "its external address or ports are those of another uplink"
            yield NetworkError(words, hint=hint)
        for each in endpoint.publications:
            if each.host_address is not None and each.host_address.is_loopback and not network.host:
                words = f"endpoint {endpoint.name} would lead out by network {network.name}"
                yield NetworkError(words, hint=f"the host is not on it, for what {each} publishes")

    # Names

    def _check_names(self, claim: Claim) -> None:
        request = claim.request
        named: list[tuple[str, str, tuple[str | int, ...]]] = [("endpoint", request.name, ())]
        if request.namespace is not None and request.namespace != request.name:
            named.append(("namespace", request.namespace, ("namespace",)))
        for what, name, key in named:
            try:
                require_name(what, name, *key)
            except NetworkError as error:
                claim.errors.append(error)
        if request.kind is EndpointKind.VM:
            claim.errors += _mistakes_of_a_virtual_machine(request)
        self._check_port_name_is_free(claim)
        self._check_namespace_is_free(claim)

    def _check_port_name_is_free(self, claim: Claim) -> None:
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

    def _check_namespace_is_free(self, claim: Claim) -> None:
        """Every endpoint is its namespace's eth0, so a namespace holds one."""
        namespace = claim.request.namespace
        if namespace is None:
            return
        for other in self.claims.values():
            if other is not claim and other.request.namespace == namespace:
                words = f"namespace {namespace} already has an endpoint"
                error = NetworkError(words, hint=other.request.name, key=("namespace",))
                claim.errors.append(error)

    # Places

    def _claim_place(self, claim: Claim, place: Place) -> None:
        request = place.request
        for i, alias in enumerate(request.aliases):
            try:
                require_name("alias", alias, *place.key, "aliases", i)
            except NetworkError as error:
                claim.errors.append(error)
        try:
            network = ids.find_named(request.network, self._networks)
        except NetworkError as error:
            claim.errors.append(error.at(*(place.key or ("network",))))
            return
        if any(each.network == network.name for each in claim.places):
            words = f"{claim.request.name} is already attached to network {network.name}"
            claim.errors.append(NetworkError(words, key=place.key))
            return
        place.network = network.name
        claim.places.append(place)
        if network.predefined:
            claim.errors += _against_predefined(place)
        elif request.address is not None:
            try:
                self._places.take_address(network, request.address, claim.request.name)
                place.address = request.address
            except NetworkError as error:
                claim.errors.append(error.at(*place.key, *error.key))
        if request.mac is not None:
            try:
                self._places.take_mac(request.mac, claim.request.name)
                place.mac = request.mac
            except NetworkError as error:
                claim.errors.append(error.at(*place.key, *error.key))

    def _reclaim_place(self, claim: Claim, place: Place, had: Membership) -> None:
        network, name = self._networks[place.network], claim.request.name
        with suppress(NetworkError):
            if place.request.address is None:
                self._places.take_address(network, had.address, name)
                place.address = had.address
        with suppress(NetworkError):
            if place.mac is None:
                self._places.take_mac(had.mac, name)
                place.mac = had.mac

    def _complete_place(self, claim: Claim, place: Place) -> None:
        name = claim.request.name
        try:
            if place.request.address is None and place.address is None:
                network = self._networks[place.network]
                place.address = self._places.take_lowest_address(network, name)
        except NetworkError as error:
            claim.errors.append(error)
        if not claim.errors and place.mac is None:
            place.mac = self._places.choose_mac(name)

    def _release_place(self, place: Place) -> None:
        if place.address is not None:
            self._places.release_address(self._networks[place.network], place.address)
        if place.mac is not None:
            self._places.release_mac(place.mac)

    def _memberships(self, claim: Claim) -> tuple[Membership, ...]:
        """Complete ones, the one that leads out first."""
        return tuple(each.membership() for each in sorted(claim.places, key=self._worse))

    def _leading_out(self, places: Iterable[Place]) -> Network | None:
        """The network of `places` that leads out, None where there is none yet."""
        best = min(places, key=self._worse, default=None)
        return None if best is None else self._networks[best.network]

    def _worse(self, place: Place) -> tuple[int, bool, int]:
        """How far a network is from being the one that leads out.

        Docker's order, but for the last step: among equals it is the network that the endpoint was
        on first, so that one more does not take its way out away. Docker takes the first name.
        """
        policy = self._networks[place.network].policy
        leads_nowhere = policy.internal or policy.gateway_mode is GatewayMode.ISOLATED
        return -place.request.gateway_priority, leads_nowhere, place.number


def _called(place: Place, aliases: tuple[str, ...] | None) -> Place:
    """A place where the endpoint has these aliases; None: those that it has."""
    if aliases is None:
        return place
    return replace(place, request=replace(place.request, aliases=aliases))


def _against_predefined(place: Place) -> Iterator[NetworkError]:
    if place.request.address is not None:
        message = "user-specified IP address is supported on user-defined networks only"
        yield NetworkError(message, key=(*place.key, "address"))
    if place.request.aliases:
        message = "network-scoped aliases are only supported for user-defined networks"
        yield NetworkError(message, key=(*place.key, "aliases"))


def _mistakes_of_a_virtual_machine(request: EndpointRequest) -> Iterator[NetworkError]:
    """Its name is that of an interface, and there is no namespace for it to be in."""
    if not is_interface_name(request.name):
        message = f"{request.name} is no name for a TAP"
        yield NetworkError(message, hint=f"allowed is {ALLOWED_INTERFACE}")
    if request.namespace is not None:
        message = "not allowed with kind vm: its TAP is in the host's own namespace"
        yield NetworkError(message, key=("namespace",))
    if request.also:
        message = "not allowed with kind vm: a TAP is on one network, and a further one is another"
        yield NetworkError(message, key=("networks",))
