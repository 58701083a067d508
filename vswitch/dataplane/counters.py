"""What the pipeline has counted: the fates of frames, and drops by port and reason.

Only frames that came by the pipeline are counted here; hits are counted by the fast path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.reassembly import Lost
from vswitch.dataplane.verdict import Fate


@dataclass(slots=True)
class Counters:
    """Running totals since the switch began."""

    fates: Counter[Fate] = field(default_factory=Counter)
    drops: Counter[Reason] = field(default_factory=Counter)
    port_drops: dict[int, Counter[Reason]] = field(default_factory=dict)

    def count(self, port: int, fate: Fate, reason: Reason | None) -> None:
        """Count one frame."""
        self.fates[fate] += 1
        if reason is not None:
            self.drops[reason] += 1
            self.port_drops.setdefault(port, Counter())[reason] += 1

    def count_lost(self, port: int, reason: Reason, frames: int) -> None:
        """Count frames that had waited and were dropped."""
        if frames:
            self.drops[reason] += frames
            self.port_drops.setdefault(port, Counter())[reason] += frames

    def count_lost_fragments(self, dropped: Mapping[Lost, int]) -> None:
        """Count fragments that `reassembly` has given up while they waited."""
        for (port, refused), fragments in dropped.items():
            self.count_lost(port, DropReason.of_fragment(refused), fragments)
