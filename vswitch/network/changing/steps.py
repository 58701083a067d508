"""In which order one configuration becomes another, step by step.

Theory of operation. `plan` turns two configurations into *steps*. What goes goes first, endpoints
before the networks that they are on; then rules change, so that nobody who comes is judged by the
old ones; then come uplinks, networks and endpoints. What is made anew goes and comes like anything
else. An endpoint that is changed gives up in the first half what it has no longer, so that another
one may have it in the second: a port that moves from one endpoint to another is free in between.

`done` says what is held after a step. To do all steps of a plan is to hold the other configuration,
and where one of them fails, what is held and the other configuration still tell what is left.

Read first: `difference`, which says what is changed in place and what is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from vswitch.network.changing.difference import Change, Sign, Way, What, by_name
from vswitch.network.model import DEFAULT_UPLINK, Configuration, EndpointRequest, Network, Uplink

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoveEndpoint:
    """Detach an endpoint; one that `comes_again` keeps the namespace that was made for it."""

    endpoint: EndpointRequest
    comes_again: bool

    def __str__(self) -> str:
        return f"detach endpoint {self.endpoint.name}"


@dataclass(frozen=True, slots=True)
class ChangeEndpoint:
    """Let an endpoint be another one, in place."""

    before: EndpointRequest
    after: EndpointRequest

    def __str__(self) -> str:
        return f"change endpoint {self.after.name}"


@dataclass(frozen=True, slots=True)
class AddEndpoint:
    """Attach an endpoint."""

    endpoint: EndpointRequest

    def __str__(self) -> str:
        return f"attach endpoint {self.endpoint.name}"


@dataclass(frozen=True, slots=True)
class RemoveNetwork:
    """Take a network away, which nobody is on."""

    network: Network

    def __str__(self) -> str:
        return f"remove network {self.network.name}"


@dataclass(frozen=True, slots=True)
class ChangeNetwork:
    """Let a network be another one, in place."""

    before: Network
    after: Network

    def __str__(self) -> str:
        return f"change network {self.after.name}"


@dataclass(frozen=True, slots=True)
class AddNetwork:
    """Make a network."""

    network: Network

    def __str__(self) -> str:
        return f"make network {self.network.name}"


@dataclass(frozen=True, slots=True)
class RemoveUplink:
    """Take an uplink away, with all connections by it."""

    uplink: Uplink

    def __str__(self) -> str:
        return f"remove {self.uplink}"


@dataclass(frozen=True, slots=True)
class ChangeUplink:
    """Let the line of an uplink be as bad as that."""

    uplink: Uplink

    def __str__(self) -> str:
        return f"change {self.uplink}"


@dataclass(frozen=True, slots=True)
class AddUplink:
    """Make an uplink."""

    uplink: Uplink

    def __str__(self) -> str:
        return f"make {self.uplink}"


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Let what there is one of be as in `settings`: filters, `ip_forward`, `dns`, pools, the flight
    recorder. `keys` names what differs."""

    settings: Configuration
    keys: frozenset[str]

    def __str__(self) -> str:
        return f"change {', '.join(sorted(self.keys))}"


Step: TypeAlias = (
    RemoveEndpoint
    | ChangeEndpoint
    | AddEndpoint
    | RemoveNetwork
    | ChangeNetwork
    | AddNetwork
    | RemoveUplink
    | ChangeUplink
    | AddUplink
    | ChangeSettings
)

_SETTINGS = {
    "filters": "filters",
    "ip_forward": "ip_forward",
    "dns": "dns",
    "recorder": "recorder",
    "default_address_pools": "pools",
}
"""The fields of a configuration that a step can change, by the keys of the file."""


def plan(
    before: Configuration, after: Configuration, changes: Iterable[Change]
) -> tuple[Step, ...]:
    """How `before` becomes `after`, where `changes` are all that differs and none is refused."""
    return tuple(_plan(before, after, _Fates.of(changes)))


def done(held: Configuration, step: Step) -> Configuration:
    """What is held after a step."""
    match step:
        case RemoveEndpoint(endpoint):
            return replace(held, endpoints=_without(held.endpoints, endpoint.name))
        case AddEndpoint(endpoint) | ChangeEndpoint(_, endpoint):
            return replace(held, endpoints=_with(held.endpoints, endpoint))
        case RemoveNetwork(network):
            return replace(held, networks=_without(held.networks, network.name))
        case AddNetwork(network) | ChangeNetwork(_, network):
            return replace(held, networks=_with(held.networks, network))
        case RemoveUplink(uplink):
            return replace(held, uplinks=_without(held.uplinks, uplink.name))
        case AddUplink(uplink) | ChangeUplink(uplink):
            outside = _with(held.uplinks, uplink)
            return replace(held, uplinks=tuple(sorted(outside, key=_is_further)))
        case ChangeSettings(settings, keys):
            changed = {_SETTINGS[key]: getattr(settings, _SETTINGS[key]) for key in keys}
            return replace(held, **changed)


