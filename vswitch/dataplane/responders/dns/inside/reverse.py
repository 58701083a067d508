"""Names that spell addresses backwards, under in-addr.arpa and ip6.arpa.

Theory of operation. Such a name says as much of an address as it has labels: all of it, or how it
begins. What lies within a subnet of ours is for us to say, whether somebody has that address or
not: a server outside knows another one of that number, or nothing, and learns from the question
what is inside (RFC 6303). The zone of a subnet begins where labels do, so that of a /20 is many.

Read first: RFC 1035, 3.5; RFC 3596, 2.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vswitch.wire.values import IPV4_LENGTH, IPV6_LENGTH, IpAddress, IpNetwork

_IPV4 = b"\x07in-addr\x04arpa\x00"
_IPV6 = b"\x03ip6\x04arpa\x00"
_DECIMAL = {str(octet).encode(): octet for octet in range(256)}
_HEXADECIMAL = {f"{nibble:x}".encode(): nibble for nibble in range(16)}


class Spelt(NamedTuple):
    """What a name spells: `bits` of `address`, whose others are zero."""

    address: IpAddress
    bits: int
    zones: tuple[bytes, ...]
    """The names of what it is within, by how many labels they spell, the shortest first; the last
    one is all of it that spells an address."""
    is_below: bool
    """Whether the name goes on with what spells nothing."""

    @property
    def is_whole(self) -> bool:
        """Whether it is the name of one address."""
        return not self.is_below and self.bits == 8 * len(self.address)

    def zone_within(self, subnets: Iterable[IpNetwork]) -> bytes | None:
        """The zone that it is in of the first of `subnets` that it lies within."""
        width = 8 if len(self.address) == IPV4_LENGTH else 4
        for subnet in subnets:
            if self.bits >= subnet.prefix_length and self.address in subnet:
                return self.zones[-(-subnet.prefix_length // width)]
        return None


def read(name: bytes) -> Spelt | None:
    """What `name`, in small letters, spells; None where it is no name of that kind."""
    if name.endswith(_IPV4):
        return _spelt(name, _IPV4, _DECIMAL, 8, IPV4_LENGTH)
    if name.endswith(_IPV6):
        return _spelt(name, _IPV6, _HEXADECIMAL, 4, IPV6_LENGTH)
    return None


def _spelt(name: bytes, suffix: bytes, digits: dict[bytes, int], width: int, length: int) -> Spelt:
    labels, zones, value, bits = _labels(name.removesuffix(suffix)), [suffix], 0, 0
    while labels and bits < 8 * length and labels[-1] in digits:
        label = labels.pop()
        value = value << width | digits[label]
        bits += width
        zones.append(bytes((len(label),)) + label + zones[-1])
    address = (value << 8 * length - bits).to_bytes(length, "big")
    return Spelt(IpAddress(address), bits, tuple(zones), is_below=bool(labels))


def _labels(name: bytes) -> list[bytes]:
    """Of a name without its end; none where that is the end of a longer label."""
    labels, at = [], 0
    while at < len(name):
        labels.append(name[at + 1 : at + 1 + name[at]])
        at += 1 + name[at]
    return labels if at == len(name) else []
