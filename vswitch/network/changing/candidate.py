"""Whether a configuration can take the place of another one while the switch runs.

Theory of operation. A candidate is sound by itself, or it would be no `Configuration`. Beside that
configuration there is what was made at run time, which stays: networks, endpoints, published ports.
So everything is put into an inventory of its own, as it would be in the end, and what that refuses
is what speaks against the candidate. What is given to somebody now stays theirs, as far as nobody
asks for it.

By its name: an endpoint or network that is called as one of the configuration is that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from vswitch.leasing import Lease
from vswitch.network import networks
from vswitch.network.changing.difference import Change, Sign, What
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    Configuration,
    Endpoint,
    EndpointRequest,
    Membership,
    MembershipRequest,
    Network,
)
from vswitch.network.ports import Publication, PublicationRequest
from vswitch.wire.values import IpNetwork


@dataclass(frozen=True, slots=True)
class Present:
    """What there is at run time, whoever made it."""

    networks: tuple[Network, ...]
    endpoints: tuple[Endpoint, ...]
    names: Mapping[str, str]
    """Names of those who take no part in the switch, with what they have instead of a network."""
    learnt: tuple[tuple[IpNetwork, str], ...]
    """Subnets that uplinks have learnt and keep, each with words that say whose it is."""
    leases: tuple[tuple[str, Lease], ...] = ()
    """What guests have been leased, each with the name of the network."""


def refusals(
    held: Configuration, candidate: Configuration, changes: Iterable[Change], present: Present
) -> list[str]:
    """All that speaks against `candidate`, in a line for each; `changes` are what it differs in
    from what is `held`."""
    made = tuple(changes)
    found = [f"{each.thing}: needs a restart" for each in made if each.sign is Sign.REFUSED]
    found += _occupied(made, held, present)
    found += _overlaps(candidate, present)
    return found or list(_clashes(held, candidate, present))


def own_publications(endpoint: Endpoint, request: EndpointRequest) -> dict[int, list[Publication]]:
    """Which publications of an endpoint come from its configuration, by the place of what asks for
    them. What is left was published at run time; what is missing was withdrawn."""
    left, found = list(endpoint.publications), dict[int, list[Publication]]()
    for place, wanted in enumerate(request.publish):
        found[place] = [each for each in left if _comes_from(each, wanted)]
        if wanted.chooses_host_port:
            by_port = {each.endpoint_ports.first: each for each in reversed(found[place])}
            found[place] = list(by_port.values())
        left = [each for each in left if each not in found[place]]
    return found


@dataclass(frozen=True, slots=True)
class Further:
    """What an endpoint of the configuration has beyond that: ports that were published and networks
    that were connected at run time."""

    publish: tuple[PublicationRequest, ...] = ()
    also: tuple[MembershipRequest, ...] = ()

    @classmethod
    def of(cls, endpoint: Endpoint, request: EndpointRequest) -> Further:
        """What an endpoint, which the configuration asks for so, has beyond that."""
        own = [each for made in own_publications(endpoint, request).values() for each in made]
        configured = {each.network for each in request.memberships}
        return cls(
            tuple(_again(each) for each in endpoint.publications if each not in own),
            tuple(_on(each) for each in endpoint.memberships if each.network not in configured),
        )

    def beside(self, request: EndpointRequest) -> EndpointRequest:
        """An endpoint with what the configuration asks for, and with that."""
        networks = {each.network for each in request.memberships}
        also = tuple(each for each in self.also if each.network not in networks)
        return replace(
            request, publish=(*request.publish, *self.publish), also=(*request.also, *also)
        )


def _occupied(changes: Iterable[Change], held: Configuration, present: Present) -> Iterator[str]:
    """Networks can not go while somebody is on them by what the configuration knows nothing of."""
    configured = {(each.name, at.network) for each in held.endpoints for at in each.memberships}
    for change in changes:
        if change.what is not What.NETWORK or not change.replaces:
            continue
        others = [
            each.name
            for each in present.endpoints
            if each.on(change.name) and (each.name, change.name) not in configured
        ]
        if others:
            yield f"{change.thing}: endpoints are on it since run time: {', '.join(others)}"


def _overlaps(candidate: Configuration, present: Present) -> Iterator[str]:
    """RFC 4787, REQ-7."""
    for subnet, whose in present.learnt:
        for words in networks.overlapping(subnet, candidate.networks):
            yield f"{words} overlaps {subnet} {whose}"


def _clashes(held: Configuration, candidate: Configuration, present: Present) -> Iterator[str]:
    inventory = Inventory(candidate.networks, candidate.uplinks, Random(0), candidate.pools)
    inventory.remember(present.endpoints, {})
    configured = {each.name for each in held.networks}
    for network in present.networks:
        if network.name not in configured:
            identity = network.id, network.created
            try:
                inventory.add_network(network.request, *identity, learnt=present.learnt)
            except NetworkError as error:
                yield f"network {network.name}, made at run time: {error.explained}"
                return
    there = {each.name: each for each in inventory.networks}
    for name, lease in present.leases:
        if name in there and lease.address in there[name].subnet:
            inventory.lease(there[name], lease)
    for name, beside in present.names.items():
        inventory.reserve_name(name, beside)
    requests = {each.name: each for each in held.endpoints}
    made = [each for each in present.endpoints if each.name not in requests]
    for refusal in inventory.admit(_as_it_is(each, present) for each in made):
        yield f"endpoint {refusal.name}, made at run time: {refusal.error.explained}"
    further = {
        each.name: Further.of(each, requests[each.name])
        for each in present.endpoints
        if each.name in requests
    }
    wanted = [further.get(each.name, Further()).beside(each) for each in candidate.endpoints]
    for refusal in inventory.admit(wanted):
        yield f"endpoint {refusal.name}: {refusal.error.explained}"


def _as_it_is(endpoint: Endpoint, present: Present) -> EndpointRequest:
    """What asks for an endpoint as it is. Nobody can ask for an address of the default network, but
    there it is remembered."""
    by_name = {each.name: each for each in present.networks}
    first, *also = (
        replace(_on(each), address=None) if by_name[each.network].predefined else _on(each)
        for each in sorted(endpoint.memberships, key=lambda each: each.place)
    )
    return EndpointRequest(
        name=endpoint.name,
        network=first.network,
        kind=endpoint.kind,
        namespace=endpoint.namespace,
        address=first.address,
        aliases=first.aliases,
        publish=tuple(map(_again, endpoint.publications)),
        mac=first.mac,
        external=endpoint.external,
        mappings=endpoint.mappings,
        gateway_priority=first.gateway_priority,
        also=tuple(also),
    )


def _on(at: Membership) -> MembershipRequest:
    return MembershipRequest(at.network, at.address, at.mac, at.aliases, at.gateway_priority)


def _again(of: Publication) -> PublicationRequest:
    return PublicationRequest(
        of.protocol, of.host_address, of.host_ports, of.endpoint_ports, of.terms
    )


def _comes_from(made: Publication, wanted: PublicationRequest) -> bool:
    """Whether `wanted` may have become that."""
    asked, has = wanted.host_address, made.host_address
    is_there = asked == has or (has is None and asked is not None and asked.is_unspecified)
    if not is_there or made.terms != wanted.terms:
        return False
    if wanted.chooses_host_port:
        return wanted.may_become(made)
    same = made.protocol, made.host_ports, made.endpoint_ports
    return same == (wanted.protocol, wanted.host_ports, wanted.endpoint_ports)
