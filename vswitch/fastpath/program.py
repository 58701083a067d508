"""What the fast path can do to a frame: a small, closed set of actions.

Theory of operation. The pipeline decides once per flow; the decision is a `Program`, a flat tuple
of actions that is executed for every frame of the flow. A program holds values only (addresses,
ports, numbers), no reference to any table, so that it can cross into compiled code, be printed in a
trace and be compared in a test. It decides nothing: conditions are checked by the flow key, whose
frames all look the same to every action (see `key`), and by `FitMtu` and `Track`, for what
may differ between two frames of one flow.

Whatever the order of the actions in a program, what may refuse is asked first, then comes what
rewrites, then what sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vswitch.wire.values import IpAddress, MacAddress


@dataclass(frozen=True, slots=True)
class FitMtu:
    """Go on only where each packet of the frame fits into `mtu` bytes, else it is a miss.

    For a super-frame the packets are those that segmentation will make of it.
    """

    mtu: int


@dataclass(frozen=True, slots=True)
class Track:
    """Go on only where the frame may be noted by the fast path as one of connection `flow`, else it
    is a miss (see `track`).

    `direction` is 0 for the original one, 1 for the reply. A TCP segment with SYN, FIN or RST goes
    on in no program without this. It is not carried out on the frame that a program is made for, as
    whoever made it has seen to that.
    """

    flow: int
    direction: int


@dataclass(frozen=True, slots=True)
class SetStations:
    """Write both station addresses: the frame starts a new hop."""

    destination: MacAddress
    source: MacAddress


@dataclass(frozen=True, slots=True)
class DecrementTtl:
    """RFC 1812, 5.3.1. The key lets through only frames whose TTL is at least two."""


@dataclass(frozen=True, slots=True)
class SetSource:
    """Rewrite the IPv4 source and the source port, or the identifier of an ICMP query.

    Where the protocol has neither, or none that may change (SCTP), `port` means nothing.
    """

    address: IpAddress
    port: int


@dataclass(frozen=True, slots=True)
class SetDestination:
    """Rewrite the IPv4 destination and its port, or the identifier of an ICMP answer.

    Where the protocol has neither, or none that may change (SCTP), `port` means nothing.
    """

    address: IpAddress
    port: int


@dataclass(frozen=True, slots=True)
class ClampMss:
    """Let a TCP SYN ask for no longer segments than `limit` bytes of data (RFC 9293, 3.7.1).

    A segment without SYN is left alone.
    """

    limit: int


@dataclass(frozen=True, slots=True)
class Output:
    """Send the frame, as it now is, out of a port."""

    port: int


Action: TypeAlias = (
    FitMtu | Track | SetStations | DecrementTtl | SetSource | SetDestination | ClampMss | Output
)


@dataclass(frozen=True, slots=True)
class Program:
    """The actions for one flow, in the order in which they are carried out."""

    actions: tuple[Action, ...]
