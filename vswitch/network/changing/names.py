"""What `[dns]` and the `dns` of a network say, key by key, for whoever compares two configurations.

All of it is changed in place (`difference`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vswitch.naming import Domain, NameSettings, NetworkNames, Record
from vswitch.network.changing import wording
from vswitch.network.changing.wording import Said
from vswitch.network.model import Configuration, Network
from vswitch.wire.values import IpAddress


def _of(said: Callable[[NameSettings], Said]) -> Callable[[Configuration], Said]:
    return lambda configuration: said(configuration.dns)


def _on(said: Callable[[NetworkNames], Said]) -> Callable[[Network], Said]:
    return lambda network: said(network.names)


def _domains(domains: Iterable[Domain]) -> Said:
    return tuple(f"{each.name}: {_listed(wording.servers(each.servers))}" for each in domains)


def _records(records: Iterable[Record]) -> Said:
    return tuple(f"{each.name}: {_listed(map(str, each.addresses))}" for each in records)


def _listed(texts: Iterable[str]) -> str:
    return " ".join(texts)


def _listening(place: tuple[IpAddress, int] | None) -> Said:
    if place is None:
        return ()
    address, port = place
    return (f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}",)


def _allowed(names: NetworkNames) -> Said:
    """Without the key all is allowed: who writes the first name into it takes away all others."""
    if names.allowed is None:
        return ("any name",)
    return names.allowed or ("none",)


SETTINGS: Mapping[str, Callable[[Configuration], Said]] = {
    "upstream": _of(lambda dns: wording.servers(dns.upstreams)),
    "order": _of(lambda dns: wording.text(dns.order)),
    "domains": _of(lambda dns: _domains(dns.domains)),
    "records": _of(lambda dns: _records(dns.records)),
    "ttl": _of(lambda dns: wording.duration(dns.ttl)),
    "default_network": _of(lambda dns: wording.text(dns.default_network)),
    "rebind_protection": _of(lambda dns: wording.text(dns.protects_from_rebinding)),
    "rebind_domains": _of(lambda dns: wording.texts(dns.protected_but)),
    "log": _of(lambda dns: wording.text(dns.logs)),
    "listen": _of(lambda dns: _listening(dns.listen)),
    "cache.memory": _of(lambda dns: wording.size(dns.cache.memory)),
    "cache.least_ttl": _of(lambda dns: wording.duration(dns.cache.least_ttl)),
    "cache.most_ttl": _of(lambda dns: wording.duration(dns.cache.most_ttl)),
    "cache.negative_ttl": _of(lambda dns: wording.duration(dns.cache.most_negative_ttl)),
    "cache.stale": _of(lambda dns: wording.duration(dns.cache.stale)),
    "cache.prefetch": _of(lambda dns: wording.text(dns.cache.prefetch)),
}

OF_NETWORK: Mapping[str, Callable[[Network], Said]] = {
    "dns.servers": _on(lambda names: wording.servers(names.servers)),
    "dns.at_gateway": _on(lambda names: wording.text(names.at_gateway)),
    "dns.allow": _on(_allowed),
}
