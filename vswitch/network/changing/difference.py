"""What one configuration would change of another, in the words of the file.

Theory of operation. `compare` looks at two configurations as wholes: uplinks, networks and
endpoints by their names, the rest key by key. A `Change` says what differs and how it is brought
about. Most keys are changed *in place*: who is there goes on, and of the live flows those end that
may not be any more. Where the ground of a thing is another one (the subnet of a network, the
address of an endpoint) it is made *anew*, and takes along what stands on it: the endpoints of a
network. A few keys were fixed when the switch began, and need a *restart*.

Nothing is done here, and nothing but the two configurations is looked at. Read on: `steps` for the
order in which changes are made, `candidate` for whether they can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, TypeAlias, TypeVar

from vswitch.network.changing import leases, names, wording
from vswitch.network.changing.wording import Said
from vswitch.network.model import Configuration, EndpointRequest, Network, Uplink
from vswitch.policy import GatewayMode
from vswitch.translation import Limits, Quotas, Timeouts

T = TypeVar("T")

Keys: TypeAlias = Mapping[str, Callable[[T], Said]]
"""What a table of the file says, key by key."""


class Sign(Enum):
    """What becomes of a thing, as diff(1) would mark it."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"
    REFUSED = "!"
    """It can not be changed while the switch runs."""


class What(Enum):
    """What a change is about."""

    UPLINK = "uplink"
    NETWORK = "network"
    ENDPOINT = "endpoint"
    FILTER = "filter"
    SETTING = "setting"
    """A key or a table of the file that there is one of; its name is the change's."""


class Way(Enum):
    """How a change is brought about."""

    IN_PLACE = "in place"
    ANEW = "anew"
    """It goes, with all that is on it, and comes again as it is to be."""
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Detail:
    """What one key said and what it says; empty for nothing. Of a list: what is there no more, and
    what is new."""

    key: str
    before: str
    after: str

    def __str__(self) -> str:
        said = f"{self.before} → {self.after}"
        if not self.before or not self.after:
            said = f"+ {self.after}" if self.after else f"- {self.before}"
        return f"{self.key} {said}" if self.key else said


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one thing."""

    sign: Sign
    what: What
    name: str
    details: tuple[Detail, ...] = ()
    way: Way = Way.IN_PLACE
    along: tuple[str, ...] = ()
    """The endpoints that are attached again because of it."""

    @property
    def thing(self) -> str:
        """What it is about: `network front`."""
        return self.name if self.what is What.SETTING else f"{self.what.value} {self.name}"

    @property
    def replaces(self) -> bool:
        """Whether what was there goes, even if it comes again."""
        return self.sign is Sign.REMOVED or self.way is Way.ANEW

    def __str__(self) -> str:
        said = ", ".join(map(str, self.details))
        if self.sign is not Sign.CHANGED and self.sign is not Sign.REFUSED:
            said = ", ".join(f"{each.key} {each.after}" for each in self.details)
        about = f": {said}" if said else ""
        return f"{self.sign.value} {self.thing}{about}{self._way_in_words()}"

    def _way_in_words(self) -> str:
        if self.sign is Sign.REFUSED:
            return " (needs a restart)"
        if self.sign is not Sign.CHANGED:
            return ""
        if self.way is Way.IN_PLACE:
            return " (in place)"
        if self.what is What.UPLINK:
            return " (is made anew: its connections end)"
        if self.what is What.ENDPOINT:
            return " (is attached again)"
        with_them = f", with its endpoints {', '.join(self.along)}" if self.along else ""
        return f" (is made anew{with_them})"


def compare(before: Configuration, after: Configuration) -> tuple[Change, ...]:
    """What `after` would change of `before`: what is refused first, then as in the file."""
    return (
        *_refused(before, after),
        *_settings(before, after),
        *_filters(before, after),
        *_uplinks(before, after),
        *_networks(before, after),
        *_endpoints(before, after),
    )


def _refused(before: Configuration, after: Configuration) -> Iterator[Change]:
    for name, keys in _FIXED.items():
        details = _details(keys, before, after)
        if details:
            yield Change(Sign.REFUSED, What.SETTING, name, details, Way.RESTART)


def _settings(before: Configuration, after: Configuration) -> Iterator[Change]:
    for name, keys in _SETTINGS.items():
        details = _details(keys, before, after)
        if details:
            yield Change(Sign.CHANGED, What.SETTING, name, details)


def _filters(before: Configuration, after: Configuration) -> Iterator[Change]:
    gone, new = _apart(before.filters, after.filters)
    yield from (Change(Sign.REMOVED, What.FILTER, str(each)) for each in gone)
    yield from (Change(Sign.ADDED, What.FILTER, str(each)) for each in new)
    if not gone and not new and before.filters != after.filters:
        order = Detail("order", "as it was", "as in the file")
        yield Change(Sign.CHANGED, What.SETTING, "filters", (order,))


def _uplinks(before: Configuration, after: Configuration) -> Iterator[Change]:
    mine, theirs = by_name(before.uplinks), by_name(after.uplinks)
    for name in mine.keys() - theirs.keys():
        yield Change(Sign.REMOVED, What.UPLINK, name)
    for name, uplink in theirs.items():
        details = _details(_UPLINK, mine.get(name), uplink)
        if name not in mine:
            shown = tuple(each for each in details if each.key in ("interface", "address"))
            yield Change(Sign.ADDED, What.UPLINK, name, shown)
        elif details:
            way = Way.IN_PLACE if _keys(details) <= {"impair"} else Way.ANEW
            yield Change(Sign.CHANGED, What.UPLINK, name, details, way)


def _networks(before: Configuration, after: Configuration) -> Iterator[Change]:
    staying = by_name(after.endpoints)
    mine, theirs = by_name(before.networks), by_name(after.networks)
    for name in mine:
        if name not in theirs:
            yield Change(Sign.REMOVED, What.NETWORK, name)
    for name, network in theirs.items():
        details = _details(_NETWORK, mine.get(name), network)
        if name not in mine:
            shown = tuple(each for each in details if each.key == "subnet")
            yield Change(Sign.ADDED, What.NETWORK, name, shown)
        elif details and _is_changed_in_place(mine[name], network, details):
            yield Change(Sign.CHANGED, What.NETWORK, name, details)
        elif details:
            along = tuple(
                each.name
                for each in before.endpoints
                if any(at.network == name for at in each.memberships) and each.name in staying
            )
            yield Change(Sign.CHANGED, What.NETWORK, name, details, Way.ANEW, along)


def _endpoints(before: Configuration, after: Configuration) -> Iterator[Change]:
    mine, theirs = by_name(before.endpoints), by_name(after.endpoints)
    for name in mine:
        if name not in theirs:
            yield Change(Sign.REMOVED, What.ENDPOINT, name)
    for name, endpoint in theirs.items():
        details = _details(_ENDPOINT, mine.get(name), endpoint)
        if name not in mine:
            shown = tuple(each for each in details if each.key in ("network", "publish"))
            yield Change(Sign.ADDED, What.ENDPOINT, name, shown)
        elif details:
            way = Way.IN_PLACE if _keys(details) <= _ENDPOINT_IN_PLACE else Way.ANEW
            yield Change(Sign.CHANGED, What.ENDPOINT, name, details, way)


def _is_changed_in_place(before: Network, after: Network, details: Iterable[Detail]) -> bool:
    """A network without a gateway has no presence of the switch's to be changed."""
    modes = {before.policy.gateway_mode, after.policy.gateway_mode}
    has_another_presence = len(modes) > 1 and GatewayMode.ISOLATED in modes
    keys = {each.key.split(".")[0] for each in details}
    return keys <= _NETWORK_IN_PLACE and not has_another_presence


