"""Cookies: by what a client knows that an answer comes from whom it has asked (RFC 7873).

Theory of operation. A client makes up eight octets and finds them in the answer, beside some of
ours that it brings along next time. Nothing is remembered: ours are a hash of the client's, of the
moment and of who asks, under a secret. They are made anew for each answer and not looked at when
they come back, since nobody is answered better for them: a party that asks is where it is and can
be nobody else. What they hold is as in RFC 9018, so that any client finds what it expects.
"""

from __future__ import annotations

import struct
from hashlib import blake2s

from vswitch.units import SECOND, Nanoseconds

COOKIE = 10
"""The number of the option (RFC 7873, 4)."""

_CLIENT_LENGTH = 8
_SERVER_LENGTHS = range(8, 33)
_OPTION = struct.Struct("!HH")
_VERSION = struct.Struct("!B3xI")
"""RFC 9018, 4: the version of what follows, and a moment in seconds."""
_HASH_LENGTH = 8


def is_well_formed(cookie: bytes) -> bool:
    """Whether it is a client's, or a client's and a server's (RFC 7873, 5.2.2)."""
    further = len(cookie) - _CLIENT_LENGTH
    return further == 0 or further in _SERVER_LENGTHS


def option(cookie: bytes, party: str, now: Nanoseconds, secret: bytes) -> bytes:
    """The option that answers `cookie`, which is well-formed and came from `party`."""
    client = cookie[:_CLIENT_LENGTH]
    moment = _VERSION.pack(1, now // SECOND & 0xFFFFFFFF)
    told = client + moment + party.encode()
    server = moment + blake2s(told, key=secret, digest_size=_HASH_LENGTH).digest()
    return _OPTION.pack(COOKIE, len(client + server)) + client + server
