"""From the keys of a configuration to what they say about names.

Theory of operation. `[dns]` becomes `NameSettings`, the `dns` of a network its `NetworkNames`. What
is for the user to choose as a key (domains, names of records) is judged here, as is what the keys
of one table must agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from vswitch.naming import CacheSettings, Domain, NameSettings, NetworkNames, Record
from vswitch.network import durations, namewords
from vswitch.network.configuration.mistakes import Mistake
from vswitch.network.configuration.nameschema import (
    ALLOWED_DOMAIN,
    ALLOWED_PATTERN,
    CacheTable,
    DnsTable,
    NetworkDnsTable,
)

T = TypeVar("T")


def settings(table: DnsTable) -> NameSettings:
    """What `[dns]` says; keys that `mistakes` tells of are left out."""
    domains = _by_name(table.domains.items(), namewords.domain)
    records = _by_name(table.records.items(), namewords.pattern)
    return NameSettings(
        upstreams=tuple(table.upstream),
        order=table.order,
        domains=tuple(Domain(*each) for each in domains.items()),
        records=tuple(Record(*each) for each in records.items()),
        ttl=table.ttl,
        cache=_cache(table.cache),
        default_network=table.default_network,
        protects_from_rebinding=table.rebind_protection,
        protected_but=tuple(table.rebind_domains),
        logs=table.log,
        listen=table.listen,
    )


def of_network(table: NetworkDnsTable) -> NetworkNames:
    """What the `dns` of a network says."""
    return NetworkNames(
        servers=tuple(table.servers),
        at_gateway=table.at_gateway,
        allowed=None if table.allow is None else tuple(table.allow),
    )


def mistakes(table: DnsTable) -> Iterator[Mistake]:
    """What the keys of `[dns]` do not agree on, and those that are no names."""
    yield from _no_names(table.domains, ("dns", "domains"), namewords.domain, ALLOWED_DOMAIN)
    yield from _no_names(table.records, ("dns", "records"), namewords.pattern, ALLOWED_PATTERN)
    cache = table.cache
    if cache.least_ttl > cache.most_ttl:
        words = f"allowed is at most most_ttl, {durations.text(cache.most_ttl)}"
        yield Mistake(("dns", "cache", "least_ttl"), words)


def _cache(table: CacheTable) -> CacheSettings:
    return CacheSettings(
        memory=table.memory,
        least_ttl=table.least_ttl,
        most_ttl=table.most_ttl,
        most_negative_ttl=table.negative_ttl,
        stale=table.stale,
        prefetch=table.prefetch,
    )


def _by_name(written: Iterable[tuple[str, T]], read: Callable[[str], str]) -> dict[str, T]:
    found: dict[str, T] = {}
    for key, value in written:
        try:
            found.setdefault(read(key), value)
        except ValueError:
            continue
    return found


def _no_names(
    keys: Iterable[str], table: tuple[str, str], read: Callable[[str], str], allowed: str
) -> Iterator[Mistake]:
    """Keys that are no names, and those that are the same name as one before."""
    before: dict[str, str] = {}
    for key in keys:
        try:
            name = read(key)
        except ValueError:
            yield Mistake((*table, key), f"allowed is {allowed}", quotes_value=False)
            continue
        if name in before:
            words = f"the same name as {before[name]}: allowed is each name once"
            yield Mistake((*table, key), words, quotes_value=False)
        before.setdefault(name, key)
