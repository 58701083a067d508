"""Mappings: which external port stands for an inside address and port?

Theory of operation. A mapping is endpoint-independent (RFC 4787 REQ-1, RFC 5382 REQ-1): one
external port per inside address, port and protocol, whatever the destination. It is an object of
its own beside the connections that use it, because the RFCs give it a life of its own: it outlives
its last connection by `LIFETIME`, so that the next one gets the same port.

No two inside endpoints ever share an external port (REQ-3), and a port that is reserved
(published, or the switch's own) is never given away, as otherwise replies to the one would reach
the other. A port is chosen in this order: the inside one where it is free; else, from a random
start, the first free one of the same class (below 1024 or not: REQ-3a) and of the same parity
(REQ-4); then of the same class alone. Low ports are not borrowed for high ones, nor the other way
round.

What it never decides: who may come in through a mapping (`nat`), and whether one is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from vswitch.dataplane.timers import Timers
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, Protocol

LIFETIME: Nanoseconds = 120 * SECOND
"""After the last connection: RFC 6888 REQ-8 asks that a freed port rests for as long anyway."""

LOW_PORTS = range(1, 1024)
HIGH_PORTS = range(1024, 65536)
IDENTIFIERS = range(1, 65536)
"""Of ICMP queries: they have no classes."""


class Internal(NamedTuple):
    """An inside address and port (or the identifier of ICMP queries) of a protocol."""

    network: int
    protocol: int
    address: IpAddress
    port: int


class External(NamedTuple):
    """What stands for it outside."""

    protocol: int
    address: IpAddress
    port: int


@dataclass(slots=True, eq=False)
class Mapping:
    """One allocation."""

    internal: Internal
    external: External
    last_used: Nanoseconds
    connections: int = 0


class MappingTable:
    """All mappings, by either side. `is_reserved` says which external ports are not to be given."""

    def __init__(self, is_reserved: Callable[[External], bool]) -> None:
        self._is_reserved = is_reserved
        self._by_internal: dict[Internal, Mapping] = {}
        self._by_external: dict[External, Mapping] = {}
        self._taken: dict[tuple[int, IpAddress], set[int]] = {}
        self._timers: Timers[External] = Timers()

    def of_internal(self, internal: Internal) -> Mapping | None:
        """The mapping that an inside endpoint has."""
        return self._by_internal.get(internal)

    def of_external(self, external: External) -> Mapping | None:
        """The mapping that an external port belongs to."""
        return self._by_external.get(external)

    def choose(self, internal: Internal, address: IpAddress, random: Random) -> External | None:
        """A free external port of `address` for `internal`, or None where there is none left.

        Nothing is taken yet: `add` does that.
        """
        protocol, wanted = internal.protocol, internal.port
        taken = self._taken.get((protocol, address), ())
        for port in _candidates(protocol, wanted, random):
            if port not in taken:
                external = External(protocol, address, port)
                if not self._is_reserved(external):
                    return external
        return None

    def add(self, mapping: Mapping) -> None:
        """Take an external port that `choose` has found free."""
        self._by_internal[mapping.internal] = mapping
        self._by_external[mapping.external] = mapping
        protocol, address, port = mapping.external
        self._taken.setdefault((protocol, address), set()).add(port)
        self._timers.schedule(mapping.external, mapping.last_used + LIFETIME)

    def release(self, mapping: Mapping) -> None:
        """Free an external port at once: its endpoint is gone."""
        del self._by_internal[mapping.internal]
        del self._by_external[mapping.external]
        protocol, address, port = mapping.external
        self._taken[protocol, address].discard(port)
        self._timers.cancel(mapping.external)

    def next_deadline(self) -> Nanoseconds | None:
        """When `expire` may have something to do."""
        return self._timers.next_deadline()

    def expire(self, now: Nanoseconds) -> None:
        """Free the ports of mappings that nothing has used for long enough."""
        for external in self._timers.due(now):
            mapping = self._by_external[external]
            used = now if mapping.connections else mapping.last_used
            if used + LIFETIME > now:
                self._timers.schedule(external, used + LIFETIME)
            else:
                self.release(mapping)

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self._by_external.values())

    def __len__(self) -> int:
        return len(self._by_external)


def _candidates(protocol: int, wanted: int, random: Random) -> Iterator[int]:
    """External ports for an inside port, in the order in which they are tried."""
    if wanted:
        yield wanted
    ports = LOW_PORTS if 0 < wanted < HIGH_PORTS.start else HIGH_PORTS
    if protocol == Protocol.ICMP:
        ports = IDENTIFIERS
    start = random.choice(ports)
    for parity in (wanted % 2, 1 - wanted % 2):
        from_start = start + (start + parity) % 2
        from_first = ports.start + (ports.start + parity) % 2
        yield from range(from_start, ports.stop, 2)
        yield from range(from_first, from_start, 2)
