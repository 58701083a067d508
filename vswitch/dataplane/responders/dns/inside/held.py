"""What a name of ours has, and how a question about it is answered from that.

Theory of operation. A name has records of some types. For every other type the answer is that there
is nothing (NODATA), for a name that is not there that there is no such name (NXDOMAIN), both with
the SOA record of the zone that says so, by which a client may keep that for a while (RFC 2308, 2).
Zones are not kept: each is as large as what it answers for, and they all have one SOA.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import dns.rcode
import dns.rdatatype

from vswitch.dataplane.responders.dns.query import Query
from vswitch.dataplane.responders.dns.telling import MOST_NEGATIVE_TTL, Rrset, Said
from vswitch.wire.domain import encode
from vswitch.wire.values import IpAddress

_TIMES = 1, 3600, 1200, 604_800
"""Serial, refresh, retry and expire of a zone that nobody transfers: RFC 6303's, 3."""

_SOA = encode("localhost") + encode("nobody.invalid")
"""Where such a zone is from, and who looks after it (RFC 6303, 3)."""

_NO_ANY = b"\x07RFC8482\x00"
"""HINFO: what there is instead of all types at once (RFC 8482, 4.2)."""


@dataclass(frozen=True, slots=True)
class Held:
    """A name of ours. Data are as on the wire."""

    zone: bytes
    """What says so that there is nothing: the name itself, or one that it is below."""
    records: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict)
    exists: bool = True
    additional: tuple[Rrset, ...] = ()
    """Addresses of what its SRV records lead to."""


def by_family(addresses: tuple[IpAddress, ...]) -> dict[int, tuple[bytes, ...]]:
    """The records of a name that has these addresses."""
    return {
        dns.rdatatype.A: tuple(each for each in addresses if each.version == 4),
        dns.rdatatype.AAAA: tuple(each for each in addresses if each.version == 6),
    }


def said(query: Query, held: Held, ttl: int) -> Said:
    """The answer to `query`, whose name is `held`; `ttl` is in seconds."""
    if query.type == dns.rdatatype.ANY and any(held.records.values()):
        return Said(answer=(Rrset(query.name, dns.rdatatype.HINFO, ttl, (_NO_ANY,)),))
    data = held.records.get(query.type, ())
    if data:
        found = Rrset(query.name, query.type, ttl, data)
        leads_on = query.type == dns.rdatatype.SRV
        return Said(answer=(found,), additional=held.additional if leads_on else ())
    soa = _soa(held.zone, min(ttl, MOST_NEGATIVE_TTL))
    if query.type == dns.rdatatype.SOA and query.name == held.zone:
        return Said(answer=(soa,))
    code = dns.rcode.NOERROR if held.exists else dns.rcode.NXDOMAIN
    return Said(code, authority=(soa,))


def _soa(zone: bytes, ttl: int) -> Rrset:
    """One that may be kept for as long as what it says may be, which its last number is."""
    data = _SOA + struct.pack("!5I", *_TIMES, ttl)
    return Rrset(zone, dns.rdatatype.SOA, ttl, (data,))