@dataclass(frozen=True, slots=True)
class _Fates:
    """What goes, what comes and what stays but is changed, each by kind and name."""

    goes: frozenset[tuple[What, str]]
    comes: frozenset[tuple[What, str]]
    changes: frozenset[tuple[What, str]]
    settings: frozenset[str]

    @classmethod
    def of(cls, changes: Iterable[Change]) -> _Fates:
        goes, comes, stays = set(), set(), set()
        settings: set[str] = set()
        for each in changes:
            thing = each.what, each.name
            is_anew = each.way is Way.ANEW
            if each.what in (What.SETTING, What.FILTER):
                settings.add("filters" if each.what is What.FILTER else each.name)
                continue
            if each.sign is Sign.REMOVED or is_anew:
                goes.add(thing)
            if each.sign is Sign.ADDED or is_anew:
                comes.add(thing)
            if each.sign is Sign.CHANGED and not is_anew:
                stays.add(thing)
            along = {(What.ENDPOINT, name) for name in each.along}
            goes |= along
            comes |= along
        again = goes & comes
        return cls(frozenset(goes), frozenset(comes), frozenset(stays - again), frozenset(settings))


def _plan(before: Configuration, after: Configuration, fates: _Fates) -> Iterator[Step]:
    networks, changed = by_name(before.networks), list(_changed(before, after, fates))
    for endpoint in before.endpoints:
        if (What.ENDPOINT, endpoint.name) in fates.goes:
            yield RemoveEndpoint(endpoint, (What.ENDPOINT, endpoint.name) in fates.comes)
    for earlier, between, _ in changed:
        if between != earlier:
            yield ChangeEndpoint(earlier, between)
    for network in before.networks:
        if (What.NETWORK, network.name) in fates.goes:
            yield RemoveNetwork(network)
    for uplink in reversed(before.uplinks):
        if (What.UPLINK, uplink.name) in fates.goes:
            yield RemoveUplink(uplink)
    if fates.settings:
        yield ChangeSettings(after, fates.settings)
    for uplink in after.uplinks:
        if (What.UPLINK, uplink.name) in fates.comes:
            yield AddUplink(uplink)
        elif (What.UPLINK, uplink.name) in fates.changes:
            yield ChangeUplink(uplink)
    for network in after.networks:
        if (What.NETWORK, network.name) in fates.comes:
            yield AddNetwork(network)
        elif (What.NETWORK, network.name) in fates.changes:
            yield ChangeNetwork(networks[network.name], network)
    for _, between, later in changed:
        if between != later:
            yield ChangeEndpoint(between, later)
    for endpoint in after.endpoints:
        if (What.ENDPOINT, endpoint.name) in fates.comes:
            yield AddEndpoint(endpoint)


def _changed(
    before: Configuration, after: Configuration, fates: _Fates
) -> Iterator[tuple[EndpointRequest, EndpointRequest, EndpointRequest]]:
    """Each endpoint that stays and is changed: as it was, in between, and as it is to be. What it
    has of the addresses of an uplink goes with that, and comes with it."""
    uplinks = {each.name: each.uplink for each in after.networks}
    endpoints = by_name(before.endpoints)
    for later in after.endpoints:
        thing, earlier = (What.ENDPOINT, later.name), endpoints.get(later.name)
        if earlier is None or thing in fates.goes:
            continue
        if (What.UPLINK, uplinks[later.network]) in fates.goes:
            between = replace(_common(earlier, later), external=None, mappings=())
        else:
            between = _common(earlier, later)
        if thing in fates.changes or between != earlier:
            yield earlier, between, later


def _common(before: EndpointRequest, after: EndpointRequest) -> EndpointRequest:
    """An endpoint without what only one of the two has of networks, and of the switch's addresses
    and ports."""
    return replace(
        before,
        also=tuple(each for each in before.also if each in after.also),
        publish=tuple(each for each in before.publish if each in after.publish),
        mappings=tuple(each for each in before.mappings if each in after.mappings),
        external=before.external if before.external == after.external else None,
    )


def _is_further(uplink: Uplink) -> bool:
    """Whether it stands behind the default one."""
    return uplink.name != DEFAULT_UPLINK


def _without(things: Iterable[T], name: str) -> tuple[T, ...]:
    return tuple(each for key, each in by_name(things).items() if key != name)


def _with(things: Iterable[T], thing: T) -> tuple[T, ...]:
    one: Any = thing
    return tuple((by_name(things) | {one.name: thing}).values())
