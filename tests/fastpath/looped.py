"""A fast path whose loop runs in a thread of its own, and ports made of sockets.

Whatever the thread does, it does some time later: a test waits for it with `eventually`, and knows
that something has not been done by waiting for what comes after it.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.fastpath.twin_devices import Wired
from vswitch.fastpath import available
from vswitch.fastpath.program import Action, Program
from vswitch.fastpath.routine import prepare
from vswitch.fastpath.twin import LoopingFastPath, Trouble, Waiting
from vswitch.units import Nanoseconds
from vswitch.wire.offload import HEADER_LENGTH, Offloads
from vswitch.wire.values import MacAddress

LOOPING: dict[str, type[LoopingFastPath]] = {
    name: kind for name, kind in available().items() if hasattr(kind, "open_loop")
}
"""The fast paths of this installation that have such a loop."""

GATEWAY = MacAddress.parse("02:00:00:00:01:01")
IN, OUT, OTHER = 1, 2, 3

MOST_WAITING = 1024
"""Frames of one port that may wait to be decided about, or to be sent by the owner."""

PATIENCE = 20
"""Seconds: far more than a thread needs on a machine that is busy."""

A_WHILE = 0.05
"""Seconds in which the thread would have done by far what it must not do."""


def eventually(holds: Callable[[], object], what: str = "what a test waits for") -> None:
    """Wait until it holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"{what} does not come true"
        time.sleep(0.0005)


class Looped:
    """Ports IN, OUT and OTHER, which the fast path's own thread serves until `close`."""

    def __init__(self, kind: type[LoopingFastPath]) -> None:
        self.fastpath = kind()
        self.news = self.fastpath.open_loop()
        self.thread = threading.Thread(target=self.fastpath.loop, daemon=True)
        self.devices: dict[int, Wired] = {}
        self.has_ended = False
        for number in (IN, OUT, OTHER):
            self.plug(number, Wired(Offloads.ALL, vnet_header=True))
        self.thread.start()

    def close(self) -> None:
        """End the thread and let everything go."""
        self.end_loop()
        for device in self.devices.values():
            device.give_up()
        self.devices.clear()

    def end_loop(self) -> None:
        """End the thread, where it has not ended."""
        if self.has_ended:
            return
        self.has_ended = True
        self.fastpath.end_loop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        self.fastpath.close_loop()

    def unplug(self, number: int) -> None:
        """Take a port away, and its device."""
        self.fastpath.detach(number)
        self.devices.pop(number).give_up()

    def plug(self, number: int, device: Wired) -> None:
        """Let a device be a port, and have it served."""
        self.devices[number] = device
        self.fastpath.attach(number, device, GATEWAY)
        assert self.fastpath.serve(number)

    def keep(self, number: int, frame: bytes, *actions: Action, flow: int = 0) -> bytes:
        """Keep a program for the flow of `frame`, which comes in by a port; its key."""
        key = self.fastpath.key(number, frame)
        assert key is not None
        self.fastpath.install(key, prepare(Program(actions), frame), flow)
        return key

    def feed(self, number: int, *frames: bytes) -> None:
        """Let frames come in by a port, as fast as they are taken."""
        for frame in frames:
            eventually(lambda frame=frame: self._offer(number, frame), "room for a frame")

    def received(self, number: int) -> int:
        """The frames that the thread has taken from a port."""
        return self.fastpath.port_counters(number).received_frames

    def take(self, number: int, count: int) -> list[bytes]:
        """The next frames to leave by a port: as many as that, for which it waits."""
        frames: list[bytes] = []

        def are_there() -> bool:
            frames.extend(self.devices[number].take())
            return len(frames) >= count

        eventually(are_there, f"{count} frames out of port {number}")
        return frames

    def is_news(self, timeout: float = 0) -> bool:
        """Whether there is something to hear, within so many seconds."""
        poll = select.poll()
        poll.register(self.news, select.POLLIN)
        return bool(poll.poll(1000 * timeout))

    def hear(self) -> list[Trouble]:
        """Wait for news, and hear them."""
        assert self.is_news(PATIENCE)
        return self.fastpath.hear()

    def waiting(self, count: int, now: Nanoseconds = 1) -> list[Waiting]:
        """That many frames of those that wait, as many at least being there."""
        taken: list[Waiting] = []
        while len(taken) < count:
            self.hear()
            taken += self.fastpath.take_waiting(now, count - len(taken))
        return taken

    def _offer(self, number: int, frame: bytes) -> bool:
        try:
            self.devices[number].feed(frame)
        except BlockingIOError:
            return False
        return True


@cache
def datagram(sport: int, payload: bytes = b"data") -> bytes:
    """A datagram to be routed, whose flow is known by its source port."""
    packet = IP(src="10.0.0.2", dst="198.51.100.1") / UDP(sport=sport, dport=53) / payload
    return _frame(bytes(packet))


def numbered(sport: int, numbers: Sequence[int], size: int = 4) -> list[bytes]:
    """Datagrams of one flow that are told apart by the last of the `size` bytes they carry."""
    begin = datagram(sport, bytes(size))[:-4]
    return [begin + number.to_bytes(4, "big") for number in numbers]


def numbers_in(frames: Sequence[bytes]) -> list[int]:
    """What `numbered` datagrams carry."""
    return [int.from_bytes(frame[-4:], "big") for frame in frames]


def segment(flags: str, *, is_reply: bool = False) -> bytes:
    """A segment of one TCP connection, or of its reply direction."""
    ends, ports = ("10.0.0.2", "198.51.100.1"), (5000, 80)
    if is_reply:
        ends, ports = ends[::-1], ports[::-1]
    packet = IP(src=ends[0], dst=ends[1]) / TCP(sport=ports[0], dport=ports[1], flags=flags)
    return _frame(bytes(packet))


def _frame(packet: bytes) -> bytes:
    header = Ether(src="02:00:00:00:00:0a", dst=str(GATEWAY), type=0x0800)
    return bytes(HEADER_LENGTH) + bytes(header) + packet