def _details(keys: Keys[T], before: T | None, after: T) -> tuple[Detail, ...]:
    """What differs, key by key; of something new what is said of it."""
    return tuple(
        detail
        for key, said in keys.items()
        if (detail := _detail(key, () if before is None else said(before), said(after)))
    )


def _detail(key: str, before: Said, after: Said) -> Detail | None:
    if before == after:
        return None
    gone, new = _apart(before, after)
    if not gone and not new:  # the same in another order, which may mean something
        gone, new = before, after
    return Detail(key, ", ".join(gone), ", ".join(new))


def _apart(before: Iterable[T], after: Iterable[T]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """What is in the one alone and in the other alone, each as often as it is there more."""
    gone, new = list(before), []
    for each in after:
        if each in gone:
            gone.remove(each)
        else:
            new.append(each)
    return tuple(gone), tuple(new)


def _keys(details: Iterable[Detail]) -> set[str]:
    return {each.key for each in details}


def by_name(things: Iterable[T]) -> dict[str, T]:
    """Things that have names, by these."""
    named: Iterable[Any] = things
    return {each.name: each for each in named}


def _within(kind: type, of: Callable[[T], Any], prefix: str = "") -> dict[str, Callable[[T], Said]]:
    """The fields of a value as keys of the file, where the two have the same names."""

    def said(name: str) -> Callable[[T], Said]:
        return lambda thing: wording.field(name, getattr(of(thing), name))

    return {f"{prefix}{each.name}": said(each.name) for each in fields(kind)}


_FIXED: Mapping[str, Keys[Configuration]] = {
    "name": {"": lambda c: wording.text(c.name)},
    "state_directory": {"": lambda c: wording.text(c.state_directory)},
    "limits": _within(Limits, lambda c: c.limits),
    "recorder": {"size": lambda c: wording.size(c.recorder.size)},
    "api": {
        "group": lambda c: wording.text(c.api.group),
        "remote": lambda c: wording.door(c.api.remote),
    },
}
"""What was settled when the switch began, by the table that it stands in."""

_SETTINGS: Mapping[str, Keys[Configuration]] = {
    "default_address_pools": {"": lambda c: wording.pools(c.pools)},
    "ip_forward": {"": lambda c: wording.text(c.ip_forward)},
    "dns": names.SETTINGS,
    "recorder": {
        "directory": lambda c: wording.text(c.recorder.directory),
        "keep": lambda c: wording.text(c.recorder.keep),
        "triggers": lambda c: tuple(map(wording.trigger, c.recorder.triggers)),
    },
}

_UPLINK: Keys[Uplink] = {
    "interface": lambda u: wording.text(u.interface),
    "address": lambda u: wording.text(u.address),
    "addresses": lambda u: wording.texts(u.also),
    "gateway": lambda u: wording.text(u.gateway),
    "mac": lambda u: wording.text(u.mac),
    "device": lambda u: wording.text(u.device),
    "ports": lambda u: wording.ports(u.ports),
    "unsolicited": lambda u: wording.text(u.unsolicited),
    "clamp_mss": lambda u: wording.text(u.clamps_mss),
    "impair": lambda u: wording.impairments(u.impairments),
}

_NETWORK: Keys[Network] = {
    "subnet": lambda n: wording.text(n.subnet),
    "gateway": lambda n: wording.text(n.gateway),
    "mtu": lambda n: wording.text(n.mtu),
    "mac": lambda n: wording.text(n.mac),
    "uplink": lambda n: wording.text(n.uplink),
    "ip_range": lambda n: wording.text(n.ip_range),
    "aux_addresses": lambda n: wording.texts(n.auxiliary),
    "external": lambda n: wording.text(n.translation.external),
    "internal": lambda n: wording.text(n.policy.internal),
    "host": lambda n: wording.text(n.host),
    "labels": lambda n: wording.settings(n.labels),
    "icc": lambda n: wording.text(n.policy.icc),
    "gateway_mode": lambda n: wording.text(n.policy.gateway_mode),
    "isolated_ports": lambda n: wording.text(n.policy.isolated_ports),
    "spoof_guard": lambda n: wording.text(n.policy.spoof_guard),
    "untranslated": lambda n: wording.texts(n.translation.untranslated),
    "filtering": lambda n: wording.text(n.translation.filtering),
    "refresh": lambda n: wording.text(n.translation.refresh),
    "window_tracking": lambda n: wording.text(n.translation.window_tracking),
    "port_parity": lambda n: wording.text(n.translation.keeps_parity),
    "resets": lambda n: wording.text(n.translation.resets),
    **names.OF_NETWORK,
    **leases.OF_NETWORK,
    **_within(Timeouts, lambda n: n.translation.timeouts, "timeouts."),
    **_within(Quotas, lambda n: n.translation.quotas, "quotas."),
}

_NETWORK_IN_PLACE = frozenset(
    {
        *("host", "labels", "icc", "gateway_mode", "isolated_ports", "spoof_guard"),
        *("untranslated", "filtering", "refresh", "window_tracking", "port_parity", "resets"),
        *("timeouts", "quotas", "dns", "dhcp"),
    }
)

_ENDPOINT: Keys[EndpointRequest] = {
    "network": lambda e: wording.text(e.network),
    "networks": lambda e: tuple(map(wording.membership, e.also)),
    "gateway_priority": lambda e: wording.text(e.gateway_priority or None),
    "kind": lambda e: wording.text(e.kind),
    "namespace": lambda e: wording.text(e.namespace),
    "address": lambda e: wording.text(e.address),
    "mac": lambda e: wording.text(e.mac),
    "aliases": lambda e: wording.texts(e.aliases),
    "publish": lambda e: tuple(map(wording.publication, e.publish)),
    "external": lambda e: wording.text(e.external),
    "mappings": lambda e: tuple(map(wording.mapping, e.mappings)),
    "expose": lambda e: wording.texts(e.exposed),
    "links": lambda e: wording.texts(e.links),
    "role": lambda e: wording.text(e.role),
    "dns": lambda e: wording.servers(e.dns),
    "dns_search": lambda e: wording.texts(e.dns_search),
    "dns_options": lambda e: wording.texts(e.dns_options),
    "hostname": lambda e: wording.text(e.hostname),
    "domainname": lambda e: wording.text(e.domainname),
    "impair": lambda e: wording.impairments(e.impairments),
}

_ENDPOINT_IN_PLACE = frozenset(
    {
        *("networks", "aliases", "publish", "external", "mappings", "impair"),
        *("expose", "links", "role"),
        *("dns", "dns_search", "dns_options", "hostname", "domainname"),
    }
)
