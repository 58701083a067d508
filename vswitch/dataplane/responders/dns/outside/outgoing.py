"""Octets of the queries that we send ourselves.

By hand, as each query outside is one: dnspython takes as long for it as for all the rest, and the
tests hold one against the other. Read first: RFC 1035 section 4.1; RFC 6891, 6.1 (the OPT record);
RFC 8467 (why a query in TLS is padded); draft-vixie-dnsext-dns0x20-00 (why letters are mixed).
"""

from __future__ import annotations

from random import Random

from vswitch.dataplane.responders.dns.message import HEADER_LENGTH, OUR_PAYLOAD
from vswitch.dataplane.responders.dns.party import Inquiry

IDENTIFIER_LENGTH = 2
"""Octets in front of what is made here: whoever carries a query chooses them."""

_RECURSION_DESIRED = 0x0100
_CHECKING_DISABLED = 0x0010
_DNSSEC_OK = 0x8000
_OPT = 41
_PADDING = 12
"""RFC 7830."""
_PADDED_TO = 128
"""RFC 8467, 4.1."""
_OPT_LENGTH = 11
"""Octets of an OPT record without options."""
_OPTION_LENGTH = 4
"""Octets in front of an option's own."""

_CASE = bytes(0x20 if chr(each).islower() and each < 0x80 else 0 for each in range(256))
"""The bit of each octet that makes a small letter a capital one. The length of a label is less
than any letter."""


def question_of(inquiry: Inquiry) -> bytes:
    """The question section, with the name in small letters."""
    return inquiry.name + inquiry.type.to_bytes(2, "big") + inquiry.cls.to_bytes(2, "big")


def mixed(question: bytes, random: Random) -> bytes:
    """The question with each letter of its name large or small by chance."""
    name = question[:-4]
    flips = int.from_bytes(name.translate(_CASE), "big") & random.getrandbits(8 * len(name))
    return (int.from_bytes(name, "big") ^ flips).to_bytes(len(name), "big") + question[-4:]


def query(inquiry: Inquiry, question: bytes, *, edns: bool, padded: bool) -> bytes:
    """All of a query behind its identifier. `padded` only with `edns`."""
    flags = _RECURSION_DESIRED | (_CHECKING_DISABLED if inquiry.checking_disabled else 0)
    counts = (1).to_bytes(2, "big") + bytes(4) + (1 if edns else 0).to_bytes(2, "big")
    plain = flags.to_bytes(2, "big") + counts + question
    if not edns:
        return plain
    options = _padding(HEADER_LENGTH + len(question) + _OPT_LENGTH) if padded else b""
    return plain + _opt(options, dnssec=inquiry.wants_dnssec)


def _opt(options: bytes, *, dnssec: bool) -> bytes:
    return b"".join(
        (
            bytes(1),
            _OPT.to_bytes(2, "big"),
            OUR_PAYLOAD.to_bytes(2, "big"),
            (_DNSSEC_OK if dnssec else 0).to_bytes(4, "big"),
            len(options).to_bytes(2, "big"),
            options,
        )
    )


def _padding(length: int) -> bytes:
    """The option that makes a query of `length` octets as long as many others."""
    missing = -(length + _OPTION_LENGTH) % _PADDED_TO
    return _PADDING.to_bytes(2, "big") + missing.to_bytes(2, "big") + bytes(missing)
