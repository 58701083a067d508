"""What is refused for what it asks, whoever knows something about it.

Theory of operation. A query that can be read may still be none that a resolver answers: its EDNS is
of a version that we do not speak, its cookie is none, it has no question, it asks in a class other
than the Internet's (where `version.bind` lives), or for something that is no type of records. Each
has its code, and a client with EDNS is told the reason where a person would ask for it.

Read first: RFC 8906, which has what servers get wrong here; RFC 6895 section 3.1 for the types that
only a query can have; RFC 9824, 3.5 for NXNAME, which none may have.
"""

from __future__ import annotations

import dns.rcode
import dns.rdataclass
import dns.rdatatype
from dns.edns import EDECode

from vswitch.dataplane.responders.dns import cookies
from vswitch.dataplane.responders.dns.query import Query
from vswitch.dataplane.responders.dns.telling import Said

_BAD_VERSION = Said(dns.rcode.BADVERS)
_FORMAT_ERROR = Said(dns.rcode.FORMERR)
_NOTHING = Said()
_NOT_IN_THAT_CLASS = Said(dns.rcode.REFUSED, why=(EDECode.NOT_SUPPORTED, "there is class IN alone"))
_NO_TRANSFER = Said(dns.rcode.REFUSED, why=(EDECode.NOT_SUPPORTED, "no zone is transferred"))

_NXNAME = 128

_BY_TYPE: dict[int, Said] = {
    dns.rdatatype.OPT: _FORMAT_ERROR,
    dns.rdatatype.TKEY: _FORMAT_ERROR,
    dns.rdatatype.TSIG: _FORMAT_ERROR,
    _NXNAME: _FORMAT_ERROR,
    dns.rdatatype.IXFR: _NO_TRANSFER,
    dns.rdatatype.AXFR: _NO_TRANSFER,
    dns.rdatatype.MAILB: Said(dns.rcode.NOTIMP),
    dns.rdatatype.MAILA: Said(dns.rcode.NOTIMP),
}


def refusal(query: Query) -> Said | None:
    """What is said instead of an answer; None where there may be one."""
    if query.opt is not None and query.opt.version > 0:
        return _BAD_VERSION
    cookie = query.cookie
    if cookie is not None and not cookies.is_well_formed(cookie):
        return _FORMAT_ERROR
    if not query.question:  # who asks for a cookie alone gets it (RFC 7873, 5.4)
        return _FORMAT_ERROR if cookie is None else _NOTHING
    if query.cls != dns.rdataclass.IN:
        return _NOT_IN_THAT_CLASS
    return _BY_TYPE.get(query.type)
