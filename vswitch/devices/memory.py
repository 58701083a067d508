"""A device of lists: what a test feeds is received, what is sent is kept to be looked at.

Theory of operation. It keeps the Protocol more strictly than the kernel does, so that a mistake
shows in a test and not on a host: frames are received through one reused buffer, as from a TAP, so
a view kept too long shows another frame; and a frame whose header asks for more than `offloads` is
refused, where the kernel would put garbage on the wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from vswitch.devices.base import DeviceGone, RawDescriptor, Sent
from vswitch.wire import ethernet
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import Offloads, required

CAPACITY = 4096
"""Frames that `sent` holds before sending answers FULL: far beyond any burst of a test."""

BUFFER_LENGTH = 128 * 1024
"""Bytes of the receiving buffer: twice the largest super-frame, so tests can feed what lies."""

_SHORTEST_FRAME = ethernet.START + 14


class MemoryDevice:
    """A device without a kernel. Frames are bytes with their virtio-net header."""

    kind = "memory"

    def __init__(
        self, name: str, offloads: Offloads = Offloads.ALL, capacity: int = CAPACITY
    ) -> None:
        self.name = name
        self.offloads = offloads
        self.sent: list[bytes] = []
        self._capacity = capacity
        self._waiting: deque[bytes] = deque()
        self._buffer = memoryview(bytearray(BUFFER_LENGTH))
        self._vanished = False
        self._closed = False

    def feed(self, frame: Buffer) -> None:
        """Let `frame` wait to be received. ValueError where it exceeds BUFFER_LENGTH."""
        if len(frame) > BUFFER_LENGTH:
            raise ValueError(f"a frame of {len(frame)} bytes: at most {BUFFER_LENGTH} fit")
        self._waiting.append(bytes(frame))

    def take(self) -> list[bytes]:
        """The frames sent since the last call, oldest first."""
        taken, self.sent = self.sent, []
        return taken

    def vanish(self) -> None:
        """Go away as an interface does when its namespace ends."""
        self._vanished = True

    def fileno(self) -> int:
        """-1: there is nothing to poll."""
        return -1

    def receive(self, limit: int) -> Iterator[memoryview]:
        """Up to `limit` of the frames that were fed; see `Device.receive`."""
        for _ in range(limit):
            if self._closed:
                return
            if self._vanished:
                raise DeviceGone(self.name)
            if not self._waiting:
                return
            frame = self._waiting.popleft()
            self._buffer[: len(frame)] = frame
            yield self._buffer[: len(frame)]

    def send(self, frame: Buffer) -> Sent:
        """Keep a copy of `frame` in `sent`; REFUSED where a real device could not carry it."""
        if self._vanished or self._closed:
            return Sent.GONE
        if len(frame) < _SHORTEST_FRAME:
            return Sent.REFUSED
        needed = required(frame)
        if needed is not Offloads.NONE and needed & ~self.offloads:
            return Sent.REFUSED
        if len(self.sent) >= self._capacity:
            return Sent.FULL
        self.sent.append(bytes(frame))
        return Sent.SENT

    def raw(self) -> RawDescriptor | None:
        """None: it is all in memory."""
        return None

    def overcome(self, error: OSError) -> bool:  # noqa: ARG002
        """There is no descriptor to have errors."""
        return False

    def close(self) -> None:
        """Nothing is received or sent any more; `sent` stays readable."""
        self._closed = True
