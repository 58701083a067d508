"""What the user knows by hand: addresses of names, and of all names that a star stands for.

Theory of operation. A name that is known by hand is that name alone: what is below it, or above, is
not touched. `*.NAME` makes all that is below NAME ours, as if NAME were a zone (RFC 4592) of which
nothing is asked elsewhere but NAME itself. Which star a name is answered from is said by its
*closest encloser*, the longest name above it that exists: one that is known, or that something
known is below. Where that one has a star, the name has what the star has. Where it has none, the
name does not exist, and a star further up does not help.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from vswitch.dataplane.responders.dns.inside.held import Held, by_family
from vswitch.dataplane.responders.dns.inside.neighbourhood import encode
from vswitch.naming import Record
from vswitch.wire.domain import above
from vswitch.wire.values import IpAddress

_STAR = b"\x01*"


class ByHand:
    """All records of a switch. A value."""

    def __init__(self, records: tuple[Record, ...]) -> None:
        self._addresses: dict[bytes, tuple[IpAddress, ...]] = {}
        self._names: dict[IpAddress, bytes] = {}
        for record in records:
            name = encode(record.name)
            if name is not None:
                self._addresses.setdefault(name, record.addresses)
                for address in () if name.startswith(_STAR) else record.addresses:
                    self._names.setdefault(address, name)
        self._tops = frozenset(
            name.removeprefix(_STAR) for name in self._addresses if name.startswith(_STAR)
        )
        """What there are stars below."""
        self._existing = frozenset(
            each for name in self._addresses for each in (name, *above(name))
        )

    def addresses(self, name: bytes) -> tuple[IpAddress, ...] | None:
        """The addresses of both families that `name` has; None where it is not known so."""
        return self._addresses.get(name)

    def name_of(self, address: IpAddress) -> bytes | None:
        """The first name that has `address`."""
        return self._names.get(address)

    def below_star(self, name: bytes, exists: Callable[[bytes], bool]) -> Held | None:
        """What there is to say about `name`, which nobody bears; None where it is below no star.

        `exists` tells of names that are known otherwise, or that such a one is below.
        """
        zone = next((each for each in above(name) if each in self._tops), None)
        if zone is None:
            return None
        if name in self._existing or exists(name):
            return Held(zone)
        encloser = next(each for each in above(name) if each in self._existing or exists(each))
        if encloser in self._tops:
            return Held(encloser, by_family(self._addresses[_STAR + encloser]))
        return Held(zone, exists=False)


@lru_cache(maxsize=2)
def by_hand(records: tuple[Record, ...]) -> ByHand:
    """The same one for all who have the same records: those of a switch."""
    return ByHand(records)
