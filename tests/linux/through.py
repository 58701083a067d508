"""A device as a fast path reads and writes it, which may do so without the device's own methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vswitch.devices.base import Device, Sent
from vswitch.fastpath import available, select
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH

PORT, NOW = 1, 1


WAYS = ("by itself", *available())
"""How the tests of a device read and write it."""


def through(device: Any, way: str) -> Any:
    """`device` as it is, or by the fast path that is named."""
    return device if way == WAYS[0] else Through(device, way)


class Through:
    """Everything else is the device's own."""

    def __init__(self, device: Device, fast_path: str) -> None:
        self._device = device
        self._fastpath = select(name=fast_path)
        self._fastpath.attach(PORT, device, None)

    def receive(self, limit: int) -> Iterator[memoryview]:
        for frame in self._fastpath.run(PORT, NOW, limit):
            yield memoryview(frame)

    def send(self, frame: Buffer) -> Sent:
        """What has no virtio-net header is no frame to a fast path."""
        if len(frame) < HEADER_LENGTH:
            return self._device.send(frame)
        before = self._fastpath.port_counters(PORT)
        self._fastpath.transmit(PORT, bytearray(frame), 0, NOW)
        after = self._fastpath.port_counters(PORT)
        if after.sent_frames > before.sent_frames:
            return Sent.SENT
        grown = [each for each, count in after.lost.items() if count > before.lost.get(each, 0)]
        (answer,) = grown
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)
