"""Identifications for packets that are cut, or that have been put together, here.

Theory of operation. Fragments belong together by source, destination, protocol and identification.
Behind a NAT many hosts share one source, and each has chosen its identifications by itself: two
that chose alike would have their fragments mixed at the destination. So whatever leaves in
fragments gets an identification from here. One is not repeated for the same source, destination
and protocol before the 65535 others have been used, by that flow or by its bucket: as seldom as a
field of 16 bits allows (RFC 6864).

There is no memory per destination. A keyed hash of the three gives a bucket, whose counter begins
at random and counts up by one, and an offset, which is added to it. So two destinations of one
bucket never see each other's count, and who is not sent to can not guess the next value from
what he is sent (RFC 7739, 5.3 has the same for IPv6, RFC 6056, 3.3.4 for ports; Linux's `ip_idents`
are such buckets).

What it never decides: which packets need one. An atomic datagram does not (RFC 6864).

Read first: RFC 6864; RFC 7739.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from random import Random

from vswitch.wire.values import IpAddress

BUCKETS = 8192
"""Counters, 16 KiB of them. Destinations that share one use it up together, and a host talks to
fewer with fragments at a time."""

_KEY_LENGTH = 16
_DIGEST_LENGTH = 4
"""Bytes of a hash: two choose the bucket and two are the offset."""


class Identifications:
    """Where identifications come from; `random` gives the key and the counters' beginnings."""

    def __init__(self, random: Random) -> None:
        self._key = random.randbytes(_KEY_LENGTH)
        self._counters = array("H", random.randbytes(2 * BUCKETS))

    def next(self, source: IpAddress, destination: IpAddress, protocol: int) -> int:
        """An identification (0..0xffff) for one datagram, all fragments of which share it."""
        flow = source + destination + bytes((protocol,))
        digest = blake2b(flow, digest_size=_DIGEST_LENGTH, key=self._key).digest()
        bucket = int.from_bytes(digest[:2], "big") % BUCKETS
        offset = int.from_bytes(digest[2:], "big")
        count = (self._counters[bucket] + 1) & 0xFFFF
        self._counters[bucket] = count
        return (count + offset) & 0xFFFF
