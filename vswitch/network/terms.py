"""The terms of a published port as people write them: `from=192.0.2.0/24 for=10m once rate=100/s`.

Each word is one term, in any order and none of them twice; what is not said is no restriction. They
stand behind the port that they are about, wherever one may be written (`publish`), and mean what
`vswitch.translation.Terms` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vswitch.network import durations
from vswitch.network.errors import NetworkError
from vswitch.translation import OPEN_TO_ALL, Terms
from vswitch.units import DAY, SECOND, Nanoseconds
from vswitch.wire.values import IpInterface, IpNetwork

TERMS_GRAMMAR = "[from=SUBNET[,SUBNET]...] [for=TIME] [once] [rate=N/s]"

LONGEST = 365 * DAY

FASTEST = 1_000_000
"""New connections in a second: more than any switch here begins."""

_ONCE = "once"
_KEYS = ("from", "for", _ONCE, "rate")
_RATE = re.compile(r"([0-9]{1,7})/s")


def parse(words: Iterable[str]) -> Terms:
    """The terms that `words` are.

    Raises:
        NetworkError: for the first word that is none, with what is allowed.
    """
    said: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key in said:
            raise NetworkError(f"{word}: {key} is said twice")
        if key not in _KEYS or (key == _ONCE) is ("=" in word):
            raise NetworkError(f"{word}: allowed is {TERMS_GRAMMAR}")
        said[key] = value
    if not said:
        return OPEN_TO_ALL
    return Terms(
        sources=_sources(said["from"]) if "from" in said else (),
        lasts=_duration(said["for"]) if "for" in said else None,
        is_for_one=_ONCE in said,
        per_second=_rate(said["rate"]) if "rate" in said else 0,
    )


def text(terms: Terms) -> str:
    """Terms as `parse` reads them; empty where there are none."""
    words = []
    if terms.sources:
        words.append(f"from={','.join(map(str, terms.sources))}")
    if terms.lasts is not None:
        words.append(f"for={durations.text(terms.lasts)}")
    if terms.is_for_one:
        words.append(_ONCE)
    if terms.per_second:
        words.append(f"rate={terms.per_second}/s")
    return " ".join(words)


def _sources(value: str) -> tuple[IpNetwork, ...]:
    return tuple(_subnet(each) for each in value.split(","))


def _subnet(value: str) -> IpNetwork:
    """One address is a subnet, too."""
    allowed = NetworkError(f'from={value}: allowed is an IPv4 subnet, like "192.0.2.0/24"')
    try:
        written = IpInterface.parse(value if "/" in value else f"{value}/32")
    except ValueError:
        raise allowed from None
    subnet = written.network
    if subnet.version != 4:
        raise allowed
    if written.address != subnet.address:
        raise NetworkError(f"invalid subnet {written}: it should be {subnet}")
    return subnet


def _duration(value: str) -> Nanoseconds:
    try:
        lasts = durations.parse(value)
    except ValueError:
        lasts = 0
    if not SECOND <= lasts <= LONGEST:
        raise NetworkError(f'for={value}: allowed is a time from 1s to 365d, like "10m"')
    return lasts


def _rate(value: str) -> int:
    found = _RATE.fullmatch(value)
    per_second = int(found[1]) if found else 0
    if not 0 < per_second <= FASTEST:
        raise NetworkError(
            f"rate={value}: allowed is a number of new connections in a second from 1/s to "
            f'{FASTEST}/s, like "100/s"'
        )
    return per_second
