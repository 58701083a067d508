"""What we know ourselves: the records of a name that is ours.

A name that is ours never leaves the house: it has the types that it has, and for every other type
the answer is that there is nothing (NODATA, RFC 2308), because a server outside would say that the
name does not exist and the client would believe that.
"""

from __future__ import annotations

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from vswitch.dataplane.responders.dns.names import Names
from vswitch.wire.values import IpAddress

TTL_SECONDS = 600
"""Docker's: an endpoint keeps its address for as long as it is attached."""


def records(question: dns.rrset.RRset, names: Names) -> list[dns.rrset.RRset] | None:
    """The records that answer, none for NODATA, or None where the name is not ours."""
    addresses = names.addresses(question.name)
    if addresses is not None:
        held = {
            dns.rdatatype.A: [str(address) for address in addresses if address.version == 4],
            dns.rdatatype.AAAA: [str(address) for address in addresses if address.version == 6],
        }
    else:
        pointed_at = _address_in(question.name)
        name = None if pointed_at is None else names.name_of(pointed_at)
        if name is None:
            return None
        held = {dns.rdatatype.PTR: [name.to_text()]}
    if question.rdclass != dns.rdataclass.IN:
        return []
    return [
        dns.rrset.from_text_list(question.name, TTL_SECONDS, dns.rdataclass.IN, kind, texts)
        for kind, texts in held.items()
        if texts and question.rdtype in (kind, dns.rdatatype.ANY)
    ]


def _address_in(name: dns.name.Name) -> IpAddress | None:
    """The address that a name under in-addr.arpa or ip6.arpa spells."""
    try:
        return IpAddress.parse(dns.reversename.to_address(name))
    except (dns.exception.DNSException, ValueError):
        return None
