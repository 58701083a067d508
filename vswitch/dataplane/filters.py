"""The user's filters: a chain of rules that is asked about each new flow, before our own policy.

Theory of operation. A `Flow` is what a rule can see: where it comes from and goes to, with the
sender's own address and the one that it leads to behind whatever is translated. The chain is asked
when a flow is decided about, and again only when rules have changed (`revalidation`): that it may
pass stands in the connection, or among the flows that are `bridged`. So a chain of a thousand rules
costs the first frame of a flow and no other, and an empty one costs a branch. The answers to a flow
belong to it.

What each rule has matched is counted in flows; a frame of a flow that is refused begins it anew
each time. What is to be logged waits here, bounded, for whoever runs the switch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.topology import Network
from vswitch.policy import Action, Filter, protocol_text
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork, Protocol

LOGGED = 256
"""Flows that wait to be logged: what comes beyond is counted."""

_WITH_PORTS = frozenset(
    {Protocol.TCP, Protocol.UDP, Protocol.UDP_LITE, Protocol.DCCP, Protocol.SCTP}
)


class Ends(NamedTuple):
    """Both ends of a flow of IP. Ports are 0 where the protocol has none."""

    protocol: int
    source: IpAddress
    source_port: int
    destination: IpAddress
    port: int

    def __str__(self) -> str:
        named = protocol_text(self.protocol)
        if not self.port:
            return f"{named} {self.source} > {self.destination}"
        return f"{named} {self.source}:{self.source_port} > {self.destination}:{self.port}"


class Flow(NamedTuple):
    """A new flow, as a rule sees it."""

    arrives: Network
    leaves: Network
    ends: Ends | None
    """None for a frame that is bridged and not IPv4."""

    @classmethod
    def of(cls, original: FlowTuple, reply: FlowTuple, arrives: Network, leaves: Network) -> Flow:
        """The flow that begins with `original` and is answered by `reply`."""
        protocol, ports = original.protocol, (0, 0)
        if protocol in _WITH_PORTS:
            ports = original.source_port, reply.source_port
        ends = Ends(protocol, original.source, ports[0], reply.source, ports[1])
        return cls(arrives, leaves, ends)


class Entry:
    """A rule at its place in the chain."""

    __slots__ = ("filter", "matched", "number")

    def __init__(self, number: int, rule: Filter) -> None:
        self.number = number
        """What people call it by; it stays the same whatever comes before or goes."""
        self.filter = rule
        self.matched = 0
        """Flows."""

    def matches(self, flow: Flow) -> bool:
        """Whether the rule is about `flow`."""
        rule = self.filter
        if rule.arrives is not None and rule.arrives != flow.arrives.name:
            return False
        if rule.leaves is not None and rule.leaves != flow.leaves.name:
            return False
        ends = flow.ends
        if ends is None:
            return not rule.has_ends
        return (
            (rule.protocol is None or rule.protocol == ends.protocol)
            and _has_address(rule.source, ends.source)
            and _has_address(rule.destination, ends.destination)
            and _has_port(rule.source_ports, ends.source_port)
            and _has_port(rule.ports, ends.port)
        )


class Said(NamedTuple):
    """What the chain says about a flow."""

    action: Action
    by: Entry | None
    """The rule that ended the matter; None where none did, which is as good as `return`."""
    matched: tuple[Entry, ...]
    """All that matched, that one included."""

    @property
    def is_logged(self) -> bool:
        """Whether one of them writes the flow down."""
        return any(entry.filter.action is Action.LOG for entry in self.matched)


NOTHING_SAID = Said(Action.RETURN, None, ())
"""What an empty chain says."""


class Logged(NamedTuple):
    """A flow to be written down, and the number of the rule that asks for it."""

    number: int
    when: Nanoseconds
    arrives: str
    leaves: str
    ends: Ends | None


class FilterChain:
    """All rules, in the order in which they are asked."""

    def __init__(self) -> None:
        self.entries: tuple[Entry, ...] = ()
        """Empty where there is nothing to ask."""
        self.has_source_ports = False
        """Whether flows that differ in their source port alone may fare differently."""
        self._unlogged = 0
        self._bridged: tuple[Entry, ...] = ()
        self._within: frozenset[str | None] = frozenset()
        self._logged: deque[Logged] = deque()
        self._last = 0

    def add(self, rule: Filter, before: int | None = None) -> Entry:
        """Ask one more rule, as the last or in front of the one numbered `before`.

        Raises:
            LookupError: there is none of that number.
        """
        at = len(self.entries) if before is None else self._place(before)
        self._last += 1
        entry = Entry(self._last, rule)
        self._set((*self.entries[:at], entry, *self.entries[at:]))
        return entry

    def remove(self, number: int) -> Entry:
        """Ask a rule no longer.

        Raises:
            LookupError: there is none of that number.
        """
        entry = self.entries[self._place(number)]
        self._set(tuple(each for each in self.entries if each is not entry))
        return entry

    def replace(self, rules: Iterable[Filter]) -> None:
        """Ask these rules from now on. One that was there keeps its number and its count."""
        before = list(self.entries)
        entries = []
        for rule in rules:
            same = next((entry for entry in before if entry.filter == rule), None)
            if same is None:
                self._last += 1
                same = Entry(self._last, rule)
            else:
                before.remove(same)
            entries.append(same)
        self._set(tuple(entries))

    def resume(self, rules: Iterable[tuple[int | None, Filter]]) -> None:
        """Ask these rules from now on, by the numbers that they had in another chain. One without
        gets a number that none of them has had."""
        numbered = list(rules)
        self._last = max([self._last, *(number for number, _ in numbered if number is not None)])
        self._set(tuple(self._numbered(number, rule) for number, rule in numbered))

    def is_asked_within(self, network: str) -> bool:
        """Whether a rule is about what is bridged within the network of this name."""
        return network in self._within

    def judge(self, flow: Flow) -> Said:
        """What the rules say about `flow`. Nothing is counted."""
        return _judge(self.entries, flow)

    def judge_within(self, flow: Flow) -> Said:
        """The same about a flow that is bridged, by the rules that are about those."""
        return _judge(self._bridged, flow)

    def accepts_between(self, network: str, one: IpAddress, other: IpAddress) -> bool:
        """Whether a rule accepts anything that is bridged within a network between two addresses,
        whichever of them begins."""
        return any(
            entry.filter.action is Action.ACCEPT
            and entry.filter.is_within == network
            and _has_address(entry.filter.source, source)
            and _has_address(entry.filter.destination, destination)
            for entry in self._bridged
            for source, destination in ((one, other), (other, one))
        )

    def note(self, said: Said, flow: Flow, now: Nanoseconds) -> None:
        """Count what was said about a flow that is decided about, and log it where that is asked
        for."""
        for entry in said.matched:
            entry.matched += 1
            if entry.filter.action is Action.LOG:
                self._log(entry, flow, now)

    def take_logged(self) -> list[Logged]:
        """What is to be written down since the last call."""
        logged, self._logged = list(self._logged), deque()
        return logged

    def take_unlogged(self) -> int:
        """How many flows were to be written down since the last call, and came too fast."""
        unlogged, self._unlogged = self._unlogged, 0
        return unlogged

    @property
    def has_logged(self) -> bool:
        """Whether anything waits to be written down."""
        return bool(self._logged)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def _numbered(self, number: int | None, rule: Filter) -> Entry:
        if number is None:
            self._last = number = self._last + 1
        return Entry(number, rule)

    def _set(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.has_source_ports = any(entry.filter.source_ports for entry in entries)
        self._bridged = tuple(each for each in entries if each.filter.is_within is not None)
        self._within = frozenset(each.filter.is_within for each in self._bridged)

    def _place(self, number: int) -> int:
        for at, entry in enumerate(self.entries):
            if entry.number == number:
                return at
        raise LookupError(f"filter {number} not found")

    def _log(self, entry: Entry, flow: Flow, now: Nanoseconds) -> None:
        if len(self._logged) >= LOGGED:
            self._unlogged += 1
            return
        arrives, leaves = flow.arrives.name, flow.leaves.name
        self._logged.append(Logged(entry.number, now, arrives, leaves, flow.ends))


def _judge(entries: tuple[Entry, ...], flow: Flow) -> Said:
    matched: list[Entry] = []
    for entry in entries:
        if entry.matches(flow):
            matched.append(entry)
            if entry.filter.action is not Action.LOG:
                return Said(entry.filter.action, entry, tuple(matched))
    return Said(Action.RETURN, None, tuple(matched)) if matched else NOTHING_SAID


def _has_address(networks: tuple[IpNetwork, ...], address: IpAddress) -> bool:
    return not networks or any(address in network for network in networks)


def _has_port(ports: tuple[range, ...], port: int) -> bool:
    return not ports or (port != 0 and any(port in each for each in ports))
