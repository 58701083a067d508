"""Devices for `twins`: one that frames pass by in Python, and one that has a descriptor.

A compiled fast path reads and writes a descriptor by itself, in a loop of its own: `Wired` is what
a TAP is to it, made of a pair of sockets and so without privileges.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from vswitch.devices.base import Sent
from vswitch.devices.memory import MemoryDevice
from vswitch.devices.tun import TunDescriptor
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH, Offloads

_ROOM = 1 << 20
"""Bytes that wait in a socket: more than a super-frame in pieces."""


class Strict(MemoryDevice):
    """A memory device whose frames end where their buffers end, so that under a sanitizer reading
    past them is found; and that can be told to fail."""

    def __init__(self, offloads: Offloads, capacity: int) -> None:
        super().__init__("strict", offloads, capacity)
        self.answers: deque[Sent] = deque()

    def receive(self, limit: int) -> Iterator[memoryview]:
        for frame in super().receive(limit):
            yield memoryview(bytearray(frame))

    def send(self, frame: Buffer) -> Sent:
        return self.answers.popleft() if self.answers else super().send(frame)


class Wired(TunDescriptor):
    """A socket that keeps frames apart, as a TAP does, and the other end of it."""

    kind = "wired"

    def __init__(self, offloads: Offloads, *, vnet_header: bool) -> None:
        near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
        self._far.setblocking(False)
        self._hidden = 0 if vnet_header else HEADER_LENGTH
        super().__init__(near.detach(), "wired", offloads, vnet_header=vnet_header)

    def feed(self, frame: Buffer) -> None:
        self._far.send(memoryview(frame)[self._hidden :])

    def take(self) -> list[bytes]:
        taken = []
        with suppress(BlockingIOError):
            while True:
                taken.append(self._far.recv(_ROOM))
        return taken

    def fail(self) -> None:
        """Let the next reading fail, with ECONNRESET: the other end goes and has not read all."""
        self.send(bytes(HEADER_LENGTH + 1))
        self._far.close()

    def give_up(self) -> None:
        """Let both ends go."""
        self.close()
        self._far.close()


class Hasty(Wired):
    """A device that polls readable whether there is a frame or not."""

    def __init__(self) -> None:
        super().__init__(Offloads.ALL, vnet_header=True)
        self._readable = os.eventfd(1, os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._readable

    def close(self) -> None:
        super().close()
        if self._readable >= 0:
            os.close(self._readable)
            self._readable = -1
