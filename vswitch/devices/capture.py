"""A device that shows somebody else every frame that passes it.

Theory of operation. `CaptureDevice` wraps any device and keeps its Protocol, so the switch does not
know whether it is there, and a port without a capture pays nothing. Each frame that was received,
and each that was really sent, is copied up to a snap length and given to the sink: what it does
with it (a file, a ring in memory, a live view) and which time it stamps are its own business.

The copy of a received frame is made before the frame is handed on, as whoever receives it may
change it. A frame that the device did not take is not shown: it was never on this wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Protocol

from vswitch.devices.base import Device, Sent
from vswitch.units import KIBIBYTE
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH

WHOLE_FRAMES = 256 * KIBIBYTE
"""Default snap length in bytes: more than any super-frame, and what Wireshark takes at most."""


class Direction(Enum):
    """Which way a frame passed, as seen from the switch."""

    RECEIVED = "received"
    SENT = "sent"


class Sink(Protocol):
    """Takes the frames of a capture."""

    def __call__(
        self, device: str, direction: Direction, frame: bytes, original_length: int, /
    ) -> None:
        """Take one frame: a copy that the sink may keep.

        `frame` begins with its virtio-net header and may be cut short behind it;
        `original_length` is that of the whole Ethernet frame, without the header.
        """


class CaptureDevice:
    """`device`, with every frame copied to `sink`, at most `snap_length` bytes of Ethernet each."""

    def __init__(self, device: Device, sink: Sink, *, snap_length: int = WHOLE_FRAMES) -> None:
        self.name = device.name
        self.kind = device.kind
        self.offloads = device.offloads
        self.device = device
        """What is wrapped: who ends the capture puts it back in this one's place."""
        self._sink = sink
        self._end = HEADER_LENGTH + snap_length

    def fileno(self) -> int:
        """The wrapped device's descriptor."""
        return self.device.fileno()

    def receive(self, limit: int) -> Iterator[memoryview]:
        """The wrapped device's frames, each shown first; see `Device.receive`."""
        for frame in self.device.receive(limit):
            self._show(Direction.RECEIVED, frame)
            yield frame

    def send(self, frame: Buffer) -> Sent:
        """Send by the wrapped device, then show what it took; see `Device.send`."""
        sent = self.device.send(frame)
        if sent is Sent.SENT:
            self._show(Direction.SENT, frame)
        return sent

    def close(self) -> None:
        """Close the wrapped device. The sink is its owner's."""
        self.device.close()

    def _show(self, direction: Direction, frame: Buffer) -> None:
        self._sink(self.name, direction, bytes(frame[: self._end]), len(frame) - HEADER_LENGTH)
