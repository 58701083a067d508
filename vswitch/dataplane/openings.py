"""Openings: which addresses outside may a network reach that reaches what it has names for?

Theory of operation. A network may have a list of names (`AllowedNames`). Its endpoints begin flows
to the outside only to addresses that our responder has told one of them in an answer for such a
name; whoever answers says so here (`open`). An address stays open for as long as the answer is
good, and a little longer, as a client that keeps it for just that long must not be cut at the edge:
for its TTL, for `LEAST` at the least, and `GRACE` beyond. What an address was opened to is the
whole network: endpoints of one network are told the same.

Only the beginning of a flow asks whether an address is open still (`policy`): nothing is done per
frame, nothing ends when the time is over, and a connection that lives goes on. So what is over
stays here, until there is no room: when rules change, a live connection is known by it to be one
that a name has led to. Names may share an address, which is then open by each of them, so that it
is by the others when one is allowed no longer. The table is bounded per network and per address,
and what was opened longest ago makes room.

Who names what, and whether an answer is to be believed, is `responders.dns`'s business. Nothing is
decided here about frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self, TypeAlias

from vswitch.units import DAY, SECOND, Nanoseconds
from vswitch.wire import domain
from vswitch.wire.values import IpAddress

LEAST: Nanoseconds = 30 * SECOND
"""For how long an address is open at the least: an answer for no time at all is good for one use
(RFC 1035, 3.2.1), which begins some retransmissions later."""

MOST: Nanoseconds = 7 * DAY
"""RFC 8767, 4: longer, nothing is kept."""

GRACE: Nanoseconds = 10 * SECOND
"""What is added: the answer's way to the client, a client that counts in whole seconds, and a SYN
that is sent again three times (RFC 6298)."""

CAPACITY = 8192
"""Addresses of one network: about 3 MiB where each has one name."""

MOST_NAMES = 8
"""Of one address. Where more share it, those are remembered that hold longest."""


class AllowedNames:
    """Names, and `*.NAME` for all that are below NAME. A value."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises ValueError where one of `patterns` is none."""
        self.patterns = tuple(patterns)
        starred = [each.removeprefix("*.") for each in self.patterns if each.startswith("*.")]
        named = [each for each in self.patterns if not each.startswith("*.")]
        self._names = frozenset(map(domain.encode, named))
        self._domains = frozenset(map(domain.encode, starred))

    @classmethod
    def of(cls, patterns: Iterable[str] | None) -> Self | None:
        """Of what a user may leave open: None allows any, and addresses without names as well."""
        return None if patterns is None else cls(patterns)

    def allows(self, name: bytes) -> bool:
        """Whether a name, as `wire.domain` has it, is among them."""
        return name in self._names or any(each in self._domains for each in domain.above(name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AllowedNames) and self.patterns == other.patterns

    def __hash__(self) -> int:
        return hash(self.patterns)


class Opening(NamedTuple):
    """Why an address may be reached."""

    name: bytes
    """The one that was asked for; names that it stands for have led on."""
    until: Nanoseconds


_Names: TypeAlias = dict[bytes, Nanoseconds]
"""Until when each of them opens one address."""


class Opened(NamedTuple):
    """An opening at its place in the table."""

    network: int
    address: IpAddress
    opening: Opening


class Openings:
    """Those of all networks of one switch."""

    def __init__(self, capacity: int = CAPACITY, names: int = MOST_NAMES) -> None:
        self._capacity = capacity
        self._most_names = names
        self._by_network: dict[int, dict[IpAddress, _Names]] = {}

    def open(
        self, network: int, address: IpAddress, name: bytes, ttl: Nanoseconds, now: Nanoseconds
    ) -> None:
        """Note that an endpoint of a network was told at `now` that `name` has `address`, which is
        good for `ttl`. What is open for longer stays so."""
        until = now + max(LEAST, min(ttl, MOST)) + GRACE
        self.put(network, address, Opening(name, until))

    def put(self, network: int, address: IpAddress, opening: Opening) -> None:
        """Have an opening, unless there is one of that address by that name that lasts longer."""
        opened = self._by_network.setdefault(network, {})
        names = opened.pop(address, None)
        if names is None:
            names = {}
            if len(opened) >= self._capacity:
                del opened[next(iter(opened))]
        names[opening.name] = max(opening.until, names.get(opening.name, opening.until))
        if len(names) > self._most_names:
            del names[min(names, key=names.__getitem__)]
        opened[address] = names

    def find(self, network: int, address: IpAddress) -> Opening | None:
        """What opens an address longest, be it over or not; None where nothing is known."""
        names = self._by_network.get(network, {}).get(address)
        if names is None:
            return None
        name = max(names, key=names.__getitem__)
        return Opening(name, names[name])

    def review(self, network: int, allowed: AllowedNames | None) -> None:
        """Forget what a network's names have opened that are none of `allowed`."""
        opened = self._by_network.pop(network, {})
        if allowed is None:
            return
        for address, names in opened.items():
            for name, until in names.items():
                if allowed.allows(name):
                    self.put(network, address, Opening(name, until))

    def forget_network(self, network: int) -> None:
        """A network is gone."""
        self._by_network.pop(network, None)

    def __iter__(self) -> Iterator[Opened]:
        for network, opened in self._by_network.items():
            for address, names in opened.items():
                for name, until in names.items():
                    yield Opened(network, address, Opening(name, until))

    def __len__(self) -> int:
        """How many addresses."""
        return sum(map(len, self._by_network.values()))
