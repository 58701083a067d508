"""Names that begin with a star: which other names have their addresses (RFC 4592)?

Theory of operation. `*.NAME` makes all that is below NAME ours, as if NAME were a zone of which
nothing is asked elsewhere but NAME itself. Which star a name is answered from is said by its
*closest encloser*, the longest name above it that exists: one that is known, or that something
known is below. Where that one has a star, the name has what the star has. Where it has none, the
name does not exist, and a star further up does not help.
"""

from __future__ import annotations

from collections.abc import Mapping

from vswitch.dataplane.responders.dns.held import Held, by_family
from vswitch.wire.domain import above
from vswitch.wire.values import IpAddress

_STAR = b"\x01*"


class Wildcards:
    """Those among some names."""

    def __init__(self, known: Mapping[bytes, tuple[IpAddress, ...]]) -> None:
        """`known` are names, with and without a star, and the addresses that they have."""
        self._known = known
        self._tops = frozenset(name[2:] for name in known if name.startswith(_STAR))
        self._existing: frozenset[bytes] = frozenset()
        if self._tops:
            self._existing = frozenset(each for name in known for each in (name, *above(name)))

    def find(self, name: bytes) -> Held | None:
        """What there is to say about `name`, which nobody bears; None where it is below no star."""
        zone = next((each for each in above(name) if each in self._tops), None)
        if zone is None:
            return None
        if name in self._existing:
            return Held(zone)
        encloser = next(each for each in above(name) if each in self._existing)
        if encloser in self._tops:
            return Held(encloser, by_family(self._known[_STAR + encloser]))
        return Held(zone, exists=False)
