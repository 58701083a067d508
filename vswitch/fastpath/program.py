"""What the fast path can do to a frame: a small, closed set of actions.

Theory of operation. The pipeline decides once per flow; the decision is a `Program`, a flat tuple
of actions that is executed for every frame of the flow. A program holds values only (addresses,
ports, numbers), no reference to any table, so that it can cross into compiled code, be printed in a
trace and be compared in a test. It decides nothing: conditions are checked by the flow key, whose
frames all look the same to every action (see `key`), and by `FitMtu`, the one property of a frame
that may differ between two frames of one flow.

The order of the actions is fixed by `Program`'s constructor functions in the dataplane: what may
refuse (`FitMtu`) comes first, then what rewrites, then what sends.
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
class SetStations:
    """Write both station addresses: the frame starts a new hop."""

    destination: MacAddress
    source: MacAddress


@dataclass(frozen=True, slots=True)
class DecrementTtl:
    """RFC 1812, 5.3.1. The key lets through only frames whose TTL is at least two."""


@dataclass(frozen=True, slots=True)
class SetSource:
    """Rewrite the IPv4 source and the source port, or the identifier of an ICMP query."""

    address: IpAddress
    port: int


@dataclass(frozen=True, slots=True)
class SetDestination:
    """Rewrite the IPv4 destination and its port, or the identifier of an ICMP answer."""

    address: IpAddress
    port: int


@dataclass(frozen=True, slots=True)
class Output:
    """Send the frame, as it now is, out of a port."""

    port: int


Action: TypeAlias = FitMtu | SetStations | DecrementTtl | SetSource | SetDestination | Output


@dataclass(frozen=True, slots=True)
class Program:
    """The actions for one flow, in the order in which they are carried out."""

    actions: tuple[Action, ...]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of the ports that a frame leaves by."""
        return tuple(action.port for action in self.actions if isinstance(action, Output))
