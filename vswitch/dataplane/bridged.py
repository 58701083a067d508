"""Flows within one network of which policy has said that they may pass.

Theory of operation. A bridge knows no connections, and a program of it is for all that two stations
say to each other. So where a filter or a link is about what is bridged, no program is kept, and
each flow of IP that may pass is remembered here by its tuple, so that its first frame alone is
asked about and its answers pass as answers. When rules have changed, each is asked about anew with
its next frame; one that may not be any more is remembered as that, so that its answers do not pass
for a new flow.

Ageing is that of the FDB: of two generations the older one is forgotten whole, so a flow lives
between one and two times `SILENCE` after its last frame. A full table forgets likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.flow import FlowTuple
from vswitch.units import SECOND, Nanoseconds

SILENCE: Nanoseconds = 300 * SECOND
"""RFC 4787, REQ-5, recommends five minutes for what only frames tell the life of."""

CAPACITY = 65_536
"""Flows of one generation: an eighth of what the fast path holds."""


Refuse = Callable[[FlowTuple], DropReason | None]
"""Why a flow that has passed may not any more, None where it may."""


class Known(NamedTuple):
    """A flow that has passed, and why it may not any more; None where it may."""

    refused: DropReason | None
    revision: int
    """Of the rules that have said so."""


class BridgedFlows:
    """What has passed, either way. The time comes in with each call."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._young: dict[FlowTuple, Known] = {}
        self._old: dict[FlowTuple, Known] = {}
        self._turned_at: Nanoseconds = 0
        self._may_pass = Known(None, 0)

    def find(
        self, flow: FlowTuple, now: Nanoseconds, refuse: Refuse, *, commit: bool
    ) -> Known | None:
        """The flow that a frame is part of, None where it is none that has passed; with `commit` it
        is kept alive. `refuse` is asked about it where rules have changed since it last was."""
        silent = now - self._turned_at
        for each in (flow, flow.turned):
            known = self._young.get(each) if silent < 2 * SILENCE else None
            if known is None and silent < SILENCE:
                known = self._old.get(each)
            if known is not None:
                if known.revision != self._may_pass.revision:
                    known = self._may_pass._replace(refused=refuse(each))
                if commit:
                    self._keep(each, known, now)
                return known
        return None

    def let(self, flow: FlowTuple, now: Nanoseconds) -> None:
        """Let a flow pass, and its answers."""
        self._keep(flow, self._may_pass, now)

    def review(self) -> None:
        """Ask about each of them anew, when there is a frame of it."""
        self._may_pass = Known(None, self._may_pass.revision + 1)

    def forget_network(self, number: int) -> None:
        """Forget all that has passed within a network: another one may get its number."""
        for generation in (self._young, self._old):
            for flow in [each for each in generation if each.network == number]:
                del generation[flow]

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def _keep(self, flow: FlowTuple, known: Known, now: Nanoseconds) -> None:
        silent = now - self._turned_at
        if silent >= SILENCE:
            self._old, self._young = (self._young if silent < 2 * SILENCE else {}), {}
            self._turned_at = now
        elif len(self._young) >= self._capacity and flow not in self._young:
            self._old, self._young = self._young, {}
        self._young[flow] = known
