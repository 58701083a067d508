"""What a fast path is: the face that the reference and its compiled twin have in common.

The dataplane and everything above it know this alone. Numbers of ports are those that they were
attached under; frames have their virtio-net header, and are rewritten in place.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from vswitch.devices.base import Device, Sent
from vswitch.fastpath.entry import FlowCounters
from vswitch.fastpath.key import Sender
from vswitch.fastpath.observer import Observer
from vswitch.fastpath.ring import Ring
from vswitch.fastpath.routine import Routine
from vswitch.fastpath.states import State
from vswitch.fastpath.track import Move
from vswitch.fastpath.window import Window
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import MacAddress

BATCH = 64
"""Frames taken from a device in one round: enough to spread the loop's cost, few enough that the
other devices wait less than a millisecond."""

CAPACITY = 524_288
"""Entries: room for 256 k connections in both directions."""

EVICTED_PART = 16
"""Evicting this part at once keeps the cost of an eviction out of the cost of a frame."""


@dataclass(slots=True)
class PortCounters:
    """What went through one port, in frames (a super-frame is one) and in bytes of Ethernet."""

    received_frames: int = 0
    received_bytes: int = 0
    sent_frames: int = 0
    sent_bytes: int = 0
    lost: dict[Sent, int] = field(default_factory=dict)
    """Frames that the device did not take, by its answer."""
    unsendable: dict[Malformed, int] = field(default_factory=dict)
    """Frames whose offload header was too wrong to make them fit the device."""
    wrong_checksums: int = 0
    """Frames that came in with a wrong TCP or UDP checksum and were routed all the same."""
    overrun: int = 0
    """Frames that came in faster than could be decided about them."""


class Waiting(NamedTuple):
    """A frame that nothing is known about, and the port that it came in by."""

    port: int
    frame: bytearray


class Trouble(NamedTuple):
    """A port that is not served any more, until its device has said what its error means."""

    port: int
    error: OSError


class FastPath(Protocol):
    """Ports, entries and the loop over them. Not thread-safe: one loop owns it."""

    name: ClassVar[str]
    """One word: reference or compiled."""
    observer: Observer | None
    """Reads along with every frame."""
    ring: Ring | None
    """Where the beginning of every frame is written down."""
    gone: set[int]
    """Ports whose device said, when nobody had asked, that it does not exist any more: a frame
    was sent to it, or one that had been held was due."""

    def __init__(self, capacity: int = CAPACITY) -> None: ...

    # Ports

    def attach(self, number: int, device: Device, gateway: MacAddress | None) -> None:
        """Let `device` be a port; on its network the switch itself has the station `gateway`."""

    def detach(self, number: int) -> None:
        """Forget the port, and distrust every entry: some of them send to it."""

    def device(self, number: int) -> Device:
        """The device of a port."""

    def set_gateway(self, number: int, gateway: MacAddress | None) -> None:
        """Let the switch itself have another station on a port's network, or none."""

    def replace_device(self, number: int, device: Device) -> None:
        """Put another device, usually a wrapper of the same one, behind a port."""

    def port_counters(self, number: int) -> PortCounters:
        """What a port has counted so far."""

    def count_wrong_checksum(self, number: int) -> None:
        """Count, for the port that it came in by, a miss that was found to have one."""

    def key(self, number: int, frame: Buffer) -> bytes | None:
        """The key under which the program for `frame`, received on a port, can be installed."""

    # Entries

    def install(self, key: bytes, routine: Routine, flow: int) -> None:
        """Keep a routine, and run it for every frame that has `key`.

        What an earlier one under the same key has counted is kept. Observers are told `flow`, the
        number of the connection, 0 where there is none.
        """

    def remove(self, key: bytes) -> None:
        """Forget an entry, where there is one."""

    def invalidate(self) -> None:
        """Make every entry a miss: something that decisions rested on has changed."""

    def flow_counters(self, key: bytes) -> FlowCounters | None:
        """What the entry under `key` has seen, or None where there is no entry."""

    def last_used(self, key: bytes) -> Nanoseconds:
        """When a frame last hit the entry under `key`; 0 where none has, or there is no entry."""

    def senders(self, since: Nanoseconds) -> set[Sender]:
        """Whose frames have hit an entry after `since`: of many flows of one station it is one."""

    def bridged(self) -> list[tuple[bytes, Nanoseconds]]:
        """The keys of frames that are bridged, with when each was last used, 0 where never."""

    def __len__(self) -> int:
        """How many entries there are."""

    # Connections

    def track(self, flow: int, state: State) -> None:
        """Follow a connection from `state` on, or have it moved there by who has seen why."""

    def untrack(self, flow: int) -> None:
        """Follow a connection no longer, where it is."""

    def open_window(self, flow: int) -> Window:
        """Follow the sequence numbers of a TCP connection that is tracked, from the beginning."""

    def begin_window(self, flow: int, syn: Buffer) -> None:
        """The same, with the SYN that begins it noted: a frame that has a routed key."""

    def window(self, flow: int) -> Window | None:
        """The window of a connection, or None where its numbers are not followed. It is good to be
        used until the connection is tracked no more."""

    def still(self) -> AbstractContextManager[None]:
        """While it is entered no frame passes: for who changes a window that frames change too."""

    def take_moves(self) -> list[Move]:
        """What frames have moved along since this was asked last, each move with the one frame."""

    # Frames

    def run(self, number: int, now: Nanoseconds, limit: int = BATCH) -> list[bytearray]:
        """Take up to `limit` frames from a port, finish the hits and return the misses.

        Raises `DeviceGone` where the device has vanished.
        """

    def rewrite(self, routine: Routine, frame: MutableBuffer) -> None:
        """Carry out, in place, everything but the sending, on the frame that a routine was made for
        and installed with."""

    def transmit(self, number: int, frame: MutableBuffer, flow: int, now: Nanoseconds) -> None:
        """Send a frame out of a port, made to fit its device first where it has to be."""

    def record(
        self, port: int, frame: Buffer, flow: int, now: Nanoseconds, fate: int, reason: int
    ) -> int:
        """Write down, in the ring that there is, a frame that was decided about; its place.

        Raises ValueError where there is none.
        """

    def settle(self, number: int, octets: int, answer: Sent) -> None:
        """Count how a frame ended that the port's device had HELD; `octets` are of Ethernet."""


@runtime_checkable
class LoopingFastPath(FastPath, Protocol):
    """A fast path that can serve its ports by itself, in a thread of its own.

    All methods belong to one thread, the owner's, but `loop`, which is the other's. Frames that
    miss wait at their ports, bounded, until the owner takes them.
    """

    def open_loop(self) -> int:
        """Make ready for the other thread; a descriptor that polls readable when there is something
        to `hear`."""

    def loop(self) -> None:
        """Serve the ports that are to be served, without the GIL, until `end_loop`."""

    def nudge(self) -> int:
        """Let the loop turn, however quiet its ports are; how often it had turned before."""

    def end_loop(self) -> None:
        """Let the other thread come back from `loop`."""

    def close_loop(self) -> None:
        """Give its descriptors back. The other thread has come back."""

    def serve(self, number: int) -> bool:
        """Have a port served by the loop; False where its device has no descriptor for that now."""

    def leave_alone(self, number: int) -> None:
        """Have a port served no longer; its device is not touched by the loop afterwards."""

    def hear(self) -> list[Trouble]:
        """Carry out what the loop has left to do, tell observers, and answer what went wrong."""

    def take_waiting(self, now: Nanoseconds, limit: int) -> list[Waiting]:
        """Up to so many frames that missed, of each port in turn. One that has a program by now is
        finished instead."""
