"""How name servers, domains and options of a resolver are written.

Theory of operation. A function for each, which makes a value of a text or raises ValueError. The
configuration, `--opt` of networks and the wishes of endpoints read by the same functions; the words
for a mistake are theirs.

Read first: RFC 1035 section 2.3 for names, resolv.conf(5) for options and the search list.
"""

from __future__ import annotations

import re

from vswitch.naming import PORT, TLS_PORT, Server
from vswitch.wire.values import IpAddress

LONGEST_DOMAIN = 253
"""Characters: 255 octets on the wire (RFC 1035, 2.3.4) without the first length and the root."""

LONGEST_OPTION = 64
"""Characters: none that a resolver knows is longer."""

HIGHEST_PORT = 65_535

NO_SEARCH = "."
"""Docker's word for a search list in which nothing is, not even what the host's has."""

ANY_BELOW = "*."
"""What a pattern begins with that stands for all names below one."""

_ADDRESS_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(:(?P<port>[0-9]{1,5}))?")
"""An address that may be followed by a port; an IPv6 address then stands in brackets."""

_OVER_TLS = "tls://"

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
"""In small letters. With underscores, which services have in front (RFC 8552)."""

_LETTER = re.compile(r"[a-z]")

_OPTION = re.compile(r"[!-~]+")

_NDOTS = "ndots"


def server(text: str) -> Server:
    """`198.51.100.53`, `198.51.100.53:5353`, `[2001:db8::53]:5353`, or, asked over TLS and known by
    the name on its certificate, `tls://9.9.9.9#dns.quad9.net`."""
    if not text.startswith(_OVER_TLS):
        return _asked_at(text, PORT, None)
    place, _, name = text.removeprefix(_OVER_TLS).partition("#")
    return _asked_at(place, TLS_PORT, domain(name))


def _asked_at(text: str, usual_port: int, authenticated: str | None) -> Server:
    address, port = address_and_port(text)
    if address.is_unspecified:
        raise ValueError("the unspecified address is nobody's")
    return Server(address, usual_port if port is None else port, authenticated)


def address_and_port(text: str) -> tuple[IpAddress, int | None]:
    """Somebody's address, or the unspecified one, with a port where that is said."""
    parts = _ADDRESS_AND_PORT.fullmatch(text)
    host, port = (parts["host"], parts["port"]) if parts else (text, None)
    address = IpAddress.parse(host.strip("[]"))
    if address.is_multicast or address.is_limited_broadcast:
        raise ValueError("that is the address of many")
    if port is None:
        return address, None
    if not 1 <= int(port) <= HIGHEST_PORT:
        raise ValueError(f"a port is a number from 1 to {HIGHEST_PORT}")
    return address, int(port)


def domain(text: str) -> str:
    """A name in small letters, without the dot that may end it. Docker's rule: what has no letter
    is none, but an address."""
    name = text.lower().removesuffix(".")
    has_labels = all(map(_LABEL.fullmatch, name.split(".")))
    if len(name) > LONGEST_DOMAIN or not has_labels or not _LETTER.search(name):
        raise ValueError(f"{text} is no domain name")
    return name


def pattern(text: str) -> str:
    """A name, or `*.NAME` for all names below that."""
    if text.startswith(ANY_BELOW):
        return ANY_BELOW + domain(text.removeprefix(ANY_BELOW))
    return domain(text)


def search(text: str) -> str:
    """A domain in which short names are looked for, or `NO_SEARCH`. Its spelling is kept."""
    if text != NO_SEARCH:
        domain(text)
    return text


def option(text: str) -> str:
    """An option of a resolver, like `timeout:2`.

    Raises ValueError in Docker's words for `ndots` without a number.
    """
    if len(text) > LONGEST_OPTION or not _OPTION.fullmatch(text):
        raise ValueError(f"{text} is no option of a resolver")
    name, *values = text.split(":")
    if name == _NDOTS:
        if len(values) != 1:
            raise ValueError(f"invalid ndots option {text}")
        if not values[0].isascii() or not values[0].isdecimal():
            raise ValueError(f"invalid number for ndots option: {values[0]}")
    return text


def option_name(text: str) -> str:
    """What two options have in common of which the later one counts: `ndots` of `ndots:2`."""
    return text.partition(":")[0]


def sets_ndots(options: tuple[str, ...]) -> bool:
    """Whether options say how many dots a name has that is looked for as it is."""
    return any(option_name(each) == _NDOTS for each in options)
