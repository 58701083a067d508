"""Names of the outside that lead inside: what a server's answer may not say.

Theory of operation. Somebody who has a name may let it lead anywhere: first to a server of its own,
which hands out a page, and then to a router at 192.168.0.1, to which the page talks under the same
name (rebinding). So an answer from outside that gives a name an address which only the inside can
reach is not told, where the user wants that (`NameSettings.protects_from_rebinding`), and never
opens anything, whatever the user wants (`bounds`). Addresses are such by themselves (`INSIDE`), or
because they are the switch's or its networks'. An IPv4 address counts as well where it is written
as one of IPv6.

Names that belong inside are excepted: those for whose domain the user has servers, and those that
are said to be (`NameSettings.protected_but`).

Read first: RFC 6890 (addresses with a purpose); "Protecting Browsers from DNS Rebinding Attacks"
(Jackson et al., 2007); RFC 8914, 4.16 for the reason that a client is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.svcbbase
import dns.rrset

from vswitch.naming import NameSettings
from vswitch.wire import domain
from vswitch.wire.values import IPV4_LENGTH, IpAddress, IpNetwork

INSIDE = tuple(
    map(
        IpNetwork.parse,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.168.0.0/16", "255.255.255.255/32"),
            *("::/128", "::1/128", "fc00::/7", "fe80::/10", "fec0::/10"),
        ),
    )
)
"""This host, private, shared by a carrier's customers, loopback, of one link, everybody here; and
what IPv6 has for these, its old site-local addresses (RFC 3879) included."""

_WITH_IPV4 = (
    (bytes(10) + b"\xff\xff", 12),
    (bytes(12), 12),
    (bytes.fromhex("0064ff9b") + bytes(8), 12),
    (bytes.fromhex("2002"), 2),
)
"""What addresses of IPv6 begin with that hold one of IPv4, and where: mapped and compatible (RFC
4291, 2.5.5), behind NAT64 (RFC 6052, 2.1), 6to4 (RFC 3056, 2)."""

_HINTS = (4, 6)
"""Parameters of SVCB and HTTPS that hold addresses (RFC 9460, 7.3)."""


class Led(NamedTuple):
    """An address that an answer leads to, and for how many seconds that is good."""

    address: IpAddress
    ttl: int


def addresses_in(answer: Iterable[dns.rrset.RRset]) -> Iterator[Led]:
    """All that the records of an answer lead to, those that are hinted at included."""
    for rrset in answer:
        for record in rrset:
            match record:
                case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
                    yield Led(IpAddress.parse(record.address), rrset.ttl)
                case dns.rdtypes.svcbbase.SVCBBase():
                    for hint in (record.params.get(each) for each in _HINTS):
                        for address in getattr(hint, "addresses", ()):
                            yield Led(IpAddress.parse(address), rrset.ttl)


class Rebinding:
    """What is believed of names of the outside, by the user's settings. A value."""

    def __init__(self, settings: NameSettings, is_ours: Callable[[IpAddress], bool]) -> None:
        """`is_ours` tells the addresses of the switch, and of whoever is on a network inside."""
        self.protects = settings.protects_from_rebinding
        self._is_ours = is_ours
        trusted = (*settings.protected_but, *(each.name for each in settings.domains))
        self._trusted = frozenset(map(domain.encode, trusted))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rebinding) and (self.protects, self._trusted) == (
            *(other.protects, other._trusted),
        )

    def __hash__(self) -> int:
        return hash((self.protects, self._trusted))

    def forbidden_in(self, name: bytes, answer: Iterable[dns.rrset.RRset]) -> IpAddress | None:
        """The first address for which the answer to a name is not told; None where it may be."""
        if not self.protects or self.trusts(name):
            return None
        return next((led.address for led in addresses_in(answer) if self.is_inside(led[0])), None)

    def trusts(self, name: bytes) -> bool:
        """Whether a name may lead inside."""
        trusted = self._trusted
        return bool(trusted) and (
            name in trusted or any(each in trusted for each in domain.above(name))
        )

    def is_inside(self, address: IpAddress) -> bool:
        """Whether only the inside can reach an address."""
        return any(
            self._is_ours(each) or any(each in network for network in INSIDE)
            for each in _meanings(address)
        )


def _meanings(address: IpAddress) -> Iterator[IpAddress]:
    """An address, and the one of IPv4 in it."""
    yield address
    for prefix, at in _WITH_IPV4:
        if address.version == 6 and address.startswith(prefix):
            yield IpAddress(address[at : at + IPV4_LENGTH])
