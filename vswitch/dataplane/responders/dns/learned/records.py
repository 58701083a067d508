"""Records in the octets of a message: where each of them lies, whatever it says.

For messages that were read as a whole before: nothing is checked. Read first: RFC 1035, 4.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_POINTER = 0xC0
"""The two bits that begin a pointer to an earlier name (RFC 1035, 4.1.4)."""

_FIXED = 10
"""Octets of a record between its owner's name and its data: type, class, TTL, length."""


_BEFORE_TTL = 4
"""Of these, type and class."""


class Place(NamedTuple):
    """Where a record lies: offsets into the message."""

    type: int
    """No offset: the kind of record."""
    begin: int
    ttl: int
    end: int


def places(octets: bytes, begin: int, count: int) -> Iterator[Place]:
    """Those of `count` records, the first of which begins at `begin`."""
    for _ in range(count):
        fixed = end_of_name(octets, begin)
        ttl = fixed + _BEFORE_TTL
        end = end_of_record(octets, ttl)
        kind = int.from_bytes(octets[fixed : fixed + 2], "big")
        yield Place(kind, begin, ttl, end)
        begin = end


def end_of_record(octets: bytes | bytearray, ttl: int) -> int:
    """Where the record ends whose TTL is there."""
    data = ttl + _FIXED - _BEFORE_TTL
    return data + int.from_bytes(octets[data - 2 : data], "big")


def end_of_name(octets: bytes, offset: int) -> int:
    """Where the name that begins at `offset` ends in place, be it by a pointer."""
    while length := octets[offset]:
        if length >= _POINTER:
            return offset + 2
        offset += 1 + length
    return offset + 1
