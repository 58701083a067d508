"""One frame seen at one port, with what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vswitch.dataplane.drops import Reason
from vswitch.dataplane.verdict import Fate
from vswitch.units import Nanoseconds


class Direction(Enum):
    """Which way a frame passed, as seen from the switch."""

    RECEIVED = "received"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Sight:
    """A frame at a port. The two copies of a forwarded frame carry the same `flow` number."""

    when: Nanoseconds
    """On the switch's clock."""
    port: int
    direction: Direction
    frame: bytes
    """With its virtio-net header, cut to the snap length of whoever asked."""
    original_length: int
    """Of the whole Ethernet frame, in bytes."""
    flow: int
    """The connection's number, 0 where there is none."""
    fate: Fate
    reason: Reason | None
    words: tuple[str, ...]
    """What was found on the way, for a frame that the pipeline decided about."""

    @property
    def comment(self) -> str:
        """All of it in one line: `dropped ttl_expired: the time to live ran out here; flow 12`."""
        said = [self.fate.value]
        if self.reason is not None:
            said = [f"{self.fate.value} {self.reason.name.lower()}: {self.reason.value}"]
        if self.flow:
            said.append(f"flow {self.flow}")
        return "; ".join((*said, *self.words))
