"""What the pipeline decides about a frame.

A `Verdict` is a value: the fate of the frame in one word, what is to be sent (a `Delivery` is a
frame with the program to run on it), and the trail of findings that led there. Carrying it out is
the switch's work. The trail keeps its words and their arguments apart, so that a frame that nobody
asks about costs no formatting.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.drops import Reason
from vswitch.fastpath.program import Action, Program
from vswitch.fastpath.routine import Routine, prepare
from vswitch.fastpath.states import Direction
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.values import IpAddress


class Fate(Enum):
    """The end of a frame's walk."""

    FORWARDED = "forwarded"
    FLOODED = "flooded"
    ANSWERED = "answered"
    """It was for the switch itself, which answered."""
    ABSORBED = "absorbed"
    """It was for the switch itself, which took note."""
    WAITING = "waiting"
    """It waits for the station of its next hop, or for the other fragments of its datagram."""
    DROPPED = "dropped"


class Stage(Enum):
    """Where in the walk something was found."""

    ADMIT = "admit"
    LEARN = "learn"
    ARP = "arp"
    BRIDGE = "bridge"
    POLICY = "policy"
    REASSEMBLY = "reassembly"
    LOCAL = "local"
    CONNTRACK = "conntrack"
    NAT = "nat"
    ROUTE = "route"
    NEIGHBOUR = "neighbour"


class Finding(NamedTuple):
    """One step of the trail. `str()` gives it in words."""

    stage: Stage
    words: str
    arguments: tuple[object, ...]

    def __str__(self) -> str:
        return self.words.format(*self.arguments)


class Kept(NamedTuple):
    """That a program is kept, and whose frames it is for."""

    key: bytes
    """What it is kept under."""
    connection: Connection | None = None
    direction: Direction = Direction.ORIGINAL
    """Of the frames within the connection, where there is one."""


class Delivery(NamedTuple):
    """A frame to send, and the routine that sends it, kept for its flow where there is one."""

    frame: MutableBuffer
    routine: Routine
    kept: Kept | None = None
    flow: int = 0
    """The number of the connection that the frame belongs to, 0 where there is none."""
    cut: int | None = None
    """The longest packet, in bytes, that may leave: what is longer leaves in fragments."""

    @classmethod
    def by(
        cls,
        program: Program,
        frame: MutableBuffer,
        kept: Kept | None = None,
        flow: int = 0,
        cut: int | None = None,
    ) -> Delivery:
        """The delivery of `frame` by a program that was made for it."""
        return cls(frame, prepare(program, frame), kept, flow, cut)


class Expected(NamedTuple):
    """What is kept for the answers of a connection before the first of them comes."""

    routine: Routine
    kept: Kept


class Onward(NamedTuple):
    """A routed frame for which only the station of its next hop is missing."""

    frame: MutableBuffer
    arrived_on: int
    """The network that it came from, by number; where it is told if nobody answers."""
    arrived_by: int
    """The port that it came in by."""
    network: int
    next_hop: IpAddress
    rewrite: tuple[Action, ...]
    kept: Kept | None
    connection: Connection
    """What lets it go there: where that ends, so does the waiting."""
    cut: int | None = None
    """As in `Delivery`."""


class Verdict(NamedTuple):
    """The decision about one frame."""

    fate: Fate
    deliveries: tuple[Delivery, ...] = ()
    reason: Reason | None = None
    trail: tuple[Finding, ...] = ()
    invalidates: bool = False
    """Something moved: every cached program may be wrong now."""
    connection: Connection | None = None
    """What the frame is part of, or what the ICMP error is about."""
    evicted: Connection | None = None
    """What had to go to make room for it."""
    expected: Expected | None = None
    """Of a connection that begins."""
