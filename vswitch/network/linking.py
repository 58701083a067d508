"""Links: one endpoint knows another one by a name of its own, and reaches what that one exposes.

Theory of operation. A link is said by the endpoint that wants to reach another, the *parent*, and
names the other, the *child*, as `name[:alias]` (Docker's `--link`). It holds on every network that
both are on, for as long as both are there: who comes back under the same name is linked again.
Where `icc` is off, it opens exactly the ports that the child exposes or publishes (`opened`);
where it is on, it is a name and nothing else, which only the parent knows.

On its networks the child has to be there before a parent that comes alone (`require`). Of endpoints
that come together, as those of a configuration do, each may be linked to any other (`mistakes`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from vswitch.network import expose
from vswitch.network.errors import NetworkError, Refusal
from vswitch.network.model import Endpoint, EndpointRequest, NamedLink, Network
from vswitch.network.names import require_name
from vswitch.policy import Link, PortRole

if TYPE_CHECKING:
    from vswitch.network.inventory import Inventory

GRAMMAR = "name[:alias]"


def parse(spec: str) -> NamedLink:
    """What `spec` links to.

    Raises:
        NetworkError: with Docker's text for what is wrong with it.
    """
    if not spec:
        raise NetworkError("empty string specified for links")
    name, *aliases = spec.split(":")
    if len(aliases) > 1:
        raise NetworkError(f"bad format for links: {spec}")
    alias = aliases[0] if aliases else name
    require_name("endpoint", name)
    require_name("alias", alias)
    return NamedLink(name, alias)


def require(request: EndpointRequest, inventory: Inventory) -> None:
    """Refuse links to whom they can not lead, for an endpoint that comes alone.

    Raises:
        NetworkError: the first reason against one of them.
    """

    def child(name: str) -> _Child:
        endpoint = inventory.endpoint(name)
        return _Child(name, {each.network for each in endpoint.memberships}, endpoint.role)

    for error in _mistakes(request, child, inventory.network):
        raise error


def mistakes(
    requests: Collection[EndpointRequest], networks: Iterable[Network], mistaken: Collection[str]
) -> Iterator[Refusal]:
    """All reasons against links among endpoints that come together. Nothing is said of links from
    who is on an unknown network, nor of those to who is `mistaken` in another way."""
    by_name = {request.name: request for request in requests}
    known = {network.name: network for network in networks}

    def child(name: str) -> _Child:
        if name not in by_name:
            raise NetworkError(f"endpoint {name} not found")
        memberships = by_name[name].memberships
        return _Child(name, {each.network for each in memberships}, by_name[name].role)

    for request in requests:
        if all(each.network in known for each in request.memberships):
            for error in _mistakes(request, child, known.__getitem__, mistaken):
                yield Refusal(request.name, error)


def opened(endpoints: Collection[Endpoint], network: str) -> Iterator[Link]:
    """What links open on the network of that name, between those `endpoints`."""
    there = {each.name: (at.address, each) for each in endpoints if (at := each.on(network))}
    for address, parent in there.values():
        names = dict.fromkeys(link.name for link in parent.links)
        for child_address, child in [there[name] for name in names if name in there]:
            for each in expose.served(child):
                ports = range(each.ports.first, each.ports.last + 1)
                yield Link(address, child_address, each.protocol, ports)


def there(parent: Endpoint, inventory: Inventory, network: str) -> Iterator[NamedLink]:
    """The links of `parent` that lead to somebody on the network of that name."""
    for link in parent.links:
        with suppress(NetworkError):
            if inventory.endpoint(link.name).on(network):
                yield link


class _Child(NamedTuple):
    """What counts about whom an endpoint is linked to."""

    name: str
    networks: Collection[str]
    role: PortRole


def _mistakes(
    request: EndpointRequest,
    child_called: Callable[[str], _Child],
    network_called: Callable[[str], Network],
    mistaken: Collection[str] = (),
) -> Iterator[NetworkError]:
    names: dict[str, str] = {}
    for i, link in enumerate(request.links):
        try:
            _require_other(request, link, names)
            if link.name in mistaken:
                continue
            try:
                child = child_called(link.name)
            except NetworkError as error:
                words = f"could not get container for {link.name}: {error}"
                raise NetworkError(words) from None
            own = [network_called(each.network) for each in request.memberships]
            _require_reach(request, child, own)
        except NetworkError as error:
            yield error.at("links", i)


def _require_other(request: EndpointRequest, link: NamedLink, names: dict[str, str]) -> None:
    if link.name == request.name:
        raise NetworkError(f"cannot link to {link.name}, as that is the endpoint itself")
    if names.setdefault(link.alias, link.name) != link.name:
        both = f"{names[link.alias]} and {link.name}"
        raise NetworkError(f"alias {link.alias} is given to both {both}")


def _require_reach(parent: EndpointRequest, child: _Child, own: Sequence[Network]) -> None:
    shared = [network for network in own if network.name in child.networks]
    if not shared:
        where = "the default network" if own[0].predefined else f"network {own[0].name}"
        raise NetworkError(f"cannot link to {child.name}, as it does not belong to {where}")
    roles = parent.role, child.role
    if PortRole.PROMISCUOUS in roles:
        return
    if PortRole.ISOLATED in roles or all(network.policy.isolated_ports for network in shared):
        raise NetworkError(
            f"cannot link to {child.name}, as isolated ports do not reach each other",
            hint='allowed where one of the two has the role "promiscuous"',
        )
