"""The yardstick: the least that a Python program can do between two TAPs.

One read, one dictionary look-up, one rewrite of the header and one write per frame, with the
virtio-net header in front of each, and nothing else: no learning, no counters, no checks. What a
switch in Python adds to this is its own doing; what this takes is Python's and the kernel's.

    python -m bench.tools.loop INTERFACE INTERFACE

makes both TAPs and carries frames between them until it is ended.
"""

from __future__ import annotations

import os
import select
import sys

from vswitch.devices.tap import TapDevice
from vswitch.devices.tun import BUFFER_LENGTH
from vswitch.fastpath.twin import BATCH
from vswitch.wire import ethernet

ADDRESSES = slice(ethernet.START, ethernet.START + 12)


def carry(one: int, other: int) -> None:
    """Carry frames between two descriptors for ever."""
    buffer = memoryview(bytearray(BUFFER_LENGTH))
    towards = {one: other, other: one}
    flows: dict[bytes, tuple[int, bytes]] = {}
    poll = select.epoll()
    for descriptor in towards:
        poll.register(descriptor, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            for _ in range(BATCH):
                try:
                    length = os.readv(descriptor, (buffer,))
                except BlockingIOError:
                    break
                key = bytes(buffer[ADDRESSES])
                flow = flows.get(key)
                if flow is None:
                    flow = flows[key] = (towards[descriptor], key)
                output, addresses = flow
                buffer[ADDRESSES] = addresses
                try:
                    os.write(output, buffer[:length])
                except OSError:
                    continue  # the other side is full or down: the frame is lost, as on a wire


if __name__ == "__main__":
    devices = [TapDevice.open(name) for name in sys.argv[1:3]]
    carry(devices[0].fileno(), devices[1].fileno())
