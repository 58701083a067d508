"""What we know ourselves: what there is to say about a name that is ours.

Theory of operation. A name that is ours never leaves the house: it has the types that it has, and
for every other type the answer is that there is nothing (NODATA, RFC 2308), because a server
outside would say that the name does not exist and the client would believe that. Ours are, and are
looked for in this order: names that are known (`names`), services in front of them (`services`),
addresses backwards that are inside, or mean nothing elsewhere (`reverse`), names that mean the same
everywhere (`special`), and what is below a star (`byhand`).
"""

from __future__ import annotations

import dns.rdatatype

from vswitch.dataplane.responders.dns.inside import held, reverse, services, special
from vswitch.dataplane.responders.dns.inside.held import Held, by_family
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.query import Query
from vswitch.dataplane.responders.dns.telling import Said

_OF_FAMILIES = dns.rdatatype.A, dns.rdatatype.AAAA


def find(query: Query, names: Names) -> Said | None:
    """The answer, or None where the name is not ours."""
    found = _known(query.name, names) or _synthesised(query.name, names)
    return None if found is None else held.said(query, found, names.ttl)


def is_short(query: Query) -> bool:
    """Whether it asks for addresses of a label alone, which some look for nowhere else than here
    (`Party.keeps_short_names`)."""
    return query.type in _OF_FAMILIES and special.is_short(query.name)


def nothing(query: Query, names: Names) -> Said:
    """That a name that is not ours has nothing."""
    return held.said(query, Held(query.name), names.ttl)


def _known(name: bytes, names: Names) -> Held | None:
    addresses = names.addresses(name)
    return None if addresses is None else Held(name, by_family(addresses))


def _synthesised(name: bytes, names: Names) -> Held | None:
    return (
        services.find(name, names)
        or _backwards(name, names)
        or special.find(name)
        or names.below_star(name)
    )


def _backwards(name: bytes, names: Names) -> Held | None:
    spelt = reverse.read(name)
    if spelt is None:
        return None
    pointed_at = names.name_of(spelt.address) if spelt.is_whole else None
    if pointed_at is not None:
        return Held(name, {dns.rdatatype.PTR: (pointed_at,)})
    zone = spelt.zone_within(names.surroundings.subnets)
    if zone is None:
        return special.find_backwards(spelt)
    return Held(zone, exists=not spelt.is_below and not spelt.is_whole)
