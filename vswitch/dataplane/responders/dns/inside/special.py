"""Names that mean the same everywhere, and of which a server outside is never asked.

`localhost` is where who asks is itself, `invalid` is no name, and `onion` is another network's
(RFC 6761, 6.3 and 6.4; RFC 7686). `resolver.arpa` asks about the resolver itself: what a server
outside says of itself there would lead its clients past us (RFC 9462, 6.3). `docker.internal` is
about this machine: `names` knows what there is of it, and there is nothing else.

All others are asked outside. Names under `local` are, too: whom we ask is the host's resolver,
which may know them by multicast, as a server in some companies does. So are single labels, as in
Docker, unless the user has set `ndots`: then a program asks for those of the search list first, and
is told that there is nothing behind a label alone.

The addresses of `_NEVER_OUTSIDE` mean nothing outside of a link or a machine (RFC 6303, 4.2 to
4.5).
"""

from __future__ import annotations

import dns.rdatatype

from vswitch.dataplane.responders.dns.inside.held import Held, by_family
from vswitch.dataplane.responders.dns.inside.reverse import Spelt
from vswitch.wire.domain import ROOT, above, encode
from vswitch.wire.values import IpAddress, IpNetwork

_LOCALHOST = encode("localhost")
_LOOPBACK = tuple(map(IpAddress.parse, ("127.0.0.1", "::1")))

_NOWHERE = frozenset(map(encode, ("invalid", "onion", "docker.internal")))
"""They have no records, and neither has what is below them."""

_EMPTY = encode("resolver.arpa")
"""It is there, and has no records, and neither has what is below it."""

_NEVER_OUTSIDE = tuple(
    map(
        IpNetwork.parse,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "255.255.255.255/32"),
            *("::/128", "::1/128", "fe80::/10"),
        ),
    )
)


def find(name: bytes) -> Held | None:
    """What there is to say about `name`, in small letters; None where it is like any other."""
    for zone in (name, *above(name)):
        if zone == _LOCALHOST:
            return Held(zone, by_family(_LOOPBACK))
        if zone in _NOWHERE:
            return Held(zone, exists=False)
        if zone == _EMPTY:
            return Held(zone)
    return None


def find_backwards(spelt: Spelt) -> Held | None:
    """The same for a name that spells an address."""
    zone = spelt.zone_within(_NEVER_OUTSIDE)
    if zone is None:
        return None
    if spelt.is_whole and spelt.address in _LOOPBACK:
        return Held(zone, {dns.rdatatype.PTR: (_LOCALHOST,)})
    return Held(zone, exists=not spelt.is_below and not spelt.is_whole)


def is_short(name: bytes) -> bool:
    """Whether a name has one label: no dot but the one at its end."""
    return name != ROOT and name[1 + name[0] :] == ROOT
