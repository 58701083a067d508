"""What every device is: frames in, frames out, and a plain word for how each sending ended.

Theory of operation. A device is pulled, never pushes: the event loop sees `fileno()` readable and
calls `receive`, which hands out what waits until nothing waits. Sending is one attempt. A frame
that a device cannot take now is lost, as it would be on a wire, and the answer says why; nothing
here queues, retries or blocks.

A frame is one buffer: the virtio-net header (10 bytes), then the Ethernet frame. A device says in
`offloads` what a header may ask of it; fitting a frame to that is the work of `vswitch.wire.adapt`,
before `send`.

No frame, however broken, makes a device raise. The one exception is `DeviceGone`, from `receive`,
because it ends the device and not a frame.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple, Protocol

from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import Offloads


class Sent(Enum):
    """How sending one frame ended. In all cases but SENT and HELD the frame is lost."""

    SENT = auto()
    """The kernel (or the memory device's list) has it."""
    HELD = auto()
    """A bad line keeps it for a while and says then how it ended (`vswitch.devices.impair`)."""
    FULL = auto()
    """The device's queue had no room: congestion, the next frame may pass."""
    DOWN = auto()
    """The interface exists and is set down: frames pass again when it is set up."""
    TOO_BIG = auto()
    """The frame is larger than the interface's MTU and carries no GSO that would cut it."""
    REFUSED = auto()
    """The device does not take these bytes: too short, or an offload header that lies."""
    GONE = auto()
    """The device does not exist any more, or was closed: no frame passes again."""


class DeviceGone(Exception):
    """The device has vanished: deleted, moved away, its namespace ended. Its text is the name."""


class OpenError(Exception):
    """A device could not be made or attached. Its text is one line: what, and what is wrong."""


class Form(Enum):
    """How frames pass by a descriptor."""

    TUN = auto()
    """One by read(2), one by write(2), each with its virtio-net header."""
    TUN_WITHOUT_HEADER = auto()
    """The same without: there is nothing before Ethernet."""
    PACKET = auto()
    """By the calls of a packet socket with PACKET_VNET_HDR and PACKET_AUXDATA."""


class RawDescriptor(NamedTuple):
    """A non-blocking descriptor that frames pass by."""

    descriptor: int
    form: Form
    readable: int
    """What to poll for reading."""


class Device(Protocol):
    """A source and sink of frames."""

    name: str
    """What the switch calls it; the interface may be called otherwise."""
    kind: str
    """One word: tap, macvtap, afpacket, memory."""
    offloads: Offloads
    """What the header of a frame that is sent may ask for."""

    def fileno(self) -> int:
        """A descriptor that polls readable when `receive` has something to say; -1 for none."""

    def receive(self, limit: int) -> Iterator[memoryview]:
        """Up to `limit` waiting frames; ends early when nothing waits.

        A frame is valid, and free to be changed, only until the iterator's next step: one buffer
        serves them all. A closed device has none. Raises DeviceGone.
        """

    def send(self, frame: Buffer) -> Sent:
        """Try once to send `frame`, virtio-net header included.

        The caller guarantees that what its header requires is within `offloads`. Never keeps
        `frame` and never changes it.
        """

    def raw(self) -> RawDescriptor | None:
        """What a compiled loop may read and write instead of calling `receive` and `send`; None
        where, at present, only these will do."""

    def overcome(self, error: OSError) -> bool:
        """Whether receiving may go on after `error` of the raw descriptor. Raises DeviceGone.

        It is told of EAGAIN, too, where the device was readable and no frame was there: then
        something else has happened.
        """

    def close(self) -> None:
        """Let the device go, and what the kernel keeps for it. Closing twice is allowed."""


_BY_ERRNO = {
    errno.EAGAIN: Sent.FULL,
    errno.ENOBUFS: Sent.FULL,
    errno.ENOMEM: Sent.FULL,
    errno.ENETDOWN: Sent.DOWN,
    errno.EIO: Sent.DOWN,  # a TAP's word for it
    errno.EMSGSIZE: Sent.TOO_BIG,
    errno.EBADFD: Sent.GONE,
    errno.EBADF: Sent.GONE,
    errno.ENXIO: Sent.GONE,
    errno.ENODEV: Sent.GONE,
}


def sent_by_error(error: OSError) -> Sent:
    """What an error of write(2) or send(2) means for the frame; REFUSED where it has no other."""
    return _BY_ERRNO.get(error.errno or 0, Sent.REFUSED)
